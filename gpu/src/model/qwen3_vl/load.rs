//! From a checkpoint's tensors to [`Qwen3Vl`], under the checkpoint's own names.
//! Which there are is `build`'s.

use std::ops::Range;
use std::sync::Arc;

use async_channel::Sender;

use super::Qwen3Vl;
use super::build::{Builder, Tensors};
use super::config::{Config, stop_ids};
use super::mrope;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::protocol::{LoadOptions, LoadProgress, Quant};
use crate::tensor::TensorId;
use crate::weights::source::Source;
use crate::weights::{Checkpoint, Format, Loader, Weight};

impl Quant {
    /// The format of the checkpoint's matrix `name`. Embeddings and the output layer stay 8-bit in [`Quant::Q4`]: their
    /// errors show in every word. The patch embedding is small and first in line.
    pub fn format_of(self, name: &str) -> Format {
        let text_layer = name.contains("language_model.layers.");
        match self {
            Quant::DenseF32 => Format::F32,
            Quant::DenseF16 => Format::F16,
            _ if name.contains("patch_embed") => Format::F16,
            Quant::Q4 if text_layer => Format::Q4,
            Quant::Q8 | Quant::Q4 => Format::Q8,
        }
    }
}

/// Reads, checks and uploads a checkpoint, a tensor at a time.
///
/// Errors: those of the source and of the headers; [`Error::Unsupported`] for another architecture;
/// [`Error::MissingTensor`], [`Error::Tensor`]; those of the engine. Nothing stays on the engine then.
pub async fn load<E: Engine>(
    engine: &mut E,
    source: Arc<dyn Source>,
    options: &LoadOptions,
    progress: Option<&Sender<LoadProgress>>,
) -> Result<Qwen3Vl> {
    let checkpoint = Checkpoint::open(source).await?;
    let Some(json) = checkpoint.text("config.json").await? else {
        return Err(Error::File {
            file: "config.json".into(),
            message: format!("is missing in {}", checkpoint.name()),
        });
    };
    let config = Config::from_json(&json)?;
    let stop_ids = stop_ids(checkpoint.text("generation_config.json").await?.as_deref(), &json)?;
    let stored = Stored(Loader::new(&mut *engine, &checkpoint, progress.cloned()));
    let mut builder = Builder::new(stored, options.quant);
    let read = builder.model(&config, options).await;
    let (weight_bytes, made) = builder.end();
    match read {
        Ok((vision, text)) => Ok(Qwen3Vl {
            name: checkpoint.name().to_owned(),
            config,
            vision,
            text,
            stop_ids,
            weight_bytes,
            made,
        }),
        Err(error) => {
            made.free(engine);
            Err(error)
        }
    }
}

/// Tensors of a checkpoint, under its own names.
struct Stored<'a, E: Engine>(Loader<'a, E>);

impl<E: Engine> Tensors for Stored<'_, E> {
    async fn matrix(&mut self, name: &str, extents: [usize; 2], rows: Option<Range<usize>>, format: Format) -> Result<Weight> {
        let (n, k) = self.0.checkpoint().matrix(name)?.extents();
        if [n, k] != extents {
            return Err(self.wrong(name, format!("is [{n}, {k}], expected {extents:?} by config.json")));
        }
        self.0.matrix(name, format, rows).await
    }

    async fn vector(&mut self, name: &str, len: usize, part: Option<Range<usize>>) -> Result<TensorId> {
        let Some(part) = part else {
            return self.0.vector(name, len).await;
        };
        let values = self.0.checkpoint().read_f32(name).await?;
        match values.get(part) {
            Some(part) if values.len() == len => self.upload(name, bytemuck::cast_slice(part)),
            _ => Err(self.wrong(name, format!("has {} values, expected {len}", values.len()))),
        }
    }

    async fn table(&mut self, name: &str, len: usize) -> Result<TensorId> {
        let (tensor, found) = self.0.dense_f32(name).await?;
        if found == len {
            return Ok(tensor);
        }
        self.0.engine().release(tensor);
        Err(self.wrong(name, format!("has {found} values, expected {len}")))
    }

    fn rotary(&mut self, n_positions: usize, frequencies: &[f64], map: &[u32]) -> [Result<TensorId>; 2] {
        let table = mrope::table(n_positions, frequencies);
        [
            self.upload("rotary table", bytemuck::cast_slice(&table)),
            self.upload("rotary map", bytemuck::cast_slice(map)),
        ]
    }

    fn has(&self, name: &str) -> bool {
        self.0.checkpoint().find(name).is_some()
    }
}

impl<E: Engine> Stored<'_, E> {
    fn upload(&mut self, name: &str, bytes: &[u8]) -> Result<TensorId> {
        let engine = self.0.engine();
        let tensor = engine.create(name, bytes.len() as u64)?;
        match engine.write(tensor, 0, bytes) {
            Ok(()) => Ok(tensor),
            Err(error) => {
                engine.release(tensor);
                Err(error)
            }
        }
    }

    fn wrong(&self, tensor: &str, message: String) -> Error {
        Error::Tensor {
            file: self.0.checkpoint().name().to_owned(),
            tensor: tensor.to_owned(),
            message,
        }
    }
}
