//! Tests of the sampling twin: each setting, the state machine, and frequencies over seeds.

use bytemuck::Zeroable;

use super::*;

fn greedy() -> SamplingWords {
    SamplingWords {
        top_p: 1.0,
        repetition_penalty: 1.0,
        ..SamplingWords::zeroed()
    }
}

fn warm(temperature: f32) -> SamplingWords {
    SamplingWords { temperature, ..greedy() }
}

fn fed() -> State {
    State {
        kv_len: 10,
        n_tokens: 5,
        position: 7,
        max_steps: 100,
        think_left: NO_THOUGHT,
        ..State::zeroed()
    }
}

struct Memory {
    seen: Vec<u32>,
    ids: [u32; 1],
    pos: [u32; 3],
    ring: Vec<u32>,
}

impl Memory {
    fn new(n_ids: usize) -> Self {
        Self {
            seen: vec![0; n_ids],
            ids: [77],
            pos: [77; 3],
            ring: vec![77; 4],
        }
    }

    fn step(&mut self, logits: &[f32], words: &SamplingWords, state: &mut State) -> u32 {
        let out = SampleOutputs {
            seen: &mut self.seen,
            ids: &mut self.ids,
            pos: &mut self.pos,
            ring: &mut self.ring,
        };
        sample(logits, words, state, out);
        self.ids[0]
    }
}

/// Which ids come up over many seeds, and how often.
fn frequencies(logits: &[f32], words: &SamplingWords, n_draws: u32) -> Vec<u32> {
    let mut counts = vec![0; logits.len()];
    for seed in 0..n_draws {
        let mut state = State {
            seed: [seed, 3],
            ..fed()
        };
        counts[Memory::new(logits.len()).step(logits, words, &mut state) as usize] += 1;
    }
    counts
}

#[test]
fn sample_greedy_takes_the_lowest_id_on_a_tie_and_moves_the_state() {
    let (mut memory, mut state) = (Memory::new(4), fed());
    let id = memory.step(&[0.0, 2.0, 2.0, -1.0], &greedy(), &mut state);
    assert_eq!(id, 1);
    let expected = State {
        kv_len: 15,
        n_tokens: 1,
        position: 8,
        step: 1,
        last_id: 1,
        ..fed()
    };
    assert_eq!(state, expected);
    assert_eq!(memory.seen, [0, 1, 0, 0]);
    assert_eq!(memory.pos, [7; 3]);
    let e = std::f64::consts::E;
    let log_probability = 2.0 - (1.0 + 2.0 * e * e + 1.0 / e).ln();
    assert_eq!(memory.ring[0], 1);
    assert!((f64::from(f32::from_bits(memory.ring[1])) - log_probability).abs() < 1e-6);

    // The ring has two slots: the third step overwrites the first.
    memory.step(&[0.0, 2.0, 3.0, -1.0], &greedy(), &mut state);
    memory.step(&[0.0, 2.0, 3.0, 4.0], &greedy(), &mut state);
    assert_eq!((memory.ring[0], memory.ring[2]), (3, 2));
    assert_eq!((state.kv_len, state.position, state.step), (17, 10, 3));
    assert_eq!(memory.pos, [9; 3]);
}

#[test]
fn sample_does_nothing_when_nothing_was_fed() {
    let (mut memory, mut state) = (Memory::new(2), State { n_tokens: 0, ..fed() });
    let before = state;
    assert_eq!(memory.step(&[1.0, 0.0], &greedy(), &mut state), 77);
    assert_eq!(state, before);
    assert_eq!(memory.ring, [77; 4]);
}

#[test]
fn sample_stops_at_stop_ids_and_at_the_last_step() {
    let mut words = greedy();
    words.n_stop = 2;
    words.stop[..3].copy_from_slice(&[0, 2, 1]);
    for (best, done) in [(0, 1), (1, 0), (2, 1)] {
        let mut logits = [0.0; 3];
        logits[best] = 1.0;
        let mut state = fed();
        Memory::new(3).step(&logits, &words, &mut state);
        assert_eq!((state.done, state.n_tokens), (done, 1 - done), "id {best}");
    }
    let mut state = State {
        step: 4,
        max_steps: 5,
        ..fed()
    };
    Memory::new(1).step(&[0.0], &greedy(), &mut state);
    assert_eq!((state.done, state.n_tokens, state.step), (1, 0, 5));
}

#[test]
fn sample_closes_a_thought_by_itself_or_when_its_budget_ends() {
    let mut state = State {
        think_left: 2,
        think_end: 3,
        ..fed()
    };
    let mut memory = Memory::new(4);
    let logits = [1.0, 0.0, 0.0, -5.0];
    let ids: Vec<u32> = (0..4).map(|_| memory.step(&logits, &greedy(), &mut state)).collect();
    assert_eq!(ids, [0, 0, 3, 0]);
    assert_eq!(state.think_left, NO_THOUGHT);
    // The log-probability of the forced id is its own.
    assert_eq!(memory.ring[0], 3);
    assert!(f32::from_bits(memory.ring[1]) < -6.0);

    let mut state = State {
        think_left: 2,
        think_end: 0,
        ..fed()
    };
    Memory::new(4).step(&logits, &greedy(), &mut state);
    assert_eq!(state.think_left, NO_THOUGHT);
}

