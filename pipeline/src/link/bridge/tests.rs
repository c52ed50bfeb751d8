//! Bridges against plain links: the same packets and the same counts, in one thread step by step, over bytes, between threads.

use std::num::NonZeroUsize;
use std::sync::Arc;

use futures::FutureExt;
use futures::executor::{LocalPool, block_on};
use futures::task::LocalSpawnExt;
use proptest::prelude::*;

use super::*;
use crate::error::Closed;
use crate::link::{LinkCounters, Taken};
use crate::packet::Packet;
use crate::testing::packet;
use crate::time::Clock;

fn parts(size: usize, when_full: WhenFull, turn: &Turn) -> LinkParts {
    LinkParts {
        bound: Bound::new(NonZeroUsize::new(size).unwrap(), when_full),
        turn: turn.clone(),
        clock: Clock::new(),
        readable: Arc::default(),
    }
}

/// A link and its bridge, moved by hand. Each half has its own count of turns, as in two workers.
struct Bridge {
    pool: LocalPool,
    sender: Sender,
    receiver: Receiver,
    near_turn: Turn,
    far_turn: Turn,
}

impl Bridge {
    fn over(size: usize, when_full: WhenFull, (near, far): (impl Transport, impl Transport)) -> Self {
        let (near_turn, far_turn) = (Turn::new(), Turn::new());
        let (sender, lent) = link(parts(size, when_full, &near_turn));
        let (letters, receiver) = link(mailbox(parts(size, when_full, &far_turn)));
        let pool = LocalPool::new();
        let spawner = pool.spawner();
        spawner.spawn_local(near_half(lent, near_turn.clone(), near)).unwrap();
        spawner.spawn_local(far_half(letters, far_turn.clone(), far)).unwrap();
        Self {
            pool,
            sender,
            receiver,
            near_turn,
            far_turn,
        }
    }

    fn open(size: usize, when_full: WhenFull, by_bytes: bool) -> Self {
        match by_bytes {
            true => Self::over(size, when_full, InMemoryBytes::pair()),
            false => Self::over(size, when_full, InMemory::pair()),
        }
    }

    /// Lets both halves do all that they can.
    fn settle(&mut self) {
        self.pool.run_until_stalled();
    }

    fn counters(&self) -> LinkCounters {
        self.sender.meter().counters()
    }

    fn take(&self) -> Option<Packet> {
        match self.receiver.take() {
            Taken::Packet(packet) => Some(packet),
            Taken::Nothing | Taken::Closed => None,
        }
    }
}

fn send(sender: &Sender, seq: u64, turn: u64) -> Option<Result<Sent, Closed>> {
    sender.send(packet(seq, turn)).now_or_never()
}

use super::super::Sent;

#[derive(Clone, Copy, Debug)]
enum Step {
    Send,
    Take,
    NearTurn,
    FarTurn,
    /// One half does one thing.
    Move,
    Settle,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => Just(Step::Send),
        4 => Just(Step::Take),
        1 => Just(Step::NearTurn),
        1 => Just(Step::FarTurn),
        6 => Just(Step::Move),
        1 => Just(Step::Settle),
    ];
    proptest::collection::vec(step, 0..200)
}

fn policies() -> impl Strategy<Value = WhenFull> {
    proptest::sample::select(WhenFull::ALL.to_vec())
}

