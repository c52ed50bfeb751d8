//! The unmodified conversation in three parts, joined by bytes as in the tab's workers: it hears, answers aloud, falls silent.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use app_web::protocol::{EngineKind, Place, ToPage, Words};
use app_web::run::beside::{self, Ready};
use app_web::run::devices::{Devices, Microphone, Piece};
use app_web::run::parts::Bridges;
use app_web::run::play::graph_of;
use app_web::run::prepared::prepare;
use app_web::run::source::Shots;
use app_web::run::text;
use async_channel::{Receiver, Sender, bounded};
use pipeline::link::bridge::Arrivals;
use pipeline::runtime::RunHandle;
use pipeline::spawn::spawn_tracked;
use pipeline::time::{Clock, Timestamp};
use stages::sound::{Sound, SoundAt};
use stages::tts::voices::VoiceFiles;

use crate::{device, files, picture, root};

const TALK: &str = include_str!("../../../../configs/talk.toml");
/// Of the microphone, and of the loudspeaker.
const HEARD_HZ: u32 = 16_000;
const SOUND_HZ: u32 = 48_000;
/// Samples of a piece: 20 ms.
const PIECE: usize = 320;
/// How long the conversation may take, in its own time.
const PATIENCE: Duration = Duration::from_secs(120);

/// What is said into the microphone next; silence otherwise.
#[derive(Clone, Default)]
struct Mouth(Arc<Mutex<Vec<f32>>>);

impl Mouth {
    /// Says a clip from a time in it on.
    fn say(&self, clip: &str, from: Duration) {
        let path = root().join("tests/data/speech").join(clip);
        let mut sound = SoundAt::new(Sound::open(Path::new(&path)).unwrap(), HEARD_HZ).unwrap();
        let mut samples = Vec::new();
        while let Some(block) = sound.next_block().unwrap() {
            samples.extend(block);
        }
        let start = (from.as_secs_f64() * f64::from(HEARD_HZ)) as usize;
        self.0.lock().unwrap().extend(&samples[start..]);
    }

    /// Speaks in the clock's time for as long as it runs.
    async fn speak(self, pieces: Sender<Piece>, clock: Clock) {
        for index in 1.. {
            let time = Duration::from_millis(20 * index);
            clock.sleep_until(Timestamp(time)).await;
            let mut samples: Vec<f32> = {
                let mut mouth = self.0.lock().unwrap();
                let n = mouth.len().min(PIECE);
                mouth.drain(..n).collect()
            };
            samples.resize(PIECE, 0.0);
            let piece = Piece {
                frame: (index - 1) * PIECE as u64,
                n_lost: 0,
                samples,
            };
            if pieces.send(piece).await.is_err() {
                return;
            }
        }
    }
}

/// Hands on what parts send, each to where the link's other end is.
#[derive(Clone, Default)]
struct Sea(Arc<Mutex<BTreeMap<Place, Arrivals>>>);

impl Sea {
    fn serve(&self, place: Place, clock: &Clock) -> impl FnOnce(Bridges) + use<> {
        let (sea, clock) = (self.clone(), clock.clone());
        move |bridges| {
            let Bridges {
                mut departures,
                arrivals,
                across,
            } = bridges;
            sea.0.lock().unwrap().insert(place, arrivals);
            let pump = async move {
                while let Some((link, bytes)) = departures.next().await {
                    let mut shores = sea.0.lock().unwrap();
                    shores.get_mut(&across[&link]).unwrap().land(link, bytes).unwrap();
                }
            };
            let _runs_by_itself = spawn_tracked(&clock, pump);
        }
    }
}

/// Everything that the page was told so far.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<(Timestamp, ToPage)>>>);

impl Told {
    async fn hear(self, page: Receiver<ToPage>, clock: Clock) {
        while let Ok(message) = page.recv().await {
            self.0.lock().unwrap().push((clock.now(), message));
        }
    }

    /// Waits for a message from `from` on; gives where it is, and when it came.
    async fn until(&self, clock: &Clock, from: usize, what: &str, is_it: impl Fn(&ToPage) -> bool) -> (usize, Timestamp) {
        let end = Timestamp(clock.now().0 + PATIENCE);
        loop {
            let found = {
                let told = self.0.lock().unwrap();
                let found = told.iter().enumerate().skip(from).find(|(_, (_, message))| is_it(message));
                found.map(|(index, (time, _))| (index, *time))
            };
            if let Some(found) = found {
                return found;
            }
            assert!(
                clock.now() < end,
                "{what}: not within {PATIENCE:?}; told: {:?}",
                self.0.lock().unwrap()
            );
            clock.sleep(Duration::from_millis(10)).await;
        }
    }

    fn words(&self, index: usize) -> Words {
        match &self.0.lock().unwrap()[index].1 {
            ToPage::Text(words) => words.clone(),
            other => panic!("{other:?}"),
        }
    }
}

