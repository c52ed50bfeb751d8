//! A plan made ready: its temporaries, the uniform buffer with every dispatch's `Params`, and bind groups.

use std::collections::{BTreeMap, HashMap};

use super::pipelines::{Pipeline, Pipelines};
use crate::error::{Error, Result};
use crate::kernel::gate::{GRID_BYTES, Gate};
use crate::kernel::{Binding, Dispatch, Memory, Operand, padded_bytes};
use crate::plan::Plan;
use crate::recording::{Place, Recording};
use crate::tensor::TensorId;

/// Lanes that write grids.
const GATE_LANES: u32 = 64;

/// Temporaries that recordings without cuts share: each plays in one submission, so none is in use between two.
#[derive(Default)]
pub struct Lender {
    /// The buffer, and how many prepared recordings use it.
    lent: Vec<(::wgpu::Buffer, usize)>,
}

impl Lender {
    /// One buffer for each size, all different; new ones are made where none fits.
    fn lend(&mut self, device: &::wgpu::Device, name: &str, sizes: &[u64]) -> Vec<::wgpu::Buffer> {
        let mut taken = vec![false; self.lent.len()];
        // The largest first, so that it finds the one that fits it.
        let mut order: Vec<usize> = (0..sizes.len()).collect();
        order.sort_by_key(|&i| std::cmp::Reverse(sizes[i]));
        let mut buffers: Vec<Option<::wgpu::Buffer>> = vec![None; sizes.len()];
        for i in order {
            let fits = |j: &usize| !taken[*j] && self.lent[*j].0.size() >= sizes[i];
            let best = (0..self.lent.len()).filter(fits).min_by_key(|&j| self.lent[j].0.size());
            let j = best.unwrap_or_else(|| {
                self.lent.push((temp_buffer(device, name, sizes[i]), 0));
                taken.push(false);
                self.lent.len() - 1
            });
            taken[j] = true;
            self.lent[j].1 += 1;
            buffers[i] = Some(self.lent[j].0.clone());
        }
        buffers.into_iter().flatten().collect()
    }

    fn give_back(&mut self, buffers: &[::wgpu::Buffer]) {
        for (buffer, users) in &mut self.lent {
            if buffers.contains(buffer) {
                *users -= 1;
            }
        }
        self.lent.retain(|(_, users)| *users > 0);
    }

    pub fn bytes(&self) -> u64 {
        self.lent.iter().map(|(buffer, _)| buffer.size()).sum()
    }
}

fn temp_buffer(device: &::wgpu::Device, name: &str, size: u64) -> ::wgpu::Buffer {
    device.create_buffer(&::wgpu::BufferDescriptor {
        label: Some(name),
        size,
        usage: ::wgpu::BufferUsages::STORAGE | ::wgpu::BufferUsages::COPY_SRC,
        mapped_at_creation: false,
    })
}

/// One dispatch, ready.
pub struct Step {
    pipeline: ::wgpu::ComputePipeline,
    groups: Vec<::wgpu::BindGroup>,
    grid: [u32; 3],
    /// Where the gate wrote the grid, or nothing in its place.
    gated: Option<(::wgpu::Buffer, u64)>,
}

/// The kernel that says whether a plan runs, and the memory of grids.
struct Gated {
    dispatch: Dispatch,
    planned: ::wgpu::Buffer,
    grids: ::wgpu::Buffer,
}

/// The memory of a tap, unless it has no values, and its bytes.
type Tap = (Option<::wgpu::Buffer>, u64);

/// A plan and all that it is played with.
pub struct Prepared {
    pub plan: Plan,
    /// Comes before the first step.
    gate: Option<Step>,
    steps: Vec<Step>,
    temps: Vec<::wgpu::Buffer>,
    params_bytes: u64,
    /// What a tap's name reads, and how many bytes.
    taps: BTreeMap<String, Tap>,
}

