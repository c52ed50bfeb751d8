//! Checkpoints of any shape with random weights, made up as they are read: for measuring, since speed does not depend on
//! the values. Answers mean nothing, but numbers stay finite: each matrix keeps the size of what it is given.
//!
//! A file is imagined: its header lists every tensor of the shape as [`Quant`] would store it, packed already, and a range
//! of it is filled from one small random block a kind of value. So a model of any size takes the way of any other through
//! the loader, and no model-sized memory is ever held here.

use std::collections::BTreeMap;

use half::f16;
use serde_json::json;

use super::config::Config;
use super::published::tensors;
use crate::error::Result;
use crate::protocol::Quant;
use crate::weights::checkpoint::{SINGLE_FILE, metadata_key, packed_name, scale_name};
use crate::weights::source::{Source, SourceFuture, file_error};
use crate::weights::{Format, GROUP, k_padded};

/// Bytes of a random block; ranges of a file repeat it.
const BLOCK_BYTES: usize = 256 << 10;
/// The root of the mean square of a uniform value in −1 .. 1, of a q4 code and of a q8 code.
const UNIFORM_RMS: f64 = 0.577;
const Q4_RMS: f64 = 4.64;
const Q8_RMS: f64 = 73.0;

/// What bytes of the file mean.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// Any codes are right.
    Q4,
    /// −128 is no code.
    Q8,
    /// f16 scales: all the same, these bits.
    Scale(u16),
    /// f16 in −limit .. limit, the limit's bits.
    F16(u16),
    /// f32 in −limit .. limit.
    F32(u32),
    /// f32 near 1: the weights of norms.
    Ones,
}

/// A checkpoint that is made up; see the file's head.
pub struct RandomWeights {
    name: String,
    config_json: String,
    header: Vec<u8>,
    /// Where each tensor ends in the data, ascending, and its kind.
    ends: Vec<(u64, Kind)>,
    blocks: BTreeMap<Kind, Vec<u8>>,
}

impl RandomWeights {
    /// Weights for `config_json` in the format that `quant` asks for; the same seed gives the same weights.
    ///
    /// Errors: those of [`Config::from_json`].
    pub fn new(name: impl Into<String>, config_json: &str, quant: Quant, seed: u64) -> Result<Self> {
        let config = Config::from_json(config_json)?;
        Ok(Self::of_tensors(name, config_json, &tensors(&config), quant, seed))
    }

    /// Weights of these names and extents.
    pub fn of_tensors(
        name: impl Into<String>,
        config_json: &str,
        tensors: &[(String, Vec<usize>)],
        quant: Quant,
        seed: u64,
    ) -> Self {
        let mut file = File::default();
        for (name, extents) in tensors {
            file.tensor(name, extents, quant);
        }
        let mut blocks = BTreeMap::new();
        for (i, &(_, kind)) in file.ends.iter().enumerate() {
            blocks.entry(kind).or_insert_with(|| block(kind, seed.wrapping_add(i as u64)));
        }
        Self {
            name: name.into(),
            config_json: config_json.to_owned(),
            header: file.header(),
            ends: file.ends,
            blocks,
        }
    }

    fn size(&self) -> u64 {
        self.header.len() as u64 + self.ends.last().map_or(0, |&(end, _)| end)
    }

    fn fill(&self, offset: u64, len: usize) -> Option<Vec<u8>> {
        let end = offset.checked_add(len as u64).filter(|&end| end <= self.size())?;
        let header_bytes = self.header.len() as u64;
        let mut bytes = Vec::with_capacity(len);
        if offset < header_bytes {
            bytes.extend_from_slice(self.header.get(offset as usize..end.min(header_bytes) as usize)?);
        }
        let mut at = offset.max(header_bytes) - header_bytes;
        let end = end.saturating_sub(header_bytes);
        let mut tensor = self.ends.partition_point(|&(tensor_end, _)| tensor_end <= at);
        while at < end {
            let &(tensor_end, kind) = self.ends.get(tensor)?;
            let block = self.blocks.get(&kind)?;
            while at < end.min(tensor_end) {
                let first = (at % BLOCK_BYTES as u64) as usize;
                let n = (BLOCK_BYTES - first).min((end.min(tensor_end) - at) as usize);
                bytes.extend_from_slice(&block[first..first + n]);
                at += n as u64;
            }
            tensor += 1;
        }
        Some(bytes)
    }
}

