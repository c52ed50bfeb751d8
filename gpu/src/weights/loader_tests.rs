//! Matrices on a fake engine: any slicing, any split, any row range gives what packing the whole matrix gives.

use futures::executor::block_on;

use super::super::fixture::{FakeEngine, Tensor, memory, safetensors_file, values};
use super::*;
use crate::weights::checkpoint::SINGLE_FILE;

const ALL: [Format; 4] = [Format::F32, Format::F16, Format::Q8, Format::Q4];

fn open(tensors: &[Tensor], metadata: &[(&str, &str)]) -> Checkpoint {
    let files = [(SINGLE_FILE, safetensors_file(tensors, metadata))];
    block_on(Checkpoint::open(memory(&files))).expect("opens")
}

/// What the parts of a weight hold, dequantised, rows in order.
fn contents(engine: &FakeEngine, weight: &Weight) -> Vec<f32> {
    let mut next_row = 0;
    let mut all = Vec::new();
    for part in &weight.parts {
        assert_eq!(part.first_row, next_row);
        next_row += part.n_rows;
        let scales = part.scales.map(|scales| engine.tensors[&scales].clone()).unwrap_or_default();
        all.extend(quant::dequantize(
            weight.format,
            &engine.tensors[&part.packed],
            &scales,
            part.n_rows,
            weight.k,
        ));
    }
    assert_eq!(next_row, weight.n);
    all
}

/// The same values packed in one go.
fn expected(format: Format, values: &[f32], n: usize, k: usize) -> Vec<f32> {
    let rows = quant::pack(format, values, n, k);
    let bytes = |words: &[u32]| words.iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<u8>>();
    quant::dequantize(format, &bytes(&rows.packed), &bytes(&rows.scales), n, k)
}

#[test]
fn any_slicing_and_row_range_gives_the_same_matrix() {
    for (n, k) in [(7, 33), (1, 1), (130, 40), (64, 32), (5, 0), (0, 8)] {
        let all = values(n * k);
        let checkpoint = open(&[Tensor::f32("m", &[n, k], &all), Tensor::bf16("b", &[n, k], &all)], &[]);
        let rounded = block_on(checkpoint.read_f32("b")).expect("values");
        for format in ALL {
            for (slice_bytes, binding_bytes) in [(SLICE_BYTES, 1 << 27), (600, 1 << 27), (1, 8192)] {
                for rows in [0..n, n / 3..n, n / 2..n / 2] {
                    let mut engine = FakeEngine::new(binding_bytes);
                    let mut loader = Loader::new(&mut engine, &checkpoint, None);
                    loader.slice_bytes = slice_bytes;
                    let f32s = block_on(loader.matrix("m", format, Some(rows.clone()))).expect("loads");
                    let bf16s = block_on(loader.matrix("b", format, Some(rows.clone()))).expect("loads");
                    drop(loader);
                    let range = rows.start * k..rows.end * k;
                    assert_eq!(contents(&engine, &f32s), expected(format, &all[range.clone()], rows.len(), k));
                    assert_eq!(contents(&engine, &bf16s), expected(format, &rounded[range], rows.len(), k));
                    let held = f32s
                        .parts
                        .iter()
                        .chain(&bf16s.parts)
                        .map(|p| 1 + usize::from(p.scales.is_some()))
                        .sum::<usize>();
                    assert_eq!(engine.tensors.len(), held, "staging is freed");
                    assert!(engine.prepared.is_empty());
                }
            }
        }
    }
}

#[test]
fn equal_shapes_share_a_recording_and_large_ones_are_split() {
    let tensors = ["a", "b", "c"].map(|name| Tensor::bf16(name, &[96, 64], &values(96 * 64)));
    let checkpoint = open(&tensors, &[]);
    let mut engine = FakeEngine::new(2048);
    let mut loader = Loader::new(&mut engine, &checkpoint, None);
    let weights: Vec<Weight> = ["a", "b", "c"]
        .iter()
        .map(|name| block_on(loader.matrix(name, Format::Q8, None)).expect("loads"))
        .collect();
    drop(loader);
    assert_eq!(weights[0].parts.len(), 3);
    assert_eq!(engine.n_prepared, 1);
    assert_eq!(contents(&engine, &weights[2]), contents(&engine, &weights[0]));
}

