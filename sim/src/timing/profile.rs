//! [`Profile`]: what a device has, as a TOML file says it. The bundled ones, with their sources, are in `profiles/`.

use std::collections::BTreeMap;

use gpu::engine::choose::{Choice, Role};
use gpu::engine::{Adapter, CoopScalar, CoopShape};
use gpu::kernel::cost::Class;
use gpu::plan::Variants;
use serde::{Deserialize, Serialize};

/// What a device has, and what `wgpu` says of it. Peaks as published; [`Share`]s say how much of them kernels reach.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// What it is asked for by; of a bundled profile the file's name.
    #[serde(default)]
    pub key: String,
    pub name: String,
    /// Adapters whose name contains this are such a device.
    #[serde(rename = "match", default)]
    pub matches: String,
    pub kind: Kind,
    /// What was chosen on this device, by role; what its features promise where nothing was.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub algorithms: Vec<(Role, String)>,
    pub memory: Memory,
    pub cache: Cache,
    pub rates: Rates,
    pub cores: Cores,
    pub launch: Launch,
    pub load: Load,
    pub adapter: Limits,
    /// By the name of a kernel's class; what is not there is the same on all devices.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub shares: BTreeMap<String, Share>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Discrete,
    Integrated,
    Phone,
    Software,
}

/// The memory that weights lie in.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// What a program may have of it.
    pub size_gib: f64,
    pub bandwidth_gb_s: f64,
    pub latency_ns: f64,
}

/// The last cache that all cores share.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cache {
    pub size_mib: f64,
    pub bandwidth_gb_s: f64,
    pub latency_ns: f64,
}

/// Tera-operations a second, a multiply with its add being two; 0 where there is no such unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rates {
    pub f32: f64,
    pub f16: f64,
    pub int8: f64,
    pub matrix: f64,
}

/// What runs workgroups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cores {
    pub n: u32,
    /// Invocations that a core holds at once.
    pub lanes: u32,
    pub workgroup_memory_kib: u32,
}

/// What a launch costs beside its work.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Launch {
    /// From the end of one dispatch to the start of the next.
    pub dispatch_us: f64,
    /// From one submission to the next, when the next is not there yet.
    pub submit_us: f64,
    /// From the CPU's memory to the device's.
    #[serde(default = "usual_upload")]
    pub upload_gb_s: f64,
}

/// Half of what sixteen lanes of PCIe 4 move.
fn usual_upload() -> f64 {
    12.0
}

/// How fast weights come in: read, checked, uploaded, packed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Load {
    pub gb_s: f64,
}

/// Limits and features as `wgpu` reports them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    pub backend: String,
    pub binding_mib: u64,
    pub buffer_mib: u64,
    pub invocations: u32,
    pub workgroup_memory_kib: u32,
    pub storage_buffers: u32,
    pub f16: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subgroups: Option<[u32; 2]>,
    /// Of square cooperative matrices of f16 with sums in f32; 0 where there are none.
    #[serde(default)]
    pub matrix_side: u32,
}

/// How much of the peaks kernels of a class reach.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Share {
    /// Of the bandwidths.
    pub memory: f64,
    /// Of the operations a second.
    pub compute: f64,
    /// What a launch takes besides, however small it is: filling pipes, loops that are too short to hide anything.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub wait_us: f64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

impl Profile {
    /// Reads a profile and holds it to what can be.
    ///
    /// Errors: what is wrong, in words.
    pub fn from_toml(text: &str) -> Result<Self, String> {
        let profile: Self = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        profile.check()?;
        Ok(profile)
    }

    /// The profile as a file.
    ///
    /// Errors: none but for a bug: every profile has a TOML form.
    pub fn to_toml(&self) -> Result<String, String> {
        toml::to_string_pretty(self).map_err(|error| error.to_string())
    }

