//! Any text as a configuration: it is a graph that can be drawn, or a list of faults.
#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use pipeline::graph::Graph;
use pipeline::registry::Registry;

static REGISTRY: LazyLock<Registry> = LazyLock::new(|| {
    let mut registry = Registry::new();
    stages::register(&mut registry, &Arc::new(stages::Env::default()));
    registry
});

fuzz_target!(|text: &str| {
    match Graph::from_toml(text, &REGISTRY) {
        Ok(graph) => {
            assert!(graph.to_svg().starts_with("<svg"));
            assert!(graph.to_mermaid().starts_with("flowchart"));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