#[test]
fn packed_matrices_are_uploaded_as_they_are() {
    let (n, k) = (5, 40);
    let rows = quant::pack(Format::Q8, &values(n * k), n, k);
    let bytes = |words: &[u32]| words.iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<u8>>();
    let tensors = [
        Tensor {
            name: "m_packed".into(),
            dtype: ::safetensors::Dtype::I32,
            shape: vec![n, 16],
            bytes: bytes(&rows.packed),
        },
        Tensor {
            name: "m_scale".into(),
            dtype: ::safetensors::Dtype::F16,
            shape: vec![n, 2],
            bytes: bytes(&rows.scales),
        },
    ];
    let checkpoint = open(&tensors, &[("packed:m", "q8 40")]);
    let whole = block_on(checkpoint.read_f32("m")).expect("values");
    for range in [0..5, 1..4, 2..2] {
        let mut engine = FakeEngine::new(1 << 27);
        let weight = block_on(load_matrix(
            &mut engine,
            &checkpoint,
            "m",
            Format::Q4,
            Some(range.clone()),
            None,
        ))
        .expect("loads");
        assert_eq!(weight.format, Format::Q8, "it keeps its own format");
        assert_eq!(contents(&engine, &weight), whole[range.start * k..range.end * k]);
        assert_eq!(engine.n_prepared, 0, "nothing is rounded again");
    }
}

#[test]
fn faults_free_what_was_made() {
    let mut bad = values(64 * 32);
    bad[33 * 32 + 7] = f32::NAN;
    let tensors = [
        Tensor::f32("bad", &[64, 32], &bad),
        Tensor::f32("huge", &[2, 2], &[0.0, 0.0, 1e9, 0.0]),
        Tensor::f32("v", &[4], &[1.0; 4]),
    ];
    let checkpoint = open(&tensors, &[]);
    let cases = [
        ("bad", None, "tensor bad: value [33, 7] is NaN"),
        ("huge", None, "holds 1000000000, which q8 cannot"),
        ("huge", Some(1..3), "has 2 rows; 1..3 were asked for"),
        ("v", None, "expected a matrix"),
        ("none", None, "tensor none is missing"),
    ];
    for (name, rows, words) in cases {
        let mut engine = FakeEngine::new(1 << 20);
        let mut loader = Loader::new(&mut engine, &checkpoint, None);
        loader.slice_bytes = 1000;
        let error = block_on(loader.matrix(name, Format::Q8, rows)).expect_err("bad");
        drop(loader);
        assert!(error.to_string().contains(words), "{error}");
        assert!(engine.tensors.is_empty(), "{name}");
    }
    let mut engine = FakeEngine::new(1 << 20);
    engine.memory_limit = 64 * 32 + 10;
    let error = block_on(load_matrix(&mut engine, &checkpoint, "bad", Format::Q8, None, None)).expect_err("full");
    assert!(matches!(error, crate::Error::OutOfMemory { .. }), "{error}");
    assert!(engine.tensors.is_empty());
}

#[test]
fn vectors_are_f32_and_have_their_length() {
    let checkpoint = open(&[Tensor::bf16("v", &[3], &[1.0, -2.0, 0.5])], &[]);
    let mut engine = FakeEngine::new(1 << 20);
    let (sender, progress) = async_channel::bounded(4);
    let mut loader = Loader::new(&mut engine, &checkpoint, Some(sender));
    let tensor = block_on(loader.vector("v", 3)).expect("loads");
    let error = block_on(loader.vector("v", 4)).expect_err("wrong length");
    assert!(error.to_string().contains("is [3], expected [4]"), "{error}");
    drop(loader);
    assert_eq!(bytemuck::cast_slice::<u8, f32>(&engine.tensors[&tensor]), [1.0, -2.0, 0.5]);
    let told = progress.try_recv().expect("told");
    assert_eq!((told.tensor.as_str(), told.done_bytes, told.total_bytes), ("v", 6, 6));
}

#[test]
fn the_loader_waits_for_the_engine() {
    let n = 1 << 14;
    let checkpoint = open(&[Tensor::f32("m", &[n, 1024], &vec![0.5; n << 10])], &[]);
    let mut engine = FakeEngine::new(1 << 27);
    block_on(load_matrix(&mut engine, &checkpoint, "m", Format::Q4, None, None)).expect("loads");
    assert_eq!(engine.n_reads, 1, "64 MiB were uploaded");
}
