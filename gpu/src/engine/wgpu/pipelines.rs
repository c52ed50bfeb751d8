//! Compute pipelines, made once for each kernel, variant and set of overrides.

use std::collections::HashMap;

use crate::error::{Error, Result};
use crate::kernel::preamble::{Compiler, Need, preamble};
use crate::kernel::{self, Access, Dispatch, Override};

/// Who reads the kernels here.
const COMPILER: Compiler = if cfg!(target_arch = "wasm32") {
    Compiler::Browser
} else {
    Compiler::Naga
};

/// A pipeline and the layouts of its groups.
#[derive(Clone)]
pub struct Pipeline {
    pub pipeline: ::wgpu::ComputePipeline,
    /// Group 0, and group 1 if the kernel has one.
    pub layouts: Vec<::wgpu::BindGroupLayout>,
}

type Key = (&'static str, Vec<&'static str>, Vec<Override>);
/// Does the group start with `Params`, and what follows?
type Signature = (bool, Vec<Access>);

/// What a pipeline is made of, its module and layouts made.
struct Draft {
    key: Key,
    module: ::wgpu::ShaderModule,
    layout: ::wgpu::PipelineLayout,
    layouts: Vec<::wgpu::BindGroupLayout>,
}

pub struct Pipelines {
    device: ::wgpu::Device,
    checked: bool,
    pipelines: HashMap<Key, Pipeline>,
    modules: HashMap<(&'static str, Vec<&'static str>), ::wgpu::ShaderModule>,
    layouts: HashMap<Signature, ::wgpu::BindGroupLayout>,
}

impl Pipelines {
    pub fn new(device: ::wgpu::Device, checked: bool) -> Self {
        Self {
            device,
            checked,
            pipelines: HashMap::new(),
            modules: HashMap::new(),
            layouts: HashMap::new(),
        }
    }

    /// Makes the pipelines that dispatches need and that are not there yet, natively on all processors at once: a driver that
    /// compiles takes seconds for a big kernel. Faults of the device surface where the caller checks for them.
    ///
    /// Errors: `Engine` if there is no such kernel.
    pub fn make<'a>(&mut self, dispatches: impl IntoIterator<Item = &'a Dispatch>) -> Result<()> {
        let mut drafts: Vec<Draft> = Vec::new();
        for dispatch in dispatches {
            let key = key(dispatch);
            if !self.pipelines.contains_key(&key) && drafts.iter().all(|draft| draft.key != key) {
                drafts.push(self.draft(dispatch, key)?);
            }
        }
        let made = side_by_side(&drafts, |draft| compile(&self.device, draft));
        for (draft, pipeline) in drafts.into_iter().zip(made) {
            let layouts = draft.layouts;
            self.pipelines.insert(draft.key, Pipeline { pipeline, layouts });
        }
        Ok(())
    }

    /// The pipeline that a dispatch needs.
    ///
    /// Errors: `Engine` if there is no such kernel.
    pub fn get(&mut self, dispatch: &Dispatch) -> Result<Pipeline> {
        self.make([dispatch])?;
        self.pipelines.get(&key(dispatch)).cloned().ok_or_else(|| Error::Engine {
            what: dispatch.kernel,
            message: "its pipeline was not made".into(),
        })
    }

    fn draft(&mut self, dispatch: &Dispatch, key: Key) -> Result<Draft> {
        let layouts: Vec<_> = (0..=1)
            .map(|group| {
                let of_group = dispatch.bindings.iter().filter(|binding| binding.group == group);
                (group == 0, of_group.map(|binding| binding.access).collect::<Vec<_>>())
            })
            .filter(|(has_params, accesses)| *has_params || !accesses.is_empty())
            .map(|signature| self.layout(signature))
            .collect();
        let groups: Vec<_> = layouts.iter().map(Some).collect();
        let layout = self.device.create_pipeline_layout(&::wgpu::PipelineLayoutDescriptor {
            label: Some(dispatch.kernel),
            bind_group_layouts: &groups,
            immediate_size: 0,
        });
        Ok(Draft {
            key,
            module: self.module(dispatch)?,
            layout,
            layouts,
        })
    }

    fn module(&mut self, dispatch: &Dispatch) -> Result<::wgpu::ShaderModule> {
        let key = (dispatch.kernel, dispatch.parts.clone());
        if let Some(module) = self.modules.get(&key) {
            return Ok(module.clone());
        }
        let variant = kernel::source(dispatch.kernel, &dispatch.parts).ok_or_else(|| Error::Engine {
            what: dispatch.kernel,
            message: format!("the kernel has no variant {:?}", dispatch.parts),
        })?;
        let checks = match self.checked {
            true => ::wgpu::ShaderRuntimeChecks::checked(),
            false => ::wgpu::ShaderRuntimeChecks::unchecked(),
        };
        let text = preamble(variant.needs, COMPILER) + variant.source;
        let descriptor = ::wgpu::ShaderModuleDescriptor {
            label: Some(dispatch.kernel),
            source: source(dispatch.kernel, variant.needs, text)?,
        };
        #[expect(unsafe_code, reason = "kernels without run-time checks are faster")]
        // SAFETY: the source is one of this crate's own kernels, whose indices stay within what `lower` binds, and whose
        // loops end; tests run them with the checks on, against the twins.
        let module = unsafe { self.device.create_shader_module_trusted(descriptor, checks) };
        self.modules.insert(key, module.clone());
        Ok(module)
    }

    fn layout(&mut self, signature: Signature) -> ::wgpu::BindGroupLayout {
        if let Some(layout) = self.layouts.get(&signature) {
            return layout.clone();
        }
        let (has_params, accesses) = &signature;
        let params = has_params.then_some(::wgpu::BufferBindingType::Uniform);
        let storage = accesses.iter().map(|access| ::wgpu::BufferBindingType::Storage {
            read_only: *access == Access::Read,
        });
        let entries: Vec<_> = (0..)
            .zip(params.into_iter().chain(storage))
            .map(|(binding, ty)| ::wgpu::BindGroupLayoutEntry {
                binding,
                visibility: ::wgpu::ShaderStages::COMPUTE,
                ty: ::wgpu::BindingType::Buffer {
                    ty,
                    has_dynamic_offset: false,
                    min_binding_size: None,
                },
                count: None,
            })
            .collect();
        let layout = self.device.create_bind_group_layout(&::wgpu::BindGroupLayoutDescriptor {
            label: None,
            entries: &entries,
        });
        self.layouts.insert(signature, layout.clone());
        layout
    }
}

