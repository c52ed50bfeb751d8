//! `--record` and `qwglm replay`: the same outputs without the sources and without an engine; what is said of a recording that
//! is cut, changed, or asked for something else.

use super::*;

const RECORDING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/recording");

/// A narration of pictures of the bundled recording that draws its words, to a file and to standard output.
fn config(folder: &Path, engine: &str, seed: u64) {
    let frames = folder.join("frames");
    if !frames.is_dir() {
        std::fs::create_dir(&frames).unwrap();
        for name in ["000.png", "001.png", "012.png", "024.png"] {
            std::fs::copy(Path::new(RECORDING).join(name), frames.join(name)).unwrap();
        }
    }
    let text = format!(
        "[model.eyes]\nsource = \"pocket-vl\"\n\n[engine.main]\ntype = \"{engine}\"\n\n\
         [stage.screen]\ntype = \"capture.frames\"\npath = \"frames\"\nfps = 20\n\n\
         [stage.changes]\ntype = \"vision.changes\"\ninput = {{ from = \"screen\", size = 1, when_full = \"drop_oldest\" }}\n\n\
         [stage.encode]\ntype = \"vision.encode\"\ninput = {{ from = \"changes\", size = 1, when_full = \"wait\" }}\n\
         model = \"eyes\"\nengine = \"main\"\nmax_pixels = 40000\n\n\
         [stage.narrator]\ntype = \"chat.narrate\"\ninput = \"encode\"\nmax_new_tokens = 8\n\n\
         [stage.tokens]\ntype = \"tokens.encode\"\ninput = \"narrator\"\nmodel = \"eyes\"\n\n\
         [stage.generate]\ntype = \"llm.generate\"\ninput = \"tokens\"\nmodel = \"eyes\"\nengine = \"main\"\n\
         temperature = 1.5\nseed = {seed}\n\n\
         [stage.words]\ntype = \"tokens.decode\"\ninput = \"generate\"\nmodel = \"eyes\"\n\n\
         [stage.terminal]\ntype = \"sink.terminal\"\ninputs = {{ text = \"words\", stats = \"generate\" }}\n\n\
         [stage.file]\ntype = \"sink.jsonl\"\ninput = \"words\"\npath = \"out.jsonl\"\n"
    );
    std::fs::write(folder.join("graph.toml"), text).unwrap();
}

/// What a run wrote: standard output, and its file.
fn written(folder: &Path, ran: &Ran) -> (String, String) {
    let file = std::fs::read_to_string(folder.join("out.jsonl")).unwrap();
    std::fs::remove_file(folder.join("out.jsonl")).unwrap();
    (ran.stdout.clone(), file)
}

/// Records on an engine with two seeds and replays each twice, when neither the pictures nor the engine are there any more.
fn recorded_and_replayed(engine: &str) -> Option<()> {
    let mut originals = Vec::new();
    for seed in [1, 2] {
        let folder = tempfile::tempdir().unwrap();
        config(folder.path(), engine, seed);
        let ran = qwglm(folder.path(), &["run", "graph.toml", "--record", "run.qwr"]);
        if ran.stderr.contains("no GPU adapter was found") && std::env::var_os("REQUIRE_GPU").is_none_or(|v| v != "1") {
            eprintln!("SKIPPED: there is no adapter");
            return None;
        }
        let original = written(folder.path(), &ran.expect(0));
        let elsewhere = tempfile::tempdir().unwrap();
        std::fs::rename(folder.path().join("run.qwr"), elsewhere.path().join("run.qwr")).unwrap();
        drop(folder);
        for _ in 0..2 {
            let ran = qwglm(elsewhere.path(), &["replay", "run.qwr"]).expect(0);
            assert_eq!(written(elsewhere.path(), &ran), original);
        }
        assert!(original.1.lines().count() >= 2, "{}", original.1);
        originals.push(original.1);
    }
    assert_ne!(originals[0], originals[1], "the seeds make a difference");
    Some(())
}

