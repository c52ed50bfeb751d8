//! `qwglm narrate`: pictures and folders in; words, tables, JSON and traces out.

use super::*;

#[test]
fn pictures_become_a_table_in_their_order() {
    let folder = tempfile::tempdir().unwrap();
    for (name, n) in [("b.png", 0), ("a.png", 1), ("c d.png", 2)] {
        picture(folder.path(), name, n);
    }
    let args = cheap(&["narrate", "--tsv", "out.tsv", "b.png", "a.png", "c d.png"]);
    let ran = qwglm(folder.path(), &args).expect(0).says(&["3 frames, 3 narrations"]);
    let table = std::fs::read_to_string(folder.path().join("out.tsv")).unwrap();
    let stems: Vec<&str> = table.lines().map(|line| line.split_once('\t').unwrap().0).collect();
    assert_eq!(stems, ["b", "a", "c d"]);
    assert_eq!(ran.stdout.lines().count(), 3, "the terminal has them as well: {}", ran.stdout);
    // The same pictures, one at a time: the same words.
    let alone = qwglm(folder.path(), &cheap(&["narrate", "a.png", "--tsv", "-"])).expect(0);
    assert_eq!(alone.stdout, format!("{}\n", table.lines().nth(1).unwrap()));
}

#[test]
fn a_bad_picture_does_not_keep_the_others_from_being_narrated() {
    let folder = tempfile::tempdir().unwrap();
    picture(folder.path(), "a.png", 0);
    picture(folder.path(), "z.png", 1);
    std::fs::write(folder.path().join("m.png"), b"no picture").unwrap();
    let args = cheap(&["narrate", "--tsv", "out.tsv", "a.png", "m.png", "z.png"]);
    qwglm(folder.path(), &args).expect(1).says(&["m.png"]);
    let table = std::fs::read_to_string(folder.path().join("out.tsv")).unwrap();
    let stems: Vec<&str> = table.lines().map(|line| line.split_once('\t').unwrap().0).collect();
    assert_eq!(stems, ["a", "z"]);
}

#[test]
fn a_folder_becomes_a_line_for_each_frame_that_is_new() {
    let folder = tempfile::tempdir().unwrap();
    let frames = folder.path().join("frames");
    std::fs::create_dir(&frames).unwrap();
    for (index, n) in [0, 0, 1, 1, 1, 2].into_iter().enumerate() {
        picture(&frames, &format!("{index:03}.png"), n);
    }
    qwglm(folder.path(), &cheap(&["narrate", "--jsonl", "out.jsonl", "frames"]))
        .expect(0)
        .says(&["6 frames, 3 narrations"]);
    let text = std::fs::read_to_string(folder.path().join("out.jsonl")).unwrap();
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let frames: Vec<_> = lines.iter().map(|line| line["frame"].as_u64().unwrap()).collect();
    assert_eq!(frames, [0, 2, 5]);
    assert!(
        lines
            .iter()
            .all(|line| line["text"].is_string() && line.as_object().unwrap().len() == 2),
        "{text}"
    );
}

#[test]
fn json_has_an_object_a_line_and_a_summary_and_the_trace_opens() {
    let folder = tempfile::tempdir().unwrap();
    let frames = folder.path().join("frames");
    std::fs::create_dir(&frames).unwrap();
    for n in 0..4 {
        picture(&frames, &format!("{n}.png"), n);
    }
    let args = cheap(&[
        "narrate",
        "frames",
        "--json",
        "--fps",
        "4",
        "--trace",
        "trace.json",
        "--prompt",
        "What is new?",
    ]);
    let lines = qwglm(folder.path(), &args).expect(0).json_lines();
    assert_eq!(lines.len(), 5);
    for (n, line) in lines[..4].iter().enumerate() {
        assert_eq!((&line["type"], &line["frame"]), (&"text".into(), &n.into()), "{line}");
        assert_eq!(line["pts_s"], 0.25 * n as f64, "{line}");
    }
    assert_eq!(
        (&lines[4]["type"], &lines[4]["frames"], &lines[4]["narrations"]),
        (&"summary".into(), &4.into(), &4.into())
    );
    let trace = std::fs::read_to_string(folder.path().join("trace.json")).unwrap();
    let trace: serde_json::Value = serde_json::from_str(&trace).unwrap();
    let has = |name: &str| {
        trace["traceEvents"]
            .as_array()
            .unwrap()
            .iter()
            .any(|event| event["name"] == name)
    };
    for name in ["encode", "generate", "words", "gpu.encode", "gpu.prefill"] {
        assert!(has(name), "no slice {name}");
    }
    // The mean waterfall of the answers: its parts are the whole, and the whole is not longer than the run.
    let waterfall = lines[4]["waterfall_ms"].as_object().unwrap();
    let part = |name: &str| waterfall[name].as_f64().unwrap();
    let parts: f64 = ["encoded", "prompt", "prefill", "first_token", "last_token", "written"]
        .map(part)
        .iter()
        .sum();
    assert!((parts - part("whole")).abs() < 1e-6 * part("whole"), "{waterfall:?}");
    assert!(part("whole") < 1e3 * lines[4]["elapsed_s"].as_f64().unwrap(), "{waterfall:?}");
    assert!(
        part("encoded") > 0.0 && part("prefill") > 0.0 && part("last_token") > 0.0,
        "{waterfall:?}"
    );
}

