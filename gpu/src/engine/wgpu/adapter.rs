//! Finding an adapter and opening its device. The only place where limits and features are asked for.

use crate::engine::{Adapter, CoopScalar, CoopShape};
use crate::error::{Error, Result};

/// Which adapter to use, and how.
#[derive(Clone, Debug, Default)]
pub struct AdapterChoice {
    /// A piece of the adapter's name, in any case. `None`: the environment's `WGPU_ADAPTER_NAME`, else the fastest kind.
    pub name: Option<String>,
    /// Bounds checks in shaders; slower, for tests. On llvmpipe attention over more than about 1000 keys is wrong with
    /// them: checked loops stay loops, and it ends those after 65,535 rounds.
    pub checked: bool,
    /// Plans as for a GPU even on an adapter that draws on the CPU; for tests of those kernels.
    pub as_hardware: bool,
}

/// What kernels cannot do without.
const MIN_BINDING_BYTES: u64 = 128 << 20;
const MIN_INVOCATIONS: u32 = 256;
const MIN_WORKGROUP_MEMORY_BYTES: u32 = 16 << 10;
const MIN_STORAGE_BUFFERS: u32 = 8;

fn instance() -> ::wgpu::Instance {
    let mut descriptor = ::wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = ::wgpu::Backends::PRIMARY;
    // Validation layers would slow debug builds down and print what is reported as errors anyway.
    descriptor.flags = ::wgpu::InstanceFlags::empty();
    ::wgpu::Instance::new(descriptor)
}

/// Every adapter that is there, the fastest kind first.
pub async fn list_adapters() -> Vec<Adapter> {
    candidates(&instance()).await.iter().map(describe).collect()
}

#[cfg(not(target_arch = "wasm32"))]
async fn candidates(instance: &::wgpu::Instance) -> Vec<::wgpu::Adapter> {
    let mut adapters = instance.enumerate_adapters(::wgpu::Backends::PRIMARY).await;
    adapters.retain(|adapter| {
        let flags = adapter.get_downlevel_capabilities().flags;
        flags.contains(::wgpu::DownlevelFlags::COMPUTE_SHADERS)
    });
    adapters.sort_by_key(|adapter| match adapter.get_info().device_type {
        ::wgpu::DeviceType::DiscreteGpu => 0,
        ::wgpu::DeviceType::IntegratedGpu => 1,
        ::wgpu::DeviceType::VirtualGpu => 2,
        ::wgpu::DeviceType::Other => 3,
        ::wgpu::DeviceType::Cpu => 4,
    });
    adapters
}

/// A browser offers one.
#[cfg(target_arch = "wasm32")]
async fn candidates(instance: &::wgpu::Instance) -> Vec<::wgpu::Adapter> {
    let options = ::wgpu::RequestAdapterOptions {
        power_preference: ::wgpu::PowerPreference::HighPerformance,
        ..Default::default()
    };
    instance.request_adapter(&options).await.into_iter().collect()
}

/// Opens the chosen adapter's device with all of the adapter's own limits.
///
/// Errors: `NoAdapter`, saying which there are; `AdapterTooSmall`; `Engine` if the device does not open.
pub async fn open(choice: &AdapterChoice) -> Result<(Adapter, ::wgpu::Device, ::wgpu::Queue)> {
    let adapters = candidates(&instance()).await;
    let wanted = choice.name.clone().or_else(|| std::env::var("WGPU_ADAPTER_NAME").ok());
    let names: Vec<String> = adapters.iter().map(|adapter| adapter.get_info().name).collect();
    let matches = |name: &str, wanted: &str| name.to_lowercase().contains(&wanted.to_lowercase());
    let chosen = match &wanted {
        None => adapters.first(),
        Some(wanted) => adapters
            .iter()
            .zip(&names)
            .find(|(_, name)| matches(name, wanted))
            .map(|(adapter, _)| adapter),
    };
    let Some(adapter) = chosen else {
        return Err(Error::NoAdapter {
            reason: match wanted {
                Some(wanted) if !names.is_empty() => format!("none of {names:?} has \"{wanted}\" in its name"),
                _ => "the system offers none that computes".into(),
            },
        });
    };
    let mut described = describe(adapter);
    described.software &= !choice.as_hardware;
    check_minimum(&described)?;
    let features = adapter.features() & wanted_features();
    let experimental = match features.intersects(::wgpu::Features::all_experimental_mask()) {
        #[expect(unsafe_code, reason = "wgpu calls cooperative matrices experimental")]
        // SAFETY: of what is experimental only cooperative matrices are asked for, and only this crate's own kernels use
        // them: their loads and stores stay within what is bound, and tests hold them to the twins.
        true => unsafe { ::wgpu::ExperimentalFeatures::enabled() },
        false => ::wgpu::ExperimentalFeatures::disabled(),
    };
    let descriptor = ::wgpu::DeviceDescriptor {
        label: Some("qwglm"),
        required_features: features,
        experimental_features: experimental,
        required_limits: adapter.limits(),
        memory_hints: ::wgpu::MemoryHints::Performance,
        ..Default::default()
    };
    let opened = adapter.request_device(&descriptor).await;
    let (device, queue) = opened.map_err(|error| Error::Engine {
        what: "opening the device",
        message: error.to_string(),
    })?;
    Ok((described, device, queue))
}

