//! Lists what travels inside the program with feature `embed`: the pocket models, the voice and the sample recording; and
//! states the commit.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

/// What of a folder is data, compressed weights among it; cards and training scripts stay out.
const MODEL_ENDINGS: [&str; 3] = ["json", "jinja", "zz"];
/// A voice, compressed, and its JSON.
const VOICE_ENDINGS: [&str; 2] = ["zz", "json"];
const PICTURE_ENDINGS: [&str; 1] = ["png"];

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?).join("../..");
    let out = PathBuf::from(env::var("OUT_DIR").map_err(io::Error::other)?);
    let is_on = env::var_os("CARGO_FEATURE_EMBED").is_some();
    let mut text = String::new();
    for (name, folder, endings) in [
        ("POCKET_VL", "models/pocket-vl", &MODEL_ENDINGS[..]),
        ("POCKET_ASR", "models/pocket-asr", &MODEL_ENDINGS[..]),
        ("JOE", "models/joe", &VOICE_ENDINGS[..]),
        ("RECORDING", "tests/data/recording", &PICTURE_ENDINGS[..]),
    ] {
        let folder = root.join(folder);
        // A folder that is not there yet is seen when it comes.
        let watched = folder.ancestors().find(|path| path.is_dir()).unwrap_or(&root);
        println!("cargo::rerun-if-changed={}", watched.display());
        let files = if is_on { files_in(&folder, endings)? } else { Vec::new() };
        let _ = writeln!(text, "pub static {name}: &[File] = &[");
        for path in files {
            let path = path.canonicalize()?;
            let file_name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let _ = writeln!(text, "    ({file_name:?}, include_bytes!({:?})),", path.display().to_string());
        }
        text.push_str("];\n");
    }
    fs::write(out.join("embedded.rs"), text)?;
    state_commit(&root);
    Ok(())
}

/// Which commit this is, for the reports of benchmarks; a `+` if anything was changed. Nothing outside a repository.
fn state_commit(root: &Path) {
    let git = |args: &[&str]| {
        let output = Command::new("git").arg("-C").arg(root).args(args).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    };
    let Some(commit) = git(&["rev-parse", "--short=10", "HEAD"]) else {
        return;
    };
    let changed = git(&["status", "--porcelain", "--untracked-files=no"]).is_none_or(|lines| !lines.is_empty());
    println!("cargo::rustc-env=QWGLM_COMMIT={commit}{}", if changed { "+" } else { "" });
    // Every commit would build the program anew: only releases must know.
    if env::var("PROFILE").is_ok_and(|profile| profile == "release")
        && let Some(log) = git(&["rev-parse", "--path-format=absolute", "--git-path", "logs/HEAD"])
    {
        println!("cargo::rerun-if-changed={log}");
    }
}

/// The files of a folder with one of the endings, by name; none if there is no such folder.
fn files_in(folder: &Path, endings: &[&str]) -> io::Result<Vec<PathBuf>> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Ok(Vec::new());
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let ending = path.extension().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_file() && endings.contains(&ending.as_str()) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
