//! Plays the same little recording on two engines, and compares what comes out.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::executor::block_on;
use gpu::Result;
use gpu::engine::Engine;
use gpu::engine::wgpu::{AdapterChoice, WgpuEngine};
use gpu::plan::Variants;
use gpu::recording::{Buffer, Recording};
use gpu::tensor::{DType, Shape, TensorId};
use gpu::weights::{Format, Weight, WeightPart, quant};

use crate::close::relative_rms;

/// Engines on a real adapter, with checks in their shaders if `checked`: one as the program has it and, where that adapter draws on the
/// CPU and so gets kernels of its own, one that plans as for a GPU. None (and `SKIPPED`) without an adapter.
///
/// # Panics
/// Without an adapter if `REQUIRE_GPU` is 1.
pub fn gpu_engines(checked: bool) -> Vec<WgpuEngine> {
    let open = |as_hardware| {
        block_on(WgpuEngine::new(AdapterChoice {
            checked,
            as_hardware,
            ..AdapterChoice::default()
        }))
    };
    match open(false) {
        Ok(engine) if engine.adapter().software => [Some(engine), open(true).ok()].into_iter().flatten().collect(),
        Ok(engine) => vec![engine],
        Err(error) => {
            let required = std::env::var("REQUIRE_GPU").is_ok_and(|value| value == "1");
            assert!(!required, "REQUIRE_GPU is set: {error}");
            println!("SKIPPED: {error}");
            Vec::new()
        }
    }
}

/// The same, with the kernels that need no feature of the adapter and compute in f32.
///
/// # Panics
/// As that.
pub fn plain_engines(checked: bool) -> Vec<WgpuEngine> {
    let mut engines = gpu_engines(checked);
    for engine in &mut engines {
        engine.set_variants(Variants::plain(engine.adapter()));
    }
    engines
}

/// The first of [`gpu_engines`].
///
/// # Panics
/// As that.
pub fn gpu_engine() -> Option<WgpuEngine> {
    gpu_engines(true).into_iter().next()
}

/// Numbers that are the same on every machine.
#[derive(Clone)]
pub struct Numbers(u64);

impl Numbers {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Source: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014 (SplitMix64).
    pub fn word(&mut self) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) as u32
    }

    pub fn below(&mut self, n: usize) -> usize {
        self.word() as usize % n.max(1)
    }

    /// Evenly in −1 … 1.
    pub fn value(&mut self) -> f32 {
        (self.word() >> 8) as f32 / 8_388_608.0 - 1.0
    }

    pub fn values(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.value()).collect()
    }
}

/// What came out of a recording.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    Floats(Vec<f32>),
    Words(Vec<u32>),
}

/// Builds a recording on one engine: tensors are made and filled as they are named.
pub struct Build<'a> {
    pub engine: &'a mut dyn Engine,
    pub rec: Recording,
    words_out: Vec<(String, TensorId, u64)>,
    tensors: Vec<TensorId>,
}

impl Build<'_> {
    fn bytes(&mut self, bytes: &[u8]) -> TensorId {
        let mut whole = bytes.to_vec();
        whole.resize(whole.len().next_multiple_of(4), 0);
        let id = self.engine.create("input", whole.len() as u64).expect("the engine has room");
        self.engine.write(id, 0, &whole).expect("the tensor takes its bytes");
        self.tensors.push(id);
        id
    }

    pub fn floats(&mut self, values: &[f32], shape: impl Into<Shape>) -> Buffer {
        let id = self.bytes(bytemuck::cast_slice(values));
        self.rec.bind(id, DType::F32, shape)
    }

    pub fn words(&mut self, values: &[u32], shape: impl Into<Shape>) -> Buffer {
        let id = self.bytes(bytemuck::cast_slice(values));
        self.rec.bind(id, DType::U32, shape)
    }

    /// Words or halves whose contents are read afterwards: a cache, a state, packed weights.
    pub fn changed(&mut self, name: &str, bytes: &[u8], dtype: DType, shape: impl Into<Shape>) -> Buffer {
        let id = self.bytes(bytes);
        self.words_out.push((name.into(), id, bytes.len().next_multiple_of(4) as u64));
        self.rec.bind(id, dtype, shape)
    }

    pub fn raw(&mut self, bytes: &[u8], dtype: DType, shape: impl Into<Shape>) -> Buffer {
        let id = self.bytes(bytes);
        self.rec.bind(id, dtype, shape)
    }

    /// A weight `[n, k]` packed on the CPU, in `n_parts` runs of rows.
    pub fn weight(&mut self, format: Format, values: &[f32], n: usize, k: usize, n_parts: usize) -> Arc<Weight> {
        let run = n.div_ceil(n_parts).max(1);
        let mut parts = Vec::new();
        for first_row in (0..n).step_by(run) {
            let n_rows = run.min(n - first_row);
            let packed = quant::pack(format, &values[first_row * k..][..n_rows * k], n_rows, k);
            parts.push(WeightPart {
                first_row,
                n_rows,
                packed: self.bytes(bytemuck::cast_slice(&packed.packed)),
                scales: format.has_scales().then(|| self.bytes(bytemuck::cast_slice(&packed.scales))),
            });
        }
        Arc::new(Weight {
            name: "w".into(),
            format,
            n,
            k,
            parts,
        })
    }

    /// Names a result in f32.
    pub fn out(&mut self, name: &str, buffer: Buffer) {
        self.rec.tap(name, buffer);
    }
}

