//! [`Device`]: the time of a dispatch on a profile. A roofline (bytes over bandwidth, operations over rate, whichever is
//! longer), with what a launch costs beside it, the cores that a small grid leaves idle, and a cache that remembers what was
//! touched lately.

use std::collections::HashMap;

use gpu::kernel::cost::{Class, Unit};
use gpu::kernel::{Access, Dispatch, Memory};
use gpu::plan::Plan;

use super::profile::Profile;

/// Bytes that a lane has under way at once: two loads of a vector of four words.
const IN_FLIGHT_BYTES: f64 = 32.0;
/// Waits for memory, one after the other, that no other work hides: where the operands are, and the first of them; in
/// attention the pages, the keys, the softmax over them and the values (6.9 µs beyond a launch were measured on an H100).
fn waits(class: Class) -> f64 {
    match class {
        Class::Decoding => 14.0,
        _ => 2.0,
    }
}

/// A profile that is asked for times.
#[derive(Clone, Debug, PartialEq)]
pub struct Device {
    pub profile: Profile,
    /// Every byte is in the cache.
    pub perfect_cache: bool,
}

/// What a dispatch takes, in seconds. Moving and computing overlap; launching and waiting do not.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Taken {
    pub launch_s: f64,
    pub wait_s: f64,
    pub memory_s: f64,
    pub cache_s: f64,
    pub compute_s: f64,
}

/// What keeps a dispatch from being shorter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bound {
    Launch,
    Wait,
    Memory,
    Cache,
    Compute,
}

impl Bound {
    pub const ALL: [Bound; 5] = [Bound::Launch, Bound::Wait, Bound::Memory, Bound::Cache, Bound::Compute];

    /// In tables.
    pub fn name(self) -> &'static str {
        match self {
            Bound::Launch => "launches",
            Bound::Wait => "latency",
            Bound::Memory => "memory",
            Bound::Cache => "cache",
            Bound::Compute => "arithmetic",
        }
    }
}

impl Taken {
    pub fn total_s(&self) -> f64 {
        self.launch_s + self.wait_s + self.work_s()
    }

    /// The longest of what overlaps.
    pub fn work_s(&self) -> f64 {
        self.memory_s.max(self.cache_s).max(self.compute_s)
    }

    /// The time by what it is spent on; of what overlaps only the longest counts.
    pub fn by_bound(&self) -> [(Bound, f64); 5] {
        let work = self.work_s();
        let longest = match work {
            _ if work == self.memory_s => Bound::Memory,
            _ if work == self.cache_s => Bound::Cache,
            _ => Bound::Compute,
        };
        Bound::ALL.map(|bound| match bound {
            Bound::Launch => (bound, self.launch_s),
            Bound::Wait => (bound, self.wait_s),
            _ if bound == longest => (bound, work),
            _ => (bound, 0.0),
        })
    }
}

/// Which operands of a plan are the same memory: numbers for its bindings, made once a plan.
#[derive(Clone, Debug)]
pub struct Operands {
    /// By dispatch and binding, one after the other.
    ids: Vec<u32>,
    n: usize,
}

impl Operands {
    pub fn of(plan: &Plan) -> Self {
        let mut known: HashMap<Memory, u32> = HashMap::new();
        let mut ids = Vec::new();
        for binding in plan.dispatches.iter().flat_map(|dispatch| &dispatch.bindings) {
            let next = known.len() as u32;
            ids.push(*known.entry(binding.operand.memory).or_insert(next));
        }
        Self { ids, n: known.len() }
    }
}

impl Device {
    pub fn new(profile: Profile) -> Self {
        Self {
            profile,
            perfect_cache: false,
        }
    }

    /// Every dispatch of a plan that was played before.
    pub fn dispatches(&self, plan: &Plan, operands: &Operands, n_cached: usize) -> Vec<Taken> {
        let mut recent = Recent::new(self, operands.n);
        for warm in [false, true] {
            let mut ids = operands.ids.iter();
            let mut taken = Vec::with_capacity(if warm { plan.dispatches.len() } else { 0 });
            for dispatch in &plan.dispatches {
                let (mut from_memory, mut from_cache) = (0.0, dispatch.cost.read_again.at(n_cached) as f64);
                for ((binding, touched), &id) in dispatch.bindings.iter().zip(&dispatch.cost.touched).zip(ids.by_ref()) {
                    let bytes = touched.at(n_cached) as f64;
                    let cached = recent.touch(id as usize, bytes, binding.access);
                    from_cache += bytes * cached;
                    from_memory += bytes * (1.0 - cached);
                }
                if warm {
                    taken.push(self.dispatch(dispatch, n_cached, from_memory, from_cache));
                }
            }
            if warm {
                return taken;
            }
        }
        Vec::new()
    }

