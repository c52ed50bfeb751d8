//! The program's own voice and others, with real speech: `../../tests/data/speech`.

use std::path::Path;
use std::time::Duration;

use pipeline::packet::Played;
use pipeline::time::Timestamp;

use super::echo::EchoOptions;
use super::hear::{Hearing, Told};
use super::segment::SegmentOptions;
use crate::sound::{Sound, SoundAt};

const RATE_HZ: usize = 16_000;
/// Of a block from the microphone, and of one to the speaker.
const BLOCK: usize = 320;

fn clip(name: &str) -> Vec<f32> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../tests/data/speech/{name}.flac"));
    let mut sound = SoundAt::new(Sound::open(&path).unwrap(), 16_000).unwrap();
    let mut samples = Vec::new();
    while let Some(block) = sound.next_block().unwrap() {
        samples.extend(block);
    }
    samples
}

/// Numbers that look random and are always the same, −1 … 1.
fn noise(n: usize, mut seed: u64) -> Vec<f32> {
    let mut next = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..n).map(|_| next()).collect()
}

/// What a room makes of `sound`: delayed, reverberated, at `db`, by a clock that is `ppm` fast, over a little noise.
fn echo(sound: &[f32], delay_s: f64, rt60_s: f64, db: f32, ppm: f64) -> Vec<f32> {
    let n = (rt60_s * RATE_HZ as f64) as usize;
    let mut response = noise(n, 7);
    for (index, x) in response.iter_mut().enumerate() {
        *x *= 10f32.powf(-3.0 * index as f32 / n as f32);
    }
    let power = |xs: &[f32]| xs.iter().map(|x| x * x).sum::<f32>().sqrt();
    response[0] = power(&response);
    let gain = 10f32.powf(db / 20.0) / power(&response);
    // Every fourth tap: as diffuse, and quick without a transform.
    let taps: Vec<(usize, f32)> = response
        .iter()
        .enumerate()
        .step_by(4)
        .map(|(at, h)| (at, 2.0 * h * gain))
        .collect();
    let wet: Vec<f32> = (0..sound.len())
        .map(|at| {
            taps.iter()
                .map(|(back, h)| at.checked_sub(*back).map_or(0.0, |at| sound[at] * h))
                .sum()
        })
        .collect();
    let hiss = noise(sound.len(), 11);
    let heard = (0..sound.len()).map(|at| {
        let source = (at as f64 / RATE_HZ as f64 * (1.0 + ppm * 1e-6) - delay_s) * RATE_HZ as f64;
        let (whole, part) = (source.floor(), source.fract() as f32);
        let sample = |at: f64| {
            if at >= 0.0 {
                wet.get(at as usize).copied().unwrap_or(0.0)
            } else {
                0.0
            }
        };
        sample(whole) * (1.0 - part) + sample(whole + 1.0) * part + 1e-4 * hiss[at]
    });
    heard.collect()
}

fn time(sample: usize) -> Timestamp {
    Timestamp(Duration::from_secs_f64(sample as f64 / RATE_HZ as f64))
}

/// Plays one sound and hears the other, block by block; what was told, each with when it was told.
fn listen(played: &[f32], heard: &[f32], echo: Option<EchoOptions>) -> (Vec<(f64, Told)>, Hearing) {
    let mut hearing = Hearing::new(SegmentOptions::default(), 300, echo).unwrap();
    let mut found = Vec::new();
    for at in (0..heard.len()).step_by(BLOCK) {
        let block = |samples: &[f32], at: usize| samples[at.min(samples.len())..(at + BLOCK).min(samples.len())].to_vec();
        // What sounds while the microphone hears this; nothing is told of silence.
        let signal = [(time(at), block(played, at).into())];
        if block(played, at).iter().any(|x| *x != 0.0) {
            hearing.plays(&Played {
                rate_hz: 16_000,
                signal: signal.to_vec().into(),
                ..Played::default()
            });
        }
        let now = (at + BLOCK) as f64 / RATE_HZ as f64;
        let told = hearing.hears(time(at), &block(heard, at)).unwrap();
        found.extend(told.into_iter().map(|told| (now, told)));
    }
    let now = heard.len() as f64 / RATE_HZ as f64;
    found.extend(hearing.finish().into_iter().map(|told| (now, told)));
    (found, hearing)
}

/// At that root mean square: somebody who speaks to the microphone, whatever the recording's level.
fn at_level(sound: Vec<f32>, level: f32) -> Vec<f32> {
    let power = sound.iter().map(|x| x * x).sum::<f32>() / sound.len() as f32;
    sound.iter().map(|x| x * level / power.sqrt()).collect()
}

/// When it was told that somebody began to speak.
fn begins(told: &[(f64, Told)]) -> Vec<f64> {
    let is_begin = |(_, told): &&(f64, Told)| matches!(told, Told::Began(_));
    told.iter().filter(is_begin).map(|(now, _)| *now).collect()
}

const SPOKEN: [&str; 5] = [
    "ast_please-try-call-later",
    "sb_spk1_snt5",
    "sb_spk2_snt4",
    "ast_you-entered",
    "sb_spk2_snt3",
];

