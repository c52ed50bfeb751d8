//! `qwglm talk` with files for a microphone and a speaker. What hears and what answers have random weights: their words mean nothing.

use super::*;

const QUESTION: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/speech/sb_spk1_snt2.flac");

/// Needs the voice.
#[cfg(feature = "embed")]
#[test]
fn a_file_is_heard_and_a_file_is_the_speaker() {
    let folder = tempfile::tempdir().unwrap();
    let args = cheap(&["talk", "--ears", ear(), "--audio", QUESTION, "--wav", "out.wav"]);
    qwglm(folder.path(), &args).expect(0);
    let sound = std::fs::read(folder.path().join("out.wav")).unwrap();
    // As long as the question, which took three seconds: it is played in real time.
    assert!(sound.len() > 44 + 2 * 3 * 22_050, "{} bytes", sound.len());
}

#[test]
fn what_is_missing_is_named() {
    let folder = tempfile::tempdir().unwrap();
    qwglm(
        folder.path(),
        &["talk", "--audio", QUESTION, "--wav", "out.wav", "--ears", "no-such-ears"],
    )
    .expect(2)
    .says(&["no-such-ears", "pocket-asr"]);
    qwglm(
        folder.path(),
        &["talk", "--audio", "none.wav", "--wav", "out.wav", "--engine", "sim"],
    )
    .expect(1)
    .says(&["none.wav"]);
    if cfg!(not(feature = "desktop")) {
        qwglm(folder.path(), &["talk", "--ears", ear()])
            .expect(2)
            .says(&["--audio", "--wav"]);
    }
}
