//! `cargo xtask train pocket-vl`: how the bundled model is trained, and what becomes of the weights that came back.
//!
//! Training itself is Python on a GPU machine (`models/pocket-vl`). Without arguments this prints the steps; with a folder
//! it takes the packed weights in it: size, engine, card.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::Usage;
use crate::process::{cargo, output, released, root, step};

/// The model with its texts: 10 MiB, before the weights are compressed for the tree.
const BUDGET_BYTES: u64 = 10 * 1024 * 1024;

/// Files that travel with the weights.
const TEXTS: [&str; 7] = [
    "config.json",
    "generation_config.json",
    "preprocessor_config.json",
    "video_preprocessor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
];

/// Where the card keeps its scores: what stands between these lines is written by this command.
const CARD_BEGIN: &str = "<!-- scores: begin -->";
const CARD_END: &str = "<!-- scores: end -->";

const STEPS: &str = "\
Here (Debian, Python 3.11 with the packages of models/pocket-vl/pyproject.toml, chromium), about half an hour:
  bash models/pocket-vl/carry.sh build          fonts, text and packs of real pages into .pv-build

  bash models/pocket-vl/carry.sh kit            all of it in .pv/1, .pv/2 ..., for calls that carry 20 MB each

On a machine with one GPU, once for each folder that was carried, then for 20 minutes:
  bash models/pocket-vl/go.sh unpack .pv/1
  bash models/pocket-vl/go.sh start 1160        trains, rounds, packs and evaluates in the background
  bash models/pocket-vl/go.sh wait 540          shows the log; as often as needed
$OUT/pv then holds packed.safetensors, the dense weights in two files, scores.json and train.log.

Here again, with the folder that came back:
  cargo xtask train pocket-vl FOLDER            size, engine against transformers, card
";

/// Prints the steps (`args` = the model alone), or takes the weights of a folder.
///
/// Errors: usage; weights above the budget; an engine that says something else than `transformers`.
pub fn run(args: &[String]) -> Result<()> {
    match args {
        [model] if model == "pocket-vl" => {
            print!("{STEPS}");
            Ok(())
        }
        [model, folder] if model == "pocket-vl" => take(Path::new(folder)),
        _ => bail!(Usage(format!(
            "`train` takes pocket-vl and perhaps a folder that came back, found `{}`",
            args.join(" ")
        ))),
    }
}

/// Takes packed weights: within the budget, the engine says what `transformers` says, then into the tree and its card.
fn take(folder: &Path) -> Result<()> {
    let home = root().join("models/pocket-vl");
    let packed = ["packed.safetensors", "packed/model.safetensors", "model.safetensors"]
        .into_iter()
        .map(|name| folder.join(name))
        .find(|path| path.is_file());
    let candidate = root().join(".pv-build/candidate");
    fs::create_dir_all(&candidate).context("cannot make the folder of the candidate")?;
    for name in TEXTS {
        fs::copy(home.join(name), candidate.join(name)).with_context(|| format!("cannot copy {name}"))?;
    }
    match packed {
        Some(path) => {
            fs::copy(&path, candidate.join("model.safetensors")).with_context(|| format!("cannot copy {}", path.display()))?;
        }
        None => pack_dense(folder, &home, &candidate)?,
    }
    let bytes = size(&candidate)?;
    eprintln!("── {bytes} bytes of {BUDGET_BYTES}");
    if bytes > BUDGET_BYTES {
        bail!("the model is {bytes} bytes with its texts, {} too many", bytes - BUDGET_BYTES);
    }
    same_words(&candidate)?;
    let plain = candidate.join("model.safetensors");
    step(
        "compress",
        Command::new("python3").arg(root().join("models/zz.py")).arg(&plain),
    )?;
    fs::rename(plain.with_extension("safetensors.zz"), home.join("model.safetensors.zz"))
        .context("cannot put the weights into the tree")?;
    let scores = folder.join("scores.json");
    if scores.is_file() {
        let text = fs::read_to_string(&scores).context("cannot read scores.json")?;
        write_card(&home.join("README.md"), bytes, &text)?;
    }
    eprintln!("── models/pocket-vl has the new weights; run `cargo xtask test`, then the real screens");
    Ok(())
}

