//! Engines of a real and a simulated one: mixed gives what the real one alone gives, wherever the line between them is drawn;
//! a shadow's table adds up to what the clock says.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use futures::executor::block_on;
use gpu::engine::Engine;
use gpu::engine::wgpu::{AdapterChoice, WgpuEngine};
use gpu::protocol::{EncodeRequest, GenerateEvent, GenerateRequest, GpuHandle, LoadOptions, Quant};
use gpu::recording::{Op, Recording};
use gpu::sampler::Sampling;
use gpu::tensor::DType;
use gpu::weights::source::Folder;
use gpu::weights::{Format, Weight, WeightPart};
use sim::SimEngine;
use sim::hybrid::{Mixed, ShadowHandle, Traffic, TrafficHandle};
use sim::timing::impossible::Switches;
use sim::timing::{Device, bundled};
use tests::golden::{Scope, compare};
use tests::{Kernels, sim_engine, wgpu_engine};

const N_NEW: u32 = 24;

#[test]
fn goldens_pass_through_the_hybrid_engine_in_both_modes() -> Result<()> {
    if tests::twin::gpu_engine().is_none() {
        return Ok(());
    }
    for (name, n_rows) in [
        ("qwen3-vl-s1", 1 + 5 + 3 * 4 * 5),
        ("parakeet-tdt-s1", 1 + 3 + 2 * 3 * (4 + 3)),
    ] {
        let rows = compare(&goldens::folder(name)?, Scope::Hybrid);
        let failed: Vec<_> = rows.iter().filter(|row| !row.ok()).collect();
        assert!(failed.is_empty(), "{failed:#?}");
        assert_eq!(rows.len(), n_rows, "{name}");
    }
    Ok(())
}

/// Two answers about a picture, the second of which goes on from the first's sequence, on the tiny golden model in f32.
fn answers(gpu: &GpuHandle) -> Result<Vec<Vec<u32>>> {
    let options = LoadOptions {
        quant: Quant::DenseF32,
        kv_f16: false,
        context_tokens: 256,
    };
    let source = Arc::new(Folder::open(goldens::folder("qwen3-vl-s1")?)?);
    let model = block_on(gpu.load(source, options, None))?;
    let frames: Arc<[u8]> = (0..64 * 64 * 3).map(|i| (i * 5 / 7 % 251) as u8).collect();
    let picture = EncodeRequest {
        model: model.id,
        frames,
        n_frames: 1,
        height: 64,
        width: 64,
    };
    block_on(gpu.encode(picture))?;
    let sequence = block_on(gpu.open(model.id))?;
    let mut answers = Vec::new();
    for n in [9, 40] {
        let request = GenerateRequest {
            model: model.id,
            sequence: Some(sequence),
            tokens: (0..n).map(|i| (i * 37 + 101 + i * i % 11) % 400).collect(),
            media: Vec::new(),
            sampling: Sampling::default(),
            max_new_tokens: N_NEW,
            stop_ids: vec![u32::MAX],
            thinking: None,
        };
        let events = block_on(gpu.generate(request))?;
        let mut ids = Vec::new();
        while let Ok(event) = block_on(events.recv()) {
            if let GenerateEvent::Tokens { ids: new, .. } = event? {
                ids.extend(new);
            }
        }
        answers.push(ids);
    }
    Ok(answers)
}

fn answers_of<E: Engine, F: Future<Output = gpu::Result<E>> + 'static>(
    make: impl Fn() -> F + Send + 'static,
) -> Result<Vec<Vec<u32>>> {
    answers(&tests::start(make)?)
}

async fn open() -> gpu::Result<WgpuEngine> {
    WgpuEngine::new(AdapterChoice::default()).await
}

async fn sim() -> gpu::Result<SimEngine> {
    Ok(sim_engine(Kernels::Fast))
}