proptest! {
    /// When the halves keep up, nobody can tell a bridge from a plain link.
    #[test]
    fn a_bridge_that_keeps_up_is_a_plain_link(
        size in 1_usize..6, when_full in policies(), by_bytes: bool, steps in steps(),
    ) {
        let mut bridge = Bridge::open(size, when_full, by_bytes);
        let turn = Turn::new();
        let (sender, receiver) = link(parts(size, when_full, &turn));
        let mut seq = 0;
        for step in steps {
            match step {
                Step::Send => {
                    let sent = send(&bridge.sender, seq, turn.current());
                    prop_assert_eq!(sent, send(&sender, seq, turn.current()));
                    seq += 1;
                }
                Step::Take => {
                    let plain = match receiver.take() {
                        Taken::Packet(packet) => Some(packet.seq),
                        _ => None,
                    };
                    prop_assert_eq!(bridge.take().map(|packet| packet.seq), plain);
                }
                Step::NearTurn => {
                    turn.next();
                    bridge.near_turn.next();
                }
                Step::FarTurn => {
                    turn.next();
                    bridge.far_turn.next();
                }
                Step::Move | Step::Settle => {}
            }
            bridge.settle();
            prop_assert_eq!(bridge.counters(), sender.meter().counters());
            prop_assert_eq!((bridge.near_turn.current(), bridge.far_turn.current()), (turn.current(), turn.current()));
        }
    }

    /// Whatever is on its way: the bound holds, order is kept, and in the end every packet is accounted for.
    #[test]
    fn a_bridge_that_lags_keeps_bound_and_order_and_loses_nothing(
        size in 1_usize..6, when_full in policies(), by_bytes: bool, steps in steps(),
    ) {
        let mut bridge = Bridge::open(size, when_full, by_bytes);
        let (mut seq, mut refused, mut got, mut turns) = (0, 0, Vec::new(), 0);
        for step in steps {
            match step {
                Step::Send => {
                    match send(&bridge.sender, seq, bridge.near_turn.current()) {
                        None => refused += 1,
                        Some(sent) => prop_assert!(sent.is_ok()),
                    }
                    seq += 1;
                }
                Step::Take => got.extend(bridge.take().map(|packet| packet.seq)),
                Step::NearTurn => {
                    turns += 1;
                    bridge.near_turn.next();
                    prop_assert_eq!(bridge.counters().depth, 0);
                }
                Step::FarTurn => {
                    turns += 1;
                    let current = bridge.far_turn.next();
                    prop_assert!(bridge.take().is_none(), "nothing of an older turn than {} is there", current);
                }
                Step::Move => {
                    bridge.pool.try_run_one();
                }
                Step::Settle => bridge.settle(),
            }
            prop_assert!(bridge.counters().depth <= size);
            prop_assert!(bridge.counters().max_depth <= size);
        }
        bridge.settle();
        prop_assert_eq!(bridge.near_turn.current(), bridge.far_turn.current());
        let Bridge { mut pool, sender, receiver, .. } = bridge;
        let meter = sender.meter();
        drop(sender);
        loop {
            pool.run_until_stalled();
            match receiver.take() {
                Taken::Packet(packet) => got.push(packet.seq),
                Taken::Nothing => prop_assert!(false, "the end does not come"),
                Taken::Closed => break,
            }
        }
        prop_assert!(got.is_sorted_by(|a, b| a < b), "{:?}", got);
        let counters = meter.counters();
        prop_assert_eq!(counters.received, got.len() as u64);
        prop_assert_eq!(seq - refused, counters.received + counters.dropped + counters.replaced + counters.stale);
        if turns == 0 {
            prop_assert_eq!(counters.stale, 0);
            match when_full {
                WhenFull::Wait => prop_assert_eq!(got.len() as u64, seq - refused),
                WhenFull::Latest | WhenFull::DropOldest if seq > 0 => prop_assert_eq!(got.last(), Some(&(seq - 1))),
                _ => {}
            }
        }
    }

    /// Sender, halves and reader on four threads.
    #[test]
    fn a_bridge_between_threads_keeps_bound_and_order(size in 1_usize..5, when_full in policies(), n in 0_u64..150) {
        let turn = Turn::new();
        let (sender, lent) = link(parts(size, when_full, &turn));
        let (letters, receiver) = link(mailbox(parts(size, when_full, &turn)));
        let (near, far) = InMemory::pair();
        let meter = sender.meter();
        let (near_turn, far_turn) = (turn.clone(), turn);
        let near = std::thread::spawn(move || block_on(near_half(lent, near_turn, near)));
        let far = std::thread::spawn(move || block_on(far_half(letters, far_turn, far)));
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
        for thread in [near, far, sending] {
            prop_assert!(thread.join().is_ok());
        }
        prop_assert!(got.is_sorted_by(|a, b| a < b));
        let counters = meter.counters();
        prop_assert_eq!(counters.received, got.len() as u64);
        prop_assert_eq!(counters.received + counters.dropped + counters.replaced, n);
        if when_full == WhenFull::Wait {
            prop_assert_eq!(got, (0..n).collect::<Vec<_>>());
        }
    }

    #[test]
    fn any_bytes_are_a_message_or_refused(bytes: Vec<u8>) {
        let _ = Message::from_bytes(&bytes, &mut crate::record::PictureCoder::default());
    }
}

