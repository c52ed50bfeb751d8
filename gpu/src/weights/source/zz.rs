//! Files that lie compressed: `NAME.zz` holds the zlib stream of `NAME`, as `models/zz.py` writes it. So do models that travel with
//! the program; they are small enough to be in memory whole.

use miniz_oxide::inflate::{TINFLStatus, decompress_to_vec_zlib_with_limit};

use super::{Source, file_error};
use crate::error::Result;

/// What the name of a compressed file ends with.
const ENDING: &str = ".zz";
/// The most that a compressed file of a checkpoint may hold.
const MAX_BYTES: usize = 64 << 20;

/// What a zlib stream holds. Takes no more memory than `max_bytes`, however much the stream says that it is.
///
/// Errors: what is wrong with it.
pub fn inflated(stream: &[u8], max_bytes: usize) -> Result<Vec<u8>, &'static str> {
    let mut bytes = decompress_to_vec_zlib_with_limit(stream, max_bytes).map_err(|error| match error.status {
        TINFLStatus::HasMoreOutput => "is compressed, and holds more than is allowed",
        TINFLStatus::FailedCannotMakeProgress => "is compressed, and truncated",
        _ => "is compressed, and damaged",
    })?;
    bytes.shrink_to_fit();
    Ok(bytes)
}

/// A file of a checkpoint that lies there compressed; `None` if there is none.
///
/// Errors: `File` if it cannot be read, is damaged, or holds more than 64 MiB.
pub(crate) async fn read_compressed(source: &dyn Source, file: &str) -> Result<Option<Vec<u8>>> {
    let file = file.to_owned() + ENDING;
    let Some(size) = source.size(&file).await? else {
        return Ok(None);
    };
    if size > MAX_BYTES as u64 {
        return Err(file_error(file, format!("has {size} bytes, at most {MAX_BYTES} are read")));
    }
    let stream = source.read(&file, 0, size as usize).await?;
    let bytes = inflated(&stream, MAX_BYTES).map_err(|fault| file_error(file, fault))?;
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten zeros.
    const ZEROS: [u8; 11] = [0x78, 0xda, 0x63, 0x60, 0x80, 0x01, 0x00, 0x00, 0x0a, 0x00, 0x01];

    #[test]
    fn a_stream_is_inflated_up_to_its_bound() {
        assert_eq!(inflated(&ZEROS, 10), Ok(vec![0; 10]));
        for (stream, max_bytes, fault) in [
            (&ZEROS[..], 9, "more than is allowed"),
            (&ZEROS[..7], 10, "truncated"),
            (&ZEROS[1..], 10, "damaged"),
            (b"", 10, "truncated"),
        ] {
            let error = inflated(stream, max_bytes).unwrap_err();
            assert!(error.contains(fault), "{stream:?}: {error}");
        }
    }
}
