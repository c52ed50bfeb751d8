//! Moves tensors of a checkpoint onto an engine, slice by slice: read, check, upload, pack there, drop.
//!
//! Nothing model-sized is ever in host memory: a slice has at most 32 MiB, and after 64 MiB of uploads the loader waits
//! until the engine has taken them.

use std::collections::BTreeMap;
use std::ops::Range;

use async_channel::Sender;

use super::checkpoint::{Checkpoint, StoredMatrix, check_finite, scale_name, tensor_error};
use super::quant;
use super::safetensors::TensorInfo;
use super::split::split_rows;
use super::{Format, GROUP, Weight, WeightPart, k_padded};
use crate::engine::{Engine, PreparedId};
use crate::error::Result;
use crate::protocol::LoadProgress;
use crate::recording::{Op, RawDType, Recording};
use crate::tensor::{DType, TensorId};

/// Most bytes that are read at once.
const SLICE_BYTES: u64 = 32 << 20;
/// Bytes that may be on their way to the engine before the loader waits for it.
const IN_FLIGHT_BYTES: u64 = 64 << 20;

/// Loads the tensors of one checkpoint onto one engine. What it needs for packing is kept between tensors and freed when it
/// is dropped.
pub struct Loader<'a, E: Engine + ?Sized> {
    engine: &'a mut E,
    checkpoint: &'a Checkpoint,
    progress: Option<Sender<LoadProgress>>,
    done_bytes: u64,
    total_bytes: u64,
    in_flight_bytes: u64,
    slice_bytes: u64,
    /// Raw bytes, packed words and scales of the slice in work.
    staging: [Option<Staging>; 3],
    /// Recordings that pack the staged slice, by shape; they hold only as long as the staging tensors do.
    packers: BTreeMap<PackerKey, PreparedId>,
}

#[derive(Clone, Copy)]
struct Staging {
    tensor: TensorId,
    size_bytes: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct PackerKey {
    dtype_bytes: usize,
    bf16: bool,
    format_bits: usize,
    n_rows: usize,
    k: usize,
}

/// A matrix whose raw values are packed on the engine.
struct RawMatrix<'m> {
    name: &'m str,
    info: &'m TensorInfo,
    dtype: RawDType,
    k: usize,
    format: Format,
}

impl<'a, E: Engine + ?Sized> Loader<'a, E> {
    /// `progress` is told of every slice; a full channel misses some.
    pub fn new(engine: &'a mut E, checkpoint: &'a Checkpoint, progress: Option<Sender<LoadProgress>>) -> Self {
        Self {
            engine,
            checkpoint,
            progress,
            done_bytes: 0,
            total_bytes: checkpoint.total_bytes(),
            in_flight_bytes: 0,
            slice_bytes: SLICE_BYTES,
            staging: [None; 3],
            packers: BTreeMap::new(),
        }
    }

    pub fn engine(&mut self) -> &mut E {
        self.engine
    }