/// What a mixed engine over `real` answers, and what it did for that.
fn mixed_answers<R: Engine, F: Future<Output = gpu::Result<R>> + 'static>(
    real: fn() -> F,
    below: u64,
) -> Result<(Vec<Vec<u32>>, Traffic)> {
    let traffic = TrafficHandle::default();
    let told = traffic.clone();
    let make = move || {
        let told = told.clone();
        async move { Ok(Mixed::new(real().await?, Kernels::Fast, below, told)) }
    };
    Ok((answers_of(make)?, traffic.now()))
}

#[test]
fn mixed_says_the_same_wherever_the_line_is_drawn() -> Result<()> {
    let has_gpu = tests::twin::gpu_engine().is_some();
    let expected = answers_of(sim)?;
    assert!(expected.iter().all(|ids| ids.len() == N_NEW as usize), "{expected:?}");
    if has_gpu {
        assert_eq!(answers_of(open)?, expected);
    }
    for below in [0, 2 << 10, 16 << 10, 256 << 10, u64::MAX] {
        let mut sides = vec![("sim", mixed_answers(sim, below)?)];
        if has_gpu {
            sides.push(("wgpu", mixed_answers(open, below)?));
        }
        for (real, (found, traffic)) in sides {
            assert_eq!(found, expected, "{real}, below {below}");
            println!("{real}, below {below}: {}", traffic.line());
            match below {
                0 => assert_eq!((traffic.sim_operations, traffic.sent_bytes, traffic.fetched_bytes), (0, 0, 0)),
                u64::MAX => assert_eq!(traffic.real_runs, 0, "nothing is left to the real side"),
                _ => assert!(traffic.sim_operations > 0 && traffic.real_runs > 0 && traffic.sent_bytes > 0),
            }
        }
    }
    Ok(())
}

#[test]
fn a_shadow_changes_no_word_and_accounts_for_all_kernels() -> Result<()> {
    if tests::twin::gpu_engine().is_none() {
        return Ok(());
    }
    let expected = answers_of(open)?;
    let shadowed = |decodes_as_gpu: bool| -> Result<ShadowHandle> {
        let handle = ShadowHandle::default();
        let told = handle.clone();
        let make = move || {
            let told = told.clone();
            async move {
                let engine = open().await?;
                let engine = if decodes_as_gpu {
                    tests::decoding_as_gpu(engine)
                } else {
                    engine
                };
                Ok(tests::shadow_with(engine, told))
            }
        };
        assert_eq!(answers_of(make)?, expected);
        Ok(handle)
    };
    let table = shadowed(false)?.table();
    assert_eq!(table.unmeasured, 0);
    let steps = table.recordings.get("decode").context("no step was measured")?;
    // The first id of an answer comes with the prompt; a batch may run past the end.
    let possible = u64::from(2 * (N_NEW - 1))..=u64::from(2 * (N_NEW + 32));
    assert!(possible.contains(&steps.count), "{steps:?}");
    assert!(steps.measured_s > 0.0 && steps.modelled_s >= steps.impossible_s && steps.impossible_s > 0.0);
    let sorted = table.kernels.windows(2).all(|pair| pair[0].of_limit >= pair[1].of_limit);
    assert!(sorted, "the furthest from its limit comes first");
    let off = (table.sum_s() - table.measured_s).abs() / table.measured_s;
    assert!(off < 1e-9, "the lines come to the whole: {off}");
    // Plans with a gate have it measured as well.
    let gated = shadowed(true)?.table();
    assert!(gated.kernels.iter().any(|line| line.kernel == "gate"), "{gated}");
    println!("{gated}");
    Ok(())
}

/// Products that take a CPU's adapter tens of milliseconds: what the host adds is little beside them.
fn products(engine: &mut impl Engine) -> Result<(Recording, gpu::tensor::TensorId)> {
    const N: usize = 512;
    let mut rec = Recording::new("products");
    let x = engine.create("x", (N * N * 4) as u64)?;
    let packed = engine.create("w", Format::F32.packed_bytes(N, N))?;
    let weight = Arc::new(Weight {
        name: "w".into(),
        format: Format::F32,
        n: N,
        k: N,
        parts: vec![WeightPart {
            first_row: 0,
            n_rows: N,
            packed,
            scales: None,
        }],
    });
    let mut at = rec.bind(x, DType::F32, [N, N]);
    for _ in 0..6 {
        let y = rec.temp([N, N]);
        rec.ops.push(Op::Linear {
            x: at,
            weight: weight.clone(),
            bias: None,
            y,
        });
        at = y;
    }
    Ok((rec, x))
}

