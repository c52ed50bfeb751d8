//! What holds of answers on every engine: however a prompt is cut, continued, forked or truncated, the same tokens come.
//! On the tiny golden checkpoint, greedy, f32.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use async_channel::Receiver;
use futures::executor::block_on;
use gpu::Error;
use gpu::protocol::{
    EncodeRequest, FeatureHandle, FinishReason, GenerateEvent, GenerateRequest, GpuHandle, LoadOptions, ModelInfo, Quant,
    SequenceId, ThinkBudget,
};
use gpu::sampler::Sampling;
use gpu::weights::source::Folder;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

const N_NEW: u32 = 12;
/// Log-probabilities of the same step computed along different ways, f32, at logits of RMS 8.
const LOG_PROBABILITY: f32 = 2e-4;

/// An actor with the tiny model.
struct Bench {
    name: &'static str,
    gpu: GpuHandle,
    model: ModelInfo,
}

#[derive(Debug, Default, Clone)]
struct Answer {
    ids: Vec<u32>,
    logprobs: Vec<f32>,
    reused: usize,
    reason: Option<FinishReason>,
}

fn folder() -> Result<PathBuf> {
    goldens::folder("qwen3-vl-s1")
}

fn benches(context_tokens: usize) -> Result<Vec<Bench>> {
    let options = LoadOptions {
        quant: Quant::DenseF32,
        kv_f16: false,
        context_tokens,
    };
    let load = |(name, gpu): (&'static str, GpuHandle)| {
        let model = block_on(gpu.load(Arc::new(Folder::open(folder()?)?), options.clone(), None))?;
        Ok(Bench { name, gpu, model })
    };
    tests::actors()?.into_iter().map(load).collect()
}

impl Bench {
    fn request(&self, tokens: &[u32], max_new_tokens: u32) -> GenerateRequest {
        GenerateRequest {
            model: self.model.id,
            sequence: None,
            tokens: tokens.into(),
            media: Vec::new(),
            sampling: Sampling::default(),
            max_new_tokens,
            stop_ids: vec![u32::MAX],
            thinking: None,
        }
    }

    fn answer(&self, request: GenerateRequest) -> Result<Answer> {
        collect(block_on(self.gpu.generate(request))?)
    }

    fn in_sequence(&self, sequence: SequenceId, tokens: &[u32]) -> Result<Answer> {
        self.answer(GenerateRequest {
            sequence: Some(sequence),
            ..self.request(tokens, N_NEW)
        })
    }

    /// A picture of one colour ramp; `seed` makes them differ.
    fn picture(&self, height: usize, width: usize, seed: usize) -> Result<FeatureHandle> {
        let frames: Arc<[u8]> = (0..height * width * 3).map(|i| (i * (seed + 3) / 7 % 251) as u8).collect();
        Ok(block_on(self.gpu.encode(EncodeRequest {
            model: self.model.id,
            frames,
            n_frames: 1,
            height,
            width,
        }))?)
    }
}

fn collect(events: Receiver<gpu::Result<GenerateEvent>>) -> Result<Answer> {
    let mut answer = Answer::default();
    while let Ok(event) = block_on(events.recv()) {
        match event? {
            GenerateEvent::Prefill { reused, .. } => answer.reused = reused,
            GenerateEvent::Tokens { ids, logprobs } => {
                answer.ids.extend(ids);
                answer.logprobs.extend(logprobs);
            }
            GenerateEvent::Finished { reason, .. } => answer.reason = Some(reason),
        }
    }
    Ok(answer)
}

fn prompt(n: usize, seed: u32) -> Vec<u32> {
    (0..n as u32).map(|i| (i * 37 + seed * 101 + i * i % 11) % 400).collect()
}

/// The same ids, and log-probabilities that differ by rounding alone.
fn assert_same(name: &str, what: &str, found: &Answer, expected: &Answer) {
    assert_eq!(found.ids, expected.ids, "{name}: {what}");
    assert_eq!(found.logprobs.len(), expected.logprobs.len(), "{name}: {what}");
    for (a, b) in found.logprobs.iter().zip(&expected.logprobs) {
        assert!(
            (a - b).abs() <= LOG_PROBABILITY,
            "{name}: {what}: log-probability {a}, expected {b}"
        );
    }
}

