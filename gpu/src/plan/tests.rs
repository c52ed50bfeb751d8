//! Plans as text and as numbers: fusion, liveness, parts, limits. No adapter is needed.

use std::sync::Arc;

use super::*;
use crate::recording::{GeluForm, Op, Recording};
use crate::tensor::{DType, TensorId};
use crate::weights::{Format, Weight, WeightPart};

fn adapter() -> Adapter {
    Adapter {
        name: "test".into(),
        driver: String::new(),
        backend: "test".into(),
        software: false,
        max_binding_bytes: 128 << 20,
        max_buffer_bytes: 256 << 20,
        max_workgroups: 65_535,
        max_invocations: 256,
        workgroup_memory_bytes: 16 << 10,
        storage_buffers: 8,
        shader_f16: false,
        subgroups: None,
        ..Adapter::plain("test")
    }
}

fn weight(n: usize, k: usize, n_parts: usize) -> Arc<Weight> {
    let run = n.div_ceil(n_parts);
    Arc::new(Weight {
        name: "w".into(),
        format: Format::F32,
        n,
        k,
        parts: (0..n_parts)
            .map(|i| WeightPart {
                first_row: i * run,
                n_rows: run.min(n - i * run),
                packed: TensorId(100 + i as u64),
                scales: None,
            })
            .collect(),
    })
}

fn kernels(plan: &Plan) -> Vec<&'static str> {
    plan.dispatches.iter().map(|dispatch| dispatch.kernel).collect()
}

/// x → linear → gelu → linear → + x, with whatever comes between.
fn mlp(rec: &mut Recording, t: usize) -> (Buffer, Buffer) {
    let x = rec.bind(TensorId(1), DType::F32, [t, 64]);
    let bias = rec.bind(TensorId(2), DType::F32, [128]);
    let up = rec.temp([t, 128]);
    rec.ops.push(Op::Linear {
        x,
        weight: weight(128, 64, 1),
        bias: Some(bias),
        y: up,
    });
    let bent = rec.temp([t, 128]);
    rec.ops.push(Op::Gelu {
        x: up,
        form: GeluForm::Tanh,
        y: bent,
    });
    let down = rec.temp([t, 64]);
    rec.ops.push(Op::Linear {
        x: bent,
        weight: weight(64, 128, 1),
        bias: None,
        y: down,
    });
    let out = rec.temp([t, 64]);
    rec.ops.push(Op::Add { a: x, b: down, y: out });
    (up, out)
}

#[test]
fn gelu_and_residual_join_their_linear_layers() -> Result<()> {
    let mut rec = Recording::new("mlp");
    mlp(&mut rec, 40);
    let plan = lower(&rec, &adapter())?;
    assert_eq!(kernels(&plan), ["matmul", "matmul"]);
    assert_eq!(plan.dispatches[0].op_idx, 1);
    let words: &[u32] = bytemuck::cast_slice(&plan.dispatches[0].params);
    assert_eq!(words[..7], [128, 64, 128, 0, 16, 1, 0]);
    assert!(plan.dispatches[0].overrides.contains(&("GELU", 1)));
    let words: &[u32] = bytemuck::cast_slice(&plan.dispatches[1].params);
    assert_eq!(words[5..7], [0, 1]);
    assert!(plan.dispatches[1].overrides.contains(&("GELU", 0)));
    // `up` and `down` are never stored.
    assert_eq!(plan.temps, [40 * 128 * 4, 40 * 64 * 4]);
    Ok(())
}

