//! Sampling against its twin: words to the bit, the log-probability within its tolerance.

use gpu::engine::{Engine, State};
use gpu::recording::{Op, Sample};
use gpu::sampler::SamplingWords;
use gpu::tensor::DType;
use sim::{Kernels, SimEngine};
use tests::close;
use tests::twin::{Build, Numbers, gpu_engines};

use super::{hold, state};

#[derive(Clone, Debug)]
struct SampleCase {
    v: usize,
    words: SamplingWords,
    state: State,
}

fn sampling(temperature: f32, top_k: u32, top_p: f32, min_p: f32) -> SamplingWords {
    SamplingWords {
        temperature,
        top_k,
        top_p,
        min_p,
        repetition_penalty: 1.0,
        presence_penalty: 0.0,
        n_stop: 0,
        pad: 0,
        stop: [0; 8],
    }
}

#[test]
fn sample_matches_its_twin() {
    let mut cases = Vec::new();
    let settings = [
        sampling(0.0, 0, 1.0, 0.0),
        sampling(1.0, 0, 1.0, 0.0),
        sampling(0.7, 20, 0.8, 0.0),
        sampling(1.3, 0, 0.9, 0.05),
        sampling(0.6, 1, 0.0, 0.0),
        sampling(2.0, 5, 1.0, 0.3),
    ];
    for (i, v) in [1, 3, 255, 1000, 8191, 151_936].into_iter().enumerate() {
        for (j, words) in settings.into_iter().enumerate() {
            let mut state = state(30, [1, 1, 1, 7, 1, 0][(i + j) % 6]);
            state.seed = [i as u32, j as u32 + 77];
            state.step = (i * 7 + j) as u32;
            let mut words = words;
            if (i + j) % 2 == 1 {
                words.repetition_penalty = 1.3;
                words.presence_penalty = 0.5;
            }
            if (i + j) % 4 == 3 {
                (state.think_left, state.think_end) = (j as u32 / 3, 0);
            }
            words.n_stop = 2;
            words.stop[1] = 1;
            state.max_steps = if j == 4 { state.step + 1 } else { 1000 };
            cases.push(SampleCase { v, words, state });
        }
    }
    let mut twin = SimEngine::new(Kernels::Plain);
    let mut faults = Vec::new();
    for mut engine in gpu_engines(true) {
        faults.extend(cases.iter().filter_map(|case| sample_fault(&mut engine, &mut twin, case)));
    }
    assert!(faults.is_empty(), "{} cases differ:\n{}", faults.len(), faults.join("\n"));
}

/// What differs, if anything: words at all, the log-probability by more than its tolerance.
fn sample_fault(engine: &mut dyn Engine, twin: &mut dyn Engine, case: &SampleCase) -> Option<String> {
    let build = |b: &mut Build<'_>| build_sample(case, b);
    match (tests::twin::outputs(engine, build), tests::twin::outputs(twin, build)) {
        (Ok(mut found), Ok(mut expected)) => {
            // The ring holds a float's bits: taken out before the words are compared.
            let (a, b) = (take_logprob(&mut found, case), take_logprob(&mut expected, case));
            let close = (a - b).abs() <= close::LOG_PROBABILITY * (1.0 + b.abs());
            let (found_state, expected_state) = (found.get("state"), expected.get("state"));
            (found != expected || !close)
                .then(|| format!("{case:?}: log-probability {a} for {b}, state {found_state:?} for {expected_state:?}"))
        }
        (found, expected) => Some(format!("{case:?}: {:?}, {:?}", found.err(), expected.err())),
    }
}

const RING: usize = 5;

fn take_logprob(outputs: &mut std::collections::BTreeMap<String, tests::twin::Output>, case: &SampleCase) -> f32 {
    let at = case.state.step as usize % RING * 2 + 1;
    match outputs.get_mut("ring") {
        Some(tests::twin::Output::Words(words)) => f32::from_bits(std::mem::take(&mut words[at])),
        _ => f32::NAN,
    }
}

fn build_sample(case: &SampleCase, b: &mut Build<'_>) {
    let v = case.v;
    let mut numbers = Numbers::new(v as u64 + u64::from(case.state.step));
    let logits: Vec<f32> = (0..v).map(|_| numbers.value() * 9.0).collect();
    let seen: Vec<u32> = (0..v).map(|_| u32::from(numbers.below(4) == 0)).collect();
    let logits = b.floats(&logits, [1, v]);
    let sampling = b.raw(bytemuck::bytes_of(&case.words), DType::U32, [16]);
    let state = b.changed("state", bytemuck::bytes_of(&case.state), DType::U32, [12]);
    let seen = b.changed("seen", bytemuck::cast_slice(&seen), DType::U32, [v]);
    let ids = b.changed("ids", &[0; 4], DType::U32, [1]);
    let pos = b.changed("pos", &[0; 12], DType::U32, [3, 1]);
    let ring = b.changed("ring", &[0; RING * 8], DType::U32, [RING, 2]);
    b.rec.ops.push(Op::Sample(Sample {
        logits,
        sampling,
        state,
        seen,
        ids,
        pos,
        ring,
    }));
}

/// A tie goes to the lowest id, wherever the lanes that see it are.
#[test]
fn greedy_sampling_takes_the_lowest_of_equals() {
    hold(
        close::EXACT,
        [(600, 599, 3), (600, 64, 65), (2000, 1999, 1024)],
        |&(v, one, other), b| {
            let mut logits = vec![0.5; v];
            logits[one] = 2.0;
            logits[other] = 2.0;
            let logits = b.floats(&logits, [1, v]);
            let sampling = b.raw(bytemuck::bytes_of(&sampling(0.0, 0, 1.0, 0.0)), DType::U32, [16]);
            let state = b.changed("state", bytemuck::bytes_of(&state(1, 1)), DType::U32, [12]);
            let seen = b.changed("seen", &vec![0; v * 4], DType::U32, [v]);
            let ids = b.changed("ids", &[0; 4], DType::U32, [1]);
            let pos = b.changed("pos", &[0; 12], DType::U32, [3, 1]);
            let ring = b.words(&[0; 2], [1, 2]);
            b.rec.ops.push(Op::Sample(Sample {
                logits,
                sampling,
                state,
                seen,
                ids,
                pos,
                ring,
            }));
        },
    );
}
