//! An utterance of any length through a model that hears a stretch at a time: windows with context on both sides, the
//! transducer carried from one to the next. What comes out does not depend on how the sound is cut.

use std::sync::Arc;
use std::time::Duration;

use gpu::protocol::GpuHandle;
use gpu::protocol::speech::{Prediction, SpeechInfo, Step, TranscribeRequest};

use super::mel::{HOP, LogMel, Mel, RATE_HZ, normalise};
use super::pieces::Pieces;
use crate::error::Result;

/// Mel frames a frame of the encoder.
const SUBSAMPLING: usize = 8;
/// Milliseconds of a frame of the encoder.
const FRAME_MS: u32 = 80;
/// Encoder frames of a window: 20.5 s, and of the context on each side that is heard but not decoded: 4 s.
const WINDOW: usize = 256;
const CONTEXT: usize = 50;

/// A model of speech on an engine, and what is before and after it.
#[derive(Clone)]
pub struct Ear {
    pub engine: GpuHandle,
    pub info: Arc<SpeechInfo>,
    pub mel: Arc<Mel>,
    pub pieces: Arc<Pieces>,
    /// Encoder frames of silence before and after each utterance; times do not count them.
    silence: usize,
}

/// What was heard.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Heard {
    pub text: String,
    pub words: Vec<HeardWord>,
    /// Words at the start that no further sound will change.
    pub n_settled: usize,
}

/// A word, its time from the start of the utterance, and how sure the model is of it: the geometric mean of its tokens'
/// probabilities.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct HeardWord {
    pub text: String,
    #[serde(serialize_with = "seconds")]
    pub start: Duration,
    #[serde(serialize_with = "seconds")]
    pub end: Duration,
    pub confidence: f32,
}

fn seconds<S: serde::Serializer>(time: &Duration, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_millis() as f64 / 1000.0)
}

/// A token and its frames from the start of the utterance.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Token {
    id: u32,
    frame: usize,
    duration: usize,
    log_probability: f32,
}

/// An utterance that is being heard.
#[derive(Clone)]
pub struct Utterance {
    ear: Ear,
    log_mel: LogMel,
    /// Log-mel rows from the start of the window on.
    rows: Vec<f32>,
    /// The encoder frame that the window begins with.
    start: usize,
    /// Where the transducer goes on.
    next_frame: usize,
    prediction: Option<Arc<Prediction>>,
    tokens: Vec<Token>,
    /// Samples that came.
    n_samples: u64,
}

/// What a stretch came to.
struct Stretch {
    tokens: Vec<Token>,
    next_frame: usize,
    prediction: Option<Arc<Prediction>>,
}

impl Ear {
    pub fn new(engine: GpuHandle, info: SpeechInfo, pieces: Pieces) -> Self {
        Self {
            engine,
            mel: Arc::new(Mel::new(info.n_mels, &info.front_end)),
            info: Arc::new(info),
            pieces: Arc::new(pieces),
            silence: 0,
        }
    }

    /// With so many milliseconds of silence before and after each utterance, to the nearest frame.
    pub fn with_silence(mut self, silence_ms: u32) -> Self {
        self.silence = ((silence_ms + FRAME_MS / 2) / FRAME_MS) as usize;
        self
    }

    pub fn utterance(&self) -> Utterance {
        Utterance {
            log_mel: LogMel::new(self.mel.clone()),
            ear: self.clone(),
            rows: Vec::new(),
            start: 0,
            next_frame: 0,
            prediction: None,
            tokens: Vec::new(),
            n_samples: 0,
        }
    }

    /// Encoder frames of a window: what the model was loaded for, if that is less.
    fn window(&self) -> usize {
        WINDOW.min(self.info.max_mel / SUBSAMPLING).max(1)
    }

    /// The words of tokens in an utterance of `n_samples`.
    fn heard(&self, tokens: &[Token], n_settled: usize, n_samples: u64) -> Heard {
        let ids: Vec<u32> = tokens.iter().map(|token| token.id).collect();
        let words = self.pieces.words(&ids);
        let length = Duration::from_millis(n_samples * 1000 / u64::from(RATE_HZ));
        let time = |frame: usize| {
            let frame = frame.saturating_sub(self.silence) as u64;
            length.min(Duration::from_millis(frame * u64::from(FRAME_MS)))
        };
        // The last word may still grow.
        let whole = words.iter().filter(|word| word.end < n_settled).count();
        let words = words.into_iter().filter_map(|word| {
            let tokens = &tokens[word.first..word.end];
            let last = tokens.last()?;
            let sum: f32 = tokens.iter().map(|token| token.log_probability).sum();
            Some(HeardWord {
                text: word.text,
                start: time(tokens[0].frame),
                end: time(last.frame + last.duration),
                confidence: (sum / tokens.len() as f32).exp(),
            })
        });
        Heard {
            text: self.pieces.text(&ids),
            words: words.collect(),
            n_settled: whole,
        }
    }
}

