//! The worker's work without a browser: the unmodified configuration on the simulator, and the voice.

mod device;
mod hub;
mod talk;

use std::path::PathBuf;
use std::sync::Arc;

use app_web::protocol::{EngineKind, FailureKind, Likeness, MeasuredBy, ToPage};
use app_web::run::devices::Devices;
use app_web::run::prepared::{Files, prepare};
use app_web::run::source::Shots;
use app_web::run::{Error, Result, play, step, voice};
use async_channel::bounded;
use gpu::weights::source::Folder;
use stages::tts::voices::VoiceFiles;

const NARRATE: &str = include_str!("../../../../configs/narrate.toml");

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

async fn files(name: &str) -> Result<Files> {
    Ok(Files {
        source: Arc::new(Folder::open(root().join("models").join(name))?),
        is_coming: false,
    })
}

fn picture(name: &str) -> (String, Vec<u8>) {
    let path = root().join(format!("tests/data/recording/{name}.png"));
    (name.to_owned(), std::fs::read(path).unwrap())
}

#[tokio::test]
async fn a_picture_is_narrated_and_the_page_hears_of_everything() {
    let (page, heard) = bounded(4096);
    let prepared = prepare(NARRATE, EngineKind::Simulator, files, &page).await.unwrap();
    assert!(prepared.ready.is_simulated && prepared.ready.weight_bytes > 5_000_000);
    // Frames that show nothing new are passed over.
    let shots = Shots::Files([picture("024"), picture("024")].into());
    let mut handle = None;
    play(&prepared, shots, &page, |run| handle = Some(run)).await.unwrap();
    assert!(handle.is_some());
    drop(page);
    let mut messages = Vec::new();
    while let Ok(message) = heard.recv().await {
        messages.push(message);
    }
    let is = |what: fn(&ToPage) -> bool| messages.iter().any(what);
    assert!(is(
        |message| matches!(message, ToPage::Progress(progress) if progress.total_bytes > 0)
    ));
    assert!(is(
        |message| matches!(message, ToPage::Began { links } if links.iter().any(|link| link.name == "screen -> changes"))
    ));
    assert!(is(
        |message| matches!(message, ToPage::Rate(rate) if rate.tokens_per_s > 0.0 && rate.new_tokens > 5.0)
    ));
    let words = messages.iter().filter_map(|message| match message {
        ToPage::Text(words) if words.is_finished => Some((words.frame.clone(), words.text.as_str())),
        _ => None,
    });
    let words: Vec<_> = words.collect();
    assert_eq!(words.len(), 1, "{words:?}");
    assert_eq!(words[0].0, Some((0, "024".to_owned())));
    assert!(words[0].1.contains("Build failed"), "{words:?}");
    let last = messages.iter().rev().find_map(|message| match message {
        ToPage::Counters(counters) => Some(counters),
        _ => None,
    });
    let last = last.unwrap();
    let sent = |name: &str| last.stages.iter().find(|stage| stage.name == name).unwrap().sent;
    assert_eq!((sent("screen"), sent("changes")), (2, 1));
}

#[tokio::test]
async fn a_configuration_with_faults_is_one_failure_with_all_of_them() {
    let (page, _heard) = bounded(8);
    let text = NARRATE
        .replace("\"pocket-vl\"", "\"mine/of/no/hub\"")
        .replace("fps      = 2.0", "fps      = 0");
    let failed = prepare(&text, EngineKind::AsWritten, files, &page).await.err().unwrap();
    let failure = failed.failure();
    assert_eq!(failure.kind, FailureKind::Config);
    assert!(
        failure.message.contains("model.eyes.source") && failure.message.contains("stage.screen.fps"),
        "{failure:?}"
    );
    let gone = async |_: &str| -> Result<Files> {
        Err(Error::Download {
            file: "model.safetensors".into(),
            message: "no network".into(),
        })
    };
    let failed = prepare(NARRATE, EngineKind::Simulator, gone, &page).await.err().unwrap();
    assert_eq!(failed.failure().kind, FailureKind::Network);
}