#[test]
fn a_shadows_table_adds_up_to_the_step_that_the_clock_measures() -> Result<()> {
    let Some(engine) = tests::twin::gpu_engine() else {
        return Ok(());
    };
    if !engine.adapter().timestamps {
        println!("SKIPPED: {} has no time stamps", engine.adapter().name);
        return Ok(());
    }
    drop(engine);
    let profile = bundled::find("lavapipe").context("a bundled profile")?;
    let (modelled, impossible) = (Device::new(profile.clone()), Switches::ON.over(profile));
    let mut found = Vec::new();
    // A busy machine may stop us between the two clocks, which makes the clock's time longer and never shorter: of some tries the best
    // counts, and none may be above it.
    for _ in 0..8 {
        let (mut engine, handle) = tests::shadow(wgpu_engine()?);
        let (recording, tensor) = products(&mut engine)?;
        let prepared = engine.prepare(recording)?;
        block_on(engine.read(tensor, 0, 4))?;
        let started = Instant::now();
        for _ in 0..4 {
            engine.play(prepared)?;
        }
        block_on(engine.read(tensor, 0, 4))?;
        let clock_s = started.elapsed().as_secs_f64();
        let table = handle.table();
        assert_eq!(table.recordings["products"].count, 4);
        assert_eq!(table.kernels.iter().map(|line| line.times.count).sum::<u64>(), 24);
        found.push((table.sum_s() - clock_s) / clock_s);
        let step = handle
            .step("products", &modelled, &impossible)
            .context("no play was measured")?;
        assert!(step.count == 4 && step.has_spans() && step.dispatches.len() == 6, "{step:?}");
        let spans: Vec<_> = step.dispatches.iter().filter_map(|dispatch| dispatch.span).collect();
        let in_order = spans
            .windows(2)
            .all(|two| two[0].begin_s + two[0].taken_s <= two[1].begin_s + 1e-9);
        assert!(in_order, "{spans:?}");
        let end_s = spans[5].begin_s + spans[5].taken_s;
        let whole_s = step.measured_s.context("it has stamps")?;
        assert!(
            (end_s - whole_s).abs() < 1e-6 && (whole_s * 4.0 - table.sum_s()).abs() < 1e-9,
            "{end_s} of {whole_s}"
        );
    }
    println!("off by {found:?}");
    assert!(found.iter().all(|off| *off < 0.05), "{found:?}");
    assert!(found.iter().any(|off| *off > -0.05), "{found:?}");
    Ok(())
}

#[test]
fn without_time_stamps_a_shadow_measures_submissions_and_says_so() -> Result<()> {
    let (mut engine, handle) = tests::shadow(sim_engine(Kernels::Fast));
    let (recording, tensor) = products(&mut engine)?;
    let prepared = engine.prepare(recording)?;
    let started = Instant::now();
    for _ in 0..3 {
        engine.play(prepared)?;
    }
    block_on(engine.read(tensor, 0, 4))?;
    let clock_s = started.elapsed().as_secs_f64();
    let table = handle.table();
    assert!(
        !table.by_stamps && table.to_string().contains("has no time stamps"),
        "{table}"
    );
    let line = &table.kernels[0];
    assert_eq!((line.kernel.as_str(), line.times.count), ("products", 3));
    assert!(
        line.times.measured_s > 0.0 && line.times.measured_s <= clock_s,
        "{line:?} in {clock_s}"
    );
    assert!(line.times.modelled_s > line.times.impossible_s);
    Ok(())
}
