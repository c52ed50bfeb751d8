//! What is asked wrongly: exit code 2, and what to do. What cannot be read: exit code 1, and its name.

use super::*;

#[test]
fn bad_usage_is_exit_code_2() {
    let folder = tempfile::tempdir().unwrap();
    picture(folder.path(), "a.png", 0);
    std::fs::create_dir(folder.path().join("frames")).unwrap();
    let cases: [(&[&str], &str); 10] = [
        (&[], "Usage"),
        (&["dance"], "dance"),
        (&["ask", "a.png"], "QUESTION"),
        (&["ask", "a.png", " "], "a question is empty"),
        (&["narrate", "a.png", "--quant", "5"], "--quant"),
        (&["narrate", "a.png", "frames"], "only source"),
        (&["narrate", "a.png", "--fps", "2"], "--fps"),
        (&["narrate", "a.png", "--json", "--tsv", "-"], "standard output"),
        (
            &["narrate", "a.png", "--engine", "sim", "--model", "no-such-model"],
            "no model \"no-such-model\"",
        ),
        (&["run", "no.toml"], "no.toml"),
    ];
    for (args, word) in cases {
        qwglm(folder.path(), args).expect(2).says(&[word]);
    }
}

#[test]
fn a_screen_needs_a_program_that_captures() {
    if cfg!(feature = "desktop") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for source in ["screen", "window:Firefox"] {
        qwglm(folder.path(), &["narrate", source])
            .expect(2)
            .says(&["--features desktop"]);
    }
}

#[test]
fn all_faults_of_a_configuration_come_together() {
    let folder = tempfile::tempdir().unwrap();
    let text = "\
[model.eyes]
source = 'no-such-model'
quant = 3

[engine.main]
type = 'hybird'

[stage.files]
type = 'capture.fil'

[stage.encode]
type = 'vision.encode'
input = 'files'
model = 'ears'
engine = 'main'
max_pixel = 1
";
    std::fs::write(folder.path().join("bad.toml"), text).unwrap();
    let faults = [
        "bad.toml",
        "line 3: model.eyes.quant",
        "line 6: engine.main.type",
        "\"wgpu\", \"sim\" or \"hybrid\"",
        "line 9: stage.files.type",
        "\"capture.file\" is the nearest",
        "line 14: stage.encode.model",
        "line 16: stage.encode.max_pixel",
    ];
    for command in ["run", "graph"] {
        qwglm(folder.path(), &[command, "bad.toml"]).expect(2).says(&faults);
    }
    // Drawing does not ask whether the model is here; running does.
    let model = "line 2: model.eyes.source";
    assert!(!qwglm(folder.path(), &["graph", "bad.toml"]).stderr.contains(model));
    qwglm(folder.path(), &["run", "bad.toml"]).expect(2).says(&[model]);
    // A change that is wrong has a key, and no line: it stands in none.
    let set = qwglm(folder.path(), &["run", "bad.toml", "--set", "model.eyes.quant=2"]).expect(2);
    let fault = set.stderr.lines().find(|line| line.contains("model.eyes.quant")).unwrap();
    assert!(!fault.contains("line") && fault.contains("is 2"), "{fault}");
}

#[test]
fn a_broken_text_is_a_fault_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("broken.toml"), "[stage.a]\ntype = \n").unwrap();
    qwglm(folder.path(), &["run", "broken.toml", "--engine-type", "sim"])
        .expect(2)
        .says(&["line 2"]);
}

#[test]
fn a_picture_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("broken.png"), b"no picture").unwrap();
    std::fs::write(folder.path().join("empty.png"), b"").unwrap();
    image::RgbImage::new(1, 2000).save(folder.path().join("long.png")).unwrap();
    let cases = [
        ("missing.png", "No such file"),
        ("broken.png", "no picture"),
        ("empty.png", "empty"),
        ("long.png", "too long"),
    ];
    for (name, why) in cases {
        qwglm(folder.path(), &cheap(&["narrate", name])).expect(1).says(&[name, why]);
        qwglm(folder.path(), &cheap(&["ask", name, "What is it?"]))
            .expect(1)
            .says(&[name, why]);
    }
}

#[test]
fn a_folder_without_pictures_is_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("frames")).unwrap();
    qwglm(folder.path(), &cheap(&["narrate", "frames"]))
        .expect(1)
        .says(&["frames", "holds no picture"]);
}

#[test]
fn a_model_that_cannot_be_loaded_is_named() {
    let folder = tempfile::tempdir().unwrap();
    picture(folder.path(), "a.png", 0);
    let model = folder.path().join("model");
    std::fs::create_dir(&model).unwrap();
    for entry in std::fs::read_dir(tiny()).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, model.join(path.file_name().unwrap())).unwrap();
    }
    let weights = std::fs::read(model.join("model.safetensors")).unwrap();
    std::fs::write(model.join("model.safetensors"), &weights[..weights.len() / 2]).unwrap();
    let args = ["narrate", "a.png", "--engine", "sim", "--model", "model"];
    qwglm(folder.path(), &args).expect(1).says(&["model.safetensors"]);
    std::fs::write(model.join("model.safetensors"), &weights).unwrap();
    std::fs::write(
        model.join("config.json"),
        r#"{"architectures": ["LlamaForCausalLM"], "model_type": "llama"}"#,
    )
    .unwrap();
    qwglm(folder.path(), &args).expect(1).says(&["config.json", "supported"]);
}

#[test]
fn help_shows_examples() {
    let folder = tempfile::tempdir().unwrap();
    for command in ["narrate", "ask", "run", "replay", "graph", "plan", "sim", "bench", "doctor"] {
        let help = qwglm(folder.path(), &[command, "--help"]).expect(0);
        assert!(help.stdout.contains(&format!("qwglm {command}")), "{}", help.stdout);
    }
    let help = qwglm(folder.path(), &["bench", "kernels", "--help"]).expect(0);
    assert!(help.stdout.contains("qwglm bench kernels --shape"), "{}", help.stdout);
}
