//! Any bytes as a checkpoint: opening, finding and reading must end in values or an error.
#![no_main]

use std::borrow::Cow;
use std::sync::Arc;

use futures::executor::block_on;
use gpu::weights::Checkpoint;
use gpu::weights::checkpoint::{INDEX_FILE, SINGLE_FILE};
use gpu::weights::source::Memory;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let files = match bytes.first() {
        // The header's text up to a zero byte, then the data: the length is right, so that the rest is reached.
        Some(b'{') => {
            let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
            let data = bytes.get(end + 1..).unwrap_or_default();
            vec![(SINGLE_FILE, [&(end as u64).to_le_bytes()[..], &bytes[..end], data].concat())]
        }
        // An index, beside a shard without tensors.
        Some(b'#') => vec![
            (INDEX_FILE, bytes[1..].to_vec()),
            ("m.safetensors", b"\x02\0\0\0\0\0\0\0{}".to_vec()),
        ],
        _ => vec![(SINGLE_FILE, bytes.to_vec())],
    };
    let files = files.into_iter().map(|(name, bytes)| (name.to_owned(), Cow::Owned(bytes)));
    let Ok(checkpoint) = block_on(Checkpoint::open(Arc::new(Memory::new("fuzz", files)))) else {
        return;
    };
    let mut names: Vec<String> = checkpoint.tensors().keys().cloned().collect();
    names.push("model.language_model.norm.weight".to_owned());
    for name in names {
        for name in [name.as_str(), name.strip_suffix("_packed").unwrap_or(&name)] {
            let _ = checkpoint.find(name);
            let _ = checkpoint.info(name);
            let _ = block_on(checkpoint.read_rows(name, 0..1));
            if let (Ok(matrix), Ok(values)) = (checkpoint.matrix(name), block_on(checkpoint.read_f32(name))) {
                let (n, k) = matrix.extents();
                assert_eq!(values.len(), n * k);
            }
        }
    }
});
