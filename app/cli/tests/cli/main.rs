//! The program as a person runs it: arguments in; exit code, standard output and error out.

mod ask;
mod bench;
mod configs;
mod doctor;
mod documents;
mod narrate;
mod plan;
mod replay;
mod say;
mod sim;
mod talk;
mod transcribe;
mod usage;
mod view;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

const CONFIGS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../configs");

/// A checkpoint with random weights, small enough for a test: what it says means nothing.
fn tiny() -> &'static str {
    static FOLDER: LazyLock<String> = LazyLock::new(|| golden("qwen3-vl-s1"));
    &FOLDER
}

/// One of speech, with random weights as well.
fn ear() -> &'static str {
    static FOLDER: LazyLock<String> = LazyLock::new(|| golden("parakeet-tdt-s1"));
    &FOLDER
}

fn golden(name: &str) -> String {
    goldens::folder(name).unwrap().display().to_string()
}

/// What a run of the program did.
struct Ran {
    code: i32,
    stdout: String,
    stderr: String,
}

/// Runs the program in `folder`. No display, no network: what it does there is the same everywhere.
fn qwglm(folder: &Path, args: &[&str]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_qwglm"));
    command.args(args).current_dir(folder).stdin(Stdio::null());
    for variable in ["DISPLAY", "WAYLAND_DISPLAY", "RUST_LOG"] {
        command.env_remove(variable);
    }
    command
        .env("HF_HUB_OFFLINE", "1")
        .env("XDG_CACHE_HOME", folder.join("cache"))
        .env("HF_HUB_CACHE", folder.join("no-cache"));
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran {
        code: status.code().unwrap(),
        stdout: text(stdout),
        stderr: text(stderr),
    }
}

impl Ran {
    #[track_caller]
    fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "\n--- stdout\n{}\n--- stderr\n{}", self.stdout, self.stderr);
        self
    }

    #[track_caller]
    fn says(self, words: &[&str]) -> Self {
        for word in words {
            assert!(self.stderr.contains(word), "\"{word}\" is not in\n{}", self.stderr);
        }
        self
    }

    fn json_lines(&self) -> Vec<serde_json::Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// The flags that make an answer cheap.
fn cheap<'a>(args: &[&'a str]) -> Vec<&'a str> {
    let mut args = args.to_vec();
    args.extend(["--engine", "sim", "--model", tiny(), "--max-new-tokens", "6"]);
    args
}

/// A small picture with a rectangle, a different one for each `n`.
fn picture(folder: &Path, name: &str, n: u32) -> PathBuf {
    let inside = |x: u32, y: u32| (8..40 + 8 * n).contains(&x) && (8..24 + 4 * n).contains(&y);
    let color = |x, y| image::Rgb(if inside(x, y) { [30, 60, 200] } else { [240, 240, 235] });
    let path = folder.join(name);
    image::RgbImage::from_fn(128, 96, color).save(&path).unwrap();
    path
}