fn key(dispatch: &Dispatch) -> Key {
    (dispatch.kernel, dispatch.parts.clone(), dispatch.overrides.clone())
}

/// What the device is given: kernels whose subgroups work apart have their barriers put in order.
#[cfg(not(target_arch = "wasm32"))]
fn source(kernel: &'static str, needs: &[Need], text: String) -> Result<::wgpu::ShaderSource<'static>> {
    if needs.contains(&Need::Coop) {
        let module = super::ordered::module(kernel, &text)?;
        return Ok(::wgpu::ShaderSource::Naga(std::borrow::Cow::Owned(module)));
    }
    Ok(::wgpu::ShaderSource::Wgsl(text.into()))
}

/// A browser reads the text itself. It has no cooperative matrices, and so none of the kernels in question.
#[cfg(target_arch = "wasm32")]
fn source(_: &'static str, _: &[Need], text: String) -> Result<::wgpu::ShaderSource<'static>> {
    Ok(::wgpu::ShaderSource::Wgsl(text.into()))
}

fn compile(device: &::wgpu::Device, draft: &Draft) -> ::wgpu::ComputePipeline {
    let (kernel, _, overrides) = &draft.key;
    let constants: Vec<(&str, f64)> = overrides.iter().map(|&(name, value)| (name, f64::from(value))).collect();
    device.create_compute_pipeline(&::wgpu::ComputePipelineDescriptor {
        label: Some(kernel),
        layout: Some(&draft.layout),
        module: &draft.module,
        entry_point: Some("main"),
        compilation_options: ::wgpu::PipelineCompilationOptions {
            constants: &constants,
            // Kernels write workgroup memory before they read it.
            zero_initialize_workgroup_memory: false,
        },
        cache: None,
    })
}

/// `make` of each, in their order, on all processors.
#[cfg(not(target_arch = "wasm32"))]
pub fn side_by_side<T: Sync, U: Send>(items: &[T], make: impl Fn(&T) -> U + Sync) -> Vec<U> {
    let n_threads = std::thread::available_parallelism().map_or(1, usize::from).min(items.len());
    if n_threads < 2 {
        return items.iter().map(make).collect();
    }
    let next = std::sync::atomic::AtomicUsize::new(0);
    let take = || {
        let mut made = Vec::new();
        loop {
            let i = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            match items.get(i) {
                Some(item) => made.push((i, make(item))),
                None => return made,
            }
        }
    };
    let mut made: Vec<(usize, U)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..n_threads).map(|_| scope.spawn(take)).collect();
        let joined = threads.into_iter().map(std::thread::ScopedJoinHandle::join);
        // A panic of a thread is one of this function.
        joined
            .flat_map(|made| made.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    made.sort_by_key(|(i, _)| *i);
    made.into_iter().map(|(_, made)| made).collect()
}

/// One after the other: browsers compile beside the page by themselves.
#[cfg(target_arch = "wasm32")]
pub fn side_by_side<T, U>(items: &[T], make: impl Fn(&T) -> U) -> Vec<U> {
    items.iter().map(make).collect()
}
