//! One stage by itself, with packets put in and taken out by hand: for the tests of stages. Not a run: no supervisor.

use std::num::NonZeroUsize;
use std::sync::Arc;

use futures::future::join;

use crate::actor::{Context, ContextParts, InputLink, Life, Links, OutputLink, Stage};
use crate::error::StageError;
use crate::events::{Events, Hub, Reporter};
use crate::link::{Bound, LinkParts, WhenFull, link};
use crate::packet::{Body, Packet, PacketKind};
use crate::record::Ears;
use crate::time::{Clock, Timestamp};
use crate::trace::TraceHandle;
use crate::turn::{Stop, Turn};

/// How a stage ended that ran alone.
pub struct Alone {
    pub result: Result<(), StageError>,
    /// What it sent, in order.
    pub sent: Vec<Packet>,
    /// What it told.
    pub events: Events,
}

/// Packets of turn 0, numbered from 0, one millisecond apart.
pub fn packets(bodies: impl IntoIterator<Item = Body>) -> Vec<Packet> {
    let packet = |(seq, body)| Packet {
        seq,
        pts: Timestamp(std::time::Duration::from_millis(seq)),
        turn: 0,
        body,
    };
    (0..).zip(bodies).map(packet).collect()
}

/// Runs a stage with one input, called `in`, until it ends; the input ends after `input`.
pub async fn run_alone(stage: impl Stage, input: Vec<Packet>) -> Alone {
    run_alone_with(stage, vec![("in", input)]).await
}

/// Runs a stage with several named inputs, each of which ends after its packets. Without inputs the stage is a source and has
/// to end by itself.
pub async fn run_alone_with(stage: impl Stage, inputs: Vec<(&str, Vec<Packet>)>) -> Alone {
    let (clock, turn, stop) = (Clock::new(), Turn::new(), Stop::default());
    let hub = Hub::new(clock.clone(), turn.clone());
    let events = hub.subscribe();
    let readable = Arc::default();
    let (mut links, mut feeds) = (Vec::new(), Vec::new());
    for (port, (_, packets)) in inputs.iter().enumerate() {
        let bound = Bound::new(NonZeroUsize::new(packets.len()).unwrap_or(NonZeroUsize::MIN), WhenFull::Wait);
        let (sender, receiver) = link(LinkParts {
            bound,
            turn: turn.clone(),
            clock: clock.clone(),
            readable: Arc::clone(&readable),
        });
        links.push(InputLink {
            port,
            index: port,
            receiver,
            feedback: false,
        });
        feeds.push(sender);
    }
    let ports: Vec<String> = inputs.iter().map(|(name, _)| (*name).to_owned()).collect();
    for (sender, (_, packets)) in feeds.into_iter().zip(inputs) {
        for packet in packets {
            // The link has room for all, and its receiver is here.
            let _ = sender.send(packet).await;
        }
    }
    let bound = Bound::new(NonZeroUsize::MIN, WhenFull::Wait);
    let (sender, receiver) = link(LinkParts {
        bound,
        turn: turn.clone(),
        clock: clock.clone(),
        readable: Arc::default(),
    });
    let context = Context::new(Arc::new(ContextParts {
        ports,
        inputs: Links::new(links, readable, stop.clone(), Ears::default()),
        outputs: vec![OutputLink {
            sender,
            kinds: PacketKind::ALL.to_vec(),
            carried: None,
        }],
        is_source: false,
        clock,
        turn,
        stop,
        reporter: Reporter {
            stage: "alone".into(),
            hub: hub.clone(),
        },
        trace: TraceHandle::off(),
        meter: Arc::default(),
        life: Life::default(),
        tape: None,
    }));
    let collect = async {
        let mut sent = Vec::new();
        while let Some(packet) = receiver.recv().await {
            sent.push(packet);
        }
        sent
    };
    let (result, sent) = join(stage.run(context), collect).await;
    hub.close();
    Alone { result, sent, events }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::text;

    /// Puts the packets of input `b` behind those of `a`.
    struct Join;

    impl Stage for Join {
        async fn run(self, ctx: Context) -> Result<(), StageError> {
            for name in ["a", "b"] {
                while let Some(packet) = ctx.input(name).recv().await {
                    let stamp = packet.stamp();
                    ctx.send(packet.body, stamp).await?;
                }
            }
            ctx.reporter().warn("that was all");
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_stage_alone_reads_its_named_inputs_and_gives_what_it_sent() {
        let inputs = vec![("b", packets([text("2")])), ("a", packets([text("0"), text("1")]))];
        let alone = run_alone_with(Join, inputs).await;
        assert!(alone.result.is_ok());
        let sent: Vec<_> = alone
            .sent
            .iter()
            .map(|packet| (packet.seq, packet.pts.0.as_millis()))
            .collect();
        assert_eq!(sent, [(0, 0), (1, 1), (2, 0)]);
        let event = alone.events.recv().await.expect("the warning");
        assert!(matches!(event.body, Body::Event(crate::packet::Event::Warning { .. })));
        assert!(alone.events.recv().await.is_none());
    }
}
