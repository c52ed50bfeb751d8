//! Devices that are lost at any moment: callers get the same words, each once, as if nothing had happened; or, if the
//! device stays lost, an error. On the tiny golden checkpoint, f32.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail, ensure};
use async_channel::Receiver;
use futures::executor::block_on;
use gpu::Error;
use gpu::engine::wgpu::{AdapterChoice, WgpuEngine};
use gpu::protocol::{
    EncodeRequest, FeatureHandle, FinishReason, GenerateEvent, GenerateRequest, GpuHandle, LoadOptions, ModelInfo, Quant,
    ThinkBudget,
};
use gpu::sampler::Sampling;
use gpu::weights::source::Folder;
use pipeline::time::Clock;
use tests::flaky::{Fault, FaultPlan, Flaky};
use tests::{Kernels, sim_engine, start, start_in};

/// Log-probabilities of the same step, of which one was fed as a prompt and one was decoded, f32, at logits of RMS 8.
const LOG_PROBABILITY: f32 = 2e-4;
const N_NEW: u32 = 24;

fn options() -> LoadOptions {
    LoadOptions {
        quant: Quant::DenseF32,
        context_tokens: 512,
        kv_f16: false,
    }
}

fn load(gpu: &GpuHandle) -> Result<ModelInfo> {
    let folder = goldens::folder("qwen3-vl-s1")?;
    Ok(block_on(gpu.load(Arc::new(Folder::open(folder)?), options(), None))?)
}

fn flaky_sim(plan: &FaultPlan) -> Result<GpuHandle> {
    let plan = plan.clone();
    start(move || {
        let engine = Flaky::new(sim_engine(Kernels::Fast), plan.clone());
        async { Ok(engine) }
    })
}

fn encode(gpu: &GpuHandle, model: &ModelInfo, seed: usize) -> Result<FeatureHandle> {
    let (height, width) = (64, 96);
    let frames: Arc<[u8]> = (0..height * width * 3).map(|i| (i * (seed + 3) / 7 % 251) as u8).collect();
    Ok(block_on(gpu.encode(EncodeRequest {
        model: model.id,
        frames,
        n_frames: 1,
        height,
        width,
    }))?)
}

fn text(n: usize, seed: u32) -> Vec<u32> {
    (0..n as u32).map(|i| (i * 37 + seed * 101 + i * i % 11) % 400).collect()
}

/// A question about a picture of 6 tokens, greedy.
fn question(model: &ModelInfo, picture: &FeatureHandle) -> GenerateRequest {
    let pads = std::iter::repeat_n(model.image_token_id, 6);
    GenerateRequest {
        model: model.id,
        sequence: None,
        tokens: text(5, 1).into_iter().chain(pads).chain(text(30, 2)).collect(),
        media: vec![(5, picture.clone())],
        sampling: Sampling::default(),
        max_new_tokens: N_NEW,
        stop_ids: vec![u32::MAX],
        thinking: None,
    }
}

/// The same, drawn, with penalties, in a thought that is closed by force after 9 ids.
fn drawn_question(model: &ModelInfo, picture: &FeatureHandle) -> GenerateRequest {
    GenerateRequest {
        sampling: Sampling {
            temperature: 0.9,
            top_k: 50,
            repetition_penalty: 1.2,
            presence_penalty: 0.5,
            seed: 11,
            ..Sampling::default()
        },
        thinking: Some(ThinkBudget {
            max_tokens: 9,
            end_id: 399,
        }),
        ..question(model, picture)
    }
}

#[derive(Clone, Debug, Default)]
struct Answer {
    ids: Vec<u32>,
    logprobs: Vec<f32>,
    reason: Option<FinishReason>,
}

/// All of an answer. Errors: the answer's, and events that say a thing twice or come out of order.
fn collect(events: &Receiver<gpu::Result<GenerateEvent>>) -> Result<Answer> {
    collect_and(events, || {})
}

/// The same; `at_first_word` is called in the middle of the sentence.
fn collect_and(events: &Receiver<gpu::Result<GenerateEvent>>, at_first_word: impl Fn()) -> Result<Answer> {
    let (mut answer, mut fed) = (Answer::default(), 0);
    while let Ok(event) = block_on(events.recv()) {
        match event? {
            GenerateEvent::Prefill { done, total, .. } => {
                ensure!(answer.ids.is_empty(), "the prompt's progress is told after the first word");
                ensure!(fed < done && done <= total, "{done} of {total} tokens after {fed}");
                fed = done;
            }
            GenerateEvent::Tokens { ids, logprobs } => {
                if answer.ids.is_empty() {
                    at_first_word();
                }
                answer.ids.extend(ids);
                answer.logprobs.extend(logprobs);
            }
            GenerateEvent::Finished { reason, stats } => {
                ensure!(answer.reason.is_none() && stats.new_tokens == answer.ids.len(), "{stats:?}");
                answer.reason = Some(reason);
            }
        }
    }
    Ok(answer)
}

