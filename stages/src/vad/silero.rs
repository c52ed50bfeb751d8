//! Silero VAD through `rten`: how probable it is that somebody speaks, for every 32 ms of sound at 16 kHz. No decision
//! (`segment`) and no actor.
//!
//! The graph is `models/silero/silero.onnx.zz`, which `pack.py` beside it makes of the published one.

use std::sync::{Arc, OnceLock};

use gpu::weights::source::inflated;
use rten::{Model, NodeId, Value, ValueOrView};
use rten_tensor::{AsView, NdTensor, Tensor};

use crate::data::DataFile;
use crate::error::{Error, Result};

/// Samples a second.
pub const RATE_HZ: u32 = 16_000;
/// Samples of a window.
pub const WINDOW: usize = 512;
/// Samples before a window that the network sees too.
const CONTEXT: usize = 64;
const HIDDEN: usize = 128;
/// Frequencies of the short-time Fourier transform, and samples that it sees.
const BINS: usize = 129;
const TAPS: usize = 256;
/// More than the graph unpacks to.
const MAX_BYTES: usize = 4 << 20;

/// The network. Its weights are there once, however many listen.
pub struct Silero {
    model: Model,
    /// `[2 · BINS, 1, TAPS]`: a formula, which the file has no room for.
    stft: Tensor<f32>,
    inputs: [NodeId; 4],
    outputs: [NodeId; 3],
}

/// Sound on its way through the network: the same probabilities however it is cut.
pub struct Listener {
    silero: Arc<Silero>,
    /// Samples before the next window, then those that fill no window yet.
    samples: Vec<f32>,
    /// Of the LSTM.
    state: [Vec<f32>; 2],
}

impl Silero {
    /// The network, loaded if it was not yet.
    ///
    /// Errors: [`Error::Vad`] if the file is damaged.
    pub fn get() -> Result<Arc<Self>> {
        static LOADED: OnceLock<Arc<Silero>> = OnceLock::new();
        if let Some(silero) = LOADED.get() {
            return Ok(silero.clone());
        }
        let onnx = inflated(DataFile::Silero.bytes(), MAX_BYTES).map_err(str::to_owned);
        let silero = Arc::new(onnx.and_then(Self::load).map_err(|message| Error::Vad { message })?);
        Ok(LOADED.get_or_init(|| silero).clone())
    }

    fn load(onnx: Vec<u8>) -> Result<Self, String> {
        let model = Model::load(onnx).map_err(|error| error.to_string())?;
        let node = |name| model.node_id(name).map_err(|error| error.to_string());
        Ok(Self {
            stft: Tensor::from_data(&[2 * BINS, 1, TAPS], stft()),
            inputs: [node("windows")?, node("stft")?, node("h")?, node("c")?],
            outputs: [node("probability")?, node("h_out")?, node("c_out")?],
            model,
        })
    }
}

/// Cosines, then falling sines, under a Hann window.
fn stft() -> Vec<f32> {
    let angle = |turns: usize| (turns % TAPS) as f64 * (std::f64::consts::TAU / TAPS as f64);
    let window = |tap| 0.5 - 0.5 * angle(tap).cos();
    let row = |wave: fn(f64) -> f64, bin: usize| (0..TAPS).map(move |tap| (wave(angle(bin * tap)) * window(tap)) as f32);
    let rows = |wave| (0..BINS).flat_map(move |bin| row(wave, bin));
    rows(f64::cos).chain(rows(|angle| -angle.sin())).collect()
}

impl Listener {
    pub fn new(silero: Arc<Silero>) -> Self {
        Self {
            silero,
            samples: vec![0.0; CONTEXT],
            state: [vec![0.0; HIDDEN], vec![0.0; HIDDEN]],
        }
    }

