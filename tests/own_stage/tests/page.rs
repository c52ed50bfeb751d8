//! The program runs its graph, a wrong key is told, and `docs/own-stage.md` shows what is in the files.

use std::path::Path;
use std::process::{Command, Output};

const GRAPH: &str = include_str!("../graph.toml");
const PAGE: &str = include_str!("../../../docs/own-stage.md");
const FILES: [&str; 4] = [
    GRAPH,
    include_str!("../Cargo.toml"),
    include_str!("../src/lib.rs"),
    include_str!("../src/main.rs"),
];

fn own_stage(graph: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_own_stage")).arg(graph).output().unwrap()
}

#[test]
fn the_graph_says_of_each_frame_how_bright_it_is() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = own_stage(&folder.join("graph.toml"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let n_frames = std::fs::read_dir(folder.join("../data/recording"))
        .unwrap()
        .filter(|entry| {
            entry
                .as_ref()
                .unwrap()
                .path()
                .extension()
                .is_some_and(|ending| ending == "png")
        })
        .count();
    let stdout = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<serde_json::Value> = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), n_frames, "{stdout}");
    assert!(n_frames > 0);
    for (index, line) in lines.iter().enumerate() {
        assert_eq!(line["frame"], index);
        assert!(line["text"].as_str().unwrap().ends_with("% of white"), "{line}");
    }
}

#[test]
fn a_wrong_key_is_told_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let graph = folder.path().join("graph.toml");
    std::fs::write(&graph, GRAPH.replace("0.35", "35")).unwrap();
    let output = own_stage(&graph);
    assert!(!output.status.success());
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("stage.brightness.dark_below"), "{stderr}");
    assert!(stderr.contains("a number from 0 to 1"), "{stderr}");
}

#[test]
fn the_page_shows_what_is_in_the_files() {
    let mut blocks = PAGE.split("```").skip(1).step_by(2).peekable();
    assert!(blocks.peek().is_some());
    for block in blocks {
        let (language, code) = block.split_once('\n').unwrap();
        if matches!(language, "rust" | "toml") {
            assert!(FILES.iter().any(|file| file.contains(code)), "not in any file:\n{code}");
        }
    }
}