/// Builds, plays and reads a recording.
///
/// Errors: those of the engine.
pub fn outputs(engine: &mut dyn Engine, build: impl Fn(&mut Build<'_>)) -> Result<BTreeMap<String, Output>> {
    let mut rec = Recording::new("test");
    rec.keep_taps = true;
    let mut building = Build {
        engine,
        rec,
        words_out: Vec::new(),
        tensors: Vec::new(),
    };
    build(&mut building);
    let Build {
        engine,
        rec,
        words_out,
        tensors,
    } = building;
    let taps: Vec<String> = rec.taps.keys().cloned().collect();
    let prepared = engine.prepare(rec)?;
    engine.play(prepared)?;
    let mut results = BTreeMap::new();
    for name in taps {
        let bytes = block_on(engine.read_tap(prepared, &name))?;
        results.insert(name, Output::Floats(bytemuck::pod_collect_to_vec(&bytes)));
    }
    for (name, id, size_bytes) in words_out {
        let bytes = block_on(engine.read(id, 0, size_bytes))?;
        results.insert(name, Output::Words(bytemuck::pod_collect_to_vec(&bytes)));
    }
    engine.discard(prepared);
    for id in tensors {
        engine.release(id);
    }
    Ok(results)
}

/// Plays the recording on both engines.
///
/// Errors: a line for each output that differs: floats by more than `tolerance` (relative RMS), words at all.
pub fn compare(
    engine: &mut dyn Engine,
    twin: &mut dyn Engine,
    tolerance: f32,
    build: impl Fn(&mut Build<'_>),
) -> Result<(), String> {
    let found = outputs(engine, &build).map_err(|error| format!("the engine: {error}"))?;
    let expected = outputs(twin, &build).map_err(|error| format!("the twin: {error}"))?;
    let mut faults = Vec::new();
    for (name, expected) in &expected {
        match (found.get(name), expected) {
            (Some(Output::Floats(a)), Output::Floats(b)) => {
                let error = relative_rms(a, b);
                if error > tolerance {
                    let worst = (0..a.len().min(b.len())).max_by(|&i, &j| {
                        let size = |i: usize| (a[i] - b[i]).abs();
                        size(i).total_cmp(&size(j))
                    });
                    let (a, b) = worst.map_or((0.0, 0.0), |i| (a[i], b[i]));
                    faults.push(format!(
                        "{name}: relative RMS {error:e} > {tolerance:e}, worst {a} for {b} at {worst:?}"
                    ));
                }
            }
            (Some(Output::Words(a)), Output::Words(b)) if a == b => {}
            (Some(Output::Words(a)), Output::Words(b)) => {
                let at = (0..b.len()).find(|&i| a.get(i) != b.get(i));
                let pair = at.map(|i| (a.get(i).copied(), b[i]));
                faults.push(format!("{name}: words differ, first at {at:?}: {pair:x?}"));
            }
            (found, _) => faults.push(format!("{name}: another kind of output, {}", found.is_some())),
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(faults.join("; ")) }
}