#[test]
fn what_is_kept_read_twice_or_cut_is_not_fused() -> Result<()> {
    let mut tapped = Recording::new("tapped");
    let (up, _) = mlp(&mut tapped, 40);
    tapped.tap("up", up);
    tapped.keep_taps = true;
    assert_eq!(kernels(&lower(&tapped, &adapter())?), ["matmul", "gelu", "matmul"]);
    tapped.keep_taps = false;
    assert_eq!(kernels(&lower(&tapped, &adapter())?), ["matmul", "matmul"]);

    let mut twice = Recording::new("twice");
    let (up, out) = mlp(&mut twice, 40);
    let flat = twice.view(up, [40 * 128])?;
    let more = twice.temp([40 * 128]);
    twice.ops.push(Op::Gelu {
        x: flat,
        form: GeluForm::Erf,
        y: more,
    });
    assert_eq!(kernels(&lower(&twice, &adapter())?), ["matmul", "gelu", "matmul", "gelu"]);
    assert_eq!(twice.root(out), out);

    let mut cut = Recording::new("cut");
    mlp(&mut cut, 40);
    cut.cuts.push(1);
    let plan = lower(&cut, &adapter())?;
    assert_eq!(kernels(&plan), ["matmul", "gelu", "matmul"]);
    assert_eq!(plan.slices, [0..1, 1..3]);
    assert!(plan.own_temps);
    Ok(())
}

#[test]
fn an_input_that_changes_in_between_forbids_fusion() -> Result<()> {
    let mut rec = Recording::new("changed");
    let x = rec.bind(TensorId(1), DType::F32, [9, 64]);
    let y = rec.temp([9, 64]);
    rec.ops.push(Op::Linear {
        x,
        weight: weight(64, 64, 1),
        bias: None,
        y,
    });
    let other = rec.bind(TensorId(3), DType::F32, [9, 64]);
    rec.ops.push(Op::Gelu {
        x: other,
        form: GeluForm::Erf,
        y: x,
    });
    let out = rec.temp([9, 64]);
    rec.ops.push(Op::Add { a: y, b: other, y: out });
    assert_eq!(kernels(&lower(&rec, &adapter())?), ["matmul", "gelu", "add"]);
    Ok(())
}

#[test]
fn parts_lower_to_a_dispatch_each() -> Result<()> {
    let mut rec = Recording::new("parts");
    let x = rec.bind(TensorId(1), DType::F32, [1, 64]);
    let y = rec.temp([1, 100]);
    rec.ops.push(Op::Linear {
        x,
        weight: weight(100, 64, 3),
        bias: None,
        y,
    });
    let ids = rec.bind(TensorId(2), DType::U32, [5]);
    let rows = rec.temp([5, 64]);
    rec.ops.push(Op::Embed {
        table: weight(100, 64, 3),
        ids,
        y: rows,
    });
    let plan = lower(&rec, &adapter())?;
    assert_eq!(kernels(&plan), ["matvec", "matvec", "matvec", "embed", "embed", "embed"]);
    let first_rows: Vec<u32> = plan.dispatches[..3]
        .iter()
        .map(|d| bytemuck::cast_slice::<u8, u32>(&d.params)[3])
        .collect();
    assert_eq!(first_rows, [0, 34, 68]);
    // Only the first part of an embedding fills in zeros.
    let fills: Vec<u32> = plan.dispatches[3..]
        .iter()
        .map(|d| bytemuck::cast_slice::<u8, u32>(&d.params)[5])
        .collect();
    assert_eq!(fills, [1, 0, 0]);
    Ok(())
}

#[test]
fn temporaries_share_memory_but_never_within_a_dispatch() -> Result<()> {
    let mut rec = Recording::new("chain");
    let mut x = rec.bind(TensorId(1), DType::F32, [1000]);
    for i in 0..20 {
        let y = rec.temp([1000 - i]);
        let shorter = rec.bind(TensorId(1), DType::F32, [1000 - i]);
        let of_x = if i == 0 { x } else { shorter };
        rec.ops.push(Op::Add { a: of_x, b: shorter, y });
        let z = rec.temp([1000 - i]);
        rec.ops.push(Op::Gelu {
            x: y,
            form: GeluForm::Erf,
            y: z,
        });
        x = z;
    }
    let plan = lower(&rec, &adapter())?;
    assert_eq!(plan.dispatches.len(), 40);
    assert!(plan.temps.len() <= 2, "{:?}", plan.temps);
    for dispatch in &plan.dispatches {
        let written: Vec<_> = dispatch.bindings.iter().filter(|b| b.access == Access::ReadWrite).collect();
        for read in dispatch.bindings.iter().filter(|b| b.access == Access::Read) {
            assert!(
                written.iter().all(|write| write.operand.memory != read.operand.memory),
                "{dispatch}"
            );
        }
    }
    Ok(())
}