impl Utterance {
    /// Takes samples at 16 kHz, and hears the windows that are whole with them; true if there were any.
    ///
    /// Errors: those of the engine.
    pub async fn push(&mut self, samples: &[f32]) -> Result<bool> {
        if self.n_samples == 0 && !samples.is_empty() {
            self.be_silent();
        }
        self.n_samples += samples.len() as u64;
        let rows = self.log_mel.push(samples);
        self.rows.extend(rows);
        self.windows().await
    }

    fn be_silent(&mut self) {
        let silence = vec![0.0; self.ear.silence * SUBSAMPLING * HOP];
        let rows = self.log_mel.push(&silence);
        self.rows.extend(rows);
    }

    /// Hears the windows that are whole; true if there were any.
    async fn windows(&mut self) -> Result<bool> {
        let (window, mut heard) = (self.ear.window(), false);
        // Only when there is more: a window that ends the utterance is heard to its end.
        while self.n_rows() > window * SUBSAMPLING {
            let context = CONTEXT.min(window / 4);
            let end = self.start + window - context;
            let stretch = self.stretch(window * SUBSAMPLING, end).await?;
            self.keep(stretch);
            let next_start = end.saturating_sub(context).max(self.start + 1);
            let unused = (next_start - self.start) * SUBSAMPLING * self.ear.info.n_mels;
            self.rows.drain(..unused.min(self.rows.len()));
            self.start = next_start;
            heard = true;
        }
        Ok(heard)
    }

    /// What would be heard if nothing more came. The utterance goes on as it was.
    ///
    /// Errors: those of the engine.
    pub async fn so_far(&self) -> Result<Heard> {
        let mut ended = self.clone();
        ended.hear_to_the_end().await?;
        Ok(self.ear.heard(&ended.tokens, self.tokens.len(), self.n_samples))
    }

    /// What was heard, with the end of the sound, after which there is nothing more to push.
    ///
    /// Errors: those of the engine.
    pub async fn finish(&mut self) -> Result<Heard> {
        self.hear_to_the_end().await?;
        let mut heard = self.ear.heard(&self.tokens, self.tokens.len(), self.n_samples);
        heard.n_settled = heard.words.len();
        Ok(heard)
    }

    async fn hear_to_the_end(&mut self) -> Result<()> {
        if self.n_samples > 0 {
            self.be_silent();
        }
        let rows = self.log_mel.finish();
        self.rows.extend(rows);
        // Frames that the end completes may make another window.
        self.windows().await?;
        let n_rows = self.n_rows();
        let stretch = self.stretch(n_rows, self.start + n_rows.div_ceil(SUBSAMPLING)).await?;
        self.keep(stretch);
        Ok(())
    }

    fn n_rows(&self) -> usize {
        self.rows.len() / self.ear.info.n_mels.max(1)
    }

    fn keep(&mut self, stretch: Stretch) {
        self.tokens.extend(stretch.tokens);
        self.next_frame = stretch.next_frame;
        self.prediction = stretch.prediction;
    }

    /// Hears the first `n_rows` of the window and decodes from where the transducer is to frame `end`.
    async fn stretch(&self, n_rows: usize, end: usize) -> Result<Stretch> {
        let mut stretch = Stretch {
            tokens: Vec::new(),
            next_frame: self.next_frame,
            prediction: self.prediction.clone(),
        };
        if n_rows == 0 || self.next_frame >= end {
            return Ok(stretch);
        }
        let mut features = self.rows[..n_rows * self.ear.info.n_mels].to_vec();
        normalise(&mut features, self.ear.info.n_mels);
        let request = TranscribeRequest {
            model: self.ear.info.id,
            features: features.into(),
            first: (self.next_frame - self.start) as u32,
            end: (end - self.start) as u32,
            after: self.prediction.clone(),
        };
        let heard = self.ear.engine.transcribe(request).await?;
        let is_token = |step: &&Step| step.id != self.ear.info.blank_id;
        stretch.tokens.extend(heard.steps.iter().filter(is_token).map(|step| Token {
            id: step.id,
            frame: self.start + step.frame as usize,
            duration: step.duration as usize,
            log_probability: step.log_probability,
        }));
        if let Some(step) = heard.steps.last() {
            stretch.next_frame = self.start + step.next_frame as usize;
        }
        stretch.prediction = Some(heard.prediction);
        Ok(stretch)
    }
}