impl Prepared {
    /// Errors: `Engine` for a tensor that is not there or smaller than the recording says.
    pub fn new<'a>(
        recording: &Recording,
        plan: Plan,
        device: &::wgpu::Device,
        queue: &::wgpu::Queue,
        pipelines: &mut Pipelines,
        lender: &mut Lender,
        tensor: impl Fn(TensorId) -> Option<&'a ::wgpu::Buffer>,
    ) -> Result<Self> {
        check_tensors(&plan, &tensor)?;
        let temps = match plan.own_temps {
            true => plan.temps.iter().map(|&size| temp_buffer(device, &plan.name, size)).collect(),
            false => lender.lend(device, &plan.name, &plan.temps),
        };
        let gated = match plan.gate {
            Some(state) if !plan.dispatches.is_empty() => Some(gated(device, queue, &plan, state)?),
            _ => None,
        };
        let all: Vec<&Dispatch> = gated.iter().map(|gated| &gated.dispatch).chain(&plan.dispatches).collect();
        let (params, offsets) = params_buffer(device, queue, &all);
        pipelines.make(all.iter().copied())?;
        let buffer_of = |memory: Memory| match (memory, &gated) {
            (Memory::Temp(PLANNED), Some(gated)) => Some(&gated.planned),
            (Memory::Temp(GRIDS), Some(gated)) => Some(&gated.grids),
            (Memory::Temp(number), _) => temps.get(number as usize),
            (Memory::Tensor(id), _) => tensor(id),
        };
        let mut binder = Binder {
            device,
            params: &params,
            weights: HashMap::new(),
        };
        let mut steps = Vec::with_capacity(all.len());
        for (i, (&dispatch, &offset)) in (0..).zip(all.iter().zip(&offsets)) {
            let pipeline = pipelines.get(dispatch)?;
            steps.push(Step {
                groups: binder.groups(dispatch, &pipeline, offset, &buffer_of)?,
                pipeline: pipeline.pipeline,
                grid: dispatch.grid,
                gated: match &gated {
                    Some(gated) if i > 0 => Some((gated.grids.clone(), GRID_BYTES * (i - 1))),
                    _ => None,
                },
            });
        }
        let gate = gated.is_some().then(|| steps.remove(0));
        let mut taps = BTreeMap::new();
        if recording.keep_taps {
            for (name, &tap) in &recording.taps {
                let info = recording.info(tap);
                let root = recording.root(tap);
                let buffer = match recording.info(root).place {
                    Place::Bound(id) => tensor(id),
                    Place::Temp | Place::View(_) => plan.temp_of.get(&root).and_then(|&i| temps.get(i as usize)),
                };
                let size_bytes = info.dtype.size_bytes(info.shape.n());
                if size_bytes == 0 || buffer.is_some() {
                    taps.insert(name.clone(), (buffer.cloned(), size_bytes));
                }
            }
        }
        Ok(Self {
            params_bytes: params.size(),
            plan,
            gate,
            steps,
            temps,
            taps,
        })
    }

    /// Errors: `Engine` if there is no such slice.
    pub fn steps(&self, slice: usize) -> Result<&[Step]> {
        let range = self.plan.slices.get(slice).cloned();
        range.and_then(|range| self.steps.get(range)).ok_or_else(|| Error::Engine {
            what: "play",
            message: format!("{} has no slice {slice}", self.plan.name),
        })
    }

    /// All of them, of all slices.
    pub fn all_steps(&self) -> &[Step] {
        &self.steps
    }

    /// What to read for a tap; `None` if it has no values.
    ///
    /// Errors: `Engine` if the recording has no such tap, or was prepared without `keep_taps`.
    pub fn tap(&self, name: &str) -> Result<Option<(&::wgpu::Buffer, u64)>> {
        match self.taps.get(name) {
            Some((buffer, size_bytes)) => Ok(buffer.as_ref().map(|buffer| (buffer, *size_bytes)).filter(|tap| tap.1 > 0)),
            None => Err(Error::Engine {
                what: "read_tap",
                message: format!("{} keeps no tap {name}", self.plan.name),
            }),
        }
    }

    /// What comes before a slice.
    pub fn gate(&self, slice: usize) -> Option<&Step> {
        self.gate.as_ref().filter(|_| slice == 0)
    }

    pub fn temp_bytes(&self) -> u64 {
        self.plan.temp_bytes()
    }

    /// Bytes that only this one holds.
    pub fn own_bytes(&self) -> u64 {
        let temps = if self.plan.own_temps {
            self.temps.iter().map(::wgpu::Buffer::size).sum()
        } else {
            0
        };
        temps + self.params_bytes
    }

    pub fn give_back(self, lender: &mut Lender) {
        if !self.plan.own_temps {
            lender.give_back(&self.temps);
        }
    }
}

