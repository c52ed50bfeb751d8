//! A checkpoint: one or more safetensors files, or one that torch wrote, their tensors by name, and reading them by ranges.
//! A small one may lie compressed, as `model.safetensors.zz`; it is in memory as long as the checkpoint is open.
//!
//! Besides plain tensors it may hold our own packed ones. A matrix `NAME` of format `q8` or `q4` is then two tensors,
//! `NAME_packed` U32 `[n, words a row]` and `NAME_scale` F16 `[n, k_padded / GROUP]`, laid out as [`Format`] says, and the
//! metadata of its file maps `packed:NAME` to `FORMAT k`, for instance `q4 768`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use ::safetensors::Dtype;

use super::names;
use super::quant;
use super::safetensors::{Header, TensorInfo, header_of, read_header};
use super::source::repository::Index;
use super::source::{Source, check_file_name, file_error, read_compressed, read_text};
use super::torch;
use super::{Format, GROUP, k_padded};
use crate::error::{Error, Result};
use crate::recording::RawDType;

/// The file of a checkpoint that is not sharded; `.zz` behind it if it is compressed.
pub const SINGLE_FILE: &str = "model.safetensors";
/// The list of the shards of one that is.
pub const INDEX_FILE: &str = "model.safetensors.index.json";
/// The weights inside of a `.nemo` archive.
pub const TORCH_FILE: &str = "model_weights.ckpt";

/// An opened checkpoint: all headers are read and checked, no tensor yet.
#[derive(Clone)]
pub struct Checkpoint {
    source: Arc<dyn Source>,
    tensors: BTreeMap<String, TensorInfo>,
    metadata: BTreeMap<String, String>,
    /// What is in memory, by the file that tensors' infos name: a file that was compressed, tensors of torch that were put in
    /// order.
    held: Arc<BTreeMap<String, Vec<u8>>>,
}

/// A matrix as a checkpoint stores it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoredMatrix {
    /// `[n, k]` of a type that can be packed.
    Raw {
        info: TensorInfo,
        dtype: RawDType,
        n: usize,
        k: usize,
    },
    /// Packed before, to be used as it is.
    Packed {
        format: Format,
        packed: TensorInfo,
        scale: TensorInfo,
        n: usize,
        k: usize,
    },
}

impl StoredMatrix {
    /// Rows and columns.
    pub fn extents(&self) -> (usize, usize) {
        match *self {
            StoredMatrix::Raw { n, k, .. } | StoredMatrix::Packed { n, k, .. } => (n, k),
        }
    }
}

impl Checkpoint {
    /// Reads and checks the headers of all files.
    ///
    /// Errors: `File` if there are no weights, a shard is missing, or a header is bad; `Tensor` if a tensor is not where
    /// the index says.
    pub async fn open(source: Arc<dyn Source>) -> Result<Self> {
        let mut checkpoint = Self {
            source,
            tensors: BTreeMap::new(),
            metadata: BTreeMap::new(),
            held: Arc::default(),
        };
        let source = checkpoint.source.clone();
        if source.size(SINGLE_FILE).await?.is_some() {
            let header = read_header(&*source, SINGLE_FILE).await?;
            checkpoint.tensors = header.tensors;
            checkpoint.metadata = header.metadata;
        } else if let Some(bytes) = read_compressed(&*source, SINGLE_FILE).await? {
            let header = header_of(SINGLE_FILE, &bytes)?;
            checkpoint.tensors = header.tensors;
            checkpoint.metadata = header.metadata;
            checkpoint.held = Arc::new(BTreeMap::from([(SINGLE_FILE.to_owned(), bytes)]));
        } else if let Some(text) = read_text(&*source, INDEX_FILE).await? {
            checkpoint.open_shards(&text).await?;
        } else if source.size(TORCH_FILE).await?.is_some() {
            let file = torch::read(&*source, TORCH_FILE).await?;
            checkpoint.tensors = file.tensors;
            checkpoint.held = Arc::new(file.gathered);
        } else {
            return Err(file_error(
                SINGLE_FILE,
                format!(
                    "is missing in {}, and so is {INDEX_FILE}: there are no weights",
                    source.name()
                ),
            ));
        }
        Ok(checkpoint)
    }

