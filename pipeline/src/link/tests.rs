//! Bounds, order and counters of links under every policy.

use futures::FutureExt;
use futures::executor::block_on;
use proptest::prelude::*;

use super::*;
use crate::testing::packet;

fn open(size: usize, when_full: WhenFull) -> (Sender, Receiver, Turn) {
    let turn = Turn::new();
    let bound = Bound::new(NonZeroUsize::new(size).unwrap(), when_full);
    let parts = LinkParts {
        bound,
        turn: turn.clone(),
        clock: Clock::new(),
        readable: Arc::default(),
    };
    let (sender, receiver) = link(parts);
    (sender, receiver, turn)
}

/// Sends without waiting; `None` if it would wait.
fn send(sender: &Sender, seq: u64) -> Option<Result<Sent, Closed>> {
    sender.send(packet(seq, 0)).now_or_never()
}

fn drain(receiver: &Receiver) -> Vec<u64> {
    std::iter::from_fn(|| match receiver.take() {
        Taken::Packet(packet) => Some(packet.seq),
        Taken::Nothing | Taken::Closed => None,
    })
    .collect()
}

#[test]
fn drop_oldest_keeps_newest() {
    let (sender, receiver, _) = open(2, WhenFull::DropOldest);
    for seq in 0..5 {
        assert!(send(&sender, seq).is_some(), "it never waits");
    }
    assert_eq!(drain(&receiver), [3, 4]);
    let counters = sender.meter().counters();
    assert_eq!(
        (counters.sent, counters.received, counters.dropped, counters.max_depth),
        (5, 2, 3, 2)
    );
}

#[test]
fn drop_newest_keeps_oldest() {
    let (sender, receiver, _) = open(2, WhenFull::DropNewest);
    for seq in 0..5 {
        assert!(send(&sender, seq).is_some(), "it never waits");
    }
    assert_eq!(drain(&receiver), [0, 1]);
    let counters = sender.meter().counters();
    assert_eq!(
        (counters.sent, counters.received, counters.dropped, counters.max_depth),
        (2, 2, 3, 2)
    );
}

#[test]
fn latest_has_one_slot_and_replaces_what_lies_there() {
    let (sender, receiver, _) = open(5, WhenFull::Latest);
    for seq in 0..4 {
        assert!(send(&sender, seq).is_some(), "it never waits");
    }
    assert_eq!(drain(&receiver), [3]);
    let _ = send(&sender, 4);
    assert_eq!(drain(&receiver), [4]);
    let counters = sender.meter().counters();
    assert_eq!((counters.sent, counters.received, counters.max_depth), (5, 2, 1));
    assert_eq!(
        (counters.replaced, counters.dropped),
        (3, 0),
        "a state that is renewed is not lost"
    );
}

#[test]
fn wait_keeps_all() {
    let (sender, receiver, _) = open(1, WhenFull::Wait);
    assert_eq!(send(&sender, 0), Some(Ok(Sent::Kept)));
    let mut second = std::pin::pin!(sender.send(packet(1, 0)));
    assert!(second.as_mut().now_or_never().is_none(), "it waits for room");
    assert_eq!(drain(&receiver), [0]);
    assert_eq!(second.now_or_never(), Some(Ok(Sent::Kept)));
    assert_eq!(drain(&receiver), [1]);
    assert_eq!(sender.meter().counters().dropped, 0);
}

#[test]
fn a_closed_link_is_drained_first() {
    let (sender, receiver, _) = open(4, WhenFull::Wait);
    let _ = (send(&sender, 0), send(&sender, 1));
    drop(sender);
    assert_eq!(block_on(receiver.recv()).map(|packet| packet.seq), Some(0));
    assert_eq!(block_on(receiver.recv()).map(|packet| packet.seq), Some(1));
    assert!(block_on(receiver.recv()).is_none());
}

#[test]
fn a_sender_hears_that_the_receiver_is_gone() {
    for when_full in WhenFull::ALL {
        let (sender, receiver, _) = open(1, when_full);
        let _ = send(&sender, 0);
        drop(receiver);
        assert_eq!(send(&sender, 1), Some(Err(Closed)), "{when_full:?}");
    }
}

#[test]
fn a_waiting_sender_is_woken_when_the_receiver_goes() {
    let (sender, receiver, _) = open(1, WhenFull::Wait);
    let _ = send(&sender, 0);
    let waiting = std::thread::spawn(move || block_on(sender.send(packet(1, 0))));
    drop(receiver);
    assert_eq!(waiting.join().unwrap(), Err(Closed));
}

