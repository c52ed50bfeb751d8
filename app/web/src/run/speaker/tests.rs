//! The stage against a loudspeaker that is moved by hand: what it knows is what sounded, to the sample.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_channel::{Receiver, bounded};
use pipeline::graph::Graph;
use pipeline::packet::{PlayState, Played, Word};
use pipeline::runtime::{Run, RunOptions};
use pipeline::time::{Clock, Timestamp};

use super::*;

const GRAPH: &str = r#"
[stage.script]
type = "test.script"

[stage.speaker]
type = "sink.speaker"
inputs = { audio = "script", hold = "script" }

[stage.ear]
type = "test.ear"
input = { from = "speaker", size = 100, when_full = "wait" }
"#;

/// Frames a second of sound and device: one a millisecond.
const RATE_HZ: u32 = 1000;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct NoKeys {}

/// Sends what the test says, in the turn that the test says.
struct Script(Receiver<(u64, Body)>);

impl Stage for Script {
    async fn run(self, ctx: Context) -> Result<(), StageError> {
        while let Some(Ok((turn, body))) = ctx.or_stop(ctx.waiting(self.0.recv())).await {
            ctx.send(body, Stamp { turn, pts: ctx.now() }).await?;
        }
        Ok(())
    }
}

struct Ear(Arc<Mutex<Vec<Played>>>);

impl Stage for Ear {
    async fn run(self, ctx: Context) -> Result<(), StageError> {
        while let Some(packet) = ctx.recv().await {
            if let Body::Played(played) = packet.body {
                self.0.lock().unwrap().push(played);
            }
        }
        Ok(())
    }
}

fn sound(n: usize, words: &[(&str, u64, u64)]) -> Body {
    let word = |(text, start, end): &(&str, u64, u64)| Word {
        text: (*text).into(),
        start: Duration::from_millis(*start),
        end: Duration::from_millis(*end),
        confidence: 1.0,
    };
    Body::Audio(Audio {
        rate_hz: RATE_HZ,
        samples: vec![0.5; n].into(),
        words: words.iter().map(word).collect(),
        about: None,
    })
}

#[tokio::test]
async fn what_sounded_is_known_to_the_sample_and_a_new_turn_empties_the_device() {
    let (loudspeaker, commands, done) = Loudspeaker::new(RATE_HZ);
    let devices = Devices {
        loudspeaker: Some(loudspeaker),
        ..Devices::default()
    };
    // Frame 0 sounds two seconds after the run began.
    devices.time.run_began(1e12);
    devices.time.sound_began(1e12 + 2000.0);
    let (page, told) = bounded(16);
    let (script, said) = bounded(16);
    let heard: Arc<Mutex<Vec<Played>>> = Arc::default();
    let mut registry = Registry::new();
    let build = move |_: NoKeys, _: &BuildContext<'_>| Ok(Script(said.clone()));
    registry.add(
        "test.script",
        Factory::new(build).gives(&[PacketKind::Audio, PacketKind::Event]),
    );
    let played = heard.clone();
    let build = move |_: NoKeys, _: &BuildContext<'_>| Ok(Ear(played.clone()));
    registry.add("test.ear", Factory::new(build).input("played", &[PacketKind::Played]));
    register(&mut registry, &devices, &page);
    let graph = Graph::from_toml(GRAPH, &registry).unwrap();
    let clock = Clock::new_virtual();
    let options = RunOptions {
        clock: clock.clone(),
        ..RunOptions::default()
    };
    let scene = async {
        let run = Run::start(&graph, &registry, options).unwrap();
        let settle = || clock.sleep(Duration::from_millis(1));
        let last = |turn: u64| {
            let heard = heard.lock().unwrap();
            let turns = heard.last().map(|played| played.turns.clone()).unwrap_or_default();
            turns.iter().find(|played| played.turn == turn).cloned().unwrap()
        };
        let tell = async |id: u64, n_frames: usize, frame: u64| {
            done.send(Done { id, n_frames, frame }).await.unwrap();
            settle().await;
        };
        settle().await;
        assert_eq!(commands.recv().await, Ok(Command::Cut(1)), "nothing of before is left");
        // An earlier run's sound.
        tell(0, 7, 90).await;
        tell(1, 0, 100).await;
        script.send((0, sound(50, &[("one", 0, 20), ("two", 20, 50)]))).await.unwrap();
        settle().await;
        assert!(matches!(commands.recv().await, Ok(Command::Push(2, samples)) if samples.len() == 50));
        assert!(heard.lock().unwrap().is_empty(), "what was not obeyed did not happen");
        tell(2, 0, 100).await;
        assert_eq!(told.try_recv(), Ok(ToPage::Speaking { on: true }));
        tell(2, 19, 110).await;
        assert_eq!((last(0).n_samples, last(0).words.len()), (19, 0));
        tell(2, 1, 129).await;
        assert_eq!((last(0).n_samples, last(0).n_waiting, last(0).words.len()), (20, 30, 1));
        assert_eq!(last(0).start, Timestamp(Duration::from_millis(2110)));
        script.send((0, Body::Event(Event::Hold { held: true }))).await.unwrap();
        settle().await;
        assert_eq!(commands.recv().await, Ok(Command::Hold(3, true)));
        // It sounded for five more frames before it was held.
        tell(2, 5, 130).await;
        tell(3, 0, 135).await;
        assert_eq!(told.try_recv(), Ok(ToPage::Speaking { on: false }));
        assert_eq!(last(0).n_samples, 25);
        script.send((0, Body::Event(Event::Hold { held: false }))).await.unwrap();
        settle().await;
        assert_eq!(commands.recv().await, Ok(Command::Hold(4, false)));
        tell(4, 10, 200).await;
        assert_eq!(last(0).n_samples, 35);
        // A new turn, and nothing else.
        assert_eq!(run.handle().next_turn(), 1);
        settle().await;
        assert_eq!(commands.recv().await, Ok(Command::Cut(5)));
        tell(4, 3, 210).await;
        tell(5, 0, 213).await;
        let cut = last(0);
        assert_eq!((cut.n_samples, cut.n_waiting, cut.state), (38, 12, PlayState::Cut));
        assert_eq!(cut.words.len(), 1, "the second word was not heard to its end");
        script.send((1, sound(8, &[]))).await.unwrap();
        settle().await;
        assert!(matches!(commands.recv().await, Ok(Command::Push(6, _))));
        tell(6, 8, 300).await;
        assert_eq!((last(1).n_samples, last(1).state), (8, PlayState::Done));
        drop(script);
        settle().await;
        assert_eq!(commands.recv().await, Ok(Command::Cut(7)), "the end");
        run.join().await.unwrap();
    };
    clock.track(scene).await;
}