/// A conversation as `talk.toml` has it, heard and spoken: the same words and the same sound. Only the silence in the file is another,
/// since a replay takes no time to compute.
#[test]
fn a_replay_of_a_conversation_says_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let config = format!("{CONFIGS}/talk.toml");
    let spoken = || -> Vec<u8> {
        let sound = std::fs::read(folder.path().join("talk.wav")).unwrap();
        sound[44..]
            .chunks(2)
            .filter(|sample| *sample != [0, 0])
            .flatten()
            .copied()
            .collect()
    };
    let args = [
        "run",
        &config,
        "--engine-type",
        "sim",
        "--set",
        "talk.max_new_tokens=8",
        "--record",
        "run.qwr",
    ];
    let original = (qwglm(folder.path(), &args).expect(0).stdout, spoken());
    std::fs::remove_file(folder.path().join("talk.wav")).unwrap();
    let again = (qwglm(folder.path(), &["replay", "run.qwr"]).expect(0).stdout, spoken());
    assert!(
        original.0.len() > 5 && original.1.len() > 10_000,
        "{}, {} bytes",
        original.0,
        original.1.len()
    );
    assert!(again == original, "{}, {} bytes: {}", again.0, again.1.len(), original.0);
}

/// What was heard is replayed without the sound and without computing. Each time it is told on the way it is a request of its own.
#[test]
fn a_replay_hears_the_same() {
    let ear = ear();
    let folder = tempfile::tempdir().unwrap();
    let sound = Path::new(CONFIGS).join("../tests/data/speech/sb_spk1_snt2.flac");
    std::fs::copy(sound, folder.path().join("a.flac")).unwrap();
    let text = format!(
        "[model.ears]\nsource = \"{ear}\"\nquant = \"dense\"\n\n[engine.main]\ntype = \"sim\"\n\n\
         [stage.sound]\ntype = \"capture.audio\"\npath = \"a.flac\"\nrealtime = false\n\n\
         [stage.words]\ntype = \"stt.parakeet\"\ninput = {{ from = \"sound\", size = 50, when_full = \"wait\" }}\n\
         model = \"ears\"\nengine = \"main\"\npartial_ms = 600\n\n\
         [stage.file]\ntype = \"sink.jsonl\"\ninput = \"words\"\npath = \"out.jsonl\"\n"
    );
    std::fs::write(folder.path().join("graph.toml"), text).unwrap();
    let ran = qwglm(folder.path(), &["run", "graph.toml", "--record", "run.qwr"]).expect(0);
    let original = written(folder.path(), &ran);
    assert_eq!(original.1.lines().count(), 1, "{}", original.1);
    std::fs::remove_file(folder.path().join("a.flac")).unwrap();
    let ran = qwglm(folder.path(), &["replay", "run.qwr"]).expect(0);
    assert_eq!(written(folder.path(), &ran), original);
    qwglm(folder.path(), &["replay", "run.qwr", "--set", "words.partial_ms=700"])
        .expect(1)
        .says(&["transcribe"]);
}

#[test]
fn a_replay_of_the_simulator_says_the_same() {
    recorded_and_replayed("sim");
}

#[test]
fn a_replay_of_a_gpu_needs_none() {
    recorded_and_replayed("wgpu");
}

/// Four small pictures narrated by the tiny model.
fn small_recording(folder: &Path) -> (Vec<u8>, String) {
    let frames = folder.join("frames");
    std::fs::create_dir(&frames).unwrap();
    for n in 0..4 {
        picture(&frames, &format!("{n}.png"), n);
    }
    let args = cheap(&["narrate", "frames", "--tsv", "-", "--record", "run.qwr"]);
    let ran = qwglm(folder, &args).expect(0);
    assert_eq!(ran.stdout.lines().count(), 4);
    (std::fs::read(folder.join("run.qwr")).unwrap(), ran.stdout)
}