/// What is taken where the adapter has it; no kernel without an alternative needs any.
fn wanted_features() -> ::wgpu::Features {
    ::wgpu::Features::SHADER_F16
        | ::wgpu::Features::SUBGROUP
        | ::wgpu::Features::SUBGROUP_BARRIER
        | ::wgpu::Features::TIMESTAMP_QUERY
        | ::wgpu::Features::TIMESTAMP_QUERY_INSIDE_ENCODERS
        | ::wgpu::Features::TIMESTAMP_QUERY_INSIDE_PASSES
        | ::wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX
}

fn check_minimum(adapter: &Adapter) -> Result<()> {
    let needs = [
        ("storage binding size", adapter.max_binding_bytes, MIN_BINDING_BYTES),
        (
            "invocations a workgroup",
            adapter.max_invocations.into(),
            MIN_INVOCATIONS.into(),
        ),
        (
            "workgroup memory",
            adapter.workgroup_memory_bytes.into(),
            MIN_WORKGROUP_MEMORY_BYTES.into(),
        ),
        (
            "storage buffers a stage",
            adapter.storage_buffers.into(),
            MIN_STORAGE_BUFFERS.into(),
        ),
    ];
    for (limit, found, needed) in needs {
        if found < needed {
            return Err(Error::AdapterTooSmall {
                adapter: adapter.name.clone(),
                limit,
                found,
                needed,
            });
        }
    }
    Ok(())
}

fn describe(adapter: &::wgpu::Adapter) -> Adapter {
    let info = adapter.get_info();
    let limits = adapter.limits();
    let features = adapter.features();
    let subgroups = features.contains(::wgpu::Features::SUBGROUP);
    Adapter {
        name: info.name,
        driver: format!("{} {}", info.driver, info.driver_info).trim().to_owned(),
        backend: format!("{:?}", info.backend).to_lowercase(),
        software: info.device_type == ::wgpu::DeviceType::Cpu,
        // Word counts and offsets in kernels are u32.
        max_binding_bytes: limits.max_storage_buffer_binding_size.min(u32::MAX.into()) & !15,
        max_buffer_bytes: limits.max_buffer_size,
        max_workgroups: limits.max_compute_workgroups_per_dimension,
        max_invocations: limits.max_compute_invocations_per_workgroup,
        workgroup_memory_bytes: limits.max_compute_workgroup_storage_size,
        storage_buffers: limits.max_storage_buffers_per_shader_stage,
        shader_f16: features.contains(::wgpu::Features::SHADER_F16),
        subgroups: subgroups.then_some((info.subgroup_min_size, info.subgroup_max_size)),
        subgroup_barrier: features.contains(::wgpu::Features::SUBGROUP_BARRIER),
        timestamps: features.contains(::wgpu::Features::TIMESTAMP_QUERY),
        timestamps_inside_passes: features.contains(::wgpu::Features::TIMESTAMP_QUERY_INSIDE_PASSES),
        coop: match features.contains(::wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX) {
            true => coop_shapes(adapter),
            false => Vec::new(),
        },
    }
}

fn coop_shapes(adapter: &::wgpu::Adapter) -> Vec<CoopShape> {
    let scalar = |scalar| match scalar {
        ::wgpu::CooperativeScalarType::F32 => CoopScalar::F32,
        ::wgpu::CooperativeScalarType::F16 => CoopScalar::F16,
        ::wgpu::CooperativeScalarType::I32 => CoopScalar::I32,
        ::wgpu::CooperativeScalarType::U32 => CoopScalar::U32,
    };
    let properties = adapter.cooperative_matrix_properties();
    properties
        .into_iter()
        .map(|shape| CoopShape {
            m: shape.m_size,
            n: shape.n_size,
            k: shape.k_size,
            inputs: scalar(shape.ab_type),
            sums: scalar(shape.cr_type),
        })
        .collect()
}