#[test]
fn a_cancelled_turn_leaves_nothing_behind() {
    let (sender, receiver, turn) = open(2, WhenFull::Wait);
    let _ = (send(&sender, 0), send(&sender, 1));
    let mut waiting = std::pin::pin!(sender.send(packet(2, 0)));
    assert!(waiting.as_mut().now_or_never().is_none());
    assert_eq!(turn.next(), 1);
    assert_eq!(sender.meter().counters().depth, 0, "what lay on the link is gone at once");
    assert_eq!(
        waiting.now_or_never(),
        Some(Ok(Sent::Stale)),
        "who waited with the old turn goes on"
    );
    assert_eq!(send(&sender, 3), Some(Ok(Sent::Stale)), "what comes late is dropped");
    assert_eq!(sender.send(packet(4, 1)).now_or_never(), Some(Ok(Sent::Kept)));
    assert_eq!(drain(&receiver), [4]);
    assert_eq!(sender.meter().counters().stale, 4);
}

#[test]
fn frames_drop_the_oldest_by_default_and_the_rest_waits() {
    let frames = Bound::default_for(&[PacketKind::Frame]);
    assert_eq!((frames.size.get(), frames.when_full), (2, WhenFull::DropOldest));
    let text = Bound::default_for(&[PacketKind::Text, PacketKind::Event]);
    assert_eq!((text.size.get(), text.when_full), (8, WhenFull::Wait));
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Send,
    Take,
    NextTurn,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![5 => Just(Step::Send), 4 => Just(Step::Take), 1 => Just(Step::NextTurn)];
    proptest::collection::vec(step, 0..200)
}

fn policies() -> impl Strategy<Value = WhenFull> {
    proptest::sample::select(WhenFull::ALL.to_vec())
}

proptest! {
    /// One thread, every order of steps: the bound holds after each, order is kept, and every packet is accounted for.
    #[test]
    fn a_full_link_never_exceeds_its_bound_and_keeps_order(size in 1_usize..9, when_full in policies(), steps in steps()) {
        let (sender, receiver, turn) = open(size, when_full);
        let (mut seq, mut refused, mut got) = (0, 0, Vec::new());
        for step in steps {
            match step {
                Step::Send => {
                    if sender.send(packet(seq, turn.current())).now_or_never().is_none() {
                        prop_assert_eq!(when_full, WhenFull::Wait);
                        prop_assert_eq!(sender.meter().counters().depth, size, "it waits only when full");
                        refused += 1;
                    }
                    seq += 1;
                }
                Step::Take => {
                    if let Taken::Packet(packet) = receiver.take() {
                        prop_assert_eq!(packet.turn, turn.current());
                        got.push(packet.seq);
                    }
                }
                Step::NextTurn => {
                    turn.next();
                    prop_assert_eq!(sender.meter().counters().depth, 0);
                }
            }
            prop_assert!(sender.meter().counters().depth <= size);
        }
        prop_assert!(got.is_sorted_by(|a, b| a < b), "{:?}", got);
        let counters = sender.meter().counters();
        prop_assert!(counters.max_depth <= size);
        prop_assert_eq!(counters.received, got.len() as u64);
        prop_assert_eq!(seq - refused, counters.received + counters.dropped + counters.replaced + counters.stale + counters.depth as u64);
    }

    /// Two threads, whatever interleaving the machine gives.
    #[test]
    fn a_link_between_threads_keeps_bound_and_order(size in 1_usize..5, when_full in policies(), n in 0_u64..300) {
        let (sender, receiver, _) = open(size, when_full);
        let meter = sender.meter();
        let sending = std::thread::spawn(move || {
            for seq in 0..n {
                block_on(sender.send(packet(seq, 0))).expect("the receiver is there");
            }
        });
        let mut got = Vec::new();
        while let Some(packet) = block_on(receiver.recv()) {
            prop_assert!(meter.counters().depth <= size);
            got.push(packet.seq);
        }
        sending.join().expect("the sender ends well");
        prop_assert!(got.is_sorted_by(|a, b| a < b));
        let counters = meter.counters();
        prop_assert!(counters.max_depth <= size);
        prop_assert_eq!(counters.received + counters.dropped + counters.replaced, n);
        if when_full == WhenFull::Latest && n > 0 {
            prop_assert_eq!(got.last(), Some(&(n - 1)), "the last state always arrives");
        }
        if when_full == WhenFull::Wait {
            prop_assert_eq!(got, (0..n).collect::<Vec<_>>());
        }
    }
}