impl Source for RandomWeights {
    fn name(&self) -> &str {
        &self.name
    }

    fn size<'a>(&'a self, file: &'a str) -> SourceFuture<'a, Option<u64>> {
        Box::pin(async move {
            Ok(match file {
                SINGLE_FILE => Some(self.size()),
                "config.json" => Some(self.config_json.len() as u64),
                _ => None,
            })
        })
    }

    fn read<'a>(&'a self, file: &'a str, offset: u64, len: usize) -> SourceFuture<'a, Vec<u8>> {
        Box::pin(async move {
            let found = match file {
                SINGLE_FILE => self.fill(offset, len),
                "config.json" => self
                    .config_json
                    .as_bytes()
                    .get(offset as usize..offset as usize + len)
                    .map(<[u8]>::to_vec),
                _ => None,
            };
            found.ok_or_else(|| file_error(file, format!("has no bytes {offset} to {offset} + {len} in {}", self.name)))
        })
    }
}

/// The file's layout as it grows.
#[derive(Default)]
struct File {
    header: serde_json::Map<String, serde_json::Value>,
    metadata: BTreeMap<String, String>,
    ends: Vec<(u64, Kind)>,
}

impl File {
    fn tensor(&mut self, name: &str, extents: &[usize], quant: Quant) {
        let (n, k) = (extents[0], extents[1..].iter().product::<usize>());
        let is_norm = name.contains("norm");
        if extents.len() < 2 {
            let kind = match is_norm && (name.ends_with("weight") || name.ends_with("running_var")) {
                true => Kind::Ones,
                false => Kind::F32(0.01f32.to_bits()),
            };
            return self.push(name.to_owned(), "F32", extents, (n * 4) as u64, kind);
        }
        // Rows of the position table are added as they are, and so is an embedding looked up.
        let is_table = name.contains("embed_tokens") || name.contains("pos_embed");
        let rms = if is_table { 0.5 } else { (k as f64).powf(-0.5) };
        let format = match name.contains("pos_embed") {
            true => Format::F32,
            false => quant.format_of(name),
        };
        match format {
            Format::Q4 | Format::Q8 => {
                let (kind, code_rms) = match format {
                    Format::Q4 => (Kind::Q4, Q4_RMS),
                    _ => (Kind::Q8, Q8_RMS),
                };
                let (words, groups) = (k_padded(k) * format.bits() / 32, k_padded(k) / GROUP);
                let scale = Kind::Scale(f16::from_f64(rms / code_rms).to_bits());
                self.metadata.insert(metadata_key(name), format!("{} {k}", format.name()));
                self.push(packed_name(name), "U32", &[n, words], (n * words * 4) as u64, kind);
                self.push(scale_name(name), "F16", &[n, groups], (n * groups * 2) as u64, scale);
            }
            Format::F16 => {
                let kind = Kind::F16(f16::from_f64(rms / UNIFORM_RMS).to_bits());
                self.push(name.to_owned(), "F16", extents, (n * k * 2) as u64, kind);
            }
            Format::F32 => {
                let kind = Kind::F32(((rms / UNIFORM_RMS) as f32).to_bits());
                self.push(name.to_owned(), "F32", extents, (n * k * 4) as u64, kind);
            }
        }
    }

    fn push(&mut self, name: String, dtype: &str, shape: &[usize], size_bytes: u64, kind: Kind) {
        let begin = self.ends.last().map_or(0, |&(end, _)| end);
        let end = begin + size_bytes;
        let entry = json!({ "dtype": dtype, "shape": shape, "data_offsets": [begin, end] });
        self.header.insert(name, entry);
        self.ends.push((end, kind));
    }

    fn header(&self) -> Vec<u8> {
        let mut header = self.header.clone();
        header.insert("__metadata__".to_owned(), json!(self.metadata));
        let mut json = serde_json::Value::Object(header).to_string().into_bytes();
        json.resize(json.len().next_multiple_of(8), b' ');
        let mut file = (json.len() as u64).to_le_bytes().to_vec();
        file.append(&mut json);
        file
    }
}

