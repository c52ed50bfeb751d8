//! Archives as they are written, and archives that lie.

use std::borrow::Cow;

use futures::executor::block_on;

use super::super::Memory;
use super::*;

/// A header of a member, with a right sum.
fn header(path: &str, size: &str, kind: u8) -> Vec<u8> {
    let mut block = vec![0; 512];
    block[..path.len()].copy_from_slice(path.as_bytes());
    block[124..124 + size.len()].copy_from_slice(size.as_bytes());
    block[156] = kind;
    block[257..262].copy_from_slice(b"ustar");
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

fn member(path: &str, kind: u8, data: &[u8]) -> Vec<u8> {
    let mut bytes = header(path, &format!("{:011o}", data.len()), kind);
    bytes.extend(data);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn open(bytes: Vec<u8>) -> Result<Tar> {
    let memory = Memory::new("m", [("x.nemo".to_owned(), Cow::Owned(bytes))]);
    block_on(Tar::open(Arc::new(memory), "x.nemo"))
}

#[test]
fn members_are_found_by_base_name_and_read_by_range() {
    let long = "d".repeat(120) + "/long.txt";
    let bytes = [
        member("./", b'5', b""),
        member("./model_config.yaml", b'0', b"a: 1\n"),
        member("PaxHeaders/x", b'x', b"27 path=deep/inside/pax.bin\n9 size=3\n"),
        header("ignored", "0", b'0'),
        [b"xyz".as_slice(), &[0; 509]].concat(),
        member("././@LongLink", b'L', long.as_bytes()),
        member("cut", b'0', b"long"),
        vec![0; 1024],
    ]
    .concat();
    let tar = open(bytes).expect("opens");
    assert_eq!(
        tar.members().collect::<Vec<_>>(),
        ["long.txt", "model_config.yaml", "pax.bin"]
    );
    assert_eq!(block_on(tar.read("model_config.yaml", 3, 2)).expect("read"), b"1\n");
    assert_eq!(block_on(tar.read("pax.bin", 0, 3)).expect("read"), b"xyz");
    assert_eq!(block_on(tar.size("long.txt")).expect("size"), Some(4));
    assert_eq!(block_on(tar.size("none")).expect("size"), None);
    for (offset, len) in [(4, 2), (u64::MAX, 1), (0, usize::MAX)] {
        assert!(block_on(tar.read("model_config.yaml", offset, len)).is_err());
    }
}

#[test]
fn damaged_archives_are_refused_with_a_reason() {
    let good = member("a", b'0', b"data");
    let mut flipped = good.clone();
    flipped[0] = b'b';
    let lying = header("a", "77777777777", b'0');
    let mut bad_sum = good.clone();
    bad_sum[148] = 0xff;
    let cases: [(&str, Vec<u8>); 9] = [
        ("is damaged", bad_sum),
        ("gzip", vec![0x1f, 0x8b, 8, 0]),
        ("truncated", Vec::new()),
        ("does not add up", flipped),
        ("truncated", lying),
        ("truncated", good[..514].to_vec()),
        ("two members \"a\"", [good.clone(), member("b/a", b'0', b"")].concat()),
        ("sparse", member("a", b'S', b"")),
        ("is damaged", {
            let mut bytes = header("a", "", b'0');
            bytes[124] = 0xff;
            bytes[148..156].fill(b' ');
            let sum: u32 = bytes.iter().map(|&byte| u32::from(byte)).sum();
            bytes[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            bytes
        }),
    ];
    for (expected, bytes) in cases {
        let error = open(bytes).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains(expected), "{expected}: {error:?}");
    }
    let many = member("a", b'5', b"").repeat(5000);
    assert!(open(many).is_err());
}