#[test]
fn a_prompt_and_its_answer_fed_at_once_go_on_as_decoding_does() -> Result<()> {
    for bench in benches(512)? {
        for n in [1, 2, 15, 16, 17, 31, 33, 64, 100] {
            let tokens = prompt(n, n as u32);
            let whole = bench.answer(bench.request(&tokens, N_NEW))?;
            assert_eq!(
                (whole.ids.len(), whole.reason),
                (N_NEW as usize, Some(FinishReason::Length)),
                "{}",
                bench.name
            );
            for k in [1, 5, 11] {
                let mut longer = tokens.clone();
                longer.extend(&whole.ids[..k]);
                let sequence = block_on(bench.gpu.open(bench.model.id))?;
                let rest = bench.answer(GenerateRequest {
                    sequence: Some(sequence),
                    ..bench.request(&longer, N_NEW - k as u32)
                })?;
                assert_eq!(rest.reused, 0);
                block_on(bench.gpu.close(sequence))?;
                let expected = Answer {
                    ids: whole.ids[k..].to_vec(),
                    logprobs: whole.logprobs[k..].to_vec(),
                    ..Answer::default()
                };
                assert_same(bench.name, &format!("{n} tokens, {k} fed again"), &rest, &expected);
            }
        }
    }
    Ok(())
}

#[test]
fn a_prompt_that_grows_in_pieces_equals_the_whole() -> Result<()> {
    let benches = benches(512)?;
    let mut runner = TestRunner::new(Config {
        cases: 12,
        failure_persistence: None,
        ..Config::default()
    });
    let cuts = prop::collection::vec(1usize..40, 1..6);
    let result = runner.run(&(cuts, 0u32..1000), |(pieces, seed)| {
        for bench in &benches {
            let check = || -> Result<(Answer, Answer)> {
                let tokens = prompt(pieces.iter().sum(), seed);
                let fresh = block_on(bench.gpu.open(bench.model.id))?;
                let whole = bench.in_sequence(fresh, &tokens)?;
                let grown = block_on(bench.gpu.open(bench.model.id))?;
                let (mut end, mut last) = (0, Answer::default());
                for piece in &pieces {
                    let before = end;
                    end += piece;
                    block_on(bench.gpu.truncate(grown, before))?;
                    last = bench.in_sequence(grown, &tokens[..end])?;
                    anyhow::ensure!(last.reused == before, "{} tokens were reused, expected {before}", last.reused);
                }
                block_on(bench.gpu.close(fresh))?;
                block_on(bench.gpu.close(grown))?;
                Ok((last, whole))
            };
            let (last, whole) = check().map_err(|error| TestCaseError::fail(format!("{}: {error:#}", bench.name)))?;
            assert_same(bench.name, &format!("pieces {pieces:?}"), &last, &whole);
        }
        Ok(())
    });
    Ok(result?)
}

#[test]
fn forks_and_truncated_sequences_answer_as_fresh_ones() -> Result<()> {
    for bench in benches(1024)? {
        let base = prompt(70, 5);
        let original = block_on(bench.gpu.open(bench.model.id))?;
        let first = bench.in_sequence(original, &base)?;
        let fork = block_on(bench.gpu.fork(original))?;
        let branch = |seed| base.iter().copied().chain(prompt(23, seed)).collect::<Vec<_>>();
        // The fork writes into a block that it shares with the original; then the original goes on from where it was.
        let forked = bench.in_sequence(fork, &branch(8))?;
        assert_eq!(forked.reused, 70, "{}", bench.name);
        let again = bench.in_sequence(original, &branch(9))?;
        block_on(bench.gpu.truncate(original, 33))?;
        let back = bench.in_sequence(original, &base)?;
        assert_eq!(back.reused, 33, "{}", bench.name);
        for (what, found, tokens) in [
            ("fork", &forked, branch(8)),
            ("original", &again, branch(9)),
            ("truncated", &back, base.clone()),
        ] {
            let fresh = block_on(bench.gpu.open(bench.model.id))?;
            assert_same(bench.name, what, found, &bench.in_sequence(fresh, &tokens)?);
            block_on(bench.gpu.close(fresh))?;
        }
        assert_same(bench.name, "base", &back, &first);
    }
    Ok(())
}

#[test]
fn pictures_are_reused_with_the_prompt_and_another_picture_is_not() -> Result<()> {
    for bench in benches(512)? {
        let pad = bench.model.image_token_id;
        let pads = |n: usize| std::iter::repeat_n(pad, n);
        let tokens: Vec<u32> = prompt(5, 1).into_iter().chain(pads(6)).chain(prompt(30, 2)).collect();
        let (a, b) = (bench.picture(64, 96, 1)?, bench.picture(64, 96, 2)?);
        let ask = |picture: &FeatureHandle| {
            bench.answer(GenerateRequest {
                media: vec![(5, picture.clone())],
                ..bench.request(&tokens, N_NEW)
            })
        };
        let first = ask(&a)?;
        let again = ask(&a)?;
        assert_eq!((first.reused, again.reused), (0, tokens.len() - 1), "{}", bench.name);
        assert_same(bench.name, "again", &again, &first);
        let other = ask(&b)?;
        assert_eq!(
            other.reused, 0,
            "{}: five tokens are not worth giving up a sequence for",
            bench.name
        );
        assert_ne!(other.ids, first.ids, "{}: the picture matters", bench.name);
    }
    Ok(())
}

