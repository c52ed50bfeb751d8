//! A model from its configuration alone: tensors of the right sizes with nothing in them. For engines that only count
//! (`sim`, `timing`); on any other its answers mean nothing.

use std::ops::Range;

use futures::executor::block_on;

use super::Qwen3Vl;
use super::build::{Builder, Tensors};
use super::config::Config;
use crate::engine::Engine;
use crate::error::Result;
use crate::protocol::LoadOptions;
use crate::tensor::TensorId;
use crate::weights::split::split_rows;
use crate::weights::{Format, Weight, WeightPart};

/// As [`super::load::load`] would place it on this engine, without a checkpoint and without its values.
///
/// Errors: those of the engine and of [`split_rows`]; nothing stays on the engine then.
pub fn place<E: Engine>(engine: &mut E, name: &str, config: &Config, options: &LoadOptions) -> Result<Qwen3Vl> {
    let tied = config.tie_word_embeddings;
    let mut builder = Builder::new(
        Empty {
            engine: &mut *engine,
            tied,
        },
        options.quant,
    );
    // Nothing is waited for: the tensors are there at once.
    let read = block_on(builder.model(config, options));
    let (weight_bytes, made) = builder.end();
    match read {
        Ok((vision, text)) => Ok(Qwen3Vl {
            name: name.to_owned(),
            config: config.clone(),
            vision,
            text,
            stop_ids: Vec::new(),
            weight_bytes,
            made,
        }),
        Err(error) => {
            made.free(engine);
            Err(error)
        }
    }
}

/// Gives room in place of tensors.
struct Empty<'a, E> {
    engine: &'a mut E,
    tied: bool,
}

impl<E: Engine> Empty<'_, E> {
    fn part(&mut self, name: &str, format: Format, rows: Range<usize>, k: usize) -> Result<WeightPart> {
        let packed = self.engine.create(name, format.packed_bytes(rows.len(), k))?;
        let scales = match format.has_scales() {
            true => Some(self.engine.create(name, format.scale_bytes(rows.len(), k))),
            false => None,
        };
        match scales.transpose() {
            Ok(scales) => Ok(WeightPart {
                first_row: rows.start,
                n_rows: rows.len(),
                packed,
                scales,
            }),
            Err(error) => {
                self.engine.release(packed);
                Err(error)
            }
        }
    }
}

impl<E: Engine> Tensors for Empty<'_, E> {
    async fn matrix(&mut self, name: &str, [n, k]: [usize; 2], rows: Option<Range<usize>>, format: Format) -> Result<Weight> {
        let n = rows.map_or(n, |rows| rows.len());
        let mut parts = Vec::new();
        for rows in split_rows(format, n, k, self.engine.adapter())? {
            match self.part(name, format, rows, k) {
                Ok(part) => parts.push(part),
                Err(error) => {
                    let made = parts.iter().flat_map(|part: &WeightPart| [Some(part.packed), part.scales]);
                    made.flatten().for_each(|tensor| self.engine.release(tensor));
                    return Err(error);
                }
            }
        }
        Ok(Weight {
            name: name.to_owned(),
            format,
            n,
            k,
            parts,
        })
    }

    async fn vector(&mut self, name: &str, len: usize, part: Option<Range<usize>>) -> Result<TensorId> {
        let len = part.map_or(len, |part| part.len());
        self.engine.create(name, len as u64 * 4)
    }

    async fn table(&mut self, name: &str, len: usize) -> Result<TensorId> {
        self.engine.create(name, len as u64 * 4)
    }

    fn rotary(&mut self, n_positions: usize, frequencies: &[f64], map: &[u32]) -> [Result<TensorId>; 2] {
        let table_bytes = n_positions as u64 * frequencies.len() as u64 * 8;
        [
            self.engine.create("rotary table", table_bytes),
            self.engine.create("rotary map", map.len() as u64 * 4),
        ]
    }

    fn has(&self, name: &str) -> bool {
        !(self.tied && name == "lm_head.weight")
    }
}