#[test]
fn taps_keep_their_memory_to_the_end() -> Result<()> {
    let mut rec = Recording::new("taps");
    let x = rec.bind(TensorId(1), DType::F32, [64]);
    for i in 0..4 {
        let y = rec.temp([64]);
        rec.ops.push(Op::Add { a: x, b: x, y });
        rec.tap(format!("y{i}"), y);
    }
    assert_eq!(lower(&rec, &adapter())?.temps.len(), 1);
    rec.keep_taps = true;
    let plan = lower(&rec, &adapter())?;
    assert_eq!(plan.temps.len(), 4);
    assert_eq!(plan.temp_of.len(), 4);
    Ok(())
}

#[test]
fn nothing_lowers_to_nothing() -> Result<()> {
    let empty = lower(&Recording::new("empty"), &adapter())?;
    assert_eq!((empty.dispatches.len(), empty.slices.len()), (0, 1));
    let mut rec = Recording::new("zero rows");
    let x = rec.bind(TensorId(1), DType::F32, [0, 64]);
    let y = rec.temp([0, 128]);
    rec.ops.push(Op::Linear {
        x,
        weight: weight(128, 64, 1),
        bias: None,
        y,
    });
    assert_eq!(lower(&rec, &adapter())?.dispatches.len(), 0);
    Ok(())
}

#[test]
fn shapes_that_do_not_fit_are_named() {
    let mut rec = Recording::new("bad");
    let x = rec.bind(TensorId(1), DType::F32, [3, 63]);
    let y = rec.temp([3, 128]);
    rec.ops.push(Op::Linear {
        x,
        weight: weight(128, 64, 1),
        bias: None,
        y,
    });
    let error = lower(&rec, &adapter()).expect_err("63 is not 64").to_string();
    assert_eq!(error, "linear: x is [3, 63], expected [3, 64]");
}

#[test]
fn an_adapter_that_is_too_small_is_told_by_how_much() {
    let mut rec = Recording::new("large");
    let x = rec.bind(TensorId(1), DType::F32, [9, 64]);
    let y = rec.temp([9, 4096]);
    rec.ops.push(Op::Linear {
        x,
        weight: weight(4096, 64, 1),
        bias: None,
        y,
    });
    type Shrink = fn(&mut Adapter);
    let limits: [(&str, Shrink); 4] = [
        ("storage binding size", |adapter| adapter.max_binding_bytes = 100_000),
        ("buffer size", |adapter| adapter.max_buffer_bytes = 100_000),
        ("invocations a workgroup", |adapter| adapter.max_invocations = 64),
        ("workgroup memory", |adapter| adapter.workgroup_memory_bytes = 4096),
    ];
    for (name, shrink) in limits {
        let mut small = adapter();
        shrink(&mut small);
        match lower(&rec, &small) {
            Err(Error::AdapterTooSmall {
                limit, found, needed, ..
            }) => {
                assert_eq!(limit, name);
                assert!(found < needed);
            }
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn a_plan_prints_a_line_a_dispatch() -> Result<()> {
    let mut rec = Recording::new("mlp");
    mlp(&mut rec, 1);
    let text = lower(&rec, &adapter())?.to_string();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "mlp: 2 dispatches in 1 slices, 2 temporaries of 768 bytes");
    assert_eq!(
        lines[1],
        "  0 op    1 matvec<weight_f32, input_vec4> WG=128 T=1 GELU=1 grid 128x1x1 x=tensor1:256 bias=tensor2:512 \
         addend=tensor1:256 *y=temp0:512 packed=tensor100:32768"
    );
    assert_eq!(lines.len(), 3);
    Ok(())
}
