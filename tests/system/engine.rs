//! The real engine's manners: what it holds, what it refuses, and how it says that its device is gone.

use futures::executor::block_on;
use gpu::Error;
use gpu::engine::wgpu::{AdapterChoice, WgpuEngine};
use gpu::engine::{Engine, State};
use gpu::recording::{Op, Recording, Sample};
use gpu::tensor::{DType, TensorId};
use tests::twin::gpu_engine;

fn words(n: u32) -> Vec<u8> {
    bytemuck::cast_slice(&(0..n).collect::<Vec<u32>>()).to_vec()
}

#[test]
fn tensors_start_as_zeros_and_keep_what_is_written_and_copied() -> gpu::Result<()> {
    let Some(mut engine) = gpu_engine() else {
        return Ok(());
    };
    let before = engine.memory_bytes();
    let a = engine.create("a", 402)?;
    assert_eq!(block_on(engine.read(a, 0, 404))?, vec![0; 404]);
    engine.write(a, 4, &words(100))?;
    let b = engine.create("b", 400)?;
    engine.copy(a, 4, b, 0, 400)?;
    // A copy within one tensor, overlapping.
    engine.copy(b, 0, b, 4, 396)?;
    let bytes = block_on(engine.read(b, 0, 400))?;
    assert_eq!(bytes[..4], words(1));
    assert_eq!(bytes[4..], words(99));
    assert!(engine.memory_bytes() >= before + 804);
    engine.release(a);
    engine.release(b);
    assert_eq!(engine.memory_bytes(), before);
    Ok(())
}

/// Reads see what was queued before them and nothing that comes after; many may be under way.
#[test]
fn reads_arrive_in_any_order_with_what_was_there() -> gpu::Result<()> {
    let Some(mut engine) = gpu_engine() else {
        return Ok(());
    };
    let tensor = engine.create("counter", 4)?;
    let mut reads = Vec::new();
    for i in 0..100_u32 {
        engine.write(tensor, 0, &i.to_le_bytes())?;
        reads.push(engine.read(tensor, 0, 4));
    }
    for (i, read) in reads.into_iter().enumerate().rev() {
        assert_eq!(block_on(read)?, (i as u32).to_le_bytes());
    }
    Ok(())
}

#[test]
fn what_is_not_there_is_an_error_and_not_the_end() -> gpu::Result<()> {
    let Some(mut engine) = gpu_engine() else {
        return Ok(());
    };
    let tensor = engine.create("small", 8)?;
    assert!(matches!(engine.write(tensor, 4, &[0; 8]), Err(Error::Engine { .. })));
    assert!(matches!(engine.write(tensor, 0, &[0; 3]), Err(Error::Engine { .. })));
    assert!(matches!(
        block_on(engine.read(tensor, u64::MAX - 3, 4)),
        Err(Error::Engine { .. })
    ));
    assert!(matches!(engine.create("vast", 1 << 40), Err(Error::AdapterTooSmall { .. })));
    // The recording says that the tensor is larger than it is.
    let mut rec = Recording::new("too long");
    let x = rec.bind(tensor, DType::F32, [1000]);
    let y = rec.temp([1000]);
    rec.ops.push(Op::Add { a: x, b: x, y });
    assert!(matches!(engine.prepare(rec), Err(Error::Engine { .. })));
    engine.release(tensor);
    assert!(matches!(engine.write(tensor, 0, &[0; 4]), Err(Error::Engine { .. })));
    // And it goes on.
    let again = engine.create("again", 4)?;
    assert_eq!(block_on(engine.read(again, 0, 4))?, [0; 4]);
    Ok(())
}

/// Two uncut recordings share temporaries and still do not see each other's; what is discarded is freed.
#[test]
fn recordings_take_turns_and_free_what_they_held() -> gpu::Result<()> {
    let Some(mut engine) = gpu_engine() else {
        return Ok(());
    };
    let input = engine.create("input", 400)?;
    let outputs = [engine.create("sum", 400)?, engine.create("sum of sums", 400)?];
    engine.write(input, 0, bytemuck::cast_slice(&[1.5_f32; 100]))?;
    let before = engine.memory_bytes();
    let mut prepared = Vec::new();
    for (i, &output) in outputs.iter().enumerate() {
        let mut rec = Recording::new("sums");
        let mut x = rec.bind(input, DType::F32, [100]);
        for _ in 0..=i {
            let y = rec.temp([100]);
            rec.ops.push(Op::Add { a: x, b: x, y });
            x = y;
        }
        let y = rec.bind(output, DType::F32, [100]);
        rec.ops.push(Op::Add { a: x, b: x, y });
        prepared.push(engine.prepare(rec)?);
    }
    for _ in 0..3 {
        for &id in &prepared {
            engine.play(id)?;
        }
    }
    for (&output, expected) in outputs.iter().zip([6.0_f32, 12.0]) {
        let bytes = block_on(engine.read(output, 0, 400))?;
        assert_eq!(bytemuck::pod_collect_to_vec::<u8, f32>(&bytes), [expected; 100]);
    }
    assert!(engine.memory_bytes() > before);
    for id in prepared {
        engine.discard(id);
        assert!(matches!(engine.play(id), Err(Error::Engine { .. })));
    }
    assert_eq!(engine.memory_bytes(), before);
    Ok(())
}

