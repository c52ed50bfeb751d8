//! Every file in `configs/` is a graph of these stages.

use std::sync::Arc;

use pipeline::graph::Graph;
use pipeline::registry::Registry;
use stages::Env;
use stages::tts::voices::{VoiceFiles, Voices};

use crate::common;

#[test]
fn every_configuration_is_a_graph() {
    // A check only asks whether there is a voice of that name.
    let mut voices = Voices::default();
    let files = VoiceFiles {
        onnx: Vec::new().into(),
        json: Vec::new().into(),
    };
    voices.add("joe", files);
    let env = Env {
        voices,
        ..Env::default()
    };
    let mut registry = Registry::new();
    stages::register(&mut registry, &Arc::new(env));
    let mut names = Vec::new();
    for entry in std::fs::read_dir(common::root().join("configs")).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let graph = Graph::from_toml(&text, &registry).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(!graph.stages().is_empty());
        names.push(path.file_name().unwrap().to_string_lossy().into_owned());
    }
    for name in ["narrate.toml", "describe.toml", "simulated.toml", "hybrid.toml", "talk.toml"] {
        assert!(names.iter().any(|found| found == name), "{name}");
    }
}

#[test]
fn all_faults_of_a_configuration_come_at_once() {
    let mut registry = Registry::new();
    stages::register(&mut registry, &Arc::new(Env::default()));
    let text = "
[stage.frames]
type = \"capture.frames\"
fps = 0
loop = true
[stage.changes]
type = \"vision.changes\"
input = \"frames\"
tile_px = 1
[stage.a]
type = \"sink.jsonl\"
input = \"changes\"
path = \"out\"
[stage.ask]
type = \"chat.ask\"
input = \"changes\"
max_new_tokens = 0
";
    let error = Graph::from_toml(text, &registry).unwrap_err().to_string();
    for word in ["stage.frames.loop", "stage.changes.tile_px", "stage.a.input", "stage.ask"] {
        assert!(error.contains(word), "{word} in {error}");
    }
}
