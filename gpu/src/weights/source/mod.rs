//! Where a checkpoint's files come from: a folder, memory (embedded models), or the Hugging Face hub.

mod folder;
#[cfg(feature = "hub")]
mod hub;
mod memory;
pub mod repository;
mod tar;
mod zz;

use std::future::Future;
use std::pin::Pin;

pub use self::folder::Folder;
#[cfg(feature = "hub")]
pub use self::hub::{Hub, HubOptions, HubProgress};
pub use self::memory::Memory;
pub use self::tar::Tar;
pub use self::zz::inflated;
pub(crate) use self::zz::read_compressed;
use crate::error::{Error, Result};

/// A future that is `Send` where threads are (natively), boxed.
#[cfg(not(target_arch = "wasm32"))]
pub type SourceFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;
#[cfg(target_arch = "wasm32")]
pub type SourceFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + 'a>>;

/// The files of one checkpoint. Hostile input: every size is checked by the reader.
pub trait Source: Send + Sync {
    /// What a person would call it: `pocket-vl`, a folder, `Qwen/Qwen3-VL-2B-Instruct`.
    fn name(&self) -> &str;

    /// Size of a file in bytes, or `None` if the checkpoint has no such file.
    fn size<'a>(&'a self, file: &'a str) -> SourceFuture<'a, Option<u64>>;

    /// Bytes `offset .. offset + len` of a file.
    ///
    /// Errors: `File` if it is shorter, missing or unreadable.
    fn read<'a>(&'a self, file: &'a str, offset: u64, len: usize) -> SourceFuture<'a, Vec<u8>>;
}

/// Largest text file that is read whole: a tokenizer of 150,000 words has 11 MB.
const MAX_TEXT_BYTES: u64 = 64 << 20;

/// A whole text file (`config.json`, `tokenizer.json`, `chat_template.jinja`), or `None` if there is none.
///
/// Errors: `File` if it is above 64 MiB, unreadable, or not UTF-8.
pub async fn read_text(source: &dyn Source, file: &str) -> Result<Option<String>> {
    let Some(size) = source.size(file).await? else {
        return Ok(None);
    };
    if size > MAX_TEXT_BYTES {
        return Err(file_error(
            file,
            format!("has {size} bytes; a text file of a model has at most {MAX_TEXT_BYTES}"),
        ));
    }
    let bytes = source.read(file, 0, size as usize).await?;
    let text = String::from_utf8(bytes).map_err(|error| file_error(file, format!("is not UTF-8: {}", error.utf8_error())))?;
    Ok(Some(text))
}

pub(crate) fn file_error(file: impl Into<String>, message: impl Into<String>) -> Error {
    Error::File {
        file: file.into(),
        message: message.into(),
    }
}

/// Holds a file name to plain relative paths: no root, no drive, no `..`, no backslash.
///
/// Errors: `File`.
pub(crate) fn check_file_name(file: &str) -> Result<()> {
    let plain = !file.is_empty()
        && !file.contains(['\\', '\0', ':'])
        && file.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
    if plain {
        Ok(())
    } else {
        Err(file_error(file, "is not a file name inside the checkpoint's folder"))
    }
}
