//! Checkpoints of one file and of several, found names, and what is said of broken ones.

use futures::executor::block_on;
use miniz_oxide::deflate::compress_to_vec_zlib;

use super::super::fixture::{Tensor, memory, safetensors_file};
use super::*;

/// Files by name.
type Files = Vec<(&'static str, Vec<u8>)>;

fn open(files: &[(&str, Vec<u8>)]) -> Result<Checkpoint> {
    block_on(Checkpoint::open(memory(files)))
}

fn two_by_three(name: &str) -> Tensor {
    Tensor::bf16(name, &[2, 3], &[1.0, 2.0, 3.0, -4.0, 5.0, 6.0])
}

fn index(pairs: &[(&str, &str)]) -> Vec<u8> {
    let map: BTreeMap<_, _> = pairs.iter().copied().collect();
    serde_json::to_vec(&serde_json::json!({ "metadata": { "total_size": 1 }, "weight_map": map })).expect("JSON")
}

/// A packed matrix [2, 40] of q4 whose values are all 1, and its metadata.
fn packed_file(stated: &str, scale_shape: &[usize]) -> Vec<u8> {
    let rows = quant::pack(Format::Q4, &[1.0; 80], 2, 40);
    let bytes = |words: &[u32]| words.iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<u8>>();
    let tensors = [
        Tensor {
            name: "m_packed".into(),
            dtype: Dtype::U32,
            shape: vec![2, 8],
            bytes: bytes(&rows.packed),
        },
        Tensor {
            name: "m_scale".into(),
            dtype: Dtype::F16,
            shape: scale_shape.to_vec(),
            bytes: bytes(&rows.scales),
        },
    ];
    safetensors_file(&tensors, &[("packed:m", stated)])
}

#[test]
fn one_file_is_opened_and_read_by_rows() {
    let file = safetensors_file(&[two_by_three("a.weight"), Tensor::f32("v", &[2], &[7.0, 8.0])], &[]);
    let checkpoint = open(&[(SINGLE_FILE, file), ("config.json", b"{}".to_vec())]).expect("opens");
    assert_eq!(checkpoint.total_bytes(), 12 + 8);
    assert_eq!(block_on(checkpoint.text("config.json")).expect("text").as_deref(), Some("{}"));
    assert_eq!(block_on(checkpoint.text("none.json")).expect("none"), None);
    let row = block_on(checkpoint.read_rows("a.weight", 1..2)).expect("row");
    assert_eq!(quant::f32_from_raw(RawDType::Bf16, &row), [-4.0, 5.0, 6.0]);
    assert_eq!(block_on(checkpoint.read_f32("v")).expect("values"), [7.0, 8.0]);
    assert!(block_on(checkpoint.read_rows("a.weight", 1..3)).is_err());
    assert_eq!(checkpoint.matrix("a.weight").expect("matrix").extents(), (2, 3));
    let error = checkpoint.matrix("v").expect_err("vector");
    assert!(error.to_string().contains("vector [2], expected a matrix"), "{error}");
}

#[test]
fn shards_are_joined() {
    let checkpoint = open(&[
        (INDEX_FILE, index(&[("a", "m-1.safetensors"), ("b", "m-2.safetensors")])),
        ("m-1.safetensors", safetensors_file(&[two_by_three("a")], &[])),
        (
            "m-2.safetensors",
            safetensors_file(&[two_by_three("b"), two_by_three("unlisted")], &[]),
        ),
    ])
    .expect("opens");
    assert_eq!(checkpoint.tensors().keys().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(block_on(checkpoint.read_f32("b")).expect("values")[3], -4.0);
}

#[test]
fn broken_checkpoints_are_named() {
    let good = safetensors_file(&[two_by_three("a")], &[]);
    let shard = |name: &'static str| (INDEX_FILE, index(&[("a", name)]));
    let deep = format!(r#"{{"weight_map":{}"#, "[".repeat(100_000));
    let cases: Vec<(&str, Files, &str)> = vec![
        ("nothing", vec![], "there are no weights"),
        (
            "missing shard",
            vec![shard("m-1.safetensors")],
            "m-1.safetensors: is missing in fixture",
        ),
        (
            "truncated",
            vec![(SINGLE_FILE, good[..good.len() - 1].to_vec())],
            "the file is truncated",
        ),
        ("0 bytes", vec![(SINGLE_FILE, vec![])], "is truncated: 0 bytes"),
        (
            "oversized header",
            vec![(SINGLE_FILE, [&u64::MAX.to_le_bytes()[..], &good[8..]].concat())],
            "at most 100000000",
        ),
        (
            "tensor elsewhere",
            vec![(INDEX_FILE, index(&[("b", "m")])), ("m", good.clone())],
            "tensor b: is not in this file",
        ),
        ("traversal", vec![shard("../m.safetensors")], "not a file of the checkpoint"),
        ("absolute", vec![shard("/etc/passwd")], "not a file of the checkpoint"),
        (
            "index is no JSON",
            vec![(INDEX_FILE, b"[1".to_vec())],
            "is not an index of shards",
        ),
        ("index without map", vec![(INDEX_FILE, b"{}".to_vec())], "weight_map"),
        (
            "index bomb",
            vec![(INDEX_FILE, deep.into_bytes())],
            "is not an index of shards",
        ),
        ("index is no text", vec![(INDEX_FILE, vec![0xff])], "UTF-8"),
    ];
    let mut wrong = Vec::new();
    for (name, files, words) in cases {
        match open(&files) {
            Ok(_) => wrong.push(format!("{name}: was accepted")),
            Err(error) if !error.to_string().contains(words) => wrong.push(format!("{name}: {error}")),
            Err(_) => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn names_are_found_under_other_prefixes() {
    let names = [
        "visual.pos_embed.weight",
        "model.norm.weight",
        "odd.model.visual.merger.norm.weight",
        "x.twice",
        "y.twice",
    ];
    let file = safetensors_file(&names.map(two_by_three), &[]);
    let checkpoint = open(&[(SINGLE_FILE, file)]).expect("opens");
    let cases = [
        ("model.visual.pos_embed.weight", Some(names[0])),
        ("model.language_model.norm.weight", Some(names[1])),
        ("model.visual.merger.norm.weight", Some(names[2])),
        ("model.twice", None),
        ("lm_head.weight", None),
    ];
    for (name, expected) in cases {
        assert_eq!(checkpoint.find(name).as_deref(), expected, "{name}");
    }
    let error = checkpoint.info("model.visual.pos_embd.weight").expect_err("misspelt");
    assert!(
        error.to_string().contains("the closest names are visual.pos_embed.weight"),
        "{error}"
    );
}

#[test]
fn packed_matrices_are_read_back() {
    let checkpoint = open(&[(SINGLE_FILE, packed_file("q4 40", &[2, 2]))]).expect("opens");
    assert_eq!(checkpoint.find("model.m").as_deref(), Some("m"));
    assert!(matches!(
        checkpoint.matrix("m").expect("matrix"),
        StoredMatrix::Packed {
            format: Format::Q4,
            n: 2,
            k: 40,
            ..
        }
    ));
    assert_eq!(block_on(checkpoint.read_f32("m")).expect("values"), vec![1.0; 80]);
    let error = checkpoint.info("m").expect_err("packed");
    assert!(error.to_string().contains("stored packed"), "{error}");
    for (stated, scale_shape, words) in [
        ("q5 40", [2, 2], "supported"),
        ("q4", [2, 2], "supported"),
        ("q4 0", [2, 2], "supported"),
        ("q4 99999999999999999999", [2, 2], "supported"),
        ("q4 4000000000", [2, 2], "supported"),
        ("q4 72", [2, 2], "needs U32 [n, 12]"),
        ("q8 40", [2, 2], "needs U32 [n, 16]"),
        ("q4 40", [4, 1], "and F16 [n, 2]"),
    ] {
        let checkpoint = open(&[(SINGLE_FILE, packed_file(stated, &scale_shape))]).expect("opens");
        let error = checkpoint.matrix("m").expect_err("bad");
        assert!(error.to_string().contains(words), "{stated}: {error}");
    }
}

#[test]
fn values_that_are_not_finite_are_named_with_their_place() {
    let tensors = [
        Tensor::f32("m", &[2, 2], &[0.0, 1.0, f32::NAN, 2.0]),
        Tensor::bf16("v", &[3], &[0.0, f32::INFINITY, 0.0]),
        Tensor {
            name: "ids".into(),
            dtype: Dtype::I64,
            shape: vec![1],
            bytes: vec![0; 8],
        },
    ];
    let checkpoint = open(&[(SINGLE_FILE, safetensors_file(&tensors, &[]))]).expect("opens");
    for (name, words) in [
        ("m", "tensor m: value [1, 0] is NaN"),
        ("v", "tensor v: value [1] is inf"),
        ("ids", "type I64"),
    ] {
        let error = block_on(checkpoint.read_f32(name)).expect_err("bad");
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn a_compressed_file_is_as_good_as_a_plain_one() {
    let file = safetensors_file(&[two_by_three("a.weight"), Tensor::f32("v", &[2], &[7.0, 8.0])], &[]);
    let stream = compress_to_vec_zlib(&file, 9);
    let zz = "model.safetensors.zz";
    let checkpoint = open(&[(zz, stream.clone())]).expect("opens");
    assert_eq!(checkpoint.total_bytes(), 12 + 8);
    assert_eq!(block_on(checkpoint.read_f32("v")).expect("values"), [7.0, 8.0]);
    let row = block_on(checkpoint.read_rows("a.weight", 1..2)).expect("row");
    assert_eq!(quant::f32_from_raw(RawDType::Bf16, &row), [-4.0, 5.0, 6.0]);
    // The plain one comes first.
    assert!(open(&[(zz, vec![1, 2, 3]), (SINGLE_FILE, file.clone())]).is_ok());
    let bomb = compress_to_vec_zlib(&vec![0; (64 << 20) + 1], 1);
    let cut = compress_to_vec_zlib(&file[..file.len() - 1], 9);
    for (stream, words) in [
        (
            &stream[..stream.len() / 2],
            "model.safetensors.zz: is compressed, and truncated",
        ),
        (b"not zlib", "model.safetensors.zz: is compressed, and damaged"),
        (&bomb, "model.safetensors.zz: is compressed, and holds more than is allowed"),
        (&cut, "the file is truncated"),
    ] {
        let error = open(&[(zz, stream.to_vec())]).expect_err("broken").to_string();
        assert!(error.contains(words), "{words}: {error}");
    }
}

/// Ten mebibytes with the weights as they are packed; in the tree they are compressed as well.
#[test]
fn pocket_vl_is_whole_and_fits_ten_mebibytes() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/pocket-vl");
    let folder = crate::weights::source::Folder::open(path).expect("is in the tree");
    let checkpoint = block_on(Checkpoint::open(Arc::new(folder))).expect("opens");
    let names: BTreeSet<&str> = checkpoint
        .tensors()
        .keys()
        .filter(|name| !name.ends_with("_scale"))
        .map(|name| name.strip_suffix("_packed").unwrap_or(name))
        .collect();
    let n_values: usize = names
        .iter()
        .map(|name| block_on(checkpoint.read_f32(name)).expect("is finite").len())
        .sum();
    assert_eq!(n_values, 14_645_760);
    let sizes = std::fs::read_dir(path)
        .expect("lists")
        .flatten()
        .filter(|file| file.file_name() != "model.safetensors.zz")
        .map(|file| file.metadata().expect("size").len());
    let total = checkpoint.total_bytes() + sizes.sum::<u64>();
    assert!(total <= 10 << 20, "{total} bytes");
}
