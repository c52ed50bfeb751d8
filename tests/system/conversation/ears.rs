//! A stand-in for a recogniser, at the engine: it knows a few recordings by their sound, and answers requests that hear one of them
//! with the words that a script has for it, as far as they have been said. What it does not know it hears as nothing.
//!
//! All around it is real: mel features, windows, the stage. The words are the script's, not those of the recording.

use std::sync::Arc;

use gpu::protocol::speech::{
    FrontEnd, Prediction, SpeechInfo, SpeechModelId, SpeechRequest, Step, TranscribeRequest, Transcription,
};
use gpu::protocol::{GpuHandle, GpuRequest};
use pipeline::spawn;
use pipeline::time::Clock;
use stages::stt::mel::{Mel, normalise};
use stages::stt::pieces::Pieces;
use stages::stt::recognise::Ear;

const N_MELS: usize = 80;
/// Mel frames a frame of the encoder.
const SUBSAMPLING: usize = 8;
/// Features that run alike so much are of one recording: what is known has 0.96 and more, what only sounds a little like it less.
const ALIKE: f32 = 0.8;
/// Frames of both that must overlap: 0.25 s.
const OVERLAP: usize = 25;

/// A recording and what it is taken to say.
pub struct Known {
    /// Normalised log-mel rows.
    features: Vec<f32>,
    /// Each word's id, and the rows from the recording's start in which it is said.
    words: Vec<(u32, usize, usize)>,
}

/// Knows recordings.
#[derive(Default)]
pub struct Script {
    known: Vec<Known>,
    pieces: Vec<String>,
}

impl Script {
    /// `samples` at 16 kHz, in which `words` are said from sample `start` to sample `end`, each for as long as it is long.
    pub fn knows(&mut self, samples: &[f32], words: &str, (start, end): (usize, usize)) {
        let mel = Arc::new(Mel::new(N_MELS, &FrontEnd::default()));
        let row = |sample: usize| sample / 160;
        let n_letters: usize = words.split_whitespace().map(str::len).sum();
        let mut said = 0;
        let times = words.split_whitespace().map(|word| {
            let id = self.pieces.len() as u32;
            self.pieces.push(format!("\u{2581}{word}"));
            let place = |letters: usize| row(start) + (row(end) - row(start)) * letters / n_letters.max(1);
            let first = place(said);
            said += word.len();
            (id, first, place(said))
        });
        let words = times.collect();
        self.known.push(Known {
            features: mel.features(samples),
            words,
        });
    }

    /// What hears by this script, in the time of `clock`.
    pub fn ear(self, clock: &Clock) -> Ear {
        let (handle, inbox) = GpuHandle::to_inbox(4);
        let info = SpeechInfo {
            id: SpeechModelId(1),
            name: "a script".into(),
            n_mels: N_MELS,
            max_mel: 2048,
            blank_id: self.pieces.len() as u32,
            vocabulary: Vec::new(),
            front_end: FrontEnd::default(),
            weight_bytes: 0,
        };
        let pieces = Pieces::new(self.pieces.clone());
        let serve = async move {
            while let Some(request) = inbox.recv().await {
                if let GpuRequest::Speech(SpeechRequest::Transcribe { request, reply }) = request {
                    // Nobody has to wait for it any more.
                    let _ = reply.send(Ok(self.answer(&request))).await;
                }
            }
        };
        let _runs_by_itself = spawn::spawn_tracked(clock, serve);
        Ear::new(handle, info, pieces)
    }

    fn answer(&self, request: &TranscribeRequest) -> Transcription {
        let (n_before, features) = without_silence(&request.features);
        let n_rows = features.len() / N_MELS;
        let (first, end) = (request.first as usize, request.end as usize);
        let best = self.known.iter().filter_map(|known| {
            let (alike, offset) = known.best_offset(&features)?;
            (alike > ALIKE).then_some((alike, offset, known))
        });
        let best = best.max_by(|a, b| a.0.total_cmp(&b.0));
        let step = |id: u32, frame: usize, next: usize| Step {
            id,
            frame: frame as u32,
            duration: next.saturating_sub(frame).min(4) as u32,
            next_frame: next as u32,
            log_probability: -0.05,
        };
        let mut steps = Vec::new();
        if let Some((_, offset, known)) = best {
            for (id, from, to) in &known.words {
                let place = |row: usize| usize::try_from(row as isize + offset).unwrap_or(0);
                let frame = (n_before + place(*from)) / SUBSAMPLING;
                if place(*to) <= n_rows && (first..end).contains(&frame) {
                    steps.push(step(*id, frame, frame));
                }
            }
        }
        // The transducer ends where the request does.
        steps.push(step(self.pieces.len() as u32, end, end));
        Transcription {
            steps,
            prediction: Arc::new(Prediction::default()),
        }
    }
}

/// Rows before which nothing sounds at all, and the rows between them and those after which nothing does, normalised anew.
fn without_silence(features: &[f32]) -> (usize, Vec<f32>) {
    let rows: Vec<&[f32]> = features.chunks_exact(N_MELS).collect();
    let silent = |row: &[f32], edge: Option<&&[f32]>| edge.is_some_and(|edge| row == *edge);
    let n_before = rows.iter().take_while(|row| silent(row, rows.first())).count();
    let n_after = rows.iter().rev().take_while(|row| silent(row, rows.last())).count();
    let mut between = rows[n_before..rows.len().saturating_sub(n_after).max(n_before)].concat();
    normalise(&mut between, N_MELS);
    (n_before, between)
}

impl Known {
    /// The row of `features` at which the recording begins (it may have begun before them), and how alike both are there.
    fn best_offset(&self, features: &[f32]) -> Option<(f32, isize)> {
        let (n, m) = (features.len() / N_MELS, self.features.len() / N_MELS);
        let limit = |rows: usize| isize::try_from(rows).unwrap_or(isize::MAX);
        // Utterances begin up to half a second before the recording does, or a second after.
        let offsets = -100.min(limit(m))..=60.min(limit(n));
        let alike = offsets.filter_map(|offset| {
            let (from, to) = (offset.max(0) as usize, n.min(usize::try_from(limit(m) + offset).unwrap_or(0)));
            (to >= from + OVERLAP).then(|| {
                let theirs = &self.features[(limit(from) - offset) as usize * N_MELS..];
                (correlation(&features[from * N_MELS..to * N_MELS], theirs), offset)
            })
        });
        alike.max_by(|a, b| a.0.total_cmp(&b.0))
    }
}

/// Of as many numbers as `a` has, each less the mean of its column.
fn correlation(a: &[f32], b: &[f32]) -> f32 {
    let n = (a.len() / N_MELS) as f32;
    let mean = |x: &[f32]| {
        let mut mean = [0.0; N_MELS];
        for row in x.chunks_exact(N_MELS) {
            row.iter().zip(&mut mean).for_each(|(x, mean)| *mean += x / n);
        }
        mean
    };
    let b = &b[..a.len()];
    let (mean_a, mean_b) = (mean(a), mean(b));
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (row_a, row_b) in a.chunks_exact(N_MELS).zip(b.chunks_exact(N_MELS)) {
        for band in 0..N_MELS {
            let (x, y) = (row_a[band] - mean_a[band], row_b[band] - mean_b[band]);
            (ab, aa, bb) = (ab + x * y, aa + x * x, bb + y * y);
        }
    }
    ab / (aa * bb).sqrt().max(1e-9)
}
