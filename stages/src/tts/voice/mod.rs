//! A Piper voice: its ONNX graph in `rten` and its JSON. Phoneme ids in, samples out. Not for text (`speaker`).

mod config;
mod dense;
mod graph;
mod noise;
mod wire;

use rten::{Model, NodeId, Value, ValueOrView};

pub use config::{Scales, VoiceConfig};

use crate::error::{Error, Result};
use graph::{Graph, NOISE_DURATION, NOISE_LATENT};
use noise::Normal;

/// Longer utterances are refused: attention grows with the square.
pub const MAX_IDS: usize = 2048;
/// About four minutes.
const MAX_FRAMES: usize = 20_000;
/// Rows of the duration predictor's noise.
const DURATION_ROWS: usize = 2;

/// A voice that is loaded.
pub struct Voice {
    pub name: String,
    pub config: VoiceConfig,
    model: Model,
    taps: [NodeId; 3],
    inputs: Inputs,
    /// Rows of the latent noise.
    n_channels: usize,
}

struct Inputs {
    ids: NodeId,
    n_ids: NodeId,
    scales: NodeId,
    speaker: Option<NodeId>,
    noises: [NodeId; 2],
}

/// What varies an utterance.
#[derive(Clone, Copy, Debug)]
pub enum Noise<'a> {
    Seed(u64),
    /// `[2, ids]` and `[channels, frames]`, row by row: for comparisons. Durations, if given, replace the voice's own.
    Given {
        duration: &'a [f32],
        latent: &'a [f32],
        durations: Option<&'a [u32]>,
    },
}

/// An utterance.
#[derive(Clone, Debug)]
pub struct Utterance {
    /// Mono, −1 … 1, at the voice's rate.
    pub samples: Vec<f32>,
    /// Frames of each id.
    pub durations: Vec<u32>,
    /// Logarithms of the durations before they were scaled and rounded up.
    pub log_durations: Vec<f32>,
}

