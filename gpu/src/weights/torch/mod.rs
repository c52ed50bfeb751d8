//! The tensors of a checkpoint that `torch.save` wrote: a zip archive whose `data.pkl` says what lies in which of its
//! entries `data/KEY`. Tensors are read in place; only those whose elements do not lie in order are put in order first.

mod pickle;
mod zip;

use std::collections::BTreeMap;

use self::pickle::Tensor;
use self::zip::Zip;
use super::safetensors::TensorInfo;
use super::source::{Source, file_error};
use crate::error::{Error, Result};

/// A description of 10,000 tensors has 2 MB.
const MAX_PICKLE_BYTES: u64 = 32 << 20;
const MAX_RANK: usize = 8;
/// What is put in order is in memory: small tensors only.
const MAX_GATHERED_BYTES: u64 = 64 << 20;

/// What a file of torch holds.
#[derive(Default)]
pub struct TorchFile {
    pub tensors: BTreeMap<String, TensorInfo>,
    /// Bytes of tensors that were put in order, under the file name that their [`TensorInfo`] has.
    pub gathered: BTreeMap<String, Vec<u8>>,
}

/// Reads and checks the description in `file`.
///
/// Errors: `File` and `Tensor`, whatever is wrong: no zip, compressed, opcodes that torch does not write, sizes that do not
/// fit.
pub async fn read(source: &dyn Source, file: &str) -> Result<TorchFile> {
    let size = source
        .size(file)
        .await?
        .ok_or_else(|| file_error(file, format!("is missing in {}", source.name())))?;
    let zip = Zip::open(source, file, size).await?;
    let mut described = zip.names().filter(|name| *name == "data.pkl" || name.ends_with("/data.pkl"));
    let (Some(pickle), None) = (described.next(), described.next()) else {
        return Err(file_error(
            file,
            "has not exactly one entry data.pkl: it is no checkpoint of torch",
        ));
    };
    let prefix = pickle.strip_suffix("data.pkl").unwrap_or_default().to_owned();
    let (offset, bytes) = zip.range(pickle).await?.unwrap_or_default();
    if bytes > MAX_PICKLE_BYTES {
        return Err(file_error(
            file,
            format!("has a description of {bytes} bytes, at most {MAX_PICKLE_BYTES} are read"),
        ));
    }
    if let Some((offset, bytes)) = zip.range(&format!("{prefix}byteorder")).await? {
        let order = source.read(file, offset, bytes.min(16) as usize).await?;
        if order != b"little" {
            return Err(file_error(file, "holds big-endian numbers, which are not supported"));
        }
    }
    let pickle = source.read(file, offset, bytes as usize).await?;
    let described = pickle::tensors(&pickle).map_err(|fault| file_error(file, fault))?;
    drop(pickle);
    let mut torch = TorchFile::default();
    let mut gathered_bytes = 0;
    let mut entries = BTreeMap::new();
    for (name, tensor) in described {
        let fail = |message: String| Error::Tensor {
            file: file.to_owned(),
            tensor: name.clone(),
            message,
        };
        let entry = format!("{prefix}data/{}", tensor.key);
        let entry = match entries.get(&entry) {
            Some(&range) => range,
            None => {
                let range = zip.range(&entry).await?;
                let range = range.ok_or_else(|| fail(format!("lies in {entry}, which is missing")))?;
                entries.insert(entry, range);
                range
            }
        };
        let placed = place(&tensor, entry).map_err(fail)?;
        let mut info = TensorInfo {
            file: file.to_owned(),
            dtype: tensor.dtype,
            shape: placed.shape,
            offset: placed.offset,
            size: placed.size,
        };
        if !placed.in_order {
            gathered_bytes += placed.span.max(placed.size);
            if gathered_bytes > MAX_GATHERED_BYTES {
                return Err(fail(format!(
                    "is stored out of order ({:?}), with too many others to put them in order",
                    tensor.strides
                )));
            }
            let stored = source.read(file, placed.offset, placed.span as usize).await?;
            info.file = format!("{file}#{name}");
            info.offset = 0;
            torch.gathered.insert(info.file.clone(), in_order(&tensor, &stored));
        }
        torch.tensors.insert(name, info);
    }
    Ok(torch)
}

struct Placed {
    shape: Vec<usize>,
    /// In the file, in bytes.
    offset: u64,
    size: u64,
    /// Bytes from the first element to the last.
    span: u64,
    in_order: bool,
}

/// Holds a tensor to the entry `(offset, size)` that it lies in.
fn place(tensor: &Tensor, (offset, bytes): (u64, u64)) -> std::result::Result<Placed, String> {
    let element = tensor.dtype.bitsize() as u64 / 8;
    let too_large = || format!("is too large: {:?} by {:?}", tensor.shape, tensor.strides);
    if tensor.shape.len() > MAX_RANK || tensor.shape.len() != tensor.strides.len() {
        return Err(format!("has extents {:?} and strides {:?}", tensor.shape, tensor.strides));
    }
    if tensor.storage_len.checked_mul(element) != Some(bytes) {
        return Err(format!(
            "lies in {bytes} bytes, which are not {} values of {:?}",
            tensor.storage_len, tensor.dtype
        ));
    }
    // An extent of 0 hides what the others come to, and a reader multiplies some of them.
    let product = |least: u64| {
        let extents = tensor.shape.iter().map(|&extent| extent.max(least));
        extents.into_iter().try_fold(element, u64::checked_mul)
    };
    product(1)
        .filter(|&size| usize::try_from(size).is_ok())
        .ok_or_else(too_large)?;
    let size = product(0).ok_or_else(too_large)?;
    let mut last = 0u64;
    let mut expected_stride = 1u64;
    let mut in_order = true;
    for (&extent, &stride) in tensor.shape.iter().zip(&tensor.strides).rev() {
        if extent > 1 {
            in_order &= stride == expected_stride;
            let reach = (extent - 1).checked_mul(stride).ok_or_else(too_large)?;
            last = last.checked_add(reach).ok_or_else(too_large)?;
        }
        expected_stride = expected_stride.saturating_mul(extent.max(1));
    }
    let span = if size == 0 { Some(0) } else { last.checked_add(1) };
    let end = span.and_then(|span| tensor.offset.checked_add(span)).ok_or_else(too_large)?;
    if end > tensor.storage_len {
        return Err(format!("ends at value {end} of a storage of {}", tensor.storage_len));
    }
    Ok(Placed {
        shape: tensor.shape.iter().map(|&extent| extent as usize).collect(),
        offset: offset + tensor.offset * element,
        size,
        span: span.unwrap_or(0) * element,
        in_order: in_order || size == 0,
    })
}

/// The elements in row-major order; `stored` begins with the first.
fn in_order(tensor: &Tensor, stored: &[u8]) -> Vec<u8> {
    let element = tensor.dtype.bitsize() / 8;
    let n: u64 = tensor.shape.iter().product();
    let mut ordered = Vec::with_capacity(n as usize * element);
    for i in 0..n {
        let mut rest = i;
        let mut at = 0;
        for (&extent, &stride) in tensor.shape.iter().zip(&tensor.strides).rev() {
            at += rest % extent * stride;
            rest /= extent;
        }
        ordered.extend_from_slice(&stored[at as usize * element..][..element]);
    }
    ordered
}

#[cfg(test)]
mod tests;
