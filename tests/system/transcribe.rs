//! Speech through the actor: long sound by windows, the same text however it is cut, beside answers, and bad requests.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use futures::executor::block_on;
use gpu::protocol::speech::{SpeechOptions, TranscribeRequest};
use gpu::protocol::{GpuHandle, Quant};
use pipeline::alone::{packets, run_alone};
use pipeline::packet::{Audio, Body, Finish, Speech, Text};
use stages::sound::{Sound, SoundAt};
use stages::stt::model;
use stages::stt::parakeet::{Parakeet, ParakeetConfig};
use stages::stt::recognise::{Ear, Heard};

fn folder() -> Result<PathBuf> {
    goldens::folder("parakeet-tdt-s1")
}

/// The tiny checkpoint, as transformers stores it or as NeMo does.
async fn ear(engine: &GpuHandle, nemo: bool) -> Result<Ear> {
    let path = if nemo { folder()?.join("tiny.nemo") } else { folder()? };
    let options = SpeechOptions {
        quant: Quant::DenseF32,
        ..SpeechOptions::default()
    };
    Ok(model::load(engine, model::open(&path).await?, options, None).await?)
}

/// The golden sound `long`, four seconds.
fn samples() -> Result<Vec<f32>> {
    let bytes = std::fs::read(folder()?.join("case_long.safetensors"))?;
    let file = safetensors::SafeTensors::deserialize(&bytes)?;
    let data = file.tensor("audio_i16")?.data().to_vec();
    let words = data.as_chunks().0.iter();
    Ok(words.map(|&bytes| f32::from(i16::from_le_bytes(bytes)) / 32768.0).collect())
}

async fn hear(ear: &Ear, samples: &[f32], size: usize) -> Result<Heard> {
    let mut utterance = ear.utterance();
    for block in samples.chunks(size) {
        utterance.push(block).await?;
    }
    Ok(utterance.finish().await?)
}

#[test]
fn both_formats_and_engines_hear_the_golden_text() -> Result<()> {
    let samples = samples()?;
    for (name, engine) in tests::actors()? {
        let plain = block_on(async { hear(&ear(&engine, false).await?, &samples, 320).await })?;
        assert_eq!(plain.text, "iffiverrowrowrowrow o oedr", "{name}");
        let archived = block_on(async { hear(&ear(&engine, true).await?, &samples, samples.len()).await })?;
        // The archive's own filters are a rounding away from ours, and so is how sure the model is.
        assert_eq!(archived.text, plain.text, "{name}");
        assert_eq!(plain.words.len(), 3, "{plain:?}");
        for (a, b) in archived.words.iter().zip(&plain.words) {
            assert_eq!((&a.text, a.start, a.end), (&b.text, b.start, b.end), "{name}");
            assert!((a.confidence - b.confidence).abs() < 1e-4, "{name}: {a:?} {b:?}");
        }
        assert!(
            plain
                .words
                .iter()
                .all(|word| word.start <= word.end && (0.0..=1.0).contains(&word.confidence))
        );
        assert!(plain.words.is_sorted_by_key(|word| word.start), "{plain:?}");
    }
    Ok(())
}

#[test]
fn the_final_text_does_not_depend_on_how_the_sound_is_cut() -> Result<()> {
    // 52 s, so three windows and a rest; not a whole number of anything.
    let samples = samples()?.repeat(13);
    let engine = tests::actors()?.into_iter().next().context("an engine")?.1;
    block_on(async {
        let ear = ear(&engine, false).await?;
        let whole = hear(&ear, &samples, samples.len()).await?;
        assert!(whole.words.len() > 20, "{whole:?}");
        let last = whole.words.last().context("words")?;
        assert!(last.end.as_secs_f64() > 40.0, "{last:?}");
        // 20 ms, 100 ms, 2 s, and odd.
        for size in [320, 1600, 32_000, 7777] {
            assert_eq!(hear(&ear, &samples, size).await?, whole, "{size}");
        }
        // What is heard on the way changes nothing, and what is settled stays.
        let mut utterance = ear.utterance();
        let mut settled = Vec::new();
        for block in samples.chunks(80_000) {
            utterance.push(block).await?;
            let so_far = utterance.so_far().await?;
            let now: Vec<_> = so_far.words[..so_far.n_settled].to_vec();
            assert!(now.starts_with(&settled), "{settled:?} became {now:?}");
            settled = now;
        }
        assert!(!settled.is_empty());
        let finished = utterance.finish().await?;
        assert_eq!(finished, whole);
        assert!(finished.words.starts_with(&settled));
        Ok(())
    })
}