    async fn open_shards(&mut self, index: &str) -> Result<()> {
        let index = Index::parse(index, INDEX_FILE)?;
        let shards: BTreeSet<&String> = index.weight_map.values().collect();
        let mut headers: BTreeMap<&str, Header> = BTreeMap::new();
        for shard in shards {
            check_file_name(shard)
                .map_err(|_| file_error(INDEX_FILE, format!("names {shard:?}, which is not a file of the checkpoint")))?;
            if self.source.size(shard).await?.is_none() {
                let n = index.weight_map.values().filter(|file| *file == shard).count();
                return Err(file_error(
                    shard,
                    format!(
                        "is missing in {}, and {INDEX_FILE} expects {n} tensors in it",
                        self.source.name()
                    ),
                ));
            }
            headers.insert(shard, read_header(&*self.source, shard).await?);
        }
        for (name, shard) in &index.weight_map {
            let info = headers[shard.as_str()]
                .tensors
                .get(name)
                .ok_or_else(|| tensor_error(shard, name, format!("is not in this file, though {INDEX_FILE} says so")))?;
            self.tensors.insert(name.clone(), info.clone());
        }
        for header in headers.into_values() {
            self.metadata.extend(header.metadata);
        }
        Ok(())
    }

    /// The source's name.
    pub fn name(&self) -> &str {
        self.source.name()
    }

    pub fn source(&self) -> &Arc<dyn Source> {
        &self.source
    }

    /// All tensors by their names in the files.
    pub fn tensors(&self) -> &BTreeMap<String, TensorInfo> {
        &self.tensors
    }

    /// Bytes of all tensors.
    pub fn total_bytes(&self) -> u64 {
        self.tensors.values().map(|info| info.size).sum()
    }

    /// Bytes of one tensor, or of both halves of a packed matrix; 0 if it is not there.
    pub fn stored_bytes(&self, name: &str) -> u64 {
        let Some(stored) = self.find(name) else {
            return 0;
        };
        let size = |name: &str| self.tensors.get(name).map_or(0, |info| info.size);
        size(&stored) + size(&packed_name(&stored)) + size(&scale_name(&stored))
    }

    /// A whole text file, such as `config.json`; `None` if there is none.
    ///
    /// Errors: as [`read_text`].
    pub async fn text(&self, file: &str) -> Result<Option<String>> {
        read_text(&*self.source, file).await
    }

    /// The name under which `name` is stored, whatever its prefix; packed matrices count.
    pub fn find(&self, name: &str) -> Option<String> {
        let found = names::spellings(name).into_iter().find(|spelling| self.holds(spelling));
        found.or_else(|| self.find_by_suffix(name))
    }

    fn holds(&self, name: &str) -> bool {
        self.tensors.contains_key(name) || self.tensors.contains_key(&packed_name(name))
    }

    /// The only tensor whose name ends with `name` less its `model.`, after an unknown prefix.
    fn find_by_suffix(&self, name: &str) -> Option<String> {
        let stem = name.strip_prefix("model.").unwrap_or(name);
        let suffix = format!(".{stem}");
        let mut matches = self
            .tensors
            .keys()
            .map(|key| key.strip_suffix("_packed").unwrap_or(key))
            .filter(|key| key.ends_with(&suffix));
        let first = matches.next()?;
        matches.next().is_none().then(|| first.to_owned())
    }

    /// What is said when `name` is not there: the closest names.
    pub fn missing(&self, name: &str) -> Error {
        Error::MissingTensor {
            model: self.name().to_owned(),
            tensor: name.to_owned(),
            hint: names::hint(name, self.tensors.keys()),
        }
    }

    /// A plain tensor, looked for as [`Checkpoint::find`] does.
    ///
    /// Errors: `MissingTensor`; `Tensor` if it is packed.
    pub fn info(&self, name: &str) -> Result<&TensorInfo> {
        let stored = self.find(name).ok_or_else(|| self.missing(name))?;
        self.tensors
            .get(&stored)
            .ok_or_else(|| tensor_error(SINGLE_FILE, &stored, "is stored packed; a plain tensor is expected"))
    }

