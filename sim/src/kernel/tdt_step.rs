//! Twin of `tdt_step`: the formula of `gpu::recording::speech::TdtState`, step by step.

use gpu::recording::speech::{RING_WORDS, TdtState};

/// Chooses from logits `[tokens, blank, durations]`, moves the state on, and writes ids `[1]` and the ring.
pub fn tdt_step(logits: &[f32], durations: &[u32], max_symbols: u32, state: &mut TdtState, ids: &mut [u32], ring: &mut [u32]) {
    if state.done != 0 {
        state.fed = 0;
        return;
    }
    // 1.
    let (tokens, others) = logits.split_at(logits.len() - durations.len());
    let (token, blank) = (largest(tokens), tokens.len() - 1);
    let duration = durations[largest(others)];
    let frame = state.frame;
    if token == blank {
        // 2.
        state.frame = frame.wrapping_add(duration.max(1));
        state.fed = 0;
    } else {
        // 3.
        state.run = if frame == state.run_frame { state.run + 1 } else { 1 };
        state.run_frame = frame;
        state.frame = frame.wrapping_add(duration);
        if duration == 0 && state.run >= max_symbols {
            state.frame = frame.wrapping_add(1);
        }
        ids[0] = token as u32;
        state.last_id = token as u32;
        state.fed = 1;
    }
    // 4.
    let top = f64::from(tokens[token]);
    let total: f64 = tokens.iter().map(|&l| (f64::from(l) - top).exp()).sum();
    let slot = state.step as usize % (ring.len() / RING_WORDS) * RING_WORDS;
    let log_probability = (-total.ln()) as f32;
    ring[slot..slot + RING_WORDS].copy_from_slice(&[token as u32, frame, duration, state.frame, log_probability.to_bits()]);
    state.step = state.step.wrapping_add(1);
    state.done = u32::from(state.frame >= state.end);
}

/// The index of the largest, the lowest on a tie.
fn largest(logits: &[f32]) -> usize {
    (0..logits.len()).fold(0, |best, i| if logits[i] > logits[best] { i } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(end: u32) -> TdtState {
        TdtState {
            end,
            run_frame: u32::MAX,
            ..TdtState::default()
        }
    }

    #[test]
    fn blanks_move_on_by_one_at_least_and_leave_the_prediction() {
        let (mut state, mut ids, mut ring) = (state(5), [7], [0; 10]);
        // Tokens 0 and 1, blank, durations 0 and 3.
        tdt_step(&[0.0, 0.0, 1.0, 2.0, 1.0], &[0, 3], 10, &mut state, &mut ids, &mut ring);
        assert_eq!((state.frame, state.fed, state.step, state.done, ids), (1, 0, 1, 0, [7]));
        assert_eq!(ring[..4], [2, 0, 0, 1]);
        tdt_step(&[0.0, 0.0, 1.0, 2.0, 3.0], &[0, 3], 10, &mut state, &mut ids, &mut ring);
        assert_eq!((state.frame, ring[5], ring[7], ring[8]), (4, 2, 3, 4));
    }

    #[test]
    fn tokens_stay_until_the_guard_moves_them() {
        let (mut state, mut ids, mut ring) = (state(2), [7], [0; 10]);
        let logits = [0.0, 3.0, 1.0, 2.0, 1.0];
        for run in 1..=2 {
            tdt_step(&logits, &[0, 3], 3, &mut state, &mut ids, &mut ring);
            assert_eq!((state.frame, state.fed, state.run, ids), (0, 1, run, [1]));
        }
        tdt_step(&logits, &[0, 3], 3, &mut state, &mut ids, &mut ring);
        assert_eq!((state.frame, state.run, state.done), (1, 3, 0));
        tdt_step(&[0.0, 3.0, 1.0, 2.0, 4.0], &[0, 3], 3, &mut state, &mut ids, &mut ring);
        assert_eq!((state.frame, state.run, state.done, state.fed), (4, 1, 1, 1));
        let before = ring;
        tdt_step(&logits, &[0, 3], 3, &mut state, &mut ids, &mut ring);
        assert_eq!((state.step, state.fed, ring), (4, 0, before));
        let probability = f32::from_bits(ring[4]).exp();
        assert!((f64::from(probability) - 1.0 / (1.0 + (-2f64).exp() + (-3f64).exp())).abs() < 1e-6);
    }
}