#[test]
fn a_recording_that_was_cut_or_changed_gives_what_came_before_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let (bytes, original) = small_recording(folder.path());
    let ran = qwglm(folder.path(), &["replay", "run.qwr"]).expect(0).says(&["4 narrations"]);
    assert_eq!(ran.stdout, original);
    let path = folder.path().join("cut.qwr");
    let mut most = 0;
    for eighth in 0..8 {
        std::fs::write(&path, &bytes[..bytes.len() * eighth / 8 + 7]).unwrap();
        let ran = qwglm(folder.path(), &["replay", "cut.qwr"]).expect(1);
        let ran = ran.says(&["recording ends early at byte "]);
        assert!(original.starts_with(&ran.stdout), "{}", ran.stdout);
        most = most.max(ran.stdout.lines().count());
    }
    assert!((1..4).contains(&most), "{most}");
    // All of it but the last byte: everything is said, and that something is missing.
    std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    let ran = qwglm(folder.path(), &["replay", "cut.qwr"])
        .expect(1)
        .says(&["recording ends early at byte "]);
    assert_eq!(ran.stdout, original);
    let mut changed = bytes.clone();
    changed[bytes.len() * 3 / 4] ^= 1;
    std::fs::write(&path, &changed).unwrap();
    let ran = qwglm(folder.path(), &["replay", "cut.qwr"]).expect(1).says(&["at byte "]);
    assert!(original.starts_with(&ran.stdout), "{}", ran.stdout);
    std::fs::write(&path, "[pipeline]\n").unwrap();
    qwglm(folder.path(), &["replay", "cut.qwr"])
        .expect(1)
        .says(&["cut.qwr", "no recording"]);
    qwglm(folder.path(), &["replay", "none.qwr"]).expect(1).says(&["none.qwr"]);
}

#[test]
fn a_replay_that_asks_for_something_else_names_it() {
    let folder = tempfile::tempdir().unwrap();
    small_recording(folder.path());
    let replay = |change: &str| qwglm(folder.path(), &["replay", "run.qwr", "--set", change]);
    let asked = "the replay leaves the recording at request ";
    replay("narrator.max_new_tokens=5")
        .expect(1)
        .says(&[asked, "(generate)", "max_new_tokens is 5, recorded 6"]);
    replay("narrator.prompt=Why?")
        .expect(1)
        .says(&[asked, "(generate)", "tokens is "]);
    replay("encode.max_pixels=4096")
        .expect(1)
        .says(&[asked, "(encode)", "size is "]);
    replay("model.eyes.context_tokens=4096")
        .expect(1)
        .says(&[asked, "(load)", "recorded 8192"]);
    replay("screen.fps=1").expect(2).says(&["stage.screen.fps"]);
    let nowhere = "model.eyes.source=nobody/nothing";
    replay(nowhere).expect(1).says(&["the tokenizer of nobody/nothing is needed"]);
}

#[test]
fn recorded_inputs_go_to_a_real_engine() {
    let folder = tempfile::tempdir().unwrap();
    let (_, original) = small_recording(folder.path());
    std::fs::remove_dir_all(folder.path().join("frames")).unwrap();
    let again = ["replay", "run.qwr", "--engine-type", "sim"];
    assert_eq!(qwglm(folder.path(), &again).expect(0).stdout, original);
    let mut longer = again.to_vec();
    longer.extend(["--set", "narrator.max_new_tokens=7"]);
    let longer = qwglm(folder.path(), &longer).expect(0).stdout;
    assert_eq!(longer.lines().count(), 4);
    assert_ne!(longer, original);
}

#[test]
fn questions_and_json_are_replayed_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    picture(folder.path(), "a.png", 1);
    let ask = cheap(&["ask", "a.png", "What is it?", "Why?", "--record", "ask.qwr"]);
    let original = qwglm(folder.path(), &ask).expect(0).stdout;
    assert_eq!(original.lines().count(), 2);
    assert_eq!(qwglm(folder.path(), &["replay", "ask.qwr"]).expect(0).stdout, original);
    let narrate = cheap(&["narrate", "a.png", "--json", "--record", "json.qwr"]);
    let original = qwglm(folder.path(), &narrate).expect(0).json_lines();
    let again = qwglm(folder.path(), &["replay", "json.qwr"]).expect(0).json_lines();
    assert_eq!((original.len(), &original[0]), (2, &again[0]));
    assert_eq!(original[1]["tokens"], again[1]["tokens"]);
    // A picture that cannot be read fails again, without being there.
    std::fs::write(folder.path().join("bad.png"), "no picture").unwrap();
    let args = cheap(&["narrate", "bad.png", "a.png", "--record", "bad.qwr", "--tsv", "-"]);
    let original = qwglm(folder.path(), &args).expect(1).says(&["bad.png"]).stdout;
    std::fs::remove_file(folder.path().join("bad.png")).unwrap();
    let ran = qwglm(folder.path(), &["replay", "bad.qwr"]).expect(1).says(&["bad.png"]);
    assert_eq!(ran.stdout, original);
}