    /// A matrix: a tensor of rank 2 or more whose extents after the first are one row, or a packed pair.
    ///
    /// Errors: `MissingTensor`; `Tensor` if it has another rank, a type that cannot be packed, or a bad packed pair.
    pub fn matrix(&self, name: &str) -> Result<StoredMatrix> {
        let stored = self.find(name).ok_or_else(|| self.missing(name))?;
        let Some(info) = self.tensors.get(&stored) else {
            return self.packed_matrix(&stored);
        };
        let dtype = raw_dtype(&stored, info)?;
        let [n, row @ ..] = info.shape.as_slice() else {
            return Err(tensor_error(&info.file, &stored, "is a number, expected a matrix"));
        };
        if row.is_empty() {
            return Err(tensor_error(
                &info.file,
                &stored,
                format!("is a vector {:?}, expected a matrix", info.shape),
            ));
        }
        Ok(StoredMatrix::Raw {
            info: info.clone(),
            dtype,
            n: *n,
            k: row.iter().product(),
        })
    }

    fn packed_matrix(&self, name: &str) -> Result<StoredMatrix> {
        let packed_name = packed_name(name);
        let packed = self.tensors.get(&packed_name).ok_or_else(|| self.missing(name))?;
        let fail = |message: String| tensor_error(&packed.file, &packed_name, message);
        let key = metadata_key(name);
        let stated = self
            .metadata
            .get(&key)
            .ok_or_else(|| fail(format!("is packed, but the file's metadata has no {key:?}")))?;
        let (format, k) =
            parse_packing(stated).ok_or_else(|| fail(format!("is packed as {stated:?}; supported: \"q4 K\", \"q8 K\"")))?;
        let scale_name = scale_name(name);
        let scale = self
            .tensors
            .get(&scale_name)
            .ok_or_else(|| fail(format!("is packed, but {scale_name} is missing")))?;
        let n = packed.shape.first().copied().unwrap_or_default();
        let words = k_padded(k) * format.bits() / 32;
        let types_fit = matches!(packed.dtype, Dtype::U32 | Dtype::I32) && scale.dtype == Dtype::F16;
        if !types_fit || packed.shape != [n, words] || scale.shape != [n, k_padded(k) / GROUP] {
            return Err(fail(format!(
                "is {:?} {:?} with scales {:?} {:?}; {stated:?} needs U32 [n, {words}] and F16 [n, {}]",
                packed.dtype,
                packed.shape,
                scale.dtype,
                scale.shape,
                k_padded(k) / GROUP
            )));
        }
        Ok(StoredMatrix::Packed {
            format,
            packed: packed.clone(),
            scale: scale.clone(),
            n,
            k,
        })
    }

    /// `len` bytes of a tensor from `offset` within it.
    ///
    /// Errors: `File` from the source; `Tensor` if the range leaves the tensor.
    pub async fn read(&self, info: &TensorInfo, offset: u64, len: usize) -> Result<Vec<u8>> {
        if offset.checked_add(len as u64).is_none_or(|end| end > info.size) {
            let message = format!("has {} bytes; {len} from {offset} were asked for", info.size);
            return Err(file_error(&info.file, message));
        }
        if let Some(held) = self.held.get(&info.file) {
            return Ok(held[(info.offset + offset) as usize..][..len].to_vec());
        }
        let bytes = self.source.read(&info.file, info.offset + offset, len).await?;
        if bytes.len() != len {
            let message = format!("{} bytes came for {len} from {offset}", bytes.len());
            return Err(file_error(&info.file, message));
        }
        Ok(bytes)
    }

    /// Raw bytes of rows of a plain tensor; a row is everything below the first extent.
    ///
    /// Errors: as [`Checkpoint::info`] and [`Checkpoint::read`]; `Tensor` if there are fewer rows.
    pub async fn read_rows(&self, name: &str, rows: Range<usize>) -> Result<Vec<u8>> {
        let info = self.info(name)?;
        let n = info.shape.first().copied().unwrap_or(1);
        if rows.start > rows.end || rows.end > n {
            return Err(tensor_error(
                &info.file,
                name,
                format!("has {n} rows; {rows:?} were asked for"),
            ));
        }
        let row_bytes = info.size / n.max(1) as u64;
        let len = rows.len() as u64 * row_bytes;
        self.read(info, rows.start as u64 * row_bytes, len as usize).await
    }

