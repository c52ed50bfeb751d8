//! Archives as torch writes them, and archives that want to do harm.

use std::borrow::Cow;
use std::sync::Arc;

use futures::executor::block_on;

use super::super::Checkpoint;
use super::super::source::Memory;
use super::*;

/// A tensor to write: name, storage key, storage length, offset, shape, strides.
type Written<'a> = (&'a str, &'a str, u16, u16, &'a [u8], &'a [u8]);

fn text(pickle: &mut Vec<u8>, text: &str) {
    pickle.push(b'X');
    pickle.extend((text.len() as u32).to_le_bytes());
    pickle.extend(text.as_bytes());
}

fn tuple(pickle: &mut Vec<u8>, numbers: &[u8]) {
    pickle.push(b'(');
    numbers.iter().for_each(|&number| pickle.extend([b'K', number]));
    pickle.push(b't');
}

/// As `torch.save` does, attributes of the state dictionary and a parameter's wrapper included.
fn pickle(tensors: &[Written<'_>]) -> Vec<u8> {
    let mut out = b"\x80\x02ccollections\nOrderedDict\nq\x00)Rq\x01(".to_vec();
    for (name, key, len, offset, shape, strides) in tensors {
        text(&mut out, name);
        out.extend(b"ctorch._utils\n_rebuild_parameter\n(ctorch._utils\n_rebuild_tensor_v2\n((");
        text(&mut out, "storage");
        out.extend(b"ctorch\nFloatStorage\n");
        text(&mut out, key);
        text(&mut out, "cpu");
        out.push(b'M');
        out.extend(len.to_le_bytes());
        out.extend(b"tQM");
        out.extend(offset.to_le_bytes());
        tuple(&mut out, shape);
        tuple(&mut out, strides);
        out.extend(b"\x89h\x00)RtR\x88h\x00)RtR");
    }
    out.extend(b"u}");
    text(&mut out, "_metadata");
    out.extend(b"h\x00)Rsb.");
    out
}

/// A zip archive of stored entries; `method` is written for all.
fn zip(entries: &[(&str, &[u8])], method: u16) -> Vec<u8> {
    let (mut data, mut directory) = (Vec::new(), Vec::new());
    for (name, bytes) in entries {
        let offset = data.len() as u32;
        let common = |out: &mut Vec<u8>, extra: u16| {
            out.extend([20, 0, 0, 8]);
            out.extend(method.to_le_bytes());
            out.extend([0; 8]);
            out.extend((bytes.len() as u32).to_le_bytes());
            out.extend((bytes.len() as u32).to_le_bytes());
            out.extend((name.len() as u16).to_le_bytes());
            out.extend(extra.to_le_bytes());
        };
        data.extend(b"PK\x03\x04");
        common(&mut data, 4);
        data.extend(name.as_bytes());
        data.extend(b"FB\0\0");
        data.extend(*bytes);
        directory.extend(b"PK\x01\x02\x14\x00");
        common(&mut directory, 0);
        directory.extend([0; 10]);
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let offset = data.len() as u32;
    let n = entries.len() as u16;
    data.extend(&directory);
    data.extend(b"PK\x05\x06\0\0\0\0");
    data.extend(n.to_le_bytes());
    data.extend(n.to_le_bytes());
    data.extend((directory.len() as u32).to_le_bytes());
    data.extend(offset.to_le_bytes());
    data.extend([0, 0]);
    data
}

fn open(ckpt: Vec<u8>) -> Result<Checkpoint> {
    let memory = Memory::new("m", [("model_weights.ckpt".to_owned(), Cow::Owned(ckpt))]);
    block_on(Checkpoint::open(Arc::new(memory)))
}

fn fault(ckpt: Vec<u8>) -> String {
    open(ckpt).err().map(|error| error.to_string()).unwrap_or_default()
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

#[test]
fn tensors_are_read_in_place_and_strided_ones_in_order() {
    let storage = floats(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let pickle = pickle(&[
        ("whole", "0", 7, 0, &[7], &[1]),
        ("part", "0", 7, 1, &[2, 3], &[3, 1]),
        ("turned", "0", 7, 1, &[3, 2], &[1, 3]),
        ("repeated", "0", 7, 6, &[2, 2], &[0, 0]),
        ("one", "0", 7, 5, &[], &[]),
        ("flat", "0", 7, 2, &[1, 3, 1], &[9, 1, 7]),
        ("none", "0", 7, 7, &[0, 3], &[3, 1]),
    ]);
    let order = b"little".as_slice();
    let ckpt = open(zip(
        &[("w/data.pkl", &pickle), ("w/byteorder", order), ("w/data/0", &storage)],
        0,
    ))
    .expect("opens");
    let read = |name: &str| block_on(ckpt.read_f32(name)).expect("reads");
    assert_eq!(read("whole").len(), 7);
    assert_eq!(read("part"), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    assert_eq!(read("turned"), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    assert_eq!(read("repeated"), [6.0; 4]);
    assert_eq!(read("one"), [5.0]);
    assert_eq!(read("flat"), [2.0, 3.0, 4.0]);
    assert_eq!(read("none"), [0f32; 0]);
    let rows = block_on(ckpt.read_rows("turned", 1..2)).expect("a row");
    assert_eq!(rows, floats(&[2.0, 5.0]));
}

#[test]
fn tensors_that_leave_their_storage_are_refused() {
    let storage = floats(&[1.0; 6]);
    let cases: [(&str, Written<'_>); 5] = [
        ("ends at value 7", ("a", "0", 6, 1, &[6], &[1])),
        ("ends at value 11", ("a", "0", 6, 0, &[2, 1], &[10, 1])),
        ("which are not 5 values", ("a", "0", 5, 0, &[5], &[1])),
        ("which is missing", ("a", "1", 6, 0, &[6], &[1])),
        ("and strides", ("a", "0", 6, 0, &[2, 3], &[1])),
    ];
    for (expected, tensor) in cases {
        let error = fault(zip(&[("w/data.pkl", &pickle(&[tensor])), ("w/data/0", &storage)], 0));
        assert!(error.contains(expected), "{expected}: {error}");
    }
    // A value repeated without end costs nothing to store.
    let bomb = pickle(&[("a", "0", 6, 0, &[255, 255, 255, 255], &[0, 0, 0, 0])]);
    let error = fault(zip(&[("w/data.pkl", &bomb), ("w/data/0", &storage)], 0));
    assert!(error.contains("out of order"), "{error}");
}

#[test]
fn a_pickle_that_would_run_something_is_refused() {
    let deep = [b"\x80\x02)".to_vec(), vec![0x85; 100_000], b".".to_vec()].concat();
    let cases: [(&str, Vec<u8>); 9] = [
        ("posix.system", b"\x80\x02cposix\nsystem\n(X\x02\0\0\0lstR.".to_vec()),
        ("builtins.eval", b"\x80\x02cbuiltins\neval\n.".to_vec()),
        (
            "torch._utils._rebuild_tensor_v3",
            b"\x80\x02ctorch._utils\n_rebuild_tensor_v3\n.".to_vec(),
        ),
        ("opcode 0x69", b"\x80\x02(iposix\nsystem\n.".to_vec()),
        ("protocol 5", b"\x80\x05.".to_vec()),
        (
            "not called as torch does",
            b"\x80\x02ccollections\nOrderedDict\nK\x01\x85R.".to_vec(),
        ),
        ("nested", deep),
        ("is truncated", b"\x80\x02X\xff\xff\xff\xff".to_vec()),
        ("not a dictionary", b"\x80\x02K\x01.".to_vec()),
    ];
    for (expected, pickle) in cases {
        let error = fault(zip(&[("w/data.pkl", &pickle)], 0));
        assert!(error.contains(expected), "{expected}: {error}");
    }
    for pickle in [
        b"\x80\x02u.".as_slice(),
        b"(0.",
        b"t.",
        b"R.",
        b"Q.",
        b"b.",
        b"h\x01.",
        b"",
        b"\x8a\xff.",
    ] {
        assert!(!fault(zip(&[("data.pkl", pickle)], 0)).is_empty(), "{pickle:?}");
    }
}

#[test]
fn a_zip_bomb_and_damaged_archives_are_refused() {
    let good = pickle(&[("a", "0", 1, 0, &[1], &[1])]);
    let entries: [(&str, &[u8]); 2] = [("w/data.pkl", &good), ("w/data/0", &[0; 4])];
    assert!(fault(zip(&entries, 8)).contains("is compressed"));
    assert!(fault(b"PK".to_vec()).contains("no zip archive"));
    assert!(fault(Vec::new()).contains("no zip archive"));
    assert!(fault(zip(&[("x", b"")], 0)).contains("data.pkl"));
    let big = zip(
        &[("data.pkl", good.as_slice()), ("byteorder", b"big"), ("data/0", &[0; 4])],
        0,
    );
    assert!(fault(big).contains("big-endian"));
    let whole = zip(&entries, 0);
    open(whole.clone()).expect("opens");
    let directory = whole.windows(4).position(|four| four == b"PK\x01\x02").expect("a directory");
    for cut in 0..whole.len() {
        assert!(open(whole[..cut].to_vec()).is_err(), "cut at {cut}");
    }
    // Offsets, sizes and counts that lie.
    for at in (directory..whole.len()).chain(0..30) {
        for value in [0u8, 0xff] {
            let mut bytes = whole.clone();
            bytes[at] = value;
            if let Ok(checkpoint) = open(bytes) {
                let _ = block_on(checkpoint.read_f32("a"));
            }
        }
    }
}