    fn check(&self) -> Result<(), String> {
        let positive = [
            ("memory.size_gib", self.memory.size_gib),
            ("memory.bandwidth_gb_s", self.memory.bandwidth_gb_s),
            ("memory.latency_ns", self.memory.latency_ns),
            ("cache.size_mib", self.cache.size_mib),
            ("cache.bandwidth_gb_s", self.cache.bandwidth_gb_s),
            ("cache.latency_ns", self.cache.latency_ns),
            ("rates.f32", self.rates.f32),
            ("cores.n", self.cores.n.into()),
            ("cores.lanes", self.cores.lanes.into()),
            ("cores.workgroup_memory_kib", self.cores.workgroup_memory_kib.into()),
            ("launch.upload_gb_s", self.launch.upload_gb_s),
            ("load.gb_s", self.load.gb_s),
        ];
        let not_negative = [
            ("rates.f16", self.rates.f16),
            ("rates.int8", self.rates.int8),
            ("rates.matrix", self.rates.matrix),
            ("launch.dispatch_us", self.launch.dispatch_us),
            ("launch.submit_us", self.launch.submit_us),
        ];
        let shares = self.shares.values().flat_map(|share| [share.memory, share.compute]);
        let bad = positive.iter().find(|(_, value)| !(value.is_finite() && *value > 0.0));
        let bad = bad.or_else(|| not_negative.iter().find(|(_, value)| !(value.is_finite() && *value >= 0.0)));
        if let Some((key, value)) = bad {
            return Err(format!("{key} is {value}, which no device has"));
        }
        let waits = self.shares.values().map(|share| share.wait_us);
        if let Some(wait_us) = waits.into_iter().find(|us| !(us.is_finite() && *us >= 0.0)) {
            return Err(format!("a wait is {wait_us} µs, which no kernel has"));
        }
        if let Some(share) = shares.into_iter().find(|share| !(share.is_finite() && *share > 0.0)) {
            return Err(format!("a share is {share}, which no kernel reaches"));
        }
        match self.shares.keys().find(|name| class_named(name).is_none()) {
            Some(name) => Err(format!("shares.{name}: there is no such class of kernels")),
            None => Ok(()),
        }
    }

    /// What `lower` decides by.
    pub fn adapter(&self) -> Adapter {
        let limits = &self.adapter;
        let side = limits.matrix_side;
        Adapter {
            driver: "profile".to_owned(),
            backend: limits.backend.clone(),
            software: self.kind == Kind::Software,
            max_binding_bytes: limits.binding_mib << 20,
            max_buffer_bytes: limits.buffer_mib << 20,
            max_invocations: limits.invocations,
            workgroup_memory_bytes: limits.workgroup_memory_kib << 10,
            storage_buffers: limits.storage_buffers,
            shader_f16: limits.f16,
            subgroups: limits.subgroups.map(|[least, most]| (least, most)),
            subgroup_barrier: limits.subgroups.is_some(),
            coop: (side > 0)
                .then_some(CoopShape {
                    m: side,
                    n: side,
                    k: side,
                    inputs: CoopScalar::F16,
                    sums: CoopScalar::F32,
                })
                .into_iter()
                .collect(),
            ..Adapter::plain(&self.name)
        }
    }

    /// The algorithms that `lower` takes.
    pub fn variants(&self) -> Variants {
        let adapter = self.adapter();
        let choice = Choice {
            names: self.algorithms.clone(),
            ..Choice::default()
        };
        choice.variants(&adapter).unwrap_or_else(|| Variants::of(&adapter))
    }

    /// This profile with the limits and features of a real adapter.
    pub fn with_adapter(mut self, adapter: &Adapter) -> Self {
        self.name.clone_from(&adapter.name);
        self.adapter = Limits {
            backend: adapter.backend.clone(),
            binding_mib: adapter.max_binding_bytes >> 20,
            buffer_mib: adapter.max_buffer_bytes >> 20,
            invocations: adapter.max_invocations,
            workgroup_memory_kib: adapter.workgroup_memory_bytes >> 10,
            storage_buffers: adapter.storage_buffers,
            f16: adapter.shader_f16,
            subgroups: adapter.subgroups.map(|(least, most)| [least, most]),
            matrix_side: adapter.coop_f16_side().unwrap_or(0),
        };
        self
    }