#[test]
fn a_sender_hears_that_the_reader_is_gone() {
    for when_full in WhenFull::ALL {
        let mut bridge = Bridge::open(1, when_full, false);
        let _ = send(&bridge.sender, 0, 0);
        bridge.settle();
        let Bridge {
            mut pool,
            sender,
            receiver,
            ..
        } = bridge;
        drop(receiver);
        pool.run_until_stalled();
        assert_eq!(send(&sender, 1, 0), Some(Err(Closed)), "{when_full:?}");
    }
}

#[test]
fn a_sender_that_waits_goes_on_when_the_reader_took_or_left() {
    let mut bridge = Bridge::open(1, WhenFull::Wait, true);
    let _ = send(&bridge.sender, 0, 0);
    bridge.settle();
    let sender = &bridge.sender;
    let mut second = std::pin::pin!(sender.send(packet(1, 0)));
    assert!(
        second.as_mut().now_or_never().is_none(),
        "what is lent has its place on the link"
    );
    assert_eq!(bridge.receiver.take_seq(), Some(0));
    bridge.pool.run_until_stalled();
    assert_eq!(second.now_or_never(), Some(Ok(Sent::Kept)));
    let mut third = std::pin::pin!(sender.send(packet(2, 0)));
    assert!(third.as_mut().now_or_never().is_none());
    bridge.receiver.close();
    bridge.pool.run_until_stalled();
    assert_eq!(third.now_or_never(), Some(Err(Closed)));
}

impl Receiver {
    fn take_seq(&self) -> Option<u64> {
        match self.take() {
            Taken::Packet(packet) => Some(packet.seq),
            _ => None,
        }
    }
}

#[test]
fn a_half_that_is_gone_ends_the_other() {
    // The far half is gone: the sender hears of it.
    let (near, far) = InMemory::pair();
    let turn = Turn::new();
    let (sender, lent) = link(parts(2, WhenFull::Wait, &turn));
    drop(far);
    block_on(near_half(lent, turn.clone(), near));
    assert_eq!(send(&sender, 0, 0), Some(Err(Closed)));
    // The near half is gone: the reader gets what has come, and the end.
    let (mut near, far) = InMemory::pair();
    let (letters, receiver) = link(mailbox(parts(2, WhenFull::Wait, &turn)));
    near.post(Message::Lent(packet(7, 0))).unwrap();
    drop(near);
    block_on(far_half(letters, turn, far));
    assert_eq!(block_on(receiver.recv()).map(|packet| packet.seq), Some(7));
    assert!(block_on(receiver.recv()).is_none());
}

#[test]
fn what_cannot_be_bytes_closes_a_bridge_of_bytes() {
    let mut bridge = Bridge::open(2, WhenFull::Wait, true);
    let features = crate::packet::Features {
        about: crate::packet::FrameRef {
            index: 0,
            label: "".into(),
            pts: crate::time::Timestamp::default(),
        },
        before: None,
        grid_thw: [1, 2, 2],
        handle: Arc::new(()),
    };
    let features = Packet {
        body: crate::packet::Body::Features(features),
        ..packet(0, 0)
    };
    assert_eq!(bridge.sender.send(features).now_or_never(), Some(Ok(Sent::Kept)));
    bridge.settle();
    assert_eq!(send(&bridge.sender, 1, 0), Some(Err(Closed)));
    assert!(matches!(bridge.receiver.take(), Taken::Closed));
}
