//! [`DryEngine`]: an engine that counts. Tensors are sizes, plays do nothing, and what is prepared is lowered for a profile's
//! adapter and kept. With it [`Plans`] takes a model the way that the real one goes, from loading to a decode step, in
//! milliseconds and with no weights.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

use gpu::engine::{Adapter, Engine, PreparedId, ReadFuture};
use gpu::model::qwen3_vl::buckets::buckets;
use gpu::model::qwen3_vl::config::Config;
use gpu::model::qwen3_vl::dry::place;
use gpu::model::qwen3_vl::features::FeatureTensors;
use gpu::model::qwen3_vl::runner::{Feed, MediaRows, Runner};
use gpu::plan::{Plan, Variants, lower_with};
use gpu::protocol::LoadOptions;
use gpu::recording::Recording;
use gpu::tensor::TensorId;
use gpu::{Error, Result};

use super::device::{Device, Operands, Taken};
use super::profile::Profile;

/// What memory is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Use {
    /// Matrices and norms of the language model's layers.
    Layers,
    /// Embeddings and the output layer.
    Words,
    Vision,
    /// Keys and values.
    Cache,
    /// Features of a picture.
    Features,
    /// Inputs, rotary tables, the state of decoding.
    Rest,
}

impl Use {
    /// By the name that a tensor is created with.
    fn of(name: &str) -> Self {
        match name {
            "keys" | "values" => Use::Cache,
            "features" | "deepstack features" => Use::Features,
            _ if name.contains("visual.") => Use::Vision,
            _ if name.contains("embed_tokens") || name.contains("lm_head") => Use::Words,
            _ if name.contains("language_model.") => Use::Layers,
            _ => Use::Rest,
        }
    }
}

/// See the file's head.
pub struct DryEngine {
    adapter: Adapter,
    variants: Variants,
    tensors: Vec<(Use, u64)>,
    plans: BTreeMap<PreparedId, Plan>,
    next_plan: u64,
}

impl DryEngine {
    /// For an adapter, with the algorithms that its features promise.
    pub fn new(adapter: Adapter) -> Self {
        Self {
            variants: Variants::of(&adapter),
            adapter,
            tensors: Vec::new(),
            plans: BTreeMap::new(),
            next_plan: 0,
        }
    }

    /// For a profile's adapter and algorithms.
    pub fn of(profile: &Profile) -> Self {
        Self {
            variants: profile.variants(),
            ..Self::new(profile.adapter())
        }
    }

    /// Bytes that are there now, by what they are for.
    pub fn bytes(&self) -> BTreeMap<Use, u64> {
        let mut bytes = BTreeMap::new();
        for &(of, size_bytes) in &self.tensors {
            *bytes.entry(of).or_default() += size_bytes;
        }
        bytes
    }

    fn take_plan(&mut self, prepared: PreparedId) -> Result<Costed> {
        let plan = self.plans.remove(&prepared).ok_or_else(|| Error::Engine {
            what: "plan",
            message: format!("recording {} is not there", prepared.0),
        })?;
        Ok(Costed::new(plan))
    }
}

impl Engine for DryEngine {
    fn adapter(&self) -> &Adapter {
        &self.adapter
    }

    fn create(&mut self, name: &str, size_bytes: u64) -> Result<TensorId> {
        if size_bytes > self.adapter.max_buffer_bytes {
            return Err(Error::AdapterTooSmall {
                adapter: self.adapter.name.clone(),
                limit: "buffer size",
                found: self.adapter.max_buffer_bytes,
                needed: size_bytes,
            });
        }
        self.tensors.push((Use::of(name), size_bytes.max(4).next_multiple_of(16)));
        Ok(TensorId(self.tensors.len() as u64 - 1))
    }

    fn release(&mut self, tensor: TensorId) {
        if let Some((_, size_bytes)) = self.tensors.get_mut(tensor.0 as usize) {
            *size_bytes = 0;
        }
    }

    fn write(&mut self, _: TensorId, _: u64, _: &[u8]) -> Result<()> {
        Ok(())
    }

    fn copy(&mut self, _: TensorId, _: u64, _: TensorId, _: u64, _: u64) -> Result<()> {
        Ok(())
    }