fn loudness(samples: &[f32]) -> f64 {
    let sum: f64 = samples.iter().map(|x| f64::from(x * x)).sum();
    (sum / samples.len().max(1) as f64).sqrt()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_hears_answers_aloud_and_falls_silent_when_it_is_interrupted() {
    let timed = TALK.replace("type = \"wgpu\"", "type = \"sim\"\nprofile = \"rtx-4090\"");
    let config = text::tapped(&timed);
    let (page, heard) = bounded(1024);
    let prepared = prepare(&config, EngineKind::AsWritten, files, &page).await.unwrap();
    let clock = prepared.clock.clone();
    assert!(clock.is_virtual());
    let told = Told::default();
    let _runs_by_itself = spawn_tracked(&clock, told.clone().hear(heard, clock.clone()));
    let (microphone, pieces) = Microphone::new(HEARD_HZ);
    let (loudspeaker, device) = device::loudspeaker(SOUND_HZ);
    let devices = Devices {
        microphone: Some(microphone),
        loudspeaker: Some(loudspeaker),
        ..Devices::default()
    };
    // Milliseconds since 1970: any time does.
    devices.time.run_began(1e12);
    devices.time.sound_began(1e12);
    let sounded = device.sounded();
    let mouth = Mouth::default();
    let _runs_by_itself = spawn_tracked(&clock, mouth.clone().speak(pieces, clock.clone()));
    let _runs_by_itself = spawn_tracked(&clock, device.play(clock.clone()));

    let read = |name: &str| std::fs::read(root().join("models/joe").join(name)).unwrap();
    let voice = VoiceFiles {
        onnx: read("joe.onnx.zz").into(),
        json: read("joe.onnx.json").into(),
    };
    let shots = Shots::Files([picture("024")].into());
    let (graph, registry) = graph_of(&prepared, &shots, &page).unwrap();
    let parts = [
        (Place::Engine, Ready::new(graph, registry, Place::Engine)),
        (
            Place::Ears,
            beside::part(&config, Place::Ears, None, &devices, &page).unwrap(),
        ),
        (
            Place::Voice,
            beside::part(&config, Place::Voice, Some(voice), &Devices::default(), &page).unwrap(),
        ),
    ];
    let (sea, handles) = (Sea::default(), Arc::new(Mutex::new(Vec::<RunHandle>::new())));
    let scene = async {
        let runs = parts.map(|(place, ready)| {
            let (handles, clock, page) = (handles.clone(), clock.clone(), page.clone());
            let serve = sea.serve(place, &clock);
            spawn_tracked(&clock.clone(), async move {
                let started = |run| handles.lock().unwrap().push(run);
                ready.run(clock, &page, serve, started).await
            })
        });
        clock.sleep(Duration::from_millis(500)).await;
        let is_voice = |message: &ToPage| *message == ToPage::Voice { on: true };
        let is_heard = |message: &ToPage| matches!(message, ToPage::Text(words) if words.is_heard && words.is_finished);
        let is_answer = |message: &ToPage| matches!(message, ToPage::Text(words) if !words.is_heard && words.is_finished);
        let is_sound = |message: &ToPage| *message == ToPage::Speaking { on: true };
        let is_silent = |message: &ToPage| *message == ToPage::Speaking { on: false };
        mouth.say("sb_spk1_snt2.flac", Duration::ZERO);
        let (from, _) = told.until(&clock, 0, "a voice", is_voice).await;
        let (from, _) = told.until(&clock, from, "what was said", is_heard).await;
        assert!(told.words(from).text.len() > 3, "{:?}", told.words(from));
        let (answer, _) = told.until(&clock, from, "an answer", is_answer).await;
        assert!(told.words(answer).text.len() > 3, "{:?}", told.words(answer));
        let (from, _) = told.until(&clock, from, "sound", is_sound).await;
        let (from, _) = told.until(&clock, from, "its end", is_silent).await;
        // Once more, to speak over the answer.
        mouth.say("sb_spk1_snt2.flac", Duration::ZERO);
        let (from, sounds_at) = told.until(&clock, from, "sound again", is_sound).await;
        let enough = Timestamp(sounds_at.0 + Duration::from_millis(200));
        clock.sleep_until(enough).await;
        let at = |time: Timestamp| (time.as_secs_f64() * f64::from(SOUND_HZ)) as usize;
        let spoken = sounded.lock().unwrap()[at(sounds_at)..].to_vec();
        assert!(loudness(&spoken) > 0.01, "it is silent: {}", loudness(&spoken));
        // Somebody speaks over it.
        // The answer is short: not with the silence before the words.
        mouth.say("sb_spk2_snt3.flac", Duration::from_millis(500));
        let (from, voice_at) = told.until(&clock, from, "another voice", is_voice).await;
        let (_, silent_at) = told.until(&clock, from, "silence", is_silent).await;
        let after = silent_at.since(voice_at);
        assert!(after <= Duration::from_millis(200), "it fell silent after {after:?}");
        clock.sleep(Duration::from_millis(400)).await;
        let rest = sounded.lock().unwrap()[at(Timestamp(silent_at.0 + Duration::from_millis(20)))..].to_vec();
        assert!(
            rest.len() > SOUND_HZ as usize / 4 && rest.iter().all(|x| *x == 0.0),
            "it goes on"
        );
        let turns: Vec<u64> = handles.lock().unwrap().iter().map(|run| run.turn().current()).collect();
        assert!(
            turns.iter().all(|turn| *turn == turns[0] && *turn > 1),
            "all parts have one turn: {turns:?}"
        );
        for run in handles.lock().unwrap().iter() {
            run.stop();
            run.next_turn();
        }
        for run in runs {
            run.await.unwrap().unwrap();
        }
        println!("silent {after:?} after the voice; answered: {:?}", told.words(answer).text);
    };
    clock.track(scene).await;
}
