//! The header of a safetensors file, checked against everything a hostile file can say. Reads no tensor.
//!
//! A file is `u64 header length (little endian) · header (JSON) · data`. The header maps a name to
//! `{dtype, shape, data_offsets: [begin, end)}` relative to the data; `__metadata__` maps strings to strings.
//! Source: <https://github.com/huggingface/safetensors#format>.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use ::safetensors::Dtype;
use serde::Deserialize;
use serde::de::value::{Error as ValueError, StrDeserializer};
use serde::de::{Deserializer, IntoDeserializer, MapAccess, Visitor};

use super::source::{Source, file_error};
use crate::error::{Error, Result};

/// Longest header that is read; the format's own limit.
pub const MAX_HEADER_BYTES: u64 = 100_000_000;
/// Most extents of a tensor; convolutions over video have five.
const MAX_RANK: usize = 8;

/// Where a tensor lies, and what it is. Checked: `size` fits shape and type, and the range lies in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    pub file: String,
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    /// From the start of the file, in bytes.
    pub offset: u64,
    /// In bytes.
    pub size: u64,
}

/// A checked header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    pub metadata: BTreeMap<String, String>,
    pub tensors: BTreeMap<String, TensorInfo>,
}

/// Reads and checks the header of `file`.
///
/// Errors: `File` and `Tensor`, whatever is wrong; see [`parse_header`].
pub async fn read_header(source: &dyn Source, file: &str) -> Result<Header> {
    let size = source
        .size(file)
        .await?
        .ok_or_else(|| file_error(file, format!("is missing in {}", source.name())))?;
    let prefix = source.read(file, 0, size.min(8) as usize).await?;
    let header_bytes = header_length(file, &prefix, size)?;
    let json = source.read(file, 8, header_bytes).await?;
    parse_header(file, &json, size)
}

/// The header of a file that is in memory.
///
/// Errors: as [`read_header`].
pub fn header_of(file: &str, bytes: &[u8]) -> Result<Header> {
    let size = bytes.len() as u64;
    let json_bytes = header_length(file, bytes, size)?;
    parse_header(file, &bytes[8..][..json_bytes], size)
}

/// The length that the first 8 bytes state, checked against the file's `size`.
///
/// Errors: `File` if the file is shorter than 8 bytes, or the length is above [`MAX_HEADER_BYTES`] or the file.
pub fn header_length(file: &str, prefix: &[u8], size: u64) -> Result<usize> {
    let Some(prefix) = prefix.first_chunk::<8>() else {
        return Err(file_error(
            file,
            format!("is truncated: {size} bytes, a safetensors header needs 8"),
        ));
    };
    let length = u64::from_le_bytes(*prefix);
    if length > MAX_HEADER_BYTES {
        return Err(file_error(
            file,
            format!("states a header of {length} bytes, at most {MAX_HEADER_BYTES} are allowed; is it a safetensors file?"),
        ));
    }
    if length > size - 8 {
        return Err(file_error(
            file,
            format!("is truncated: its header has {length} bytes, the file {size}"),
        ));
    }
    Ok(length as usize)
}

/// Checks a header's JSON for a file of `size` bytes: types known, shapes and sizes agree, ranges lie in the file, cover
/// its data without holes or overlaps, no name occurs twice.
///
/// Errors: `File` for the file as a whole, `Tensor` where one is at fault.
pub fn parse_header(file: &str, json: &[u8], size: u64) -> Result<Header> {
    let raw: RawHeader =
        serde_json::from_slice(json).map_err(|error| file_error(file, format!("has a bad safetensors header: {error}")))?;
    let data_start = 8 + json.len() as u64;
    let data_bytes = size
        .checked_sub(data_start)
        .ok_or_else(|| file_error(file, format!("is truncated: {size} bytes, its header ends at {data_start}")))?;
    let mut tensors = BTreeMap::new();
    for (name, entry) in raw.tensors {
        let info = check_entry(file, &name, &entry, data_start, data_bytes)?;
        tensors.insert(name, info);
    }
    check_layout(file, &tensors, data_start, size)?;
    Ok(Header {
        metadata: raw.metadata,
        tensors,
    })
}