/// [`BLOCK_BYTES`] of valid values.
fn block(kind: Kind, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u32
    };
    let mut unit = || (next() >> 8) as f32 / (1 << 23) as f32 - 1.0;
    let words = BLOCK_BYTES / 4;
    match kind {
        Kind::Q4 => (0..words).flat_map(|_| next().to_le_bytes()).collect(),
        Kind::Q8 => {
            let code = |byte: u8| if byte == 0x80 { 0 } else { byte };
            (0..words).flat_map(|_| next().to_le_bytes().map(code)).collect()
        }
        Kind::Scale(bits) => (0..2 * words).flat_map(|_| bits.to_le_bytes()).collect(),
        Kind::F16(bits) => {
            let limit = f16::from_bits(bits).to_f32();
            let value = |_| f16::from_f32(unit() * limit).to_le_bytes();
            (0..2 * words).flat_map(value).collect()
        }
        Kind::F32(bits) => (0..words)
            .flat_map(|_| (unit() * f32::from_bits(bits)).to_le_bytes())
            .collect(),
        Kind::Ones => (0..words).flat_map(|_| (1.0 + 0.1 * unit()).to_le_bytes()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures::executor::block_on;

    use super::*;
    use crate::model::qwen3_vl::published::config_json;
    use crate::weights::Checkpoint;
    use crate::weights::checkpoint::StoredMatrix;

    fn checkpoint(name: &str, quant: Quant) -> Result<Checkpoint> {
        let json = config_json(name).expect("a published name");
        block_on(Checkpoint::open(Arc::new(RandomWeights::new(name, json, quant, 7)?)))
    }

    #[test]
    fn a_published_shape_opens_as_any_checkpoint_and_its_matrices_are_packed_as_asked() -> Result<()> {
        for (quant, expected) in [
            (Quant::Q4, 5.8e9..5.9e9),
            (Quant::Q8, 9.3e9..9.4e9),
            (Quant::DenseF16, 17.5e9..17.6e9),
        ] {
            let checkpoint = checkpoint("qwen3-vl-8b", quant)?;
            let bytes = checkpoint.total_bytes() as f64;
            assert!(expected.contains(&bytes), "{quant:?}: {bytes}");
            for (name, extents) in [
                ("model.language_model.layers.35.mlp.down_proj.weight", (4096, 12288)),
                ("model.visual.blocks.26.mlp.linear_fc2.weight", (1152, 4304)),
                ("lm_head.weight", (151_936, 4096)),
            ] {
                let stored = checkpoint.matrix(name)?;
                assert_eq!(stored.extents(), extents, "{name}");
                match (quant.format_of(name), &stored) {
                    (format @ (Format::Q4 | Format::Q8), StoredMatrix::Packed { format: found, .. }) => {
                        assert_eq!(format, *found);
                    }
                    (Format::F16, StoredMatrix::Raw { .. }) => {}
                    (format, stored) => panic!("{name}: {format:?} is stored as {stored:?}"),
                }
            }
        }
        Ok(())
    }

    #[test]
    fn values_are_finite_the_same_each_time_and_keep_the_size_of_what_they_multiply() -> Result<()> {
        for quant in [Quant::Q4, Quant::Q8, Quant::DenseF16, Quant::DenseF32] {
            let checkpoint = checkpoint("qwen3-vl-2b", quant)?;
            let name = "model.language_model.layers.3.self_attn.k_proj.weight";
            let values = block_on(checkpoint.read_f32(name))?;
            let mean_square = values.iter().map(|v| f64::from(v * v)).sum::<f64>() / values.len() as f64;
            let kept = mean_square * 2048.0;
            assert!((0.9..1.1).contains(&kept), "{quant:?}: {kept}");
            assert_eq!(values, block_on(checkpoint.read_f32(name))?);
            let norm = block_on(checkpoint.read_f32("model.language_model.norm.weight"))?;
            assert!(norm.iter().all(|w| (0.9..=1.1).contains(w)));
        }
        Ok(())
    }

    #[test]
    fn a_range_is_the_same_in_one_piece_or_many() -> Result<()> {
        let json = config_json("qwen3-vl-2b").expect("a published name");
        let source = RandomWeights::new("x", json, Quant::Q4, 1)?;
        let size = source.size();
        let header = source.header.len() as u64;
        for start in [0, header - 5, header + 3_145_728 - 7, size - 3000] {
            let whole = source.fill(start, 3000).expect("in the file");
            let pieces = (0..30).flat_map(|i| source.fill(start + i * 100, 100).expect("in the file"));
            assert_eq!(whole, pieces.collect::<Vec<u8>>());
        }
        assert_eq!(source.fill(size - 1, 2), None);
        assert_eq!(source.fill(u64::MAX, 2), None);
        Ok(())
    }
}