/// Writes the steps into one compute pass, behind their gate.
pub fn encode(encoder: &mut ::wgpu::CommandEncoder, gate: Option<&Step>, steps: &[Step]) {
    let mut pass = encoder.begin_compute_pass(&::wgpu::ComputePassDescriptor::default());
    gate.into_iter().chain(steps).for_each(|step| step.encode(&mut pass));
}

impl Step {
    /// With the gate's grid if there is one.
    pub fn encode(&self, pass: &mut ::wgpu::ComputePass<'_>) {
        self.bind(pass);
        match &self.gated {
            Some((grids, offset)) => pass.dispatch_workgroups_indirect(grids, *offset),
            None => self.launch(pass),
        }
    }

    /// With the planned grid, whatever the gate says.
    pub fn encode_ungated(&self, pass: &mut ::wgpu::ComputePass<'_>) {
        self.bind(pass);
        self.launch(pass);
    }

    fn bind(&self, pass: &mut ::wgpu::ComputePass<'_>) {
        pass.set_pipeline(&self.pipeline);
        for (index, group) in (0..).zip(&self.groups) {
            pass.set_bind_group(index, group, &[]);
        }
    }

    fn launch(&self, pass: &mut ::wgpu::ComputePass<'_>) {
        let [x, y, z] = self.grid;
        pass.dispatch_workgroups(x, y, z);
    }
}

/// Numbers of the gate's memory, where a plan has none.
const PLANNED: u32 = u32::MAX;
const GRIDS: u32 = u32::MAX - 1;

/// The gate of a plan, and its memory.
fn gated(device: &::wgpu::Device, queue: &::wgpu::Queue, plan: &Plan, state: Operand) -> Result<Gated> {
    let words: Vec<u32> = plan.dispatches.iter().flat_map(|dispatch| dispatch.grid).collect();
    let size_bytes = GRID_BYTES * plan.dispatches.len() as u64;
    let buffer = |label, usage| {
        device.create_buffer(&::wgpu::BufferDescriptor {
            label: Some(label),
            size: padded_bytes(size_bytes),
            usage: ::wgpu::BufferUsages::STORAGE | usage,
            mapped_at_creation: false,
        })
    };
    let planned = buffer("planned grids", ::wgpu::BufferUsages::COPY_DST);
    queue.write_buffer(&planned, 0, bytemuck::cast_slice(&words));
    let operand = |number| Operand {
        memory: Memory::Temp(number),
        size_bytes,
    };
    let gate = Gate {
        planned: operand(PLANNED),
        state,
        grids: operand(GRIDS),
        n_dispatches: plan.dispatches.len(),
        workgroup: GATE_LANES,
    };
    Ok(Gated {
        dispatch: Dispatch::new(&gate, 0)?,
        planned,
        grids: buffer("grids", ::wgpu::BufferUsages::INDIRECT),
    })
}

