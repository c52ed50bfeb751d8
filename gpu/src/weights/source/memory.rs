//! A checkpoint in memory: models that are embedded in the program, and tests.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::{Source, SourceFuture, file_error};
use crate::error::Result;

/// Files as named byte slices.
#[derive(Clone, Debug)]
pub struct Memory {
    name: String,
    files: BTreeMap<String, Cow<'static, [u8]>>,
}

impl Memory {
    /// A later file of the same name replaces an earlier one.
    pub fn new(name: impl Into<String>, files: impl IntoIterator<Item = (String, Cow<'static, [u8]>)>) -> Self {
        Self {
            name: name.into(),
            files: files.into_iter().collect(),
        }
    }

    fn range(&self, file: &str, offset: u64, len: usize) -> Result<&[u8]> {
        let bytes = self
            .files
            .get(file)
            .ok_or_else(|| file_error(file, format!("is missing in {}", self.name)))?;
        usize::try_from(offset)
            .ok()
            .and_then(|start| bytes.get(start..start.checked_add(len)?))
            .ok_or_else(|| {
                let size = bytes.len();
                file_error(
                    file,
                    format!("is truncated: bytes {offset} to {offset} + {len} were asked for, it has {size}"),
                )
            })
    }
}

impl Source for Memory {
    fn name(&self) -> &str {
        &self.name
    }

    fn size<'a>(&'a self, file: &'a str) -> SourceFuture<'a, Option<u64>> {
        Box::pin(async move { Ok(self.files.get(file).map(|bytes| bytes.len() as u64)) })
    }

    fn read<'a>(&'a self, file: &'a str, offset: u64, len: usize) -> SourceFuture<'a, Vec<u8>> {
        Box::pin(async move { Ok(self.range(file, offset, len)?.to_vec()) })
    }
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;

    use super::*;
    use crate::weights::source::read_text;

    #[test]
    fn reads_ranges_and_texts() {
        let files = [
            ("config.json".to_owned(), Cow::Borrowed(&b"{}"[..])),
            ("bad.txt".to_owned(), Cow::Owned(vec![0xff])),
        ];
        let memory = Memory::new("m", files);
        assert_eq!(block_on(memory.size("config.json")).expect("size"), Some(2));
        assert_eq!(block_on(memory.size("x")).expect("size"), None);
        assert_eq!(block_on(memory.read("config.json", 1, 1)).expect("read"), b"}");
        for (offset, len) in [(1, 2), (3, 0), (u64::MAX, 1), (1, usize::MAX)] {
            assert!(block_on(memory.read("config.json", offset, len)).is_err());
        }
        assert_eq!(
            block_on(read_text(&memory, "config.json")).expect("text").as_deref(),
            Some("{}")
        );
        assert_eq!(block_on(read_text(&memory, "x")).expect("none"), None);
        let error = block_on(read_text(&memory, "bad.txt")).expect_err("not text");
        assert!(error.to_string().contains("UTF-8"), "{error}");
    }
}
