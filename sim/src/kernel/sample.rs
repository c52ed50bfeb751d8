//! Twin of `sample`: the formula of `gpu::sampler`, step by step.

use gpu::engine::{NO_THOUGHT, State};
use gpu::sampler::{MAX_STOP, SamplingWords, uniform};

/// What sampling changes besides the state.
pub struct SampleOutputs<'a> {
    /// `[V]`: how often each id was seen.
    pub seen: &'a mut [u32],
    /// `[1]`: the id that the next step embeds.
    pub ids: &'a mut [u32],
    /// `[3]`: its positions.
    pub pos: &'a mut [u32],
    /// `[ring_len, 2]`: (id, bits of the log-probability).
    pub ring: &'a mut [u32],
}

/// Chooses an id from `logits [V]` and moves the state on.
pub fn sample(logits: &[f32], words: &SamplingWords, state: &mut State, out: SampleOutputs<'_>) {
    // 1.
    if state.n_tokens == 0 {
        return;
    }
    // 2.
    let logits = penalised(logits, words, out.seen);
    // 3.
    let mut id = if words.temperature == 0.0 {
        argmax(&logits)
    } else {
        draw(&logits, words, uniform(state.seed, state.step))
    };
    // 4.
    if state.think_left != NO_THOUGHT {
        if state.think_left == 0 {
            id = state.think_end as usize;
        }
        if id == state.think_end as usize {
            state.think_left = NO_THOUGHT;
        } else {
            state.think_left -= 1;
        }
    }
    // 5.
    let log_probability = logits
        .get(id)
        .map_or(f64::NEG_INFINITY, |&logit| f64::from(logit) - log_sum_exp(&logits));
    // 6.
    let id_word = id as u32;
    if let Some(seen) = out.seen.get_mut(id) {
        *seen = seen.wrapping_add(1);
    }
    let ring_len = out.ring.len() / 2;
    if ring_len > 0 {
        let slot = state.step as usize % ring_len;
        out.ring[slot * 2] = id_word;
        out.ring[slot * 2 + 1] = (log_probability as f32).to_bits();
    }
    out.ids[0] = id_word;
    out.pos[..3].fill(state.position);
    state.kv_len = state.kv_len.wrapping_add(state.n_tokens);
    state.position = state.position.wrapping_add(1);
    state.step = state.step.wrapping_add(1);
    state.last_id = id_word;
    let stop = &words.stop[..(words.n_stop as usize).min(MAX_STOP)];
    let done = stop.contains(&id_word) || state.step >= state.max_steps;
    state.done = u32::from(done);
    state.n_tokens = u32::from(!done);
}

/// Logits of ids that were seen, made smaller.
fn penalised(logits: &[f32], words: &SamplingWords, seen: &[u32]) -> Vec<f32> {
    let penalise = |l: f32| {
        let l = if l > 0.0 {
            l / words.repetition_penalty
        } else {
            l * words.repetition_penalty
        };
        l - words.presence_penalty
    };
    logits
        .iter()
        .enumerate()
        .map(|(id, &l)| {
            if seen.get(id).is_some_and(|&n| n > 0) {
                penalise(l)
            } else {
                l
            }
        })
        .collect()
}

/// The id of the largest logit, the lowest on a tie.
fn argmax(logits: &[f32]) -> usize {
    let mut best = 0;
    for (id, &logit) in logits.iter().enumerate() {
        // A NaN in front is no reason to keep its id.
        if logit > logits[best] || logits[best].is_nan() {
            best = id;
        }
    }
    best
}

/// `ln Σ exp(l)`
fn log_sum_exp(logits: &[f32]) -> f64 {
    let largest = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let total: f64 = logits.iter().map(|&l| (f64::from(l) - largest).exp()).sum();
    largest + total.ln()
}

/// Draws an id by temperature, top-k, top-p and min-p; `u` in `[0, 1)`.
fn draw(logits: &[f32], words: &SamplingWords, u: f32) -> usize {
    let scaled: Vec<f32> = logits.iter().map(|l| l / words.temperature).collect();
    let mut sorted: Vec<f32> = scaled.iter().copied().filter(|l| !l.is_nan()).collect();
    sorted.sort_unstable_by(|a, b| b.total_cmp(a));
    let Some(&largest) = sorted.first() else {
        return 0;
    };
    let weight = |l: f32| (f64::from(l) - f64::from(largest)).exp();

    // What is left is always all ids whose l' is at least `smallest`.
    let mut smallest = f32::NEG_INFINITY;
    if words.top_k > 0 {
        let kth = (words.top_k as usize).min(sorted.len()) - 1;
        smallest = sorted[kth];
    }
    if words.top_p < 1.0 {
        let left = || sorted.iter().copied().take_while(|&l| l >= smallest);
        let reach = left().map(weight).sum::<f64>() * f64::from(words.top_p);
        let mut cumulated = 0.0;
        let last = left().find(|&l| {
            cumulated += weight(l);
            cumulated >= reach
        });
        smallest = last.unwrap_or(smallest);
    }
    if words.min_p > 0.0 {
        let left = sorted.iter().copied().take_while(|&l| l >= smallest);
        let probable = left.take_while(|&l| weight(l) >= f64::from(words.min_p));
        smallest = probable.last().unwrap_or(largest);
    }

    let kept = || scaled.iter().enumerate().filter(|&(_, &l)| l >= smallest);
    let total: f64 = kept().map(|(_, &l)| weight(l)).sum();
    let mut cumulated = 0.0;
    let drawn = kept().find(|&(_, &l)| {
        cumulated += weight(l);
        cumulated > f64::from(u) * total
    });
    // Rounding may leave the sum a hair under the total: then it is the last one.
    drawn
        .or_else(|| kept().next_back())
        .map_or_else(|| argmax(logits), |(id, _)| id)
}

#[cfg(test)]
#[path = "sample_tests.rs"]
mod tests;