fn ask(gpu: &GpuHandle, request: GenerateRequest) -> Result<Answer> {
    collect(&block_on(gpu.generate(request))?)
}

fn same(found: &Answer, expected: &Answer) -> Result<()> {
    ensure!(found.ids == expected.ids, "ids {:?}, expected {:?}", found.ids, expected.ids);
    ensure!(found.reason == expected.reason, "{:?}", found.reason);
    for (a, b) in found.logprobs.iter().zip(&expected.logprobs) {
        ensure!((a - b).abs() <= LOG_PROBABILITY, "log-probability {a}, expected {b}");
    }
    Ok(())
}

/// A whole life: a model, a picture, and two answers about it; with the calls after each.
fn life(plan: &FaultPlan) -> Result<(Vec<Answer>, [usize; 3])> {
    let gpu = flaky_sim(plan)?;
    let model = load(&gpu)?;
    let loaded = plan.calls();
    let picture = encode(&gpu, &model, 1)?;
    let encoded = plan.calls();
    let answers = vec![
        ask(&gpu, question(&model, &picture))?,
        ask(&gpu, drawn_question(&model, &picture))?,
    ];
    Ok((answers, [loaded, encoded, plan.calls()]))
}

#[test]
fn a_device_lost_at_any_call_changes_no_word() -> Result<()> {
    let (expected, [loaded, encoded, end]) = life(&FaultPlan::default())?;
    assert_eq!(expected[0].ids.len(), N_NEW as usize);
    assert_eq!(expected[1].ids[9], 399, "the thought is closed");
    let mut failures = Vec::new();
    let mut lost_in = [0; 3];
    for call in (1..end).step_by(7) {
        let plan = FaultPlan::losing([call]);
        let checked = life(&plan).and_then(|(answers, _)| {
            answers
                .iter()
                .zip(&expected)
                .try_for_each(|(found, expected)| same(found, expected))
        });
        if let Err(error) = checked {
            failures.push(format!("lost at call {call}: {error:#}"));
        }
        if plan.happened() == 1 {
            lost_in[usize::from(call > loaded) + usize::from(call > encoded)] += 1;
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(
        lost_in.iter().all(|&n| n >= 3),
        "losses while loading, encoding, answering: {lost_in:?}"
    );
    Ok(())
}

#[test]
fn a_second_loss_in_the_same_answer_changes_no_word_either() -> Result<()> {
    let (expected, [loaded, encoded, end]) = life(&FaultPlan::default())?;
    let first = encoded + (end - encoded) / 4;
    for between in [1, loaded / 2, loaded + 2, loaded + 20, loaded + 60] {
        let plan = FaultPlan::losing([first, first + between]);
        let (answers, _) = life(&plan).with_context(|| format!("{between} calls between"))?;
        for (found, expected) in answers.iter().zip(&expected) {
            same(found, expected).with_context(|| format!("{between} calls between"))?;
        }
        assert_eq!((plan.happened(), plan.engines()), (2, 3), "{between} calls between");
    }
    Ok(())
}

/// Sequences stay open under their ids, and are computed again when they are asked for.
#[test]
fn sequences_and_their_forks_outlive_a_device() -> Result<()> {
    let plan = FaultPlan::default();
    let gpu = flaky_sim(&plan)?;
    let model = load(&gpu)?;
    let picture = encode(&gpu, &model, 2)?;
    let sequence = block_on(gpu.open(model.id))?;
    let within = |sequence| GenerateRequest {
        sequence: Some(sequence),
        ..question(&model, &picture)
    };
    let before = ask(&gpu, within(sequence))?;
    let fork = block_on(gpu.fork(sequence))?;
    plan.after(1, Fault::Lost);
    same(&ask(&gpu, within(fork))?, &before)?;
    same(&ask(&gpu, within(sequence))?, &before)?;
    let stats = block_on(gpu.stats())?;
    assert_eq!((plan.engines(), stats.sequences), (2, 2));
    Ok(())
}

/// What nobody holds is not on the new engine, and what was held there is freed.
#[test]
fn features_are_freed_on_whichever_engine_they_are() -> Result<()> {
    let plan = FaultPlan::default();
    let gpu = flaky_sim(&plan)?;
    let model = load(&gpu)?;
    let pictures = [encode(&gpu, &model, 1)?, encode(&gpu, &model, 2)?];
    let answer = ask(&gpu, question(&model, &pictures[0]))?;
    let held = plan.held();
    plan.after(1, Fault::Lost);
    same(&ask(&gpu, question(&model, &pictures[0]))?, &answer)?;
    let one_less = plan.held();
    assert!(one_less < held, "the other picture is not needed: {one_less} of {held}");
    drop(pictures);
    // What is counted was freed first.
    block_on(gpu.stats())?;
    let freed = one_less - plan.held();
    assert_eq!(freed, held - one_less, "both pictures have as many tensors");
    Ok(())
}

/// An adapter that does not come back.
#[test]
fn a_device_that_stays_lost_is_an_error_for_everybody() -> Result<()> {
    let plan = FaultPlan::default();
    let gone = Arc::new(AtomicBool::new(false));
    let (flag, inside) = (gone.clone(), plan.clone());
    let clock = Clock::new_virtual();
    let gpu = start_in(clock.clone(), move || {
        let made = if flag.load(Ordering::SeqCst) {
            Err(Error::NoAdapter {
                reason: "it was pulled out".into(),
            })
        } else {
            Ok(Flaky::new(sim_engine(Kernels::Fast), inside.clone()))
        };
        async { made }
    })?;
    let model = load(&gpu)?;
    let picture = encode(&gpu, &model, 1)?;
    let long = GenerateRequest {
        max_new_tokens: 400,
        ..question(&model, &picture)
    };
    let under_way = block_on(gpu.generate(long))?;
    let waiting = block_on(gpu.generate(question(&model, &picture)))?;
    while !matches!(block_on(under_way.recv())??, GenerateEvent::Tokens { .. }) {}
    gone.store(true, Ordering::SeqCst);
    plan.after(1, Fault::Lost);
    let is_told = |error: &Error| matches!(error, Error::DeviceLost { message } if message.contains("it was pulled out"));
    for events in [under_way, waiting] {
        let error = collect(&events).map(drop).map_err(|error| error.downcast::<Error>());
        assert!(matches!(&error, Err(Ok(error)) if is_told(error)), "{error:?}");
    }
    let waited = clock.now().0.as_millis();
    assert_eq!(waited, 50 + 200 + 800 + 3200, "between five tries");
    let later = [
        encode(&gpu, &model, 3).map(drop),
        ask(&gpu, question(&model, &picture)).map(drop),
        load(&gpu).map(drop),
        block_on(gpu.open(model.id)).map(drop).map_err(Into::into),
        block_on(gpu.stats()).map(drop).map_err(Into::into),
    ];
    for (i, result) in later.into_iter().enumerate() {
        let error = result.map_err(|error| error.downcast::<Error>());
        assert!(matches!(&error, Err(Ok(error)) if is_told(error)), "request {i}: {error:?}");
    }
    let ended = gpu.ended();
    drop((gpu, picture));
    block_on(ended.wait());
    Ok(())
}

/// An engine that never lives long enough to be of use.
#[test]
fn engines_that_are_lost_before_anything_is_done_are_not_made_for_ever() -> Result<()> {
    let plan = FaultPlan::losing((1..1000).map(|i| i * 20));
    let gpu = flaky_sim(&plan)?;
    let error = load(&gpu).map(drop).map_err(|error| error.downcast::<Error>());
    assert!(matches!(error, Err(Ok(Error::DeviceLost { .. }))), "{error:?}");
    assert_eq!(plan.engines(), 6, "the first, and five tries");
    Ok(())
}

#[test]
fn a_load_that_fails_leaves_nothing_on_the_engine() -> Result<()> {
    let plan = FaultPlan::default();
    let gpu = flaky_sim(&plan)?;
    for call in (1..).step_by(3) {
        plan.after(call, Fault::OutOfMemory);
        match load(&gpu).map_err(|error| error.downcast::<Error>()) {
            Err(Ok(Error::OutOfMemory { .. })) => assert_eq!(plan.held(), 0, "memory ran out at call {call}"),
            Err(other) => bail!("call {call}: {other:?}"),
            Ok(_) => {
                assert!(call > 100 && plan.happened() * 3 >= call - 3, "{call} calls");
                return Ok(());
            }
        }
    }
    Ok(())
}

/// The sentence goes on with the same words, on the real engine, whose device is destroyed in the middle of it.
#[test]
fn the_real_engine_goes_on_after_its_device_is_destroyed() -> Result<()> {
    if tests::twin::gpu_engine().is_none() {
        return Ok(());
    }
    let plan = FaultPlan::default();
    let inside = plan.clone();
    let gpu = start(move || {
        let plan = inside.clone();
        async {
            let engine = WgpuEngine::new(AdapterChoice::default()).await?;
            Ok(Flaky::losing_with(engine, plan, WgpuEngine::destroy_device))
        }
    })?;
    let model = load(&gpu)?;
    let picture = encode(&gpu, &model, 1)?;
    for request in [question(&model, &picture), drawn_question(&model, &picture)] {
        let expected = ask(&gpu, request.clone())?;
        let (engines, happened) = (plan.engines(), plan.happened());
        let events = block_on(gpu.generate(request))?;
        same(&collect_and(&events, || plan.after(2, Fault::Lost))?, &expected)?;
        assert_eq!((plan.engines(), plan.happened()), (engines + 1, happened + 1));
    }
    Ok(())
}