/// What `stt.parakeet` sends for these bodies, a second apart: finished or not, and the text.
async fn told(ear: &Ear, partial_ms: u32, bodies: Vec<Body>) -> Result<Vec<Text>> {
    let config = ParakeetConfig {
        partial_ms,
        silence_ms: 0, // the goldens are of the sound alone
    };
    let stage = Parakeet::new(config, ear.clone());
    let alone = run_alone(stage, packets(bodies)).await;
    alone.result.map_err(|error| anyhow::anyhow!("{error}"))?;
    let texts = alone.sent.into_iter().map(|packet| match packet.body {
        Body::Text(text) => Ok(text),
        other => anyhow::bail!("{other:?}"),
    });
    texts.collect()
}

fn blocks(samples: &[f32], size: usize) -> Vec<Body> {
    let audio = |samples: &[f32]| Audio {
        rate_hz: 16_000,
        samples: samples.into(),
        ..Audio::default()
    };
    samples.chunks(size).map(|piece| Body::Audio(audio(piece))).collect()
}

fn end(samples: &[f32], kept: bool) -> Body {
    Body::Speech(Speech {
        rate_hz: 16_000,
        samples: samples.into(),
        kept,
        about: None,
    })
}

#[test]
fn the_stage_hears_the_same_however_sound_comes_and_ends() -> Result<()> {
    // 28 s: a window and a rest.
    let samples = samples()?.repeat(7);
    let engine = tests::actors()?.into_iter().next().context("an engine")?.1;
    block_on(async {
        let ear = ear(&engine, false).await?;
        let whole = hear(&ear, &samples, samples.len()).await?;
        let n = samples.len();
        // 20 ms and 2 s, and odd; the end by the end of the input, by an empty end, with the last samples, and with all of them.
        let with_end =
            |size: usize, n_sent: usize| [blocks(&samples[..n_sent], size), vec![end(&samples[n_sent..], true)]].concat();
        let inputs = [
            blocks(&samples, 320),
            with_end(32_000, n),
            with_end(7777, n - 9000),
            with_end(1, 0),
        ];
        for (index, input) in inputs.into_iter().enumerate() {
            let texts = told(&ear, 0, input).await?;
            assert_eq!(texts.len(), 1, "{index}");
            let spoken = texts[0].spoken.as_ref().context("times")?;
            assert_eq!(
                (&texts[0].text, spoken.n_settled),
                (&whole.text, whole.words.len()),
                "{index}"
            );
            assert!(
                spoken
                    .words
                    .iter()
                    .zip(&whole.words)
                    .all(|(a, b)| { (&a.text, a.start, a.end, a.confidence) == (&b.text, b.start, b.end, b.confidence) })
            );
            assert_eq!(spoken.end.since(spoken.start).as_millis(), n as u128 / 16, "{index}");
        }
        // What is told on the way: texts that replace each other, of which the settled words stay.
        let texts = told(&ear, 4000, blocks(&samples, 16_000)).await?;
        let (last, before) = texts.split_last().context("texts")?;
        assert_eq!((&last.text, last.finished), (&whole.text, Some(Finish::Stop)));
        assert!(
            before.len() >= 4 && before.iter().all(|text| text.finished.is_none()),
            "{before:?}"
        );
        let mut n_settled = 0;
        for text in before {
            let spoken = text.spoken.as_ref().context("times")?;
            let words = last.spoken.as_ref().map(|spoken| &spoken.words).context("times")?;
            assert_eq!(spoken.words[..spoken.n_settled], words[..spoken.n_settled]);
            n_settled = n_settled.max(spoken.n_settled);
        }
        assert!(n_settled > 0);
        Ok(())
    })
}