    /// All values of a tensor as f32, packed matrices dequantised (without their padding), in row-major order.
    /// For norms, biases and small tables: the whole tensor is in memory.
    ///
    /// Errors: as [`Checkpoint::matrix`]; `Tensor` if a value is NaN or infinite.
    pub async fn read_f32(&self, name: &str) -> Result<Vec<f32>> {
        let stored = self.find(name).ok_or_else(|| self.missing(name))?;
        if let Some(info) = self.tensors.get(&stored) {
            let dtype = raw_dtype(&stored, info)?;
            let bytes = self.read(info, 0, info.size as usize).await?;
            check_finite(info, &stored, dtype, &bytes, 0)?;
            return Ok(quant::f32_from_raw(dtype, &bytes));
        }
        match self.packed_matrix(&stored)? {
            StoredMatrix::Packed {
                format,
                packed,
                scale,
                n,
                k,
            } => {
                let words = self.read(&packed, 0, packed.size as usize).await?;
                let scales = self.read(&scale, 0, scale.size as usize).await?;
                check_finite(&scale, &scale_name(&stored), RawDType::F16, &scales, 0)?;
                Ok(quant::dequantize(format, &words, &scales, n, k))
            }
            StoredMatrix::Raw { .. } => Err(self.missing(name)),
        }
    }
}

impl fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checkpoint")
            .field("source", &self.source.name())
            .field("n_tensors", &self.tensors.len())
            .finish_non_exhaustive()
    }
}

/// The tensor that holds the words of packed matrix `name`.
pub fn packed_name(name: &str) -> String {
    format!("{name}_packed")
}

/// The tensor that holds the scales of packed matrix `name`.
pub fn scale_name(name: &str) -> String {
    format!("{name}_scale")
}

/// Where the metadata says how `name` is packed.
pub fn metadata_key(name: &str) -> String {
    format!("packed:{name}")
}

/// `q4 768` → (Q4, 768). `k` is bounded so that sizes computed from it cannot overflow.
fn parse_packing(stated: &str) -> Option<(Format, usize)> {
    let (format, k) = stated.split_once(' ')?;
    let format = [Format::Q4, Format::Q8].into_iter().find(|known| known.name() == format)?;
    let k = k.parse::<u32>().ok().filter(|k| (1..=1 << 24).contains(k))?;
    Some((format, k as usize))
}

/// The element type as kernels know it.
///
/// Errors: `Tensor` for any other.
pub(crate) fn raw_dtype(name: &str, info: &TensorInfo) -> Result<RawDType> {
    match info.dtype {
        Dtype::F32 => Ok(RawDType::F32),
        Dtype::F16 => Ok(RawDType::F16),
        Dtype::BF16 => Ok(RawDType::Bf16),
        other => Err(tensor_error(
            &info.file,
            name,
            format!("has type {other:?}; supported: F32, F16, BF16"),
        )),
    }
}

/// Errors: `Tensor` naming the first value that is NaN or infinite; `first` is the index of `bytes`' first value.
/// Returns the largest magnitude.
pub(crate) fn check_finite(info: &TensorInfo, name: &str, dtype: RawDType, bytes: &[u8], first: u64) -> Result<f32> {
    quant::largest_magnitude(dtype, bytes).map_err(|index| {
        let value = quant::f32_from_raw(dtype, &bytes[index * dtype.size_bytes()..][..dtype.size_bytes()])[0];
        let index = first + index as u64;
        let row_len = info.shape.iter().skip(1).product::<usize>().max(1) as u64;
        let place = if info.shape.len() > 1 {
            format!("[{}, {}]", index / row_len, index % row_len)
        } else {
            format!("[{index}]")
        };
        tensor_error(&info.file, name, format!("value {place} is {value}: the weights are damaged"))
    })
}

pub(crate) fn tensor_error(file: &str, tensor: &str, message: impl Into<String>) -> Error {
    Error::Tensor {
        file: file.to_owned(),
        tensor: tensor.to_owned(),
        message: message.into(),
    }
}

#[cfg(test)]
#[path = "checkpoint_tests.rs"]
mod tests;
