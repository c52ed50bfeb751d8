//! `qwglm transcribe`: real words of a tiny model with random weights, which mean nothing and are exact; and sound that is none.

use super::*;

/// What transformers' own `generate` makes of the golden sound `long`.
const WORDS: &str = "iffiverrowrowrowrow o oedr";

/// The golden sound `long`: i16 at 16 kHz, as little-endian bytes.
fn golden_sound() -> Vec<u8> {
    let bytes = std::fs::read(Path::new(ear()).join("case_long.safetensors")).unwrap();
    let (length, rest) = bytes.split_first_chunk::<8>().unwrap();
    let (header, data) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let header: serde_json::Value = serde_json::from_slice(header).unwrap();
    let offset = |index: usize| header["audio_i16"]["data_offsets"][index].as_u64().unwrap() as usize;
    data[offset(0)..offset(1)].to_vec()
}

/// A WAV of integers.
fn wav(path: &Path, rate_hz: u32, channels: u16, bits: u16, data: &[u8]) {
    let frame = channels * bits / 8;
    let mut bytes = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0".to_vec();
    bytes.extend(channels.to_le_bytes());
    bytes.extend(rate_hz.to_le_bytes());
    bytes.extend((rate_hz * u32::from(frame)).to_le_bytes());
    bytes.extend(frame.to_le_bytes());
    bytes.extend(bits.to_le_bytes());
    bytes.extend(b"data");
    bytes.extend((data.len() as u32).to_le_bytes());
    bytes.extend(data);
    std::fs::write(path, bytes).unwrap();
}

/// In f32 on the simulator and without silence around, so that words are the reference's.
fn transcribe(folder: &Path, model: &str, args: &[&str]) -> Ran {
    let fixed = [
        "transcribe",
        "--model",
        model,
        "--engine",
        "sim",
        "--precision",
        "f32",
        "--silence",
        "0",
    ];
    qwglm(folder, &[&fixed, args].concat())
}

#[test]
fn files_become_the_references_words() {
    let folder = tempfile::tempdir().unwrap();
    let sound = golden_sound();
    wav(&folder.path().join("a.wav"), 16_000, 1, 16, &sound);
    let widened: Vec<u8> = sound.chunks_exact(2).flat_map(|word| [0, word[0], word[1]]).collect();
    wav(&folder.path().join("b.wav"), 16_000, 1, 24, &widened);
    let doubled: Vec<u8> = sound.chunks_exact(2).flat_map(|word| [word, word].concat()).collect();
    wav(&folder.path().join("c.wav"), 16_000, 2, 16, &doubled);
    let nemo = format!("{}/tiny.nemo", ear());
    for model in [ear(), &nemo] {
        let ran = transcribe(folder.path(), model, &["--tsv", "out.tsv", "a.wav", "b.wav", "c.wav"]).expect(0);
        assert_eq!(ran.stdout, "");
        ran.says(&["3 files, 12.0 s of sound"]);
        let tsv = std::fs::read_to_string(folder.path().join("out.tsv")).unwrap();
        assert_eq!(tsv, format!("a\t{WORDS}\nb\t{WORDS}\nc\t{WORDS}\n"));
    }
    let plain = transcribe(folder.path(), ear(), &["a.wav"]).expect(0);
    assert_eq!(plain.stdout, format!("{WORDS}\n"));
    let json = transcribe(folder.path(), ear(), &["a.wav", "--json"]).expect(0).json_lines();
    let words = json[0]["words"].as_array().unwrap();
    let told: Vec<&str> = words.iter().map(|word| word["word"].as_str().unwrap()).collect();
    assert_eq!((json.len(), told.join(" ")), (1, WORDS.to_owned()));
    let times: Vec<f64> = words
        .iter()
        .flat_map(|word| [&word["start"], &word["end"]].map(|time| time.as_f64().unwrap()))
        .collect();
    assert!(times.is_sorted() && times[5] <= 4.1, "{times:?}");
    let lines = transcribe(folder.path(), ear(), &["a.wav", "--words"]).expect(0).stdout;
    assert!(lines.lines().count() == 3 && lines.ends_with("\toedr\n"), "{lines}");
}

#[test]
fn sound_that_cannot_be_heard_is_named_and_keeps_nothing_else_from_being_heard() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    wav(&at("good.wav"), 16_000, 1, 16, &golden_sound());
    wav(&at("phone.wav"), 8_000, 1, 8, &[0x80; 8000]);
    wav(&at("wide.wav"), 48_000, 2, 16, &[0; 96_000]);
    wav(&at("silent.wav"), 16_000, 1, 16, &[]);
    std::fs::write(at("empty.wav"), "").unwrap();
    std::fs::write(at("song.mp3"), b"ID3\x03\0\0").unwrap();
    let whole = std::fs::read(at("good.wav")).unwrap();
    std::fs::write(at("cut.wav"), &whole[..whole.len() - 10_001]).unwrap();
    let files = [
        "empty.wav",
        "song.mp3",
        "silent.wav",
        "none.flac",
        "cut.wav",
        "phone.wav",
        "wide.wav",
        "good.wav",
    ];
    let ran = transcribe(folder.path(), ear(), &[&["--tsv", "-"], &files[..]].concat()).expect(1);
    let labels: Vec<&str> = ran.stdout.lines().filter_map(|line| line.split('\t').next()).collect();
    assert_eq!(labels, ["silent", "cut", "phone", "wide", "good"], "{}", ran.stdout);
    assert!(ran.stdout.ends_with(&format!("good\t{WORDS}\n")), "{}", ran.stdout);
    ran.says(&[
        "empty.wav: is empty",
        "song.mp3: is neither WAV nor FLAC",
        "silent.wav: holds no sound",
        "none.flac cannot be read",
        "cut.wav: is truncated: it has",
    ]);
}

#[test]
fn a_model_of_speech_that_there_is_not_is_named() {
    let folder = tempfile::tempdir().unwrap();
    wav(&folder.path().join("a.wav"), 16_000, 1, 16, &[0; 3200]);
    transcribe(folder.path(), "pocket-ears", &["a.wav"])
        .expect(2)
        .says(&["pocket-ears", "pocket-asr"]);
    std::fs::write(folder.path().join("bad.nemo"), [0x1f; 2000]).unwrap();
    transcribe(folder.path(), "bad.nemo", &["a.wav"])
        .expect(1)
        .says(&["bad.nemo"]);
    qwglm(folder.path(), &["transcribe"]).expect(2).says(&["<FILE>"]);
}

/// Needs the pocket models.
#[cfg(feature = "embed")]
#[test]
fn what_it_says_it_hears() {
    let folder = tempfile::tempdir().unwrap();
    qwglm(folder.path(), &["say", "What is on the screen?", "-o", "a.wav"]).expect(0);
    let ran = qwglm(folder.path(), &["transcribe", "a.wav", "--engine", "sim"]).expect(0);
    assert_eq!(ran.stdout, "what is on the screen\n");
}