    /// One dispatch, when it is known where its bytes are.
    fn dispatch(&self, dispatch: &Dispatch, n_cached: usize, from_memory: f64, from_cache: f64) -> Taken {
        let (profile, cost) = (&self.profile, &dispatch.cost);
        let share = profile.share(cost.class);
        let groups = dispatch.grid.iter().map(|&n| f64::from(n)).product::<f64>().max(1.0);
        let cores = f64::from(profile.cores.n);
        let active_lanes = groups.min(cores * self.groups_a_core(dispatch)) * f64::from(dispatch.invocations);
        let move_s = |bytes: f64, bandwidth_gb_s: f64, latency_ns: f64| {
            let by_lanes = active_lanes * IN_FLIGHT_BYTES / latency_ns;
            bytes / (bandwidth_gb_s * share.memory).min(by_lanes) * 1e-9
        };
        let (memory, cache) = (profile.memory, profile.cache);
        let latency_ns = match from_memory > 0.0 {
            true => memory.latency_ns,
            false => cache.latency_ns,
        };
        // The last round of workgroups leaves cores idle.
        let idle = (groups / cores).ceil() * cores / groups;
        Taken {
            launch_s: profile.launch.dispatch_us * 1e-6,
            wait_s: waits(cost.class) * latency_ns * 1e-9 + share.wait_us * 1e-6,
            memory_s: move_s(from_memory, memory.bandwidth_gb_s, memory.latency_ns),
            cache_s: move_s(from_memory + from_cache, cache.bandwidth_gb_s, cache.latency_ns),
            compute_s: self.compute_s(dispatch, n_cached) * idle / share.compute,
        }
    }

    /// Lanes issue one kind of operation after the other; matrices run beside them.
    fn compute_s(&self, dispatch: &Dispatch, n_cached: usize) -> f64 {
        let rates = self.profile.rates;
        let on = |unit: Unit| {
            let operations = dispatch.cost.operations[unit as usize].at(n_cached) as f64;
            let rate = match unit {
                Unit::F32 => rates.f32,
                Unit::F16 => rates.f16,
                Unit::Int8 => rates.int8,
                Unit::Matrix => rates.matrix,
            };
            // What a device has no unit for, its f32 lanes do.
            operations / (if rate > 0.0 { rate } else { rates.f32 } * 1e12)
        };
        (on(Unit::F32) + on(Unit::F16) + on(Unit::Int8)).max(on(Unit::Matrix))
    }

    /// Workgroups that a core holds at once.
    fn groups_a_core(&self, dispatch: &Dispatch) -> f64 {
        let cores = self.profile.cores;
        let by_lanes = cores.lanes / dispatch.invocations.max(1);
        let by_memory = (cores.workgroup_memory_kib << 10)
            .checked_div(dispatch.shared_bytes)
            .unwrap_or(u32::MAX);
        f64::from(by_lanes.min(by_memory).max(1))
    }
}

/// What the cache may still hold: of each operand, how many bytes were touched before it was touched last.
struct Recent {
    cache_bytes: f64,
    perfect: bool,
    touched_bytes: f64,
    last: Vec<Option<f64>>,
}

impl Recent {
    fn new(device: &Device, n: usize) -> Self {
        Self {
            cache_bytes: device.profile.cache.size_mib * f64::from(1 << 20),
            perfect: device.perfect_cache,
            touched_bytes: 0.0,
            last: vec![None; n],
        }
    }

    /// Which share of the operand's bytes is in the cache: all, if less was touched since it was touched last than the cache
    /// holds. What is written stays there if it is small.
    fn touch(&mut self, id: usize, bytes: f64, access: Access) -> f64 {
        let distance = match (access, self.last[id]) {
            (Access::ReadWrite, _) => 2.0 * bytes,
            (Access::Read, Some(last)) => self.touched_bytes - last,
            (Access::Read, None) => f64::INFINITY,
        };
        self.last[id] = Some(self.touched_bytes);
        self.touched_bytes += bytes;
        match self.perfect {
            true => 1.0,
            // Caches are no queues: around their size some of it is there.
            false => (1.25 - distance / self.cache_bytes).clamp(0.0, 0.5) * 2.0,
        }
    }
}

#[cfg(test)]
#[path = "device_tests.rs"]
mod tests;
