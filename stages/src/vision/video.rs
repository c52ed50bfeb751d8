//! Which frames of a video the model sees, and the times that it is told. Not for decoding (`capture::video`).
//!
//! Source: `transformers` 5.23 `Qwen3VLVideoProcessor.sample_frames`, `Qwen3VLProcessor._calculate_timestamps`.

/// How often and how many frames are taken from a video.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    pub fps: f64,
    pub min_frames: usize,
    pub max_frames: usize,
}

impl Default for Sampling {
    /// Two frames a second, 4 to 768 frames, as published.
    fn default() -> Self {
        Self {
            fps: 2.0,
            min_frames: 4,
            max_frames: 768,
        }
    }
}

/// Indices of the frames to take of `n_total` that were recorded at `source_fps`: `rint(linspace(0, n_total - 1, n))`.
///
/// Empty if there are none. A `source_fps` that is not a positive number counts as 24, as in the reference.
pub fn sample_frames(n_total: usize, source_fps: f64, sampling: Sampling) -> Vec<usize> {
    if n_total == 0 {
        return Vec::new();
    }
    let source_fps = if source_fps.is_finite() && source_fps > 0.0 {
        source_fps
    } else {
        24.0
    };
    let wanted = (n_total as f64 / source_fps * sampling.fps) as usize;
    let n = wanted.max(sampling.min_frames).min(sampling.max_frames).min(n_total).max(1);
    if n == 1 {
        return vec![0];
    }
    let last = (n_total - 1) as f64;
    let step = last / (n - 1) as f64; // numpy multiplies a step, and sets the last one exactly
    let mut indices: Vec<usize> = (0..n).map(|i| (i as f64 * step).round_ties_even() as usize).collect();
    indices[n - 1] = n_total - 1;
    indices
}

/// Frames in pairs; an odd last one is paired with itself.
pub fn pairs<T: Copy>(frames: &[T]) -> Vec<[T; 2]> {
    frames.chunks(2).map(|pair| [pair[0], pair[pair.len() - 1]]).collect()
}

/// The time in seconds of each pair: the mean of its two frames' times.
pub fn pair_times_s(indices: &[usize], source_fps: f64) -> Vec<f64> {
    let time_s = |index: usize| index as f64 / source_fps;
    pairs(indices)
        .into_iter()
        .map(|[first, last]| (time_s(first) + time_s(last)) / 2.0)
        .collect()
}

/// How a prompt spells a time: `<0.2 seconds>` for 0.25 (the exact binary value, ties to even).
pub fn timestamp_text(time_s: f64) -> String {
    format!("<{time_s:.1} seconds>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rounded_half_to_even() {
        let cases = [
            (0.25, "<0.2 seconds>"),
            (1.375, "<1.4 seconds>"),
            (2.25, "<2.2 seconds>"),
            (0.0, "<0.0 seconds>"),
        ];
        for (time_s, text) in cases {
            assert_eq!(timestamp_text(time_s), text);
        }
    }

    #[test]
    fn an_odd_last_frame_is_paired_with_itself() {
        assert_eq!(pairs(&[1, 2, 3]), [[1, 2], [3, 3]]);
        assert!(pairs::<u8>(&[]).is_empty());
    }

    #[test]
    fn short_and_broken_videos_still_give_frames() {
        assert_eq!(sample_frames(0, 30.0, Sampling::default()), [0usize; 0]);
        assert_eq!(sample_frames(1, 30.0, Sampling::default()), [0]);
        assert_eq!(sample_frames(3, 0.0, Sampling::default()), [0, 1, 2]);
        assert_eq!(sample_frames(2, f64::NAN, Sampling::default()), [0, 1]);
    }
}
