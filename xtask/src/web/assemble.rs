//! Puts the page's files together: what is asked for by name from outside lies at the top; everything else in `hashed/`, named
//! after its contents so that it can be kept for ever.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::Hosts;
use crate::process::root;

/// Files at the top, in the order in which they refer to others.
const TOP: [&str; 5] = ["icon.svg", "app.webmanifest", "bench.html", "index.html", "_headers"];
/// Text files in `hashed/`, in the order in which they refer to others; the glue's are made by `xtask_bindgen`.
const CODE: [&str; 9] = [
    "style.css",
    "page.js",
    "engine.js",
    "store.js",
    "sound.js",
    "audio.js",
    "platform.js",
    "worker.js",
    "boot.js",
];
/// The files of a model that the page needs.
const MODEL_FILES: [&str; 8] = [
    "config.json",
    "generation_config.json",
    "preprocessor_config.json",
    "video_preprocessor_config.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "tokenizer.json",
    "model.safetensors.zz",
];
const VOICE_FILES: [&str; 2] = ["joe.onnx.zz", "joe.onnx.json"];
const EARS_FILES: [&str; 3] = ["config.json", "tokenizer.json", "model.safetensors.zz"];
/// By folder of `models` what of it the page may ask for.
const MODELS: [(&str, &[&str]); 5] = [
    ("pocket-vl", &MODEL_FILES),
    ("joe", &VOICE_FILES),
    ("pocket-asr", &EARS_FILES),
    ("en-us", &["lexicon.bin"]),
    ("silero", &["silero.onnx.zz"]),
];
const SAMPLE: &str = "tests/data/recording";

/// Names in texts, and what they became.
#[derive(Default)]
struct Names {
    renamed: BTreeMap<String, String>,
}

impl Names {
    /// `./NAME` becomes `PREFIX/HASHED`.
    fn fill_in(&self, text: &str, prefix: &str) -> String {
        self.renamed.iter().fold(text.to_owned(), |text, (name, hashed)| {
            text.replace(&format!("\"./{name}\""), &format!("\"{prefix}/{hashed}\""))
        })
    }

    /// Writes a file under a name of its contents; gives that.
    fn put(&mut self, folder: &Path, name: &str, bytes: &[u8]) -> Result<String> {
        let (stem, ending) = name.rsplit_once('.').unwrap_or((name, "bin"));
        let hashed = format!("{stem}-{:016x}.{ending}", fnv(bytes));
        write(&folder.join(&hashed), bytes)?;
        self.renamed.insert(name.to_owned(), hashed.clone());
        Ok(hashed)
    }
}

/// Puts the page into `dist`, with the programs and their glue from `glue`.
///
/// Errors: a file that cannot be read or written.
pub fn assemble(glue: &Path, dist: &Path, hosts: &Hosts) -> Result<()> {
    let public = root().join("app/web/public");
    let hashed = dist.join("hashed");
    fs::create_dir_all(&hashed).with_context(|| format!("cannot make {}", hashed.display()))?;
    let mut names = Names::default();
    for program in ["page_bg.wasm", "engine_bg.wasm"] {
        names.put(&hashed, program, &read(&glue.join(program))?)?;
    }
    let manifest = assets(&hashed, hosts)?;
    names.put(&hashed, "assets.json", manifest.as_bytes())?;
    for name in CODE {
        let from = if public.join(name).is_file() { &public } else { glue };
        let mut text = read_text(&from.join(name))?;
        if name == "page.js" || name == "engine.js" {
            // The loader's own default, which is never used.
            text = text.replace(&format!("'{}_bg.wasm'", name.trim_end_matches(".js")), "'unused.wasm'");
        }
        names.put(&hashed, name, names.fill_in(&text, ".").as_bytes())?;
    }
    for name in TOP {
        let text = read_text(&public.join(name))?.replace("CONNECT", &hosts.connect_src());
        write(&dist.join(name), names.fill_in(&text, "./hashed").as_bytes())?;
    }
    let worker = service_worker(&read_text(&public.join("sw.js"))?, &names);
    write(&dist.join("sw.js"), worker.as_bytes())
}

/// The service worker with the list of the page's own files; models are kept when they are asked for.
fn service_worker(text: &str, names: &Names) -> String {
    let mut files = vec!["./".to_owned(), "./icon.svg".to_owned(), "./app.webmanifest".to_owned()];
    files.extend(names.renamed.values().map(|name| format!("./hashed/{name}")));
    let list = files.iter().map(|file| format!("{file:?}")).collect::<Vec<_>>().join(", ");
    let build = format!("{:016x}", fnv(list.as_bytes()));
    text.replace("const FILES = [];", &format!("const FILES = [{list}];"))
        .replace("BUILD", &build)
}

/// Copies models and the sample; gives the list of them as `engine/assets.rs` reads it.
fn assets(hashed: &Path, hosts: &Hosts) -> Result<String> {
    let mut names = Names::default();
    let mut put = |path: &Path, prefix: &str| -> Result<String> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let bytes = read(path)?;
        let url = names.put(hashed, &format!("{prefix}-{name}"), &bytes)?;
        let stem = if prefix == "sample" {
            name.trim_end_matches(".png").to_owned()
        } else {
            name
        };
        Ok(format!(r#"{{"name":"{stem}","url":"{url}","size_bytes":{}}}"#, bytes.len()))
    };
    let mut models = Vec::new();
    for (model, files) in MODELS {
        let folder = root().join("models").join(model);
        let files = files.iter().map(|file| put(&folder.join(file), model));
        let files = files.collect::<Result<Vec<_>>>()?;
        models.push(format!(r#""{model}":[{}]"#, files.join(",")));
    }
    let mut sample: Vec<_> = fs::read_dir(root().join(SAMPLE))
        .with_context(|| format!("cannot read {SAMPLE}"))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|ending| ending == "png"))
        .collect();
    sample.sort();
    let sample = sample.iter().map(|path| put(path, "sample")).collect::<Result<Vec<_>>>()?;
    Ok(format!(
        r#"{{"models":{{{}}},"sample":[{}],"hosts":{:?}}}"#,
        models.join(","),
        sample.join(","),
        hosts.models
    ))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

fn read_text(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

/// FNV-1a of 64 bits: a name for contents, not a seal.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_filled_in_where_they_stand_as_addresses() {
        let mut names = Names::default();
        names.renamed.insert("page.js".into(), "page-1.js".into());
        let text = r#"import init from "./page.js"; // page.js"#;
        assert_eq!(
            names.fill_in(text, "./hashed"),
            r#"import init from "./hashed/page-1.js"; // page.js"#
        );
    }

    #[test]
    fn the_service_worker_knows_its_files_and_is_another_with_others() {
        let text = "const CACHE = \"qwglm-BUILD\";\nconst FILES = [];";
        let mut names = Names::default();
        names.renamed.insert("a.js".into(), "a-1.js".into());
        let one = service_worker(text, &names);
        names.renamed.insert("a.js".into(), "a-2.js".into());
        let other = service_worker(text, &names);
        assert!(one.contains("\"./hashed/a-1.js\"") && !one.contains("BUILD"), "{one}");
        assert_ne!(one.lines().next(), other.lines().next());
    }
}