    /// Zeros.
    fn read(&mut self, _: TensorId, _: u64, size_bytes: u64) -> ReadFuture {
        Box::pin(std::future::ready(Ok(vec![0; size_bytes as usize])))
    }

    fn prepare(&mut self, recording: Recording) -> Result<PreparedId> {
        let plan = lower_with(&recording, &self.adapter, &self.variants)?;
        self.next_plan += 1;
        self.plans.insert(PreparedId(self.next_plan), plan);
        Ok(PreparedId(self.next_plan))
    }

    fn discard(&mut self, prepared: PreparedId) {
        self.plans.remove(&prepared);
    }

    fn n_slices(&self, prepared: PreparedId) -> usize {
        self.plans.get(&prepared).map_or(1, |plan| plan.slices.len())
    }

    fn play_slice(&mut self, _: PreparedId, _: usize) -> Result<()> {
        Ok(())
    }

    fn plan(&self, prepared: PreparedId) -> Option<&Plan> {
        self.plans.get(&prepared)
    }

    fn read_tap(&mut self, _: PreparedId, name: &str) -> ReadFuture {
        let message = format!("{name}: nothing is computed here");
        Box::pin(std::future::ready(Err(Error::Engine { what: "tap", message })))
    }

    fn describe(&self, prepared: PreparedId) -> String {
        self.plans.get(&prepared).map_or(String::new(), Plan::to_string)
    }

    fn memory_bytes(&self) -> u64 {
        self.tensors.iter().map(|(_, size_bytes)| size_bytes).sum()
    }
}

/// A plan that times can be asked of.
#[derive(Clone, Debug)]
pub struct Costed {
    pub plan: Plan,
    operands: Operands,
}

impl Costed {
    pub fn new(plan: Plan) -> Self {
        let operands = Operands::of(&plan);
        Self { plan, operands }
    }

    /// Every dispatch on a device, with `n_cached` tokens in the KV cache before.
    pub fn taken(&self, device: &Device, n_cached: usize) -> Vec<Taken> {
        device.dispatches(&self.plan, &self.operands, n_cached)
    }

    pub fn total_s(&self, device: &Device, n_cached: usize) -> f64 {
        self.taken(device, n_cached).iter().map(Taken::total_s).sum()
    }

    /// The same, by slice of the plan.
    pub fn slices(&self, device: &Device, n_cached: usize) -> Vec<Duration> {
        let taken = self.taken(device, n_cached);
        let slice = |range: &Range<usize>| taken[range.clone()].iter().map(Taken::total_s).sum();
        let slices = self.plan.slices.iter();
        slices.map(|range| Duration::from_secs_f64(slice(range))).collect()
    }
}

/// The size of a picture in patches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grid {
    pub rows: usize,
    pub columns: usize,
}

impl Grid {
    /// Tokens that the language model sees of it.
    pub fn n_tokens(self) -> usize {
        self.rows * self.columns / 4
    }

    /// Bytes of its pixels: patches of 16 × 16, three bytes each.
    pub fn pixel_bytes(self) -> usize {
        self.rows * self.columns * 16 * 16 * 3
    }
}

/// All plans of a model on one kind of adapter, and the memory it takes there.
#[derive(Clone, Debug)]
pub struct Plans {
    pub config: Config,
    /// A decode step.
    pub step: Costed,
    /// From the last row of a prompt to its first token.
    pub head: Costed,
    /// By bucket and whether media are in it.
    pub chunks: BTreeMap<(usize, bool), Costed>,
    pub towers: BTreeMap<Grid, Costed>,
    /// Pictures that are too large for the adapter, and why.
    pub too_large: BTreeMap<Grid, String>,
    /// What stays: weights, cache, inputs.
    pub held_bytes: BTreeMap<Use, u64>,
    /// Temporaries: those that plans share, and those of the largest picture's tower.
    pub activation_bytes: u64,
    /// The largest picture's features.
    pub feature_bytes: u64,
}