/// Dense weights (`model-*.safetensors`) of `folder`, packed by the plan into `candidate`.
fn pack_dense(folder: &Path, home: &Path, candidate: &Path) -> Result<()> {
    let dense = root().join(".pv-build/dense");
    fs::create_dir_all(&dense).context("cannot make the folder of the dense weights")?;
    for name in TEXTS {
        fs::copy(home.join(name), dense.join(name)).with_context(|| format!("cannot copy {name}"))?;
    }
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if let Some(name) = path.file_name().filter(|name| name.to_string_lossy().starts_with("model")) {
            fs::copy(&path, dense.join(name))?;
        }
    }
    let mut pack = cargo("run --release -p gpu --no-default-features --example pack --");
    pack.args([dense.as_path(), &home.join("pack.plan"), candidate]);
    step("pack", &mut pack)
}

/// Bytes of all files of a folder.
fn size(folder: &Path) -> Result<u64> {
    let mut total_bytes = 0;
    for entry in fs::read_dir(folder)? {
        total_bytes += entry?.metadata()?.len();
    }
    Ok(total_bytes)
}

/// The program must say of the bundled recording's frames what the Python model says, word for word.
fn same_words(candidate: &Path) -> Result<()> {
    step("build qwglm", &mut cargo("build --release -p qwglm"))?;
    let qwglm = released("qwglm")?;
    let frames: Vec<PathBuf> = [0, 12, 30]
        .map(|n| root().join(format!("tests/data/recording/{n:03}.png")))
        .into();
    for frame in frames.iter().filter(|frame| frame.is_file()) {
        let question = "Describe the screen.";
        let ours = output(
            Command::new(&qwglm)
                .arg("ask")
                .arg(frame)
                .arg(question)
                .arg("--model")
                .arg(candidate),
        );
        let theirs = output(
            Command::new("python3")
                .args(["-m", "pocket_vl.evaluate", "--device", "cpu", "--model"])
                .arg(candidate)
                .arg(frame)
                .arg(question)
                .env("PYTHONPATH", root().join("models/pocket-vl")),
        );
        match (ours, theirs) {
            (Some(ours), Some(theirs)) if words(&ours) == words(&theirs) => {}
            (Some(ours), Some(theirs)) => bail!("{}: the engine says\n{ours}\nand the Python model\n{theirs}", frame.display()),
            (None, _) => bail!("qwglm could not answer about {}", frame.display()),
            (_, None) => {
                bail!("the Python model could not answer: are the packages of models/pocket-vl/pyproject.toml installed?")
            }
        }
    }
    Ok(())
}

/// A text with its spaces evened out: terminals break lines.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Puts the scores into the card, between its two marks.
fn write_card(card: &Path, bytes: u64, scores: &str) -> Result<()> {
    let text = fs::read_to_string(card).context("cannot read the card")?;
    let new = with_scores(&text, bytes, scores).context("the card lacks its marks for the scores")?;
    fs::write(card, new).context("cannot write the card")
}

/// The card with other scores; `None` where its marks are missing.
fn with_scores(card: &str, bytes: u64, scores: &str) -> Option<String> {
    let (before, rest) = card.split_once(CARD_BEGIN)?;
    let (_, after) = rest.split_once(CARD_END)?;
    let scores = scores.trim();
    Some(format!(
        "{before}{CARD_BEGIN}\n{bytes} bytes with its texts. On held-out drawn screens:\n\n```json\n{scores}\n```\n{CARD_END}{after}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_go_between_the_marks_and_nowhere_else() {
        let card = format!("a\n{CARD_BEGIN}\nold\n{CARD_END}\nb");
        let new = with_scores(&card, 7, "{\"score\": 0.5}\n").expect("the marks are there");
        assert!(new.starts_with("a\n") && new.ends_with("\nb"));
        assert!(new.contains("7 bytes") && new.contains("\"score\": 0.5") && !new.contains("old"));
        assert_eq!(with_scores(&new, 7, "{\"score\": 0.5}\n"), Some(new.clone()));
        assert_eq!(with_scores("no marks", 7, "{}"), None);
    }

    #[test]
    fn the_card_has_its_marks() {
        let card = fs::read_to_string(root().join("models/pocket-vl/README.md")).expect("the card");
        assert!(with_scores(&card, 0, "{}").is_some());
    }

    #[test]
    fn wrong_arguments_are_usage() {
        for args in [vec![], vec!["other"], vec!["pocket-vl", "a", "b"]] {
            let args: Vec<String> = args.into_iter().map(str::to_owned).collect();
            assert!(run(&args).is_err_and(|error| error.is::<Usage>()));
        }
    }

    #[test]
    fn terminals_may_break_lines() {
        assert_eq!(words("A form.\n  Buttons: OK."), "A form. Buttons: OK.");
    }
}