    /// How much of the peaks kernels of a class reach: measured on this device, or the same for all.
    pub fn share(&self, class: Class) -> Share {
        let measured = self.shares.get(class_name(class)).copied();
        measured.unwrap_or_else(|| usual_share(class))
    }
}

const CLASSES: [Class; 8] = [
    Class::Unstated,
    Class::Lanes,
    Class::Rows,
    Class::Matvec,
    Class::Matmul,
    Class::Decoding,
    Class::Attention,
    Class::Sampling,
];

/// A class of kernels in files and tables.
pub fn class_name(class: Class) -> &'static str {
    match class {
        Class::Unstated => "unstated",
        Class::Lanes => "lanes",
        Class::Rows => "rows",
        Class::Matvec => "matvec",
        Class::Matmul => "matmul",
        Class::Decoding => "decoding",
        Class::Attention => "attention",
        Class::Sampling => "sampling",
    }
}

fn class_named(name: &str) -> Option<Class> {
    CLASSES.into_iter().find(|&class| class_name(class) == name)
}

/// What this engine's kernels reach where nothing was measured; see `docs/performance.md`.
fn usual_share(class: Class) -> Share {
    let (memory, compute) = match class {
        Class::Lanes | Class::Unstated => (0.8, 0.5),
        Class::Rows => (0.6, 0.3),
        Class::Matvec => (0.76, 0.5),
        Class::Matmul => (0.7, 0.32),
        Class::Decoding => (0.5, 0.4),
        Class::Attention => (0.6, 0.35),
        Class::Sampling => (0.5, 0.2),
    };
    Share {
        memory,
        compute,
        wait_us: 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::super::bundled;
    use super::*;

    #[test]
    fn a_profile_is_the_same_after_a_file() {
        for profile in bundled::profiles() {
            let text = profile.to_toml().unwrap();
            assert_eq!(&Profile::from_toml(&text).unwrap(), profile, "{text}");
        }
    }

    #[test]
    fn a_profile_that_no_device_has_is_refused_with_the_key() {
        let good = bundled::profiles()[0].to_toml().unwrap();
        let cases = [
            ("bandwidth_gb_s = ", "bandwidth_gb_s = -", "bandwidth_gb_s"),
            ("n = ", "n = 0 # ", "cores.n"),
            ("[memory]", "[memory]\ncolour = 1", "unknown field"),
            (
                "[load]",
                "[shares.matvecs]\nmemory = 1.0\ncompute = 1.0\n[load]",
                "shares.matvecs",
            ),
            (
                "[load]",
                "[shares.matvec]\nmemory = 0.0\ncompute = 1.0\n[load]",
                "a share is 0",
            ),
        ];
        for (from, to, word) in cases {
            let bad = good.replacen(from, to, 1);
            assert_ne!(bad, good);
            let error = Profile::from_toml(&bad).unwrap_err();
            assert!(error.contains(word), "{word} is not in: {error}");
        }
    }

    #[test]
    fn a_real_adapter_lends_its_limits() {
        let mut adapter = Adapter::plain("Some GPU");
        adapter.shader_f16 = true;
        adapter.subgroups = Some((32, 32));
        let profile = bundled::profiles()[0].clone().with_adapter(&adapter);
        let seen = profile.adapter();
        assert_eq!((seen.name.as_str(), seen.max_binding_bytes), ("Some GPU", 128 << 20));
        assert_eq!((seen.subgroups, seen.coop_f16_side()), (Some((32, 32)), None));
    }

    #[test]
    fn what_was_chosen_is_lowered_also_from_a_file() {
        let mut profile = bundled::find("h100").unwrap().clone();
        assert_eq!(profile.variants(), Variants::of(&profile.adapter()));
        let plain = Variants::plain(&profile.adapter());
        profile.algorithms = Choice::of(&plain).names;
        let read = Profile::from_toml(&profile.to_toml().unwrap()).unwrap();
        assert_eq!((read.variants(), &read), (plain, &profile));
    }
}