#[tokio::test]
async fn a_decode_step_is_modelled_before_a_load_and_measured_after_it() {
    let bare = step::told(None, None).unwrap();
    assert_eq!(
        (bare.by, bare.likeness, bare.adapter),
        (MeasuredBy::Nothing, Likeness::OfItsKind, None)
    );
    let (page, _heard) = bounded(4096);
    let prepared = prepare(NARRATE, EngineKind::Simulator, files, &page).await.unwrap();
    let answering = prepared.answering.as_ref().unwrap();
    let before = step::told(Some(answering), None).unwrap();
    assert_eq!((before.by, before.profile.as_str()), (MeasuredBy::Nothing, "lavapipe"));
    answering.measure().await.unwrap();
    let after = step::told(Some(answering), None).unwrap();
    // The processor has no time stamps.
    assert_eq!(after.by, MeasuredBy::Clock);
    let found = &after.step;
    assert!(
        found.count >= 20 && (97..=120).contains(&found.n_cached),
        "{} at {}",
        found.count,
        found.n_cached
    );
    assert!(
        found.measured_s.is_some_and(|s| (1e-4..10.0).contains(&s)),
        "{:?}",
        found.measured_s
    );
    assert_eq!(found.dispatches.len(), before.step.dispatches.len());
    assert!(found.modelled_s() > found.impossible_s() && found.impossible_s() > 0.0);
    // The same dispatches on a better GPU.
    let card = step::told(Some(answering), Some("RTX-4090")).unwrap();
    assert_eq!((card.likeness, card.profile.as_str()), (Likeness::Chosen, "rtx-4090"));
    assert!(card.step.modelled_s() < found.modelled_s() && card.step.measured_s == found.measured_s);
    let unknown = step::told(Some(answering), Some("rtx4091")).unwrap_err().to_string();
    assert!(unknown.contains("rtx4091") && unknown.contains("rtx-4090"), "{unknown}");
    // A step that nobody asked for is not measured.
    let shadow = answering.shadow.clone().unwrap();
    assert!(!shadow.is_watching());
    shadow.clear();
    play(&prepared, Shots::Files([picture("024")].into()), &page, |_| ())
        .await
        .unwrap();
    assert!(shadow.table().is_empty());
}

#[tokio::test]
async fn a_step_is_compared_on_every_gpu_and_none_is_faster_than_it_could_be() {
    let rows: Vec<_> = step::compared(None).collect();
    assert_eq!(rows.len(), sim::timing::bundled::profiles().len());
    assert!(
        rows.iter()
            .all(|row| row.step_s >= row.impossible_s && row.impossible_s > 0.0)
    );
    let of = |key: &str| rows.iter().find(|row| row.key == key).unwrap().step_s;
    assert!(of("h100") < of("rtx-3060") && of("rtx-3060") < of("lavapipe"));
}

#[tokio::test]
async fn an_engine_that_stands_for_another_is_not_measured() {
    let (page, _heard) = bounded(64);
    let text = NARRATE.replace("type = \"wgpu\"", "type = \"sim\"\nprofile = \"impossible\"");
    assert_ne!(text, NARRATE, "the engine's type stands elsewhere");
    let prepared = prepare(&text, EngineKind::AsWritten, files, &page).await.unwrap();
    let answering = prepared.answering.as_ref().unwrap();
    let refused = answering.measure().await.unwrap_err().to_string();
    assert!(refused.contains("main stands for a GPU"), "{refused}");
    assert_eq!(step::told(Some(answering), None).unwrap().by, MeasuredBy::Nothing);
}

#[tokio::test]
async fn words_become_sound_that_is_not_silent() {
    let read = |name: &str| std::fs::read(root().join("models/joe").join(name)).unwrap();
    let voice_files = VoiceFiles {
        onnx: read("joe.onnx.zz").into(),
        json: read("joe.onnx.json").into(),
    };
    let (say, words) = bounded(2);
    let (loudspeaker, device) = device::loudspeaker(48_000);
    let devices = Devices {
        loudspeaker: Some(loudspeaker),
        ..Devices::default()
    };
    let (page, told) = bounded(64);
    say.send("An error dialog.".to_owned()).await.unwrap();
    drop(say);
    let sounded = device.sounded();
    tokio::select! {
        spoken = voice::speak(voice_files, words, &devices, &page, |_| ()) => spoken.unwrap(),
        () = device.play_at_once() => panic!("the loudspeaker ends first"),
    }
    let sounded = sounded.lock().unwrap().clone();
    let speaking: Vec<ToPage> = std::iter::from_fn(|| told.try_recv().ok()).collect();
    assert_eq!(speaking, [ToPage::Speaking { on: true }, ToPage::Speaking { on: false }]);
    let (n_samples, rate_hz) = (sounded.len(), 48_000);
    let energy = sounded.iter().map(|x| f64::from(x * x)).sum::<f64>();
    let seconds = n_samples as f64 / f64::from(rate_hz);
    assert!((0.5..4.0).contains(&seconds), "{seconds} s");
    assert!((energy / n_samples as f64).sqrt() > 0.01, "it is silent");
}