#[test]
fn a_lost_device_is_said_by_every_call_after_it() -> gpu::Result<()> {
    let Some(mut engine) = gpu_engine() else {
        return Ok(());
    };
    let tensor = engine.create("tensor", 4)?;
    engine.destroy_device();
    for _ in 0..2 {
        assert!(matches!(engine.create("more", 4), Err(Error::DeviceLost { .. })));
        assert!(matches!(engine.write(tensor, 0, &[0; 4]), Err(Error::DeviceLost { .. })));
        assert!(matches!(block_on(engine.read(tensor, 0, 4)), Err(Error::DeviceLost { .. })));
    }
    Ok(())
}

#[test]
fn an_adapter_that_is_not_there_is_named() {
    let choice = AdapterChoice {
        name: Some("no such adapter".into()),
        ..AdapterChoice::default()
    };
    match block_on(WgpuEngine::new(choice)) {
        Err(Error::NoAdapter { reason }) => assert!(!reason.is_empty()),
        Err(error) => panic!("another error: {error}"),
        Ok(_) => panic!("it was there"),
    }
}

/// A step whose answer is done launches nothing: its temporaries keep what they had.
#[test]
fn steps_behind_a_stop_are_not_run() -> gpu::Result<()> {
    for mut engine in tests::twin::gpu_engines(true) {
        if !engine.variants().gated {
            println!("SKIPPED: on this adapter steps are not gated");
            continue;
        }
        let mut rec = Recording::new("step");
        rec.keep_taps = true;
        let tensor = |engine: &mut WgpuEngine, bytes: &[u8]| -> gpu::Result<TensorId> {
            let id = engine.create("input", bytes.len() as u64)?;
            engine.write(id, 0, bytes)?;
            Ok(id)
        };
        let logits = tensor(&mut engine, bytemuck::cast_slice(&[1.0f32, 3.0, 2.0, 0.0]))?;
        let state_id = tensor(&mut engine, &[0; size_of::<State>()])?;
        let l = rec.bind(logits, DType::F32, [1, 4]);
        let doubled = rec.temp([1, 4]);
        rec.ops.push(Op::Add { a: l, b: l, y: doubled });
        rec.tap("doubled", doubled);
        let zeros = |engine: &mut WgpuEngine, n: usize| tensor(engine, &vec![0; n]);
        let sampling = zeros(&mut engine, 64)?;
        let (seen, ids, pos, ring) = (
            zeros(&mut engine, 16)?,
            zeros(&mut engine, 4)?,
            zeros(&mut engine, 12)?,
            zeros(&mut engine, 16)?,
        );
        let sample = Sample {
            logits: doubled,
            sampling: rec.bind(sampling, DType::U32, [16]),
            state: rec.bind(state_id, DType::U32, [12]),
            seen: rec.bind(seen, DType::U32, [4]),
            ids: rec.bind(ids, DType::U32, [1]),
            pos: rec.bind(pos, DType::U32, [3, 1]),
            ring: rec.bind(ring, DType::U32, [2, 2]),
        };
        rec.ops.push(Op::Sample(sample));
        let prepared = engine.prepare(rec)?;
        let mut run = |values: [f32; 4], n_tokens: u32| -> gpu::Result<(Vec<f32>, u32)> {
            let state = State {
                n_tokens,
                max_steps: 9,
                ..bytemuck::Zeroable::zeroed()
            };
            engine.write(logits, 0, bytemuck::cast_slice(&values))?;
            engine.write(state_id, 0, bytemuck::bytes_of(&state))?;
            engine.play_times(prepared, 2)?;
            let doubled = block_on(engine.read_tap(prepared, "doubled"))?;
            let after = block_on(engine.read(state_id, 0, size_of::<State>() as u64))?;
            let after: State = bytemuck::pod_read_unaligned(&after);
            Ok((bytemuck::pod_collect_to_vec(&doubled), after.step))
        };
        assert_eq!(run([1.0, 3.0, 2.0, 0.0], 1)?, (vec![2.0, 6.0, 4.0, 0.0], 2));
        assert_eq!(run([5.0; 4], 0)?, (vec![2.0, 6.0, 4.0, 0.0], 0));
        assert_eq!(run([5.0; 4], 1)?, (vec![10.0; 4], 2));
    }
    Ok(())
}