impl Plans {
    /// Plans for prompts of so many tokens, with media in them or without, and for pictures of these sizes.
    ///
    /// Errors: [`Error::AdapterTooSmall`] for the model; pictures that are too large are noted.
    pub fn make(
        mut engine: DryEngine,
        config: &Config,
        options: &LoadOptions,
        prompts: &[(usize, bool)],
        grids: &[Grid],
    ) -> Result<Self> {
        let engine = &mut engine;
        let model = place(engine, "dry", config, options)?;
        let mut runner = Runner::new(engine, model, options, false)?;
        let (head, step) = runner.prepared_steps();
        let (head, step) = (engine.take_plan(head)?, engine.take_plan(step)?);
        let mut chunks = BTreeMap::new();
        for &(n, media) in prompts {
            for (bucket, _) in buckets(n) {
                if let Entry::Vacant(place) = chunks.entry((bucket, media)) {
                    let chunk = feed(engine, &mut runner, bucket, media)?;
                    place.insert(engine.take_plan(chunk)?);
                }
            }
        }
        let (mut towers, mut too_large) = (BTreeMap::new(), BTreeMap::new());
        let patch = config.vision.patch_size;
        for grid in grids.iter().copied().collect::<BTreeSet<_>>() {
            let (height, width) = (grid.rows * patch, grid.columns * patch);
            let frames = vec![0; height * width * 3];
            match runner.begin_encode(engine, &frames, 1, height, width, "image") {
                Ok(pass) => drop(towers.insert(grid, engine.take_plan(pass.prepared)?)),
                Err(error @ Error::AdapterTooSmall { .. }) => drop(too_large.insert(grid, error.to_string())),
                Err(error) => return Err(error),
            }
        }
        let largest = towers.keys().map(|grid| grid.n_tokens()).max().unwrap_or(0);
        let levels = 1 + config.vision.deepstack_visual_indexes.len();
        let shared = [&step, &head].into_iter().chain(chunks.values()).map(|costed| &costed.plan);
        let (own, lent): (Vec<&Plan>, Vec<&Plan>) = shared.partition(|plan| plan.own_temps);
        let tower_bytes = towers
            .values()
            .map(|tower: &Costed| tower.plan.temp_bytes())
            .max()
            .unwrap_or(0);
        Ok(Self {
            config: config.clone(),
            activation_bytes: pooled_bytes(&lent) + own.iter().map(|plan| plan.temp_bytes()).sum::<u64>() + tower_bytes,
            feature_bytes: (levels * largest * config.vision.out_hidden_size * 4) as u64,
            held_bytes: engine.bytes(),
            step,
            head,
            chunks,
            towers,
            too_large,
        })
    }

    /// The chunks of a prompt of `n` tokens, each with the tokens before it.
    pub fn prompt_pieces(&self, n: usize, media: bool) -> Vec<(&Costed, usize)> {
        let mut at = 0;
        let mut pieces = Vec::new();
        for (bucket, tokens) in buckets(n) {
            pieces.extend(self.chunks.get(&(bucket, media)).map(|chunk| (chunk, at)));
            at += tokens;
        }
        pieces
    }
}

/// Prepares a chunk as the actor would.
fn feed(engine: &mut DryEngine, runner: &mut Runner, bucket: usize, media: bool) -> Result<PreparedId> {
    let ids = vec![0; bucket];
    let features = FeatureTensors {
        n_tokens: bucket,
        merged: TensorId(0),
        deepstack: vec![TensorId(0); runner.model.vision.deepstack_merger_list.len()],
    };
    let rows = MediaRows {
        token: 0,
        features: &features,
        row: 0,
        n: bucket,
    };
    runner.feed(
        engine,
        &Feed {
            bucket,
            ids: &ids,
            pos: [&ids, &ids, &ids],
            media: media.then_some(rows).into_iter().collect(),
            state: bytemuck::Zeroable::zeroed(),
        },
    )
}

/// What plans take that lend their temporaries to each other: by size, the largest first.
fn pooled_bytes(plans: &[&Plan]) -> u64 {
    let mut pool: Vec<u64> = Vec::new();
    for plan in plans {
        let mut sizes = plan.temps.clone();
        sizes.sort_unstable_by_key(|&size| std::cmp::Reverse(size));
        pool.resize(pool.len().max(sizes.len()), 0);
        pool.iter_mut()
            .zip(sizes)
            .for_each(|(pooled, size)| *pooled = size.max(*pooled));
    }
    pool.iter().sum()
}

#[cfg(test)]
#[path = "dry_tests.rs"]
mod tests;
