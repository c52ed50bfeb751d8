//! The roofline on dispatches whose time can be told by hand.

use gpu::kernel::cost::{Amount, Cost};
use gpu::kernel::{Binding, Operand};
use gpu::tensor::TensorId;

use super::super::bundled;
use super::*;

const MIB: usize = 1 << 20;

/// A dispatch of enough workgroups that reads a tensor and computes in f32.
fn dispatch(tensor: u64, bytes: usize, operations: usize) -> Dispatch {
    let bindings = vec![Binding {
        group: 0,
        index: 1,
        name: "x",
        access: Access::Read,
        operand: Operand {
            memory: Memory::Tensor(TensorId(tensor)),
            size_bytes: bytes as u64,
        },
    }];
    Dispatch {
        kernel: "test",
        parts: Vec::new(),
        needs: &[],
        params: Vec::new(),
        cost: Cost::whole(&bindings)
            .class(Class::Matvec)
            .compute(Unit::F32, Amount::fixed(operations)),
        bindings,
        overrides: Vec::new(),
        grid: [60_000, 1, 1],
        invocations: 256,
        shared_bytes: 0,
        op_idx: 0,
    }
}

fn plan(dispatches: Vec<Dispatch>) -> Plan {
    Plan {
        name: "test".into(),
        slices: std::iter::once(0..dispatches.len()).collect(),
        dispatches,
        temps: Vec::new(),
        temp_of: Default::default(),
        own_temps: false,
        gate: None,
    }
}

fn device(key: &str) -> Device {
    Device::new(bundled::find(key).unwrap().clone())
}

fn taken(device: &Device, dispatches: Vec<Dispatch>) -> Vec<Taken> {
    let plan = plan(dispatches);
    device.dispatches(&plan, &Operands::of(&plan), 0)
}

fn near(found: f64, expected: f64) -> bool {
    (found / expected - 1.0).abs() < 0.01
}

#[test]
fn what_is_larger_than_the_cache_comes_from_memory_at_its_bandwidth() {
    let device = device("rtx-4090");
    let share = device.profile.share(Class::Matvec);
    let one = taken(&device, vec![dispatch(1, 1000 * MIB, 1000)])[0];
    let expected = 1000.0 * MIB as f64 / (1008e9 * share.memory);
    assert!(near(one.memory_s, expected), "{one:?}");
    assert_eq!(one.work_s(), one.memory_s);
    assert!(near(one.total_s(), expected + one.launch_s + one.wait_s));
}

#[test]
fn what_was_touched_lately_comes_from_the_cache() {
    let device = device("rtx-4090");
    let small = taken(&device, vec![dispatch(1, 20 * MIB, 0), dispatch(1, 20 * MIB, 0)]);
    assert!(small.iter().all(|one| one.memory_s == 0.0 && one.cache_s > 0.0), "{small:?}");
    let pushed_out = taken(&device, vec![dispatch(1, 20 * MIB, 0), dispatch(2, 200 * MIB, 0)]);
    assert!(pushed_out.iter().all(|one| one.memory_s > one.cache_s), "{pushed_out:?}");
    let perfect = Device {
        perfect_cache: true,
        ..device
    };
    let perfect = taken(&perfect, vec![dispatch(1, 20 * MIB, 0), dispatch(2, 200 * MIB, 0)]);
    assert!(perfect.iter().all(|one| one.memory_s == 0.0), "{perfect:?}");
}

#[test]
fn arithmetic_takes_as_long_as_its_rate_and_idle_cores_say() {
    let device = device("h100");
    let share = device.profile.share(Class::Matvec);
    let whole = taken(&device, vec![dispatch(1, 16, 1 << 40)])[0];
    assert!(
        near(whole.compute_s, (1u64 << 40) as f64 / (66.9e12 * share.compute)),
        "{whole:?}"
    );
    // One workgroup computes on one core of 132, and a workgroup more than there are cores takes a second round.
    let cases = [(1, 132.0), (132, 1.0), (133, 2.0 * 132.0 / 133.0)];
    for (groups, idle) in cases {
        let mut few = dispatch(1, 16, 1 << 40);
        few.grid = [groups, 1, 1];
        let few = taken(&device, vec![few])[0];
        assert!(near(few.compute_s / whole.compute_s, idle), "{groups}: {few:?}");
    }
}

#[test]
fn few_lanes_do_not_fill_the_memorys_pipe() {
    let device = device("h100");
    let mut few = dispatch(1, 1000 * MIB, 0);
    few.grid = [8, 1, 1];
    let few = taken(&device, vec![few])[0];
    let by_lanes = 8.0 * 256.0 * IN_FLIGHT_BYTES / (device.profile.memory.latency_ns * 1e-9);
    assert!(near(few.memory_s, 1000.0 * MIB as f64 / by_lanes), "{few:?}");
}

#[test]
fn parts_of_a_time_sum_to_the_whole() {
    let device = device("iris-xe");
    for one in taken(
        &device,
        vec![
            dispatch(1, MIB, 1 << 20),
            dispatch(2, 900 * MIB, 1 << 36),
            dispatch(3, 16, 1 << 34),
        ],
    ) {
        let sum: f64 = one.by_bound().iter().map(|(_, spent_s)| spent_s).sum();
        assert!(near(sum, one.total_s()), "{one:?}");
    }
}