#[test]
fn verbosely_it_says_where_an_answers_time_went_without_a_trace() {
    let folder = tempfile::tempdir().unwrap();
    picture(folder.path(), "a.png", 0);
    let ran = qwglm(folder.path(), &cheap(&["narrate", "a.png", "-v"])).expect(0);
    let line = ran.stderr.lines().find_map(|line| line.strip_prefix("an answer: "));
    let line = line.unwrap_or_else(|| panic!("no waterfall in\n{}", ran.stderr));
    let (parts, whole) = line.rsplit_once("; ").unwrap();
    let ms = |words: &str| -> f64 {
        let number = words.split_whitespace().find_map(|word| word.parse().ok());
        number.unwrap_or_else(|| panic!("no number in {words}"))
    };
    let parts: Vec<f64> = parts.split(", ").map(ms).collect();
    // Each is rounded to a tenth of a millisecond.
    let apart = (parts.iter().sum::<f64>() - ms(whole)).abs();
    assert!(parts.len() == 6 && apart <= 0.05 * 7.0 + 1e-9, "{line}");
}

#[test]
fn a_configuration_can_be_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("other");
    std::fs::create_dir(&other).unwrap();
    picture(folder.path(), "a.png", 0);
    let config = std::fs::read_to_string(Path::new(CONFIGS).join("describe.toml")).unwrap();
    std::fs::write(other.join("mine.toml"), config).unwrap();
    // What the command line names starts from here, not from the configuration's folder.
    let args = cheap(&["narrate", "a.png", "--config", "other/mine.toml"]);
    let ran = qwglm(folder.path(), &args).expect(0);
    assert!(ran.stdout.starts_with("a\t"), "its own sink writes: {}", ran.stdout);
}

#[test]
fn precision_and_bits_are_choices() {
    let folder = tempfile::tempdir().unwrap();
    picture(folder.path(), "a.png", 0);
    for flags in [
        &["--precision", "f32"][..],
        &["--quant", "4"],
        &["--quant", "dense"],
        &["--quant", "8", "--precision", "f32"],
    ] {
        let mut args = cheap(&["narrate", "a.png", "--tsv", "-"]);
        args.extend(flags);
        let ran = qwglm(folder.path(), &args).expect(0);
        assert!(ran.stdout.starts_with("a\t"), "{flags:?}: {}", ran.stdout);
    }
}

#[cfg(unix)]
#[test]
fn a_request_to_end_flushes_what_was_said_and_ends_well() {
    use std::io::{BufRead, BufReader};
    let folder = tempfile::tempdir().unwrap();
    let frames = folder.path().join("frames");
    std::fs::create_dir(&frames).unwrap();
    for n in 0..4 {
        picture(&frames, &format!("{n}.png"), n);
    }
    // A recording that would play for hours.
    let args = cheap(&["narrate", "frames", "--live", "--fps", "0.001", "--jsonl", "out.jsonl"]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_qwglm"));
    let mut child = command
        .args(args)
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(
        Command::new("kill")
            .args(["-INT", &child.id().to_string()])
            .status()
            .unwrap()
            .success()
    );
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let text = std::fs::read_to_string(folder.path().join("out.jsonl")).unwrap();
    assert_eq!(text.lines().count(), 1);
    assert!(text.ends_with('\n'), "the file is whole");
}
