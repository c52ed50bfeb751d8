//! Any bytes as a voice's JSON, and as its ONNX beside a JSON that is good: reading ends in a voice or an error, and ids that come of
//! a JSON are those that it names.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stages::tts::voice::{Voice, VoiceConfig};

const JSON: &[u8] = include_bytes!("../../../models/joe/joe.onnx.json");

fuzz_target!(|bytes: &[u8]| {
    if let Ok(config) = VoiceConfig::read(bytes) {
        let (ids, starts) = config.ids("h\u{259}l\u{2c8}o\u{28a}, w\u{2c8}\u{25c}\u{2d0}ld.");
        assert!(starts.iter().all(|start| *start <= ids.len()));
        // It needs an ONNX of its own; that there is none is an error.
        assert!(Voice::load("fuzz", &[], bytes).is_err());
    }
    let _ = Voice::load("fuzz", bytes, JSON);
});