    pub fn checkpoint(&self) -> &'a Checkpoint {
        self.checkpoint
    }

    /// Loads a matrix, or its rows `rows`, in `format`. A matrix that the checkpoint stores packed keeps its own format:
    /// it is not rounded twice.
    ///
    /// Errors: those of [`Checkpoint::matrix`]; `Tensor` for rows that are not there, NaN, infinity, and values that the
    /// format cannot hold; those of the engine. Nothing stays on the engine then.
    pub async fn matrix(&mut self, name: &str, format: Format, rows: Option<Range<usize>>) -> Result<Weight> {
        let stored = self.checkpoint.matrix(name)?;
        let (n, k) = stored.extents();
        let rows = rows.unwrap_or(0..n);
        let (format, file) = match &stored {
            StoredMatrix::Raw { info, .. } => (format, &info.file),
            StoredMatrix::Packed { format, packed, .. } => (*format, &packed.file),
        };
        if rows.start > rows.end || rows.end > n {
            return Err(tensor_error(file, name, format!("has {n} rows; {rows:?} were asked for")));
        }
        let mut weight = Weight {
            name: name.to_owned(),
            format,
            n: rows.len(),
            k,
            parts: Vec::new(),
        };
        match self.fill(&mut weight, &stored, rows.start).await {
            Ok(()) => Ok(weight),
            Err(error) => {
                release(self.engine, &weight);
                Err(error)
            }
        }
    }

    /// Loads a norm, a bias or a small table as f32, with its number of values.
    ///
    /// Errors: as [`Checkpoint::read_f32`], and those of the engine.
    pub async fn dense_f32(&mut self, name: &str) -> Result<(TensorId, usize)> {
        let values = self.checkpoint.read_f32(name).await?;
        let bytes: &[u8] = bytemuck::cast_slice(&values);
        let tensor = self.engine.create(name, bytes.len() as u64)?;
        if let Err(error) = self.engine.write(tensor, 0, bytes) {
            self.engine.release(tensor);
            return Err(error);
        }
        let stored_bytes = self.checkpoint.stored_bytes(name);
        if let Err(error) = self.uploaded(name, stored_bytes, tensor, bytes.len() as u64).await {
            self.engine.release(tensor);
            return Err(error);
        }
        Ok((tensor, values.len()))
    }

    /// Loads a vector of `len` values as f32.
    ///
    /// Errors: as [`Loader::dense_f32`]; `Tensor` if it has another length.
    pub async fn vector(&mut self, name: &str, len: usize) -> Result<TensorId> {
        let info = self.checkpoint.info(name)?;
        if info.shape != [len] {
            return Err(tensor_error(
                &info.file,
                name,
                format!("is {:?}, expected [{len}]", info.shape),
            ));
        }
        Ok(self.dense_f32(name).await?.0)
    }

    /// Makes the parts of `weight` and fills them from rows `first_row ..` of what is stored.
    async fn fill(&mut self, weight: &mut Weight, stored: &StoredMatrix, first_row: usize) -> Result<()> {
        let (format, k) = (weight.format, weight.k);
        for rows in split_rows(format, weight.n, k, self.engine.adapter())? {
            let packed = self.engine.create(&weight.name, format.packed_bytes(rows.len(), k))?;
            // Known to `weight` before anything else can fail, so that it is freed then.
            weight.parts.push(WeightPart {
                first_row: rows.start,
                n_rows: rows.len(),
                packed,
                scales: None,
            });
            let scales = if format.has_scales() {
                Some(self.engine.create(&weight.name, format.scale_bytes(rows.len(), k))?)
            } else {
                None
            };
            let part = WeightPart {
                first_row: rows.start,
                n_rows: rows.len(),
                packed,
                scales,
            };
            if let Some(last) = weight.parts.last_mut() {
                *last = part.clone();
            }
            let from = first_row + rows.start;
            match stored {
                StoredMatrix::Raw { info, dtype, .. } => {
                    let matrix = RawMatrix {
                        name: &weight.name,
                        info,
                        dtype: *dtype,
                        k,
                        format,
                    };
                    self.pack_part(&matrix, &part, from).await?;
                }
                StoredMatrix::Packed { packed, scale, .. } => {
                    let row_bytes = format.packed_bytes(1, k);
                    self.upload(&weight.name, packed, row_bytes, from, part.n_rows, part.packed, None)
                        .await?;
                    if let Some(scales) = part.scales {
                        let row_bytes = (k_padded(k) / GROUP * 2) as u64;
                        let check = Some(scale_name(&weight.name));
                        self.upload(&weight.name, scale, row_bytes, from, part.n_rows, scales, check.as_deref())
                            .await?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Packs rows `from ..` of a raw matrix into `part`, on the engine.
    async fn pack_part(&mut self, matrix: &RawMatrix<'_>, part: &WeightPart, from: usize) -> Result<()> {
        let row_bytes = (matrix.k * matrix.dtype.size_bytes()) as u64;
        if row_bytes == 0 {
            return Ok(());
        }
        let step = self.rows_a_slice(row_bytes, matrix.format.packed_bytes(1, matrix.k), part.n_rows);
        let format = matrix.format;
        for first in (0..part.n_rows).step_by(step) {
            let n_rows = step.min(part.n_rows - first);
            let offset = (from + first) as u64 * row_bytes;
            let mut bytes = self.checkpoint.read(matrix.info, offset, n_rows * row_bytes as usize).await?;
            let first_index = ((from + first) * matrix.k) as u64;
            let largest = check_finite(matrix.info, matrix.name, matrix.dtype, &bytes, first_index)?;
            if largest > quant::max_magnitude(format) {
                let message = format!("holds {largest}, which {} cannot; load it as f32", format.name());
                return Err(tensor_error(&matrix.info.file, matrix.name, message));
            }
            let stored_bytes = bytes.len() as u64;
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            let packed_bytes = format.packed_bytes(n_rows, matrix.k);
            let scale_bytes = format.scale_bytes(n_rows, matrix.k);
            let raw = self.stage(0, bytes.len() as u64)?;
            let packed = self.stage(1, packed_bytes)?;
            let scales = if format.has_scales() {
                Some(self.stage(2, scale_bytes)?)
            } else {
                None
            };
            self.engine.write(raw, 0, &bytes)?;
            drop(bytes);
            let packer = self.packer(matrix, n_rows, raw, packed, scales)?;
            self.engine.play(packer)?;
            // `step` is even, so scales begin at whole words.
            let packed_at = format.packed_bytes(first, matrix.k);
            self.engine.copy(packed, 0, part.packed, packed_at, packed_bytes)?;
            if let (Some(from), Some(to)) = (scales, part.scales) {
                let scales_at = format.scale_bytes(first, matrix.k);
                self.engine.copy(from, 0, to, scales_at, scale_bytes)?;
            }
            self.uploaded(matrix.name, stored_bytes, part.packed, stored_bytes).await?;
        }
        Ok(())
    }

    /// Copies rows as they are stored; `check` names them if they are f16 that must be finite.
    #[expect(clippy::too_many_arguments, reason = "one caller, twice; a struct would say it again")]
    async fn upload(
        &mut self,
        name: &str,
        info: &TensorInfo,
        row_bytes: u64,
        from: usize,
        n_rows: usize,
        to: TensorId,
        check: Option<&str>,
    ) -> Result<()> {
        let step = self.rows_a_slice(row_bytes, row_bytes, n_rows);
        for first in (0..n_rows).step_by(step) {
            let n = step.min(n_rows - first);
            let start = (from + first) as u64 * row_bytes;
            let mut bytes = self.checkpoint.read(info, start, n * row_bytes as usize).await?;
            if let Some(check) = check {
                check_finite(info, check, RawDType::F16, &bytes, start / 2)?;
            }
            let stored_bytes = bytes.len() as u64;
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            self.engine.write(to, first as u64 * row_bytes, &bytes)?;
            self.uploaded(name, stored_bytes, to, stored_bytes).await?;
        }
        Ok(())
    }

    /// Rows of a slice: an even number, at least 2, as many as fit both the slice and a binding.
    fn rows_a_slice(&self, row_bytes: u64, packed_row_bytes: u64, n_rows: usize) -> usize {
        let limit = self.slice_bytes.min(self.engine.adapter().max_binding_bytes);
        let rows = (limit / row_bytes.max(packed_row_bytes).max(1)).min(n_rows as u64 + 1) as usize;
        (rows & !1).max(2)
    }

    /// The staging tensor `slot`, at least `size_bytes` long.
    fn stage(&mut self, slot: usize, size_bytes: u64) -> Result<TensorId> {
        if let Some(staging) = self.staging[slot] {
            if staging.size_bytes >= size_bytes {
                return Ok(staging.tensor);
            }
            self.free_staging(slot);
        }
        let size_bytes = size_bytes.next_power_of_two().max(4);
        let size_bytes = size_bytes.min(self.engine.adapter().max_buffer_bytes & !3).max(4);
        let name = ["staging.raw", "staging.packed", "staging.scales"][slot];
        let tensor = self.engine.create(name, size_bytes)?;
        self.staging[slot] = Some(Staging { tensor, size_bytes });
        Ok(tensor)
    }

    fn free_staging(&mut self, slot: usize) {
        for (_, packer) in std::mem::take(&mut self.packers) {
            self.engine.discard(packer);
        }
        if let Some(staging) = self.staging[slot].take() {
            self.engine.release(staging.tensor);
        }
    }

    /// The recording that packs a staged slice of this shape.
    fn packer(
        &mut self,
        matrix: &RawMatrix<'_>,
        n_rows: usize,
        raw: TensorId,
        packed: TensorId,
        scales: Option<TensorId>,
    ) -> Result<PreparedId> {
        let key = PackerKey {
            dtype_bytes: matrix.dtype.size_bytes(),
            bf16: matrix.dtype == RawDType::Bf16,
            format_bits: matrix.format.bits(),
            n_rows,
            k: matrix.k,
        };
        if let Some(&prepared) = self.packers.get(&key) {
            return Ok(prepared);
        }
        let words = |size_bytes: u64| [(size_bytes / 4) as usize];
        let raw_bytes = (n_rows * matrix.k * matrix.dtype.size_bytes()).next_multiple_of(4) as u64;
        let mut rec = Recording::new("quantize");
        let src = rec.bind(raw, DType::U32, words(raw_bytes));
        let packed = rec.bind(packed, DType::U32, words(matrix.format.packed_bytes(n_rows, matrix.k)));
        let scales = scales.map(|scales| rec.bind(scales, DType::U32, words(matrix.format.scale_bytes(n_rows, matrix.k))));
        rec.ops.push(Op::Quantize {
            src,
            src_dtype: matrix.dtype,
            n_rows,
            k: matrix.k,
            format: matrix.format,
            packed,
            scales,
        });
        let prepared = self.engine.prepare(rec)?;
        self.packers.insert(key, prepared);
        Ok(prepared)
    }

    /// Tells of progress, and waits when too much is on its way.
    async fn uploaded(&mut self, name: &str, stored_bytes: u64, tensor: TensorId, written: u64) -> Result<()> {
        self.done_bytes += stored_bytes;
        if let Some(progress) = &self.progress {
            // A reader that is slow or gone does not hold up loading.
            let _ = progress.try_send(LoadProgress {
                tensor: name.to_owned(),
                done_bytes: self.done_bytes,
                total_bytes: self.total_bytes,
            });
        }
        self.in_flight_bytes += written;
        if self.in_flight_bytes >= IN_FLIGHT_BYTES {
            self.in_flight_bytes = 0;
            // A read ends after everything that was queued before it.
            self.engine.read(tensor, 0, 4).await?;
        }
        Ok(())
    }
}

impl<E: Engine + ?Sized> Drop for Loader<'_, E> {
    fn drop(&mut self) {
        for slot in 0..self.staging.len() {
            self.free_staging(slot);
        }
    }
}

/// Frees a weight's tensors.
pub fn release<E: Engine + ?Sized>(engine: &mut E, weight: &Weight) {
    for part in &weight.parts {
        engine.release(part.packed);
        if let Some(scales) = part.scales {
            engine.release(scales);
        }
    }
}

/// Loads one matrix with a [`Loader`] of its own; for tests and single weights.
///
/// Errors: as [`Loader::matrix`].
pub async fn load_matrix<E: Engine + ?Sized>(
    engine: &mut E,
    checkpoint: &Checkpoint,
    name: &str,
    format: Format,
    rows: Option<Range<usize>>,
    progress: Option<Sender<LoadProgress>>,
) -> Result<Weight> {
    Loader::new(engine, checkpoint, progress).matrix(name, format, rows).await
}

#[cfg(test)]
#[path = "loader_tests.rs"]
mod tests;
