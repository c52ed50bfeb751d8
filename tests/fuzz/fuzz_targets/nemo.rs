//! Any bytes as a `.nemo`: an archive, or what lies inside of one. Opening and reading must end in values or an error, and
//! take no more memory than the bytes call for.
#![no_main]

use std::borrow::Cow;
use std::sync::Arc;

use futures::executor::block_on;
use gpu::model::parakeet::config::Config;
use gpu::weights::Checkpoint;
use gpu::weights::checkpoint::TORCH_FILE;
use gpu::weights::source::{Memory, Source, Tar};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let memory = |name: &str| -> Arc<dyn Source> {
        let files = [(name.to_owned(), Cow::Owned(bytes.to_vec()))];
        Arc::new(Memory::new("fuzz", files))
    };
    let tar = block_on(Tar::open(memory("x.nemo"), "x.nemo"));
    let inner = tar.map(|tar| Arc::new(tar) as Arc<dyn Source>).ok();
    for source in [Some(memory(TORCH_FILE)), inner].into_iter().flatten() {
        let Ok(checkpoint) = block_on(Checkpoint::open(source)) else {
            continue;
        };
        let names: Vec<String> = checkpoint.tensors().keys().cloned().collect();
        for name in names {
            if let (Ok(matrix), Ok(values)) = (checkpoint.matrix(&name), block_on(checkpoint.read_f32(&name))) {
                let (n, k) = matrix.extents();
                assert_eq!(values.len(), n * k);
            }
        }
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = Config::from_yaml(text);
        let _ = Config::from_json(text);
    }
});
