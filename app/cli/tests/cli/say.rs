//! `qwglm say`: texts of every kind to phonemes, and what cannot be said.

use super::*;

#[test]
fn a_text_of_a_hundred_thousand_characters_is_read_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let sentence = "The build of 14:05 failed, and it cost $3.50. ";
    let long: String = sentence.chars().cycle().take(100_000).collect();
    // One argument may be that long; more comes in a file.
    let ran = qwglm(folder.path(), &["say", &long, "--phonemes"]).expect(0);
    let short = qwglm(folder.path(), &["say", sentence, "--phonemes"]).expect(0);
    let one = short.stdout.trim();
    assert!(
        ran.stdout.matches(one).count() >= 100_000 / sentence.len(),
        "{} bytes",
        ran.stdout.len()
    );
    let endless = "x".repeat(100_000);
    qwglm(folder.path(), &["say", &endless, "--phonemes"]).expect(0);
}

#[test]
fn sentences_of_a_file_become_a_table() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("s.tsv"), "id\ttext\na\tOpen it.\nb\t🙂🙂🙂\nc\tПривет\n").unwrap();
    qwglm(folder.path(), &["say", "--phonemes", "--tsv", "out.tsv", "s.tsv"]).expect(0);
    let table = std::fs::read_to_string(folder.path().join("out.tsv")).unwrap();
    let ids: Vec<&str> = table.lines().filter_map(|line| line.split('\t').next()).collect();
    assert_eq!(ids, ["a", "b", "c"], "{table}");
}

/// Needs the voice.
#[cfg(feature = "embed")]
#[test]
fn a_text_that_no_voice_can_say_is_an_error_and_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    for text in ["🫠🫠🫠", "Привет, мир", "你好", " \n ", "…"] {
        let ran = qwglm(folder.path(), &["say", text, "-o", "out.wav"]);
        assert!(ran.code != 0 && !ran.stderr.contains("panicked"), "{text}: {}", ran.stderr);
        assert!(!folder.path().join("out.wav").exists(), "{text}");
    }
    qwglm(folder.path(), &["say", "Half 🫠 of it, Привет.", "-o", "out.wav"]).expect(0);
    let sound = std::fs::read(folder.path().join("out.wav")).unwrap();
    assert!(sound.len() > 44 + 22_050, "{} bytes", sound.len());
}