impl Voice {
    /// Loads a voice from the contents of `NAME.onnx` (as published, or in fewer bits) and `NAME.onnx.json`.
    ///
    /// Errors: [`Error::VoiceFile`] for a file that cannot be read or is no Piper voice, [`Error::VoiceMismatch`] if the two
    /// disagree.
    pub fn load(name: &str, onnx: &[u8], json: &[u8]) -> Result<Self> {
        let fault = |file: &'static str| {
            move |message: String| Error::VoiceFile {
                voice: name.to_owned(),
                file,
                message,
            }
        };
        let onnx_fault = |message: &str| fault("ONNX")(message.to_owned());
        let config = VoiceConfig::read(json).map_err(fault("JSON"))?;
        let onnx = dense::onnx_of(onnx).map_err(onnx_fault)?;
        let graph = Graph::read(&onnx).map_err(onnx_fault)?;
        for input in ["input", "input_lengths", "scales"] {
            if !graph.inputs.contains(&input) {
                return Err(onnx_fault(&format!("is no voice of Piper's: it has no input {input}")));
            }
        }
        agree(name, &graph, &config)?;
        let taps = graph.taps().map_err(onnx_fault)?;
        let output = *graph.outputs.first().ok_or_else(|| onnx_fault("has no output"))?;
        let rewritten = graph
            .rewritten(&taps)
            .ok_or_else(|| onnx_fault("has weights that do not fit their shapes"))?;
        let model = Model::load(rewritten).map_err(|error| onnx_fault(&error.to_string()))?;
        let node = |value: &str| model.node_id(value).map_err(|error| onnx_fault(&error.to_string()));
        let inputs = Inputs {
            ids: node("input")?,
            n_ids: node("input_lengths")?,
            scales: node("scales")?,
            speaker: if graph.inputs.contains(&"sid") {
                Some(node("sid")?)
            } else {
                None
            },
            noises: [node(NOISE_DURATION)?, node(NOISE_LATENT)?],
        };
        Ok(Self {
            name: name.to_owned(),
            taps: [node(&taps.log_durations)?, node(&taps.durations)?, node(output)?],
            n_channels: graph
                .n_channels()
                .ok_or_else(|| onnx_fault("is no voice of Piper's: no projection enc_p.proj"))?,
            config,
            model,
            inputs,
        })
    }

    /// The number of a speaker by name or number; the default one for `None`.
    ///
    /// Errors: [`Error::NoSpeaker`].
    pub fn speaker(&self, name: Option<&str>) -> Result<u32> {
        let config = &self.config;
        let Some(name) = name else {
            return Ok(config.default_speaker_id.unwrap_or(0));
        };
        let number = name
            .parse()
            .ok()
            .filter(|number| u64::from(*number) < config.num_speakers.max(1));
        config
            .speaker_id_map
            .get(name)
            .copied()
            .or(number)
            .ok_or_else(|| Error::NoSpeaker {
                voice: self.name.clone(),
                speaker: name.to_owned(),
                n_speakers: config.num_speakers.max(1),
                known: config.speaker_id_map.keys().take(20).cloned().collect::<Vec<_>>().join(", "),
            })
    }

    /// Speaks `ids`. The same arguments give the same samples.
    ///
    /// Errors: [`Error::Synthesis`]: ids that the voice lacks, too many of them, absurd durations.
    pub fn synthesize(&self, ids: &[i32], scales: Scales, speaker: u32, noise: Noise<'_>) -> Result<Utterance> {
        let fault = |message: String| Error::Synthesis {
            voice: self.name.clone(),
            message,
        };
        if ids.is_empty() || ids.len() > MAX_IDS {
            return Err(fault(format!("{} ids, supported are 1 to {MAX_IDS}", ids.len())));
        }
        let is_id = |id: &&i32| u64::try_from(**id).is_ok_and(|id| id < self.config.num_symbols);
        if let Some(id) = ids.iter().find(|id| !is_id(id)) {
            return Err(fault(format!("the voice has no id {id}")));
        }
        let mut drawn = match noise {
            Noise::Seed(seed) => Some(Normal::new(seed)),
            Noise::Given { .. } => None,
        };
        let mut draw = |given: &[f32], rows: usize, columns: usize| match &mut drawn {
            Some(normal) => Ok(normal.take(rows * columns)),
            None if given.len() == rows * columns => Ok(given.to_vec()),
            None => Err(fault(format!(
                "{} numbers of noise, needed are {rows} × {columns}",
                given.len()
            ))),
        };
        let ([given_duration, given_latent], given_frames) = match noise {
            Noise::Given {
                duration,
                latent,
                durations,
            } => ([duration, latent], durations),
            Noise::Seed(_) => ([&[][..], &[]], None),
        };
        let duration_noise = draw(given_duration, DURATION_ROWS, ids.len())?;
        let shaped = |rows: usize, numbers: Vec<f32>| {
            let columns = numbers.len() / rows;
            value([1, rows, columns], numbers)
        };

        let mut inputs = self.common_inputs(ids, scales, speaker);
        inputs.push((self.inputs.noises[0], shaped(DURATION_ROWS, duration_noise)));
        let [log_durations, durations, output] = self.taps;
        let found = self.model.run_n(inputs, [log_durations, durations], None);
        let [log_durations, durations] = found.map_err(|error| fault(error.to_string()))?;
        let log_durations = floats(log_durations).map_err(fault)?;
        let own_frames = floats(durations).map_err(fault)?;
        let frames = given_frames.map_or(own_frames, |frames| frames.iter().map(|frames| *frames as f32).collect());
        let is_sane = frames.len() == ids.len() && frames.iter().all(|frames| (0.0..=MAX_FRAMES as f32).contains(frames));
        let n_frames = frames.iter().sum::<f32>().max(1.0);
        if !is_sane || n_frames > MAX_FRAMES as f32 {
            return Err(fault(format!("it would be {n_frames} frames, at most {MAX_FRAMES} are made")));
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "whole, not negative and small"
        )]
        let (n_frames, durations_found) = (n_frames as usize, frames.iter().map(|frames| *frames as u32).collect());
        let latent_noise = draw(given_latent, self.n_channels, n_frames)?;

        let mut inputs = self.common_inputs(ids, scales, speaker);
        // What was found is put in, so that it is not computed again.
        inputs.push((self.taps[1], value([1, 1, frames.len()], frames)));
        inputs.push((self.inputs.noises[1], shaped(self.n_channels, latent_noise)));
        let [samples] = self
            .model
            .run_n(inputs, [output], None)
            .map_err(|error| fault(error.to_string()))?;
        Ok(Utterance {
            samples: floats(samples).map_err(fault)?,
            durations: durations_found,
            log_durations,
        })
    }

    fn common_inputs(&self, ids: &[i32], scales: Scales, speaker: u32) -> Vec<(NodeId, ValueOrView<'static>)> {
        let n_ids = i32::try_from(ids.len()).unwrap_or(i32::MAX);
        let speaker = i32::try_from(speaker).unwrap_or(i32::MAX);
        let scales = vec![scales.noise_scale, scales.length_scale, scales.noise_w];
        let mut inputs = vec![
            (self.inputs.ids, value([1, ids.len()], ids.to_vec())),
            (self.inputs.n_ids, value([1], vec![n_ids])),
            (self.inputs.scales, value([3], scales)),
        ];
        if let Some(node) = self.inputs.speaker {
            inputs.push((node, value([1], vec![speaker])));
        }
        inputs
    }
}

/// A tensor of numbers that fill its shape.
fn value<T, const N: usize>(shape: [usize; N], numbers: Vec<T>) -> ValueOrView<'static>
where
    Value: From<rten_tensor::Tensor<T>>,
{
    let tensor = rten_tensor::NdTensor::from_data(shape, numbers);
    Value::from(tensor.into_dyn()).into()
}

fn floats(value: Value) -> Result<Vec<f32>, String> {
    let tensor: rten_tensor::Tensor<f32> = value
        .try_into()
        .map_err(|_| "the graph gives other numbers than f32".to_owned())?;
    Ok(tensor.into_data())
}

/// What both files state must be the same.
fn agree(name: &str, graph: &Graph<'_>, config: &VoiceConfig) -> Result<()> {
    let mismatch = |key: &'static str, json: u64, onnx: u64| Error::VoiceMismatch {
        voice: name.to_owned(),
        key,
        json,
        onnx,
    };
    let n_speakers = if graph.inputs.contains(&"sid") {
        graph.n_rows("sid").unwrap_or(1)
    } else {
        1
    };
    let stated = [
        ("num_symbols", config.num_symbols, graph.n_rows("input").unwrap_or(0)),
        ("num_speakers", config.num_speakers.max(1), n_speakers),
        ("hop_length", config.hop_length, graph.hop()),
    ];
    match stated.into_iter().find(|(_, json, onnx)| json != onnx) {
        Some((key, json, onnx)) => Err(mismatch(key, json, onnx)),
        None => Ok(()),
    }
}
