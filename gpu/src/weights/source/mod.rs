//! Where a checkpoint's files come from: a folder, memory (embedded models), or the Hugging Face hub.

use std::future::Future;
use std::pin::Pin;

use crate::error::Result;

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