#[test]
fn a_dropped_receiver_ends_the_answer_and_the_next_one_is_right() -> Result<()> {
    for bench in benches(2048)? {
        let tokens = prompt(40, 3);
        let expected = bench.answer(bench.request(&tokens, N_NEW))?;
        let events = block_on(bench.gpu.generate(bench.request(&prompt(40, 4), 1500)))?;
        while !matches!(block_on(events.recv())??, GenerateEvent::Tokens { .. }) {}
        drop(events);
        assert_same(
            bench.name,
            "after a cancel",
            &bench.answer(bench.request(&tokens, N_NEW))?,
            &expected,
        );
    }
    Ok(())
}

#[test]
fn a_picture_is_encoded_while_an_answer_is_under_way() -> Result<()> {
    for bench in benches(2048)? {
        let events = block_on(bench.gpu.generate(bench.request(&prompt(40, 4), 1000)))?;
        while !matches!(block_on(events.recv())??, GenerateEvent::Tokens { .. }) {}
        bench.picture(64, 96, 1)?;
        let answer = collect(events)?;
        assert_eq!(answer.reason, Some(FinishReason::Length), "{}", bench.name);
        assert!(
            answer.ids.len() > 500,
            "{}: the encoding waited for the answer's end ({} ids left)",
            bench.name,
            answer.ids.len()
        );
    }
    Ok(())
}

#[test]
fn stop_ids_end_the_answer_and_a_thought_is_closed_at_its_budget() -> Result<()> {
    for bench in benches(512)? {
        let tokens = prompt(40, 3);
        let free = bench.answer(bench.request(&tokens, N_NEW))?;
        let stop = free.ids[4];
        let until = free.ids.iter().position(|&id| id == stop).context("it is there")?;
        let stopped = bench.answer(GenerateRequest {
            stop_ids: vec![stop],
            ..bench.request(&tokens, N_NEW)
        })?;
        assert_eq!(
            (stopped.ids.as_slice(), stopped.reason),
            (&free.ids[..=until], Some(FinishReason::Stop)),
            "{}",
            bench.name
        );
        let end_id = 399;
        assert!(!free.ids.contains(&end_id));
        let thinking = Some(ThinkBudget { max_tokens: 3, end_id });
        let thought = bench.answer(GenerateRequest {
            thinking,
            ..bench.request(&tokens, N_NEW)
        })?;
        assert_eq!(
            thought.ids[..4],
            [free.ids[0], free.ids[1], free.ids[2], end_id],
            "{}",
            bench.name
        );
    }
    Ok(())
}

#[test]
fn seeds_repeat_and_both_engines_draw_the_same() -> Result<()> {
    let sampling = Sampling {
        temperature: 0.8,
        top_k: 40,
        top_p: 0.9,
        presence_penalty: 0.5,
        seed: 7,
        ..Sampling::default()
    };
    let mut drawn = Vec::new();
    for bench in benches(512)? {
        let ask = |seed| {
            bench.answer(GenerateRequest {
                sampling: Sampling {
                    seed,
                    ..sampling.clone()
                },
                ..bench.request(&prompt(40, 3), 30)
            })
        };
        let (a, b, other) = (ask(7)?, ask(7)?, ask(8)?);
        assert_eq!(a.ids, b.ids, "{}", bench.name);
        assert_ne!(a.ids, other.ids, "{}", bench.name);
        drawn.push(a.ids);
    }
    assert!(drawn.windows(2).all(|pair| pair[0] == pair[1]), "{drawn:?}");
    Ok(())
}

#[test]
fn a_prompt_that_cannot_be_answered_says_why() -> Result<()> {
    for bench in benches(64)? {
        let long = bench
            .answer(bench.request(&prompt(65, 1), 4))
            .map_err(|error| error.downcast::<Error>());
        assert!(
            matches!(
                long,
                Err(Ok(Error::ContextFull {
                    needed: 65,
                    available: 64
                }))
            ),
            "{}: {long:?}",
            bench.name
        );
        for tokens in [vec![], vec![448]] {
            let error = bench
                .answer(bench.request(&tokens, 4))
                .map(|_| ())
                .map_err(|error| error.downcast::<Error>());
            assert!(matches!(error, Err(Ok(Error::Prompt { .. }))), "{}: {error:?}", bench.name);
        }
        let full = bench.answer(bench.request(&prompt(60, 1), 100))?;
        assert_eq!(
            (full.ids.len(), full.reason),
            (5, Some(FinishReason::Length)),
            "{}: 4 more tokens fit, and one is not fed",
            bench.name
        );
    }
    Ok(())
}
