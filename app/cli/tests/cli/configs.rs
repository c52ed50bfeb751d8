//! `qwglm run` and `qwglm graph` on the files in `configs/`, and what may be changed in them.

use super::*;

fn configs() -> Vec<PathBuf> {
    let files = std::fs::read_dir(CONFIGS).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = files
        .filter(|path| path.extension().is_some_and(|ending| ending == "toml"))
        .collect();
    files.sort();
    assert!(files.len() >= 3, "{files:?}");
    files
}

#[test]
fn every_configuration_runs_on_the_simulator() {
    let folder = tempfile::tempdir().unwrap();
    for path in configs() {
        let text = std::fs::read_to_string(&path).unwrap();
        let path = path.display().to_string();
        // Small pictures and a tiny model: what is proven is that everything is wired.
        let model = format!("model.eyes.source={}", tiny());
        let mut args = vec!["run", &path, "--engine-type", "sim", "--json", "--trace", "t.json"];
        if text.contains("[stage.encode]") {
            args.extend(["--set", &model, "--set", "encode.max_pixels=16384"]);
        }
        // What it says is played in real time.
        if text.contains("[stage.talk]") {
            args.extend(["--set", "talk.max_new_tokens=8"]);
        }
        let lines = qwglm(folder.path(), &args).expect(0).json_lines();
        assert!(lines.len() > 1 && lines[0]["text"].is_string(), "{path}: {lines:?}");
        assert_eq!(lines.last().unwrap()["type"], "summary", "{path}");
    }
}

#[test]
fn every_configuration_is_drawn() {
    let folder = tempfile::tempdir().unwrap();
    for path in configs() {
        let path = path.display().to_string();
        let mermaid = qwglm(folder.path(), &["graph", &path]).expect(0).stdout;
        assert!(
            mermaid.starts_with("flowchart LR\n") && (mermaid.contains("vision.encode") || mermaid.contains("stt.parakeet")),
            "{mermaid}"
        );
        qwglm(folder.path(), &["graph", &path, "-o", "g.svg"]).expect(0);
        assert!(
            std::fs::read_to_string(folder.path().join("g.svg"))
                .unwrap()
                .starts_with("<svg ")
        );
        qwglm(folder.path(), &["graph", &path, "-o", "g.mmd"]).expect(0);
        assert_eq!(std::fs::read_to_string(folder.path().join("g.mmd")).unwrap(), mermaid);
    }
    let path = configs()[0].display().to_string();
    qwglm(folder.path(), &["graph", &path, "-o", "g.gif"])
        .expect(2)
        .says(&["neither .svg nor .mmd"]);
}

#[test]
fn what_a_configuration_reads_starts_from_its_folder_and_what_it_writes_from_here() {
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("deep");
    std::fs::create_dir(&deep).unwrap();
    picture(&deep, "a.png", 0);
    let text = std::fs::read_to_string(Path::new(CONFIGS).join("describe.toml")).unwrap();
    std::fs::write(deep.join("mine.toml"), text).unwrap();
    let model = format!("model.eyes.source={}", tiny());
    let args = [
        "run",
        "deep/mine.toml",
        "--engine-type",
        "sim",
        "--set",
        &model,
        "--set",
        "files.path=a.png",
        "--set",
        "lines.path=out.tsv",
    ];
    qwglm(folder.path(), &args).expect(0).says(&["1 frame, 1 narration"]);
    assert!(
        std::fs::read_to_string(folder.path().join("out.tsv"))
            .unwrap()
            .starts_with("a\t")
    );
}

#[test]
fn an_adapter_that_is_not_there_is_an_error_with_a_way_on() {
    let folder = tempfile::tempdir().unwrap();
    picture(folder.path(), "a.png", 0);
    let config = Path::new(CONFIGS).join("describe.toml").display().to_string();
    let model = format!("model.eyes.source={}", tiny());
    let adapter = "engine.main.adapter=no such adapter";
    let args = ["run", &config, "--engine-type", "wgpu", "--set", adapter, "--set", &model];
    qwglm(folder.path(), &args)
        .expect(1)
        .says(&["no GPU adapter was found", "sim"]);
}

/// Needs the pocket model: the logits of random weights lie too close for two engines to choose alike.
#[cfg(feature = "embed")]
#[test]
fn every_configuration_says_the_same_on_both_engines() {
    let folder = tempfile::tempdir().unwrap();
    let frames = folder.path().join("frames");
    std::fs::create_dir(&frames).unwrap();
    for name in ["000.png", "015.png", "024.png"] {
        let recording = Path::new(CONFIGS).join("../tests/data/recording");
        std::fs::copy(recording.join(name), frames.join(name)).unwrap();
    }
    for path in configs() {
        let text = std::fs::read_to_string(&path).unwrap();
        let path = path.display().to_string();
        let mut args = vec!["run", &path, "--json", "--engine-type"];
        let frames = format!("screen.path={}", frames.display());
        let mut on = |engine| {
            args.push(engine);
            for (part, change) in [
                ("\"capture.frames\"", frames.as_str()),
                ("[stage.encode]", "encode.max_pixels=32768"),
                ("[model.ears]", "model.ears.precision=f32"),
                ("[stage.narrator]", "narrator.max_new_tokens=24"),
                ("[stage.question]", "question.max_new_tokens=24"),
                ("[stage.talk]", "talk.max_new_tokens=24"),
            ] {
                if text.contains(part) {
                    args.extend(["--set", change]);
                }
            }
            let ran = qwglm(folder.path(), &args);
            args.truncate(4);
            ran
        };
        let [wgpu, sim] = ["wgpu", "sim"].map(&mut on);
        if wgpu.stderr.contains("no GPU adapter was found") {
            assert!(std::env::var_os("REQUIRE_GPU").is_none(), "{}", wgpu.stderr);
            eprintln!("SKIPPED: no GPU adapter");
            return;
        }
        let words = |ran: Ran| {
            let lines = ran.expect(0).json_lines();
            lines
                .iter()
                .filter(|line| line["type"] == "text")
                .map(|line| line["text"].clone())
                .collect::<Vec<_>>()
        };
        let (wgpu, sim) = (words(wgpu), words(sim));
        assert!(!sim.is_empty());
        assert_eq!(wgpu, sim, "{path}");
    }
}
