//! The voice of the tree from text to samples, alone and as a stage.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pipeline::alone::{packets, run_alone};
use pipeline::packet::{Body, Finish, Text};

use super::piper::{Piper, PiperConfig};
use super::speaker::{SpeakOptions, Speaker};
use super::voice::{Noise, Scales, Voice};
use super::voices::{VoiceFiles, Voices};
use crate::env::Env;
use crate::error::Error;

const ONNX: &[u8] = include_bytes!("../../../models/joe/joe.onnx.zz");
const JSON: &[u8] = include_bytes!("../../../models/joe/joe.onnx.json");

fn speaker() -> Speaker {
    Speaker::new(Arc::new(Voice::load("joe", ONNX, JSON).unwrap())).unwrap()
}

fn env() -> Arc<Env> {
    let mut env = Env::default();
    let files = VoiceFiles {
        onnx: ONNX.into(),
        json: JSON.into(),
    };
    env.voices.add("joe", files);
    Arc::new(env)
}

#[test]
fn words_are_heard_one_after_the_other_and_a_seed_repeats() {
    let speaker = speaker();
    let text = "The build failed, so try again.";
    let units = speaker.units(text);
    let options = SpeakOptions::default();
    for unit in &units {
        let spoken = speaker.speak(unit, 0, &options).unwrap();
        let rate = f64::from(speaker.voice.config.audio.rate_hz);
        let length = Duration::from_secs_f64(spoken.samples.len() as f64 / rate);
        let mut last = Duration::ZERO;
        for word in &spoken.words {
            assert!(
                word.start >= last && word.end > word.start && word.end <= length,
                "{word:?} in {length:?}"
            );
            last = word.end;
        }
        assert!(spoken.samples.iter().any(|x| x.abs() > 0.05));
        assert_eq!(spoken.samples, speaker.speak(unit, 0, &options).unwrap().samples);
        let other = SpeakOptions { seed: 1, ..options };
        assert_ne!(spoken.samples, speaker.speak(unit, 0, &other).unwrap().samples);
    }
    let faster = SpeakOptions { speed: 2.0, ..options };
    let n_samples = |options: &SpeakOptions| speaker.speak(&units[0], 0, options).unwrap().samples.len();
    assert!(n_samples(&faster) < n_samples(&options) * 3 / 4);
}

#[test]
fn what_a_voice_cannot_say_is_an_error() {
    let voice = Voice::load("joe", ONNX, JSON).unwrap();
    let say = |ids: &[i32], noise| voice.synthesize(ids, Scales::default(), 0, noise).map(|_| ());
    let short = Noise::Given {
        duration: &[0.0],
        latent: &[],
        durations: None,
    };
    for (ids, noise) in [
        (&[][..], Noise::Seed(0)),
        (&[1, 256][..], Noise::Seed(0)),
        (&[-1][..], Noise::Seed(0)),
        (&[1, 2][..], short),
    ] {
        assert!(matches!(say(ids, noise), Err(Error::Synthesis { .. })), "{ids:?}");
    }
    assert!(matches!(say(&[1; 4096], Noise::Seed(0)), Err(Error::Synthesis { .. })));
    assert_eq!(voice.speaker(Some("0")).unwrap(), 0);
    assert!(matches!(voice.speaker(Some("1")), Err(Error::NoSpeaker { .. })));
}

#[test]
fn files_that_disagree_or_are_broken_are_named() {
    let with = |key: &str, value: serde_json::Value| {
        let mut json: serde_json::Value = serde_json::from_slice(JSON).unwrap();
        json[key] = value;
        Voice::load("joe", ONNX, &serde_json::to_vec(&json).unwrap()).map(|_| ())
    };
    for (key, value) in [("num_symbols", 200), ("num_speakers", 2), ("hop_length", 512)] {
        let found = with(key, value.into());
        assert!(
            matches!(found, Err(Error::VoiceMismatch { key: found, .. }) if found == key),
            "{key}: {found:?}"
        );
    }
    let voices = [&ONNX[..1000], &[], b"PK\x03\x04", &JSON[..100]];
    for onnx in voices {
        assert!(matches!(
            Voice::load("joe", onnx, JSON),
            Err(Error::VoiceFile { file: "ONNX", .. })
        ));
    }
    assert!(matches!(
        Voice::load("joe", ONNX, b"{}"),
        Err(Error::VoiceFile { file: "JSON", .. })
    ));
    let german = String::from_utf8_lossy(JSON).replace("en-us", "de");
    let voice = Voice::load("joe", ONNX, german.as_bytes()).unwrap();
    assert!(matches!(Speaker::new(Arc::new(voice)), Err(Error::Language { .. })));
    assert!(matches!(
        Voices::default().load("joe", Path::new("")),
        Err(Error::NoVoice { .. })
    ));
}

#[test]
fn the_smallest_voice_is_read() {
    let small = include_bytes!("../../../tests/fuzz/seeds/voice/small.onnx");
    assert_eq!(Voice::load("small", small, JSON).map(|voice| voice.name).unwrap(), "small");
    assert!(Voice::load("small", &small[..small.len() / 2], JSON).is_err());
}

fn text(delta: &str, finished: Option<Finish>) -> Body {
    Body::Text(Text {
        delta: delta.into(),
        text: delta.into(),
        about: None,
        thought: false,
        finished,
        spoken: None,
    })
}

/// The samples of each packet that the stage sends.
async fn spoken(bodies: Vec<Body>) -> Vec<Vec<f32>> {
    let stage = Piper::new(PiperConfig::default(), env());
    let alone = run_alone(stage, packets(bodies)).await;
    alone.result.unwrap();
    let samples = alone.sent.into_iter().map(|packet| match packet.body {
        Body::Audio(audio) => audio.samples.to_vec(),
        other => panic!("{other:?}"),
    });
    samples.collect()
}

#[tokio::test]
async fn the_stage_speaks_the_same_however_words_come() {
    let sentences = "Yes, the second test has failed. Look again!";
    let whole = spoken(vec![text(sentences, Some(Finish::Stop))]).await;
    assert!(whole.len() > 1, "a sentence at a time");
    let mut pieces: Vec<Body> = sentences.split_inclusive(' ').map(|word| text(word, None)).collect();
    pieces.push(text("", Some(Finish::Stop)));
    assert_eq!(spoken(pieces).await, whole);
}

#[tokio::test]
async fn sound_tells_the_words_of_the_text_and_their_times() {
    let sentences = "Yes, the test of 14:05 has failed (again). Look at $3.50!";
    let stage = Piper::new(PiperConfig::default(), env());
    let alone = run_alone(stage, packets(vec![text(sentences, Some(Finish::Stop))])).await;
    let mut words = Vec::new();
    for packet in alone.sent {
        let Body::Audio(audio) = packet.body else { panic!("no sound") };
        let length = Duration::from_secs_f64(audio.samples.len() as f64 / f64::from(audio.rate_hz));
        let mut last = Duration::ZERO;
        for word in audio.words.iter() {
            assert!(word.start >= last && word.end > word.start && word.end <= length, "{word:?}");
            last = word.end;
            words.push(word.text.clone());
        }
    }
    assert_eq!(words.join(" "), sentences);
}

#[tokio::test]
async fn nothing_to_say_is_silence_not_an_error() {
    for nothing in ["", "🫠", "Привет", "...", " \n "] {
        assert!(spoken(vec![text(nothing, Some(Finish::Stop))]).await.is_empty(), "{nothing}");
    }
    let unfinished = spoken(vec![text("Not quite", None)]).await;
    assert_eq!(unfinished.len(), 1, "what was broken off is spoken as far as it came");
}