    /// Probabilities of the windows that are whole with these samples (−1 … 1).
    ///
    /// Errors: [`Error::Vad`].
    pub fn push(&mut self, samples: &[f32]) -> Result<Vec<f32>> {
        self.samples.extend_from_slice(samples);
        let n_windows = (self.samples.len() - CONTEXT) / WINDOW;
        if n_windows == 0 {
            return Ok(Vec::new());
        }
        let windows = (0..n_windows).flat_map(|index| &self.samples[index * WINDOW..][..CONTEXT + WINDOW]);
        let windows: Vec<f32> = windows.copied().collect();
        self.samples.drain(..n_windows * WINDOW);
        let fault = |message: String| Error::Vad { message };
        let [h, c] = std::mem::take(&mut self.state);
        let Silero {
            model,
            stft,
            inputs,
            outputs,
        } = &*self.silero;
        let values = vec![
            (inputs[0], value([n_windows, CONTEXT + WINDOW], windows)),
            (inputs[1], stft.view().into()),
            (inputs[2], value([1, 1, HIDDEN], h)),
            (inputs[3], value([1, 1, HIDDEN], c)),
        ];
        let found = model
            .run_n(values, *outputs, None)
            .map_err(|error| fault(error.to_string()))?;
        let [probabilities, h, c] = found.map(floats);
        self.state = [h.map_err(fault)?, c.map_err(fault)?];
        probabilities.map_err(fault)
    }
}

fn value<const N: usize>(shape: [usize; N], numbers: Vec<f32>) -> ValueOrView<'static> {
    Value::from(NdTensor::from_data(shape, numbers).into_dyn()).into()
}

fn floats(value: Value) -> Result<Vec<f32>, String> {
    let tensor: Tensor<f32> = value
        .try_into()
        .map_err(|_| "the graph gives other numbers than f32".to_owned())?;
    Ok(tensor.into_data())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::sound::{Sound, SoundAt};

    fn clips() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/speech")
    }

    fn samples(path: &Path) -> Vec<f32> {
        let mut sound = SoundAt::new(Sound::open(path).unwrap(), RATE_HZ).unwrap();
        let mut samples = Vec::new();
        while let Some(block) = sound.next_block().unwrap() {
            samples.extend(block);
        }
        samples
    }

    /// What the published network gave through onnxruntime, for each clip: `pack.py --golden`.
    fn golden() -> BTreeMap<String, Vec<f32>> {
        serde_json::from_slice(&std::fs::read(clips().join("silero.json")).unwrap()).unwrap()
    }

    #[test]
    fn probabilities_are_those_of_the_published_network() {
        let (mut worst, mut sum, mut n) = (0f32, 0.0, 0);
        for (name, expected) in golden() {
            let mut samples = samples(&clips().join(format!("{name}.flac")));
            samples.resize(samples.len().next_multiple_of(WINDOW), 0.0);
            let found = Listener::new(Silero::get().unwrap()).push(&samples).unwrap();
            assert_eq!(found.len(), expected.len(), "{name}");
            for (found, expected) in found.iter().zip(&expected) {
                worst = worst.max((found - expected).abs());
                sum += (found - expected).abs();
                n += 1;
            }
        }
        let mean = sum / n as f32;
        println!("{n} windows: worst {worst:.4}, mean {mean:.5}");
        // f16 weights: 0.0014 at most over 300 s of speech in onnxruntime, 0.0013 and 0.00007 here.
        assert!(n > 400 && worst < 0.01 && mean < 5e-4, "{n} windows: {worst} {mean}");
    }

    #[test]
    fn it_does_not_matter_how_the_sound_is_cut() {
        let (name, _) = golden().into_iter().next().unwrap();
        let samples = samples(&clips().join(format!("{name}.flac")));
        let whole = Listener::new(Silero::get().unwrap()).push(&samples).unwrap();
        for size in [1, 320, 511, 4000] {
            let mut listener = Listener::new(Silero::get().unwrap());
            let blocks = samples.chunks(size).flat_map(|block| listener.push(block).unwrap());
            let cut: Vec<f32> = blocks.collect();
            assert_eq!(cut.len(), whole.len());
            let worst = cut.iter().zip(&whole).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            // Sums over one window or many may round apart.
            assert!(worst < 1e-5, "{size}: {worst}");
        }
    }
}