#[test]
fn sample_penalises_what_was_seen() {
    let mut words = greedy();
    words.repetition_penalty = 2.0;
    let mut memory = Memory::new(3);
    let logits = [3.0, 2.0, -1.0];
    // 3 → 1.5 < 2; then 2 → 1 < 1.5; once all were seen, the first is the largest again.
    let mut state = fed();
    let ids: Vec<u32> = (0..3).map(|_| memory.step(&logits, &words, &mut state)).collect();
    assert_eq!(ids, [0, 1, 0]);

    // Negative logits are multiplied: −1 → −2.
    let mut memory = Memory::new(2);
    memory.seen = vec![1, 0];
    assert_eq!(memory.step(&[-1.0, -1.5], &words, &mut fed()), 1);

    let mut memory = Memory::new(2);
    memory.seen = vec![1, 0];
    let presence = SamplingWords {
        presence_penalty: 1.5,
        ..greedy()
    };
    assert_eq!(memory.step(&[2.0, 1.0], &presence, &mut fed()), 1);
    assert_eq!(memory.step(&[3.0, 1.0], &presence, &mut fed()), 0);
}

#[test]
fn sample_draws_by_probability() {
    let logits = [0.0, 2f32.ln(), 4f32.ln(), f32::NEG_INFINITY];
    let n = 7000;
    let counts = frequencies(&logits, &warm(1.0), n);
    assert_eq!(counts[3], 0);
    let chi: f64 = counts[..3]
        .iter()
        .zip([1000.0, 2000.0, 4000.0])
        .map(|(&found, expected)| (f64::from(found) - expected).powi(2) / expected)
        .sum();
    // Two degrees of freedom: 13.8 has a probability of 0.001; the seeds are fixed.
    assert!(chi < 13.8, "chi² = {chi}: {counts:?}");

    // Half the temperature squares the ratios: 1 : 4 : 16.
    let counts = frequencies(&logits, &warm(0.5), n);
    let share = f64::from(counts[2]) / f64::from(n);
    assert!((share - 16.0 / 21.0).abs() < 0.02, "{counts:?}");
}

#[test]
fn sample_is_the_same_for_the_same_seed_and_varies_with_the_step() {
    let logits = [0.0; 64];
    let run = |seed| {
        let (mut memory, mut state) = (Memory::new(64), State { seed, ..fed() });
        (0..16)
            .map(|_| memory.step(&logits, &warm(1.0), &mut state))
            .collect::<Vec<_>>()
    };
    assert_eq!(run([1, 2]), run([1, 2]));
    assert_ne!(run([1, 2]), run([2, 2]));
    assert!(run([1, 2]).windows(2).any(|pair| pair[0] != pair[1]));
}

#[test]
fn sample_top_k_keeps_the_best_and_their_ties() {
    let kept = |top_k, logits: &[f32]| {
        let words = SamplingWords { top_k, ..warm(1.0) };
        let counts = frequencies(logits, &words, 400);
        counts.iter().map(|&n| n > 0).collect::<Vec<_>>()
    };
    let logits = [1.0, 1.2, 1.0, 0.9];
    assert_eq!(kept(1, &logits), [false, true, false, false]);
    assert_eq!(kept(2, &logits), [true, true, true, false]);
    assert_eq!(kept(9, &logits), [true; 4]);
    assert_eq!(kept(0, &logits), [true; 4]);
}

#[test]
fn sample_top_p_keeps_the_smallest_set_and_its_ties() {
    // Probabilities 0.5, 0.2, 0.2, 0.1.
    let logits = [5f32.ln(), 2f32.ln(), 2f32.ln(), 0.0];
    let kept = |top_p| {
        let words = SamplingWords { top_p, ..warm(1.0) };
        let counts = frequencies(&logits, &words, 400);
        counts.iter().map(|&n| n > 0).collect::<Vec<_>>()
    };
    assert_eq!(kept(0.0), [true, false, false, false]);
    assert_eq!(kept(0.45), [true, false, false, false]);
    assert_eq!(kept(0.6), [true, true, true, false]);
    assert_eq!(kept(0.95), [true; 4]);
    assert_eq!(kept(1.0), [true; 4]);
}

#[test]
fn sample_top_p_counts_what_top_k_left() {
    // Of 5 : 2 : 2 : 1, top-k 3 leaves 5/9 for the first, which then reaches 0.55 alone.
    let logits = [5f32.ln(), 2f32.ln(), 2f32.ln(), 0.0];
    let words = SamplingWords {
        top_k: 3,
        top_p: 0.55,
        ..warm(1.0)
    };
    assert_eq!(frequencies(&logits, &words, 200), [200, 0, 0, 0]);
}

#[test]
fn sample_min_p_keeps_what_is_probable_enough() {
    let logits = [5f32.ln(), 2f32.ln(), 2f32.ln(), 0.0];
    let kept = |min_p| {
        let words = SamplingWords { min_p, ..warm(1.0) };
        let counts = frequencies(&logits, &words, 400);
        counts.iter().map(|&n| n > 0).collect::<Vec<_>>()
    };
    assert_eq!(kept(0.1), [true; 4]);
    assert_eq!(kept(0.3), [true, true, true, false]);
    assert_eq!(kept(0.5), [true, false, false, false]);
    assert_eq!(kept(2.0), [true, false, false, false]);
}

#[test]
fn sample_survives_bad_logits() {
    for words in [
        greedy(),
        warm(1.0),
        SamplingWords {
            top_k: 2,
            top_p: 0.5,
            min_p: 0.1,
            ..warm(0.7)
        },
    ] {
        for logits in [
            [f32::NAN; 3],
            [f32::NEG_INFINITY; 3],
            [f32::INFINITY; 3],
            [f32::NAN, 1.0, f32::NEG_INFINITY],
        ] {
            let mut memory = Memory::new(3);
            assert!(memory.step(&logits, &words, &mut fed()) < 3);
        }
    }
    // A forced id outside of the vocabulary is passed on as it is.
    let mut state = State {
        think_left: 0,
        think_end: 900,
        ..fed()
    };
    assert_eq!(Memory::new(3).step(&[0.0; 3], &greedy(), &mut state), 900);
}