/// Half a minute of speech as a voice says it: sentences close together.
fn speech() -> Vec<f32> {
    let sentences = SPOKEN
        .iter()
        .flat_map(|name| [at_level(clip(name), 0.1), vec![0.0; 9600]].concat());
    let sentences: Vec<f32> = sentences.collect();
    sentences.repeat(3)
}

#[test]
fn what_is_told_is_the_speech_with_the_sound_before_it() {
    let sound = [vec![0.0; 16_000], clip("sb_spk1_snt2"), vec![0.0; 16_000]].concat();
    let (told, _) = listen(&[], &sound, None);
    let Some((_, Told::Began(began))) = told.first() else {
        panic!("{told:?}")
    };
    assert!((0.95..1.3).contains(&began.as_secs_f64()), "{began:?}");
    let mut at = None;
    for (_, told) in &told {
        let Told::Samples(start, samples) = told else { continue };
        let first = (start.as_secs_f64() * RATE_HZ as f64).round() as usize;
        assert!(at.is_none_or(|at| at == first), "nothing is left out and nothing comes twice");
        assert_eq!(samples[..], sound[first..first + samples.len()]);
        if at.is_none() {
            let before = began.as_secs_f64() - start.as_secs_f64();
            assert!((before - 0.3).abs() < 0.001, "{before}");
        }
        at = Some(first + samples.len());
    }
    let Some((now, Told::Ended { at: end, kept: true })) = told.last() else {
        panic!("{told:?}")
    };
    let end = end.as_secs_f64();
    assert!((now - end - 0.256).abs() < 0.04, "{now} {end}");
    assert!((3.3..4.2).contains(&end), "{end}");
    assert!(at.is_some_and(|at| at as f64 >= end * RATE_HZ as f64));
    assert!(
        told.iter().any(|(_, told)| matches!(told, Told::Paused(_))),
        "the end begins as a pause"
    );
}

#[test]
fn the_own_voice_is_not_taken_for_somebody() {
    let played = speech();
    for (delay_s, rt60_s, db) in [(0.12, 0.3, -20.0), (0.03, 0.5, -20.0), (0.3, 0.2, -12.0)] {
        let heard = echo(&played, delay_s, rt60_s, db, 100.0);
        let (deaf, _) = listen(&[], &heard, None);
        assert!(begins(&deaf).len() > 3, "without the check it hears itself");
        let (told, hearing) = listen(&played, &heard, Some(EchoOptions::default()));
        assert_eq!(
            begins(&told),
            [0.0; 0],
            "delay {delay_s} s, {rt60_s} s of reverberation, {db} dB"
        );
        let found = hearing.echo_delay_s().unwrap();
        assert!((found - delay_s).abs() < 0.04, "{found} for {delay_s}");
    }
}

#[test]
fn somebody_who_speaks_over_it_is_heard_within_200_ms() {
    let played = speech();
    let silent_room = echo(&played, 0.12, 0.3, -20.0, 100.0);
    let mut slowest: f64 = 0.0;
    for name in ["sb_spk1_snt2", "sb_spk2_snt3"] {
        let voice = at_level(clip(name), 0.06);
        // When the network hears it by itself.
        let (alone, _) = listen(&[], &[vec![0.0; 16_000], voice.clone()].concat(), None);
        let Some((_, Told::Began(began))) = alone.first() else {
            panic!("{name}")
        };
        let onset = began.as_secs_f64() - 1.0;
        for second in [4, 7, 11, 15] {
            let mut heard = silent_room.clone();
            for (x, y) in heard[second * RATE_HZ..].iter_mut().zip(&voice) {
                *x += y;
            }
            let (told, _) = listen(&played, &heard, Some(EchoOptions::default()));
            let begins = begins(&told);
            let after = begins.first().map(|now| now - second as f64 - onset);
            assert!(
                after.is_some_and(|after| (-0.1..0.2).contains(&after)),
                "{name} at {second} s: {begins:?}"
            );
            slowest = slowest.max(after.unwrap_or_default());
        }
    }
    println!("slowest: {:.0} ms after its onset", slowest * 1e3);
}

#[test]
fn somebody_who_speaks_over_the_very_first_answer_is_heard() {
    let played = [vec![0.0; 8000], speech()].concat();
    let rooms = [
        ("a room", echo(&played, 0.12, 0.3, -20.0, 100.0)),
        ("headphones", vec![0.0; played.len()]),
    ];
    let mut slowest: f64 = 0.0;
    for (room, silent) in &rooms {
        for name in ["sb_spk1_snt2", "sb_spk2_snt3"] {
            let voice = at_level(clip(name), 0.06);
            for ms in [1100, 1700] {
                let start = ms * RATE_HZ / 1000;
                let mut heard = silent[..start + 2 * RATE_HZ].to_vec();
                heard[start..].iter_mut().zip(&voice).for_each(|(x, y)| *x += y);
                let (told, _) = listen(&played[..heard.len()], &heard, Some(EchoOptions::default()));
                let after = begins(&told).first().map(|now| now - ms as f64 / 1e3);
                assert!(
                    after.is_some_and(|after| (0.0..1.2).contains(&after)),
                    "{room}, {name} at {ms} ms: {after:?}"
                );
                slowest = slowest.max(after.unwrap_or_default());
            }
        }
    }
    println!("slowest: {:.0} ms after the first sample", slowest * 1e3);
}