#[test]
fn utterances_follow_each_other_in_the_stage() -> Result<()> {
    let samples = samples()?;
    let engine = tests::actors()?.into_iter().next().context("an engine")?.1;
    block_on(async {
        let ear = ear(&engine, false).await?;
        let whole = hear(&ear, &samples, samples.len()).await?.text;
        let ask = || blocks(&[], 1).into_iter().chain([Body::Audio(Audio::default())]);
        let bodies: Vec<Body> = ask()
            .chain(blocks(&samples, 8000))
            .chain(ask())
            .chain([end(&[], true)])
            .chain(blocks(&samples[..16_000], 8000))
            .chain([end(&[], false), end(&[], true), end(&samples, true)])
            .collect();
        let texts = told(&ear, 0, bodies).await?;
        let found: Vec<(Option<Finish>, &str)> = texts.iter().map(|text| (text.finished, text.text.as_str())).collect();
        let stop = Some(Finish::Stop);
        assert_eq!(found.len(), 5, "{found:?}");
        assert_eq!(found[0].0, None, "what was asked for");
        assert!(!found[0].1.is_empty());
        assert_eq!(
            found[1..],
            [
                (stop, whole.as_str()),
                (Some(Finish::Cancelled), ""),
                (stop, ""),
                (stop, whole.as_str())
            ]
        );
        Ok(())
    })
}

#[test]
fn utterances_take_turns_and_bad_requests_are_errors() -> Result<()> {
    let engine = tests::actors()?.into_iter().next().context("an engine")?.1;
    block_on(async {
        let ear = ear(&engine, false).await?;
        let samples = samples()?;
        let alone = hear(&ear, &samples, 4000).await?;
        let (a, b) = futures::join!(hear(&ear, &samples, 4000), hear(&ear, &samples[..20_000], 4000));
        assert_eq!(a?, alone);
        assert_ne!(b?.text, alone.text);
        assert_eq!(hear(&ear, &[], 1).await?, Heard::default());
        assert_eq!(hear(&ear, &samples[..159], 1).await?, Heard::default());

        let request = |n: usize, end: u32| TranscribeRequest {
            model: ear.info.id,
            features: vec![0.0; n].into(),
            first: 0,
            end,
            after: None,
        };
        for (n, end) in [(0, 0), (127, 0), (128 * 8, 2), (128 * 4000, 1)] {
            let error = engine.transcribe(request(n, end)).await.err();
            assert!(matches!(error, Some(gpu::Error::Prompt { .. })), "{n} {end}: {error:?}");
        }
        let mut other = request(128, 1);
        other.model.0 += 7;
        assert!(matches!(engine.transcribe(other).await, Err(gpu::Error::UnknownModel { .. })));
        let mut other = request(128 * 8, 1);
        other.after = Some(Arc::default());
        assert!(matches!(engine.transcribe(other).await, Err(gpu::Error::Prompt { .. })));
        assert_eq!(hear(&ear, &samples, 4000).await?, alone);
        Ok(())
    })
}

#[test]
fn real_recordings_are_read_at_their_rate() -> Result<()> {
    // Real speech lies beside the repository, where it is: its lengths are known.
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/speech/audio");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        println!("SKIPPED: no recordings");
        return Ok(());
    };
    let mut seconds = 0.0;
    for entry in entries {
        let path = entry?.path();
        let mut sound = SoundAt::new(Sound::open(&path)?, 16_000)?;
        let mut n = 0;
        while let Some(block) = sound.next_block()? {
            assert!(block.iter().all(|sample| sample.abs() <= 1.0), "{}", path.display());
            n += block.len();
        }
        seconds += n as f64 / 16_000.0;
    }
    assert!((290.0..300.0).contains(&seconds), "{seconds}");
    Ok(())
}