fn check_entry(file: &str, name: &str, entry: &RawEntry, data_start: u64, data_bytes: u64) -> Result<TensorInfo> {
    let fail = |message: String| Error::Tensor {
        file: file.to_owned(),
        tensor: name.to_owned(),
        message,
    };
    let name_of_type: StrDeserializer<'_, ValueError> = entry.dtype.as_str().into_deserializer();
    let dtype = Dtype::deserialize(name_of_type).map_err(|_| fail(format!("has the unknown type {:?}", entry.dtype)))?;
    let (begin, end) = entry.data_offsets;
    if begin > end {
        return Err(fail(format!("begins at {begin} after its end {end}")));
    }
    if end > data_bytes {
        return Err(fail(format!(
            "ends at byte {end} of the data, which has {data_bytes}: the file is truncated"
        )));
    }
    if entry.shape.len() > MAX_RANK {
        return Err(fail(format!(
            "has {} extents, at most {MAX_RANK} are supported",
            entry.shape.len()
        )));
    }
    let times = |bits: u64, extent: u64| bits.checked_mul(extent);
    let bits_of_one = dtype.bitsize() as u64;
    let bits = entry.shape.iter().try_fold(bits_of_one, |bits, &extent| times(bits, extent));
    // An extent of 0 hides what the others come to, and a reader multiplies some of them.
    let rest_fits = entry
        .shape
        .iter()
        .try_fold(bits_of_one, |bits, &extent| times(bits, extent.max(1)))
        .is_some();
    if !rest_fits || bits.is_none_or(|bits| bits % 8 != 0 || bits / 8 != end - begin) {
        return Err(fail(format!(
            "has {} bytes, which is not the size of {} {:?}",
            end - begin,
            entry.dtype,
            entry.shape
        )));
    }
    let shape = entry
        .shape
        .iter()
        .map(|&extent| usize::try_from(extent))
        .collect::<std::result::Result<_, _>>()
        .map_err(|_| fail(format!("is too large for this machine: {:?}", entry.shape)))?;
    Ok(TensorInfo {
        file: file.to_owned(),
        dtype,
        shape,
        offset: data_start + begin,
        size: end - begin,
    })
}

/// The ranges, in order, must follow each other from the start of the data to the end of the file.
fn check_layout(file: &str, tensors: &BTreeMap<String, TensorInfo>, data_start: u64, size: u64) -> Result<()> {
    let mut ranges: Vec<_> = tensors
        .iter()
        .map(|(name, info)| (info.offset, info.offset + info.size, name))
        .collect();
    ranges.sort_unstable();
    let mut at = data_start;
    for (begin, end, name) in ranges {
        if begin != at {
            let what = if begin < at {
                "overlaps the tensor before it"
            } else {
                "follows a hole"
            };
            return Err(Error::Tensor {
                file: file.to_owned(),
                tensor: name.clone(),
                message: format!("{what}: it begins at byte {begin} of the file, expected {at}"),
            });
        }
        at = end;
    }
    if at != size {
        return Err(file_error(file, format!("has {size} bytes, its tensors end at {at}")));
    }
    Ok(())
}

/// The header as it is written.
#[derive(Debug, Default)]
struct RawHeader {
    metadata: BTreeMap<String, String>,
    tensors: Vec<(String, RawEntry)>,
}

#[derive(Debug, Deserialize)]
struct RawEntry {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

impl<'de> Deserialize<'de> for RawHeader {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_map(HeaderVisitor)
    }
}

/// A map type would keep the last of two equal names without a word, so the entries are collected by hand.
struct HeaderVisitor;

impl<'de> Visitor<'de> for HeaderVisitor {
    type Value = RawHeader;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<RawHeader, A::Error> {
        use serde::de::Error as _;
        let mut header = RawHeader::default();
        let mut names = BTreeSet::new();
        while let Some(name) = map.next_key::<String>()? {
            if !names.insert(name.clone()) {
                return Err(A::Error::custom(format!("{name:?} occurs twice")));
            }
            if name == "__metadata__" {
                header.metadata = map.next_value()?;
            } else {
                header.tensors.push((name, map.next_value()?));
            }
        }
        Ok(header)
    }
}

#[cfg(test)]
#[path = "safetensors_tests.rs"]
mod tests;