/// Every bound tensor is there and large enough: said with names here, not as a validation error later.
fn check_tensors<'a>(plan: &Plan, tensor: &impl Fn(TensorId) -> Option<&'a ::wgpu::Buffer>) -> Result<()> {
    for dispatch in &plan.dispatches {
        for binding in &dispatch.bindings {
            let Memory::Tensor(id) = binding.operand.memory else {
                continue;
            };
            let found = tensor(id).map_or(0, ::wgpu::Buffer::size);
            if found < binding.operand.bound_bytes() {
                return Err(Error::Engine {
                    what: dispatch.kernel,
                    message: format!(
                        "{}: tensor {} has {found} bytes, {} are bound",
                        binding.name, id.0, binding.operand.size_bytes
                    ),
                });
            }
        }
    }
    Ok(())
}

/// All `Params` in one uniform buffer, and where each starts.
fn params_buffer(device: &::wgpu::Device, queue: &::wgpu::Queue, dispatches: &[&Dispatch]) -> (::wgpu::Buffer, Vec<u64>) {
    let align = device.limits().min_uniform_buffer_offset_alignment as usize;
    let mut bytes = Vec::new();
    let mut offsets = Vec::with_capacity(dispatches.len());
    for dispatch in dispatches {
        bytes.resize(bytes.len().next_multiple_of(align), 0);
        offsets.push(bytes.len() as u64);
        bytes.extend_from_slice(&dispatch.params);
    }
    bytes.resize(bytes.len().max(1).next_multiple_of(16), 0);
    let buffer = device.create_buffer(&::wgpu::BufferDescriptor {
        label: Some("params"),
        size: bytes.len() as u64,
        usage: ::wgpu::BufferUsages::UNIFORM | ::wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    queue.write_buffer(&buffer, 0, &bytes);
    (buffer, offsets)
}

/// What tells one bind group of group 1 from another: memory, bytes and access of each binding.
type WeightKey = Vec<(Memory, u64, crate::kernel::Access)>;

struct Binder<'a> {
    device: &'a ::wgpu::Device,
    params: &'a ::wgpu::Buffer,
    /// Groups of weights, which several dispatches bind alike.
    weights: HashMap<WeightKey, ::wgpu::BindGroup>,
}

impl Binder<'_> {
    fn groups<'b>(
        &mut self,
        dispatch: &Dispatch,
        pipeline: &Pipeline,
        params_offset: u64,
        buffer_of: &impl Fn(Memory) -> Option<&'b ::wgpu::Buffer>,
    ) -> Result<Vec<::wgpu::BindGroup>> {
        let mut groups = Vec::with_capacity(pipeline.layouts.len());
        for (index, layout) in (0..).zip(&pipeline.layouts) {
            let bindings: Vec<&Binding> = dispatch.bindings.iter().filter(|binding| binding.group == index).collect();
            let key: WeightKey = bindings
                .iter()
                .map(|binding| (binding.operand.memory, binding.operand.bound_bytes(), binding.access))
                .collect();
            if index > 0
                && let Some(group) = self.weights.get(&key)
            {
                groups.push(group.clone());
                continue;
            }
            let mut entries = Vec::with_capacity(bindings.len() + 1);
            if index == 0 {
                entries.push(entry(0, self.params, params_offset, dispatch.params.len() as u64));
            }
            for binding in bindings {
                let buffer = buffer_of(binding.operand.memory).ok_or_else(|| Error::Engine {
                    what: dispatch.kernel,
                    message: format!("{} is nowhere", binding.name),
                })?;
                entries.push(entry(binding.index, buffer, 0, binding.operand.bound_bytes()));
            }
            let group = self.device.create_bind_group(&::wgpu::BindGroupDescriptor {
                label: Some(dispatch.kernel),
                layout,
                entries: &entries,
            });
            if index > 0 {
                self.weights.insert(key, group.clone());
            }
            groups.push(group);
        }
        Ok(groups)
    }
}

fn entry(binding: u32, buffer: &::wgpu::Buffer, offset: u64, size_bytes: u64) -> ::wgpu::BindGroupEntry<'_> {
    ::wgpu::BindGroupEntry {
        binding,
        resource: ::wgpu::BindingResource::Buffer(::wgpu::BufferBinding {
            buffer,
            offset,
            size: std::num::NonZeroU64::new(size_bytes),
        }),
    }
}
