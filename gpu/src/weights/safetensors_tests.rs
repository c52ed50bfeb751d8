//! Headers that are wrong in every way we know.

use super::*;

/// A whole file: length, header, `n_data` bytes.
fn file(json: &str, n_data: usize) -> Vec<u8> {
    let mut bytes = (json.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(json.as_bytes());
    bytes.resize(bytes.len() + n_data, 0);
    bytes
}

fn parse(bytes: &[u8]) -> Result<Header> {
    let size = bytes.len() as u64;
    let length = header_length("f", bytes, size)?;
    parse_header("f", &bytes[8..8 + length], size)
}

#[test]
fn a_good_header_is_read() {
    let json = r#"{"__metadata__":{"format":"pt"},"b":{"dtype":"BF16","shape":[2,3],"data_offsets":[4,16]},
        "a":{"dtype":"F32","shape":[],"data_offsets":[0,4]},"z":{"dtype":"F32","shape":[0,5],"data_offsets":[16,16]}}   "#;
    let header = parse(&file(json, 16)).expect("good");
    assert_eq!(header.metadata["format"], "pt");
    let b = &header.tensors["b"];
    assert_eq!((b.dtype, b.size), (Dtype::BF16, 12));
    assert_eq!(b.shape, [2, 3]);
    assert_eq!(b.offset, 8 + json.len() as u64 + 4);
    assert_eq!(header.tensors["a"].size, 4);
    assert_eq!(header.tensors["z"].size, 0);
}

#[test]
fn what_the_safetensors_crate_writes_is_read() {
    let data = [1u8; 24];
    let view = ::safetensors::tensor::TensorView::new(Dtype::F16, vec![3, 4], &data).expect("fits");
    let bytes = ::safetensors::serialize([("t", view)], None).expect("written");
    let header = parse(&bytes).expect("good");
    let info = &header.tensors["t"];
    assert_eq!(&bytes[info.offset as usize..][..info.size as usize], &data);
}

#[test]
fn every_fault_has_its_words() {
    let entry =
        |dtype: &str, shape: &str, offsets: &str| format!(r#"{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}"#);
    let one = |dtype: &str, shape: &str, offsets: &str| format!(r#"{{"t":{}}}"#, entry(dtype, shape, offsets));
    let f32_4 = entry("F32", "[1]", "[0,4]");
    let deep = "[".repeat(100_000);
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("empty file", vec![], "is truncated: 0 bytes"),
        ("seven bytes", vec![0; 7], "is truncated: 7 bytes"),
        (
            "length above the file",
            9u64.to_le_bytes().to_vec(),
            "is truncated: its header has 9",
        ),
        ("length above the limit", u64::MAX.to_le_bytes().to_vec(), "at most 100000000"),
        (
            "header cut off",
            file(&one("F32", "[1]", "[0,4]"), 0)[..20].to_vec(),
            "is truncated",
        ),
        ("no JSON", file("hello", 0), "bad safetensors header"),
        ("a list", file("[]", 0), "a map of tensors"),
        ("empty header", file("", 0), "bad safetensors header"),
        (
            "JSON bomb",
            file(&format!(r#"{{"t":{{"x":{deep}"#), 0),
            "bad safetensors header",
        ),
        (
            "JSON bomb as a shape",
            file(&format!(r#"{{"t":{{"shape":{deep}"#), 0),
            "bad safetensors header",
        ),
        (
            "not UTF-8",
            [&3u64.to_le_bytes()[..], b"{\"\xff"].concat(),
            "bad safetensors header",
        ),
        ("unknown type", file(&one("F99", "[1]", "[0,4]"), 4), "unknown type \"F99\""),
        (
            "end past the data",
            file(&one("F32", "[2]", "[0,8]"), 4),
            "the file is truncated",
        ),
        (
            "end before begin",
            file(&one("F32", "[1]", "[4,0]"), 4),
            "begins at 4 after its end 0",
        ),
        (
            "negative offset",
            file(&one("F32", "[1]", "[-4,0]"), 4),
            "bad safetensors header",
        ),
        ("wrong size", file(&one("F32", "[3]", "[0,4]"), 4), "not the size of F32 [3]"),
        (
            "wrong type",
            file(&one("BF16", "[1]", "[0,4]"), 4),
            "not the size of BF16 [1]",
        ),
        (
            "overflowing shape",
            file(&one("F32", "[4294967296,4294967296,4]", "[0,4]"), 4),
            "not the size of",
        ),
        (
            "overflow behind a zero",
            file(&one("F32", "[0,4294967296,4294967296]", "[0,0]"), 0),
            "not the size of",
        ),
        ("half a byte", file(&one("F4", "[1]", "[0,0]"), 0), "not the size of F4 [1]"),
        (
            "nine extents",
            file(&one("F32", "[1,1,1,1,1,1,1,1,1]", "[0,4]"), 4),
            "has 9 extents",
        ),
        ("trailing data", file(&one("F32", "[1]", "[0,4]"), 5), "its tensors end at"),
        (
            "hole",
            file(&format!(r#"{{"t":{}}}"#, entry("F32", "[1]", "[4,8]")), 8),
            "follows a hole",
        ),
        (
            "overlap",
            file(&format!(r#"{{"t":{f32_4},"u":{}}}"#, entry("F32", "[1]", "[2,6]")), 6),
            "overlaps",
        ),
        (
            "the same range twice",
            file(&format!(r#"{{"t":{f32_4},"u":{f32_4}}}"#), 4),
            "overlaps",
        ),
        (
            "a name twice",
            file(&format!(r#"{{"t":{f32_4},"t":{f32_4}}}"#), 4),
            "\"t\" occurs twice",
        ),
        (
            "metadata that is no string",
            file(r#"{"__metadata__":{"a":1}}"#, 0),
            "bad safetensors header",
        ),
        (
            "missing shape",
            file(r#"{"t":{"dtype":"F32","data_offsets":[0,4]}}"#, 4),
            "shape",
        ),
    ];
    let mut wrong = Vec::new();
    for (name, bytes, words) in cases {
        match parse(&bytes) {
            Ok(_) => wrong.push(format!("{name}: was accepted")),
            Err(error) if !error.to_string().contains(words) => wrong.push(format!("{name}: {error}")),
            Err(_) => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

proptest::proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        let _ = parse(&bytes);
    }

    #[test]
    fn what_is_accepted_lies_in_the_file(
        begin in 0u64..20, end in 0u64..20, shape in proptest::collection::vec(0u64..6, 0..3), n_data in 0usize..20,
    ) {
        let json = format!(r#"{{"t":{{"dtype":"F16","shape":{shape:?},"data_offsets":[{begin},{end}]}}}}"#);
        let bytes = file(&json, n_data);
        if let Ok(header) = parse(&bytes) {
            let info = &header.tensors["t"];
            proptest::prop_assert_eq!(info.offset + info.size, bytes.len() as u64);
            proptest::prop_assert_eq!(info.size, 2 * shape.iter().product::<u64>());
        }
    }
}
