//! `qwglm bench kernels`: each dispatch of a model's plans by the adapter's own clock, those that are alike together.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use gpu::engine::wgpu::{AdapterChoice, WgpuEngine};
use gpu::engine::{Engine, NO_THOUGHT, PreparedId, State};
use gpu::kernel::{Dispatch, Memory};
use gpu::model::qwen3_vl::buckets::MAX_CHUNK;
use gpu::model::qwen3_vl::load::load;
use gpu::model::qwen3_vl::runner::{BLOCK, Feed, Runner};
use gpu::plan::writes;
use gpu::protocol::LoadOptions;
use gpu::recording::{Op, Recording};
use gpu::sampler::{MAX_STOP, Sampling, SamplingWords};
use gpu::tensor::TensorId;
use gpu::weights::Weight;
use serde::Serialize;

use super::args::BenchKernelsArgs;
use super::machine::Machine;
use super::median;
use super::observed::{Observed, Seen, plan_size};
use super::shape::Shape;

/// How long a device is kept busy before anything counts: clocks rise over tens of milliseconds.
pub const WARM_UP: Duration = Duration::from_millis(80);
/// Plays between two looks at the clock take about this long.
const STRETCH: Duration = Duration::from_millis(20);
const MAX_STRETCH: u32 = 200;

/// What was measured.
#[derive(Debug, Serialize)]
pub struct Measured {
    #[serde(rename = "type")]
    kind: &'static str,
    bench: &'static str,
    #[serde(flatten)]
    machine: Machine,
    shape: String,
    quant: &'static str,
    layers: usize,
    runs: u32,
    load_s: f64,
    memory_bytes: u64,
    phases: Vec<Phase>,
}

/// One recording.
#[derive(Debug, Serialize)]
struct Phase {
    /// `decode`, `prefill` or `image`.
    phase: &'static str,
    /// What the recording is called: `decode`, `prefill 256`, `image 64x64`.
    name: String,
    /// Tokens that are in the cache before.
    context: usize,
    dispatches: usize,
    dispatches_a_layer: usize,
    /// Played without stamps, one after the other.
    step_us: f64,
    /// Of all dispatches, each alone.
    sum_us: f64,
    kernels: Vec<Group>,
}

/// Dispatches that are alike.
#[derive(Debug, Serialize)]
struct Group {
    kernel: String,
    what: String,
    grid: [u32; 3],
    n: usize,
    /// Of one.
    median_us: f64,
    /// Of `sum_us`.
    share: f64,
    /// Of one; each byte once.
    bytes: u64,
    operations: u64,
    gb_s: f64,
    tera_ops_s: f64,
}

/// Loads the shape's weights and times what is asked for.
///
/// Errors: those of the engine; an adapter without time stamps.
pub async fn measure(args: &BenchKernelsArgs) -> Result<Measured> {
    let shape = Shape::find(&args.shape).await?;
    let choice = AdapterChoice {
        name: args.shape.adapter.clone(),
        ..AdapterChoice::default()
    };
    let engine = super::model::open(choice, args.shape.without).await?;
    let mut engine = Observed::new(engine, Seen::default());
    let machine = Machine::new(engine.adapter());
    ensure!(
        engine.adapter().timestamps,
        "{} has no time stamps, so it cannot tell how long a kernel takes",
        machine.adapter
    );
    let deepest = args.contexts.0.iter().chain(&args.prefill.0).max().copied().unwrap_or(0);
    let options = LoadOptions {
        quant: shape.quant,
        context_tokens: deepest + MAX_CHUNK,
        ..LoadOptions::default()
    };
    let started = Instant::now();
    let model = load(&mut engine, shape.weights()?, &options, None).await?;
    let runner = Runner::new(&mut engine, model, &options, false)?;
    let mut bench = Bench {
        engine,
        runner,
        runs: args.shape.runs,
    };
    bench.idle().await?;
    let load_s = started.elapsed().as_secs_f64();
    bench.begin()?;
    let mut phases = Vec::new();
    for &context in &args.contexts.0 {
        let (_, decode) = bench.runner.prepared_steps();
        phases.push(bench.phase("decode", decode, context, 1).await?);
    }
    for &length in &args.prefill.0 {
        let bucket = length.clamp(1, MAX_CHUNK);
        let context = (length - length.min(bucket)) / 2;
        let prefill = bench.chunk(&shape, bucket)?;
        phases.push(bench.phase("prefill", prefill, context, bucket).await?);
    }
    for &(width, height) in &args.images.0 {
        let pixels: Vec<u8> = (0..3 * width * height).map(|i| (i * 7 % 251) as u8).collect();
        let (engine, runner) = (&mut bench.engine, &mut bench.runner);
        let pass = runner.begin_encode(engine, &pixels, 1, height, width, "image")?;
        phases.push(bench.phase("image", pass.prepared, 0, 0).await?);
    }
    Ok(Measured {
        kind: "bench",
        bench: "kernels",
        machine,
        shape: shape.name.clone(),
        quant: shape.quant_name(),
        layers: shape.config.text.num_hidden_layers,
        runs: args.shape.runs,
        load_s,
        memory_bytes: bench.engine.memory_bytes(),
        phases,
    })
}

struct Bench {
    engine: Observed<WgpuEngine>,
    runner: Runner,
    runs: u32,
}

impl Bench {
    /// One sequence that has the whole cache, and greedy sampling that never ends.
    fn begin(&mut self) -> Result<()> {
        let n_blocks = self.runner.memory.n_blocks as u32;
        let blocks: Vec<u32> = (0..n_blocks).collect();
        self.runner.set_blocks(&mut self.engine, &blocks, &[])?;
        let greedy = Sampling::default();
        let words = SamplingWords {
            temperature: greedy.temperature,
            top_k: greedy.top_k,
            top_p: greedy.top_p,
            min_p: greedy.min_p,
            repetition_penalty: greedy.repetition_penalty,
            presence_penalty: greedy.presence_penalty,
            n_stop: 0,
            pad: 0,
            stop: [u32::MAX; MAX_STOP],
        };
        self.runner.set_sampling(&mut self.engine, &words, &[])?;
        Ok(())
    }

    fn state(&self, context: usize, n_tokens: usize) -> State {
        State {
            kv_len: context as u32,
            n_tokens: n_tokens as u32,
            position: context as u32,
            done: 0,
            step: 0,
            max_steps: u32::MAX,
            seed: [0; 2],
            last_id: 0,
            think_left: NO_THOUGHT,
            think_end: 0,
            pad: 0,
        }
    }

    fn set_state(&mut self, context: usize, n_tokens: usize) -> Result<()> {
        let state = self.state(context, n_tokens);
        self.engine.write(self.runner.memory.state, 0, bytemuck::bytes_of(&state))?;
        Ok(())
    }

    /// Feeds a chunk of `bucket` tokens once, and gives what was played.
    fn chunk(&mut self, shape: &Shape, bucket: usize) -> Result<PreparedId> {
        let ids = shape.prompt(bucket, 1);
        let pos: Vec<u32> = (0..bucket as u32).collect();
        let feed = Feed {
            bucket,
            ids: &ids,
            pos: [&pos; 3],
            media: Vec::new(),
            state: self.state(0, bucket),
        };
        Ok(self.runner.feed(&mut self.engine, &feed)?)
    }

    /// Waits for all that is queued.
    async fn idle(&mut self) -> Result<()> {
        self.engine.read(self.runner.memory.state, 0, 4).await?;
        Ok(())
    }

    /// Plays `n` times, and gives how long that took.
    async fn stretch(&mut self, prepared: PreparedId, context: usize, n_tokens: usize, n: u32) -> Result<Duration> {
        self.set_state(context, n_tokens)?;
        self.idle().await?;
        let started = Instant::now();
        for i in 0..n {
            // Decoding moves the state on; it must not leave the cache.
            if i > 0 && (i as usize).is_multiple_of(BLOCK) {
                self.set_state(context, n_tokens)?;
            }
            self.engine.play(prepared)?;
        }
        self.idle().await?;
        Ok(started.elapsed())
    }

    async fn phase(&mut self, phase: &'static str, prepared: PreparedId, context: usize, n_tokens: usize) -> Result<Phase> {
        // Not of the warm-up: the first play makes what the driver puts off.
        self.stretch(prepared, context, n_tokens, 1).await?;
        let started = Instant::now();
        let mut n = 1;
        while started.elapsed() < WARM_UP {
            let one = self.stretch(prepared, context, n_tokens, n).await? / n;
            n = (STRETCH.as_nanos() / one.as_nanos().max(1)).clamp(1, MAX_STRETCH.into()) as u32;
        }
        let (mut steps, mut times) = (Vec::new(), Vec::new());
        for _ in 0..self.runs {
            let took = self.stretch(prepared, context, n_tokens, n).await?;
            steps.push(took.as_secs_f64() * 1e6 / f64::from(n));
            self.set_state(context, n_tokens)?;
            let stamps = self.engine.play_timed(prepared).await?;
            times.push(stamps.context("the adapter gave no time stamps")?);
        }
        let recording = self.engine.recording(prepared).context("a recording is gone")?;
        let plan = self.engine.plan(prepared).context("a plan is gone")?;
        let medians: Vec<f64> = (0..plan.dispatches.len())
            .map(|i| median(&times.iter().map(|run| run[i].as_secs_f64() * 1e6).collect::<Vec<_>>()))
            .collect();
        let size = plan_size(&recording, plan);
        Ok(Phase {
            phase,
            name: plan.name.clone(),
            context,
            dispatches: size.dispatches,
            dispatches_a_layer: size.a_layer,
            step_us: median(&steps),
            sum_us: medians.iter().sum(),
            kernels: groups(&recording, &plan.dispatches, &medians, context),
        })
    }
}

/// Dispatches of the same kernel, parts, constants, grid and purpose, in the order of the first of each.
fn groups(recording: &Recording, dispatches: &[Dispatch], medians: &[f64], context: usize) -> Vec<Group> {
    let whole: f64 = medians.iter().sum();
    let weights = weights(recording);
    let mut found: Vec<(Group, Vec<f64>)> = Vec::new();
    for (dispatch, &us) in dispatches.iter().zip(medians) {
        let constants = dispatch.overrides.iter().map(|(name, value)| format!(" {name}={value}"));
        let parts = match dispatch.parts.is_empty() {
            true => String::new(),
            false => format!("<{}>", dispatch.parts.join(", ")),
        };
        let kernel = format!("{}{parts}{}", dispatch.kernel, constants.collect::<String>());
        let what = purpose(recording, &weights, dispatch);
        let grid = dispatch.grid;
        let alike = |group: &Group| group.kernel == kernel && group.what == what && group.grid == grid;
        if let Some((_, times)) = found.iter_mut().find(|(group, _)| alike(group)) {
            times.push(us);
            continue;
        }
        let operations = dispatch.cost.operations.iter().map(|amount| amount.at(context)).sum();
        let group = Group {
            kernel,
            what,
            grid,
            n: 0,
            median_us: 0.0,
            share: 0.0,
            bytes: dispatch.cost.touched_bytes(context),
            operations,
            gb_s: 0.0,
            tera_ops_s: 0.0,
        };
        found.push((group, vec![us]));
    }
    let finish = |(mut group, times): (Group, Vec<f64>)| {
        group.n = times.len();
        group.median_us = median(&times);
        group.share = times.iter().sum::<f64>() / whole.max(f64::MIN_POSITIVE);
        let us = group.median_us.max(1e-3);
        group.gb_s = group.bytes as f64 / us / 1e3;
        group.tera_ops_s = group.operations as f64 / us / 1e6;
        group
    };
    found.into_iter().map(finish).collect()
}

/// What each weight of a recording is multiplied by: a tensor of it, the weight, rows.
type Weights = BTreeMap<TensorId, (Arc<Weight>, usize)>;

fn weights(recording: &Recording) -> Weights {
    let mut found = Weights::new();
    for op in &recording.ops {
        if let Op::Linear { x, weight, .. } = op {
            let rows = recording.shape(*x).rows();
            found.extend(weight.parts.iter().map(|part| (part.packed, (weight.clone(), rows))));
        }
    }
    found
}

/// `gate_proj+up_proj 24576×4096 ·1`; for what has no weight, the operation that it ends and what that writes.
fn purpose(recording: &Recording, weights: &Weights, dispatch: &Dispatch) -> String {
    let bound = dispatch.bindings.iter().filter_map(|binding| match binding.operand.memory {
        Memory::Tensor(tensor) => weights.get(&tensor),
        Memory::Temp(_) => None,
    });
    let mut bound: Vec<_> = bound.collect();
    // Where a kernel could take two weights and takes one, that is bound twice.
    bound.dedup_by(|(one, _), (other, _)| Arc::ptr_eq(one, other));
    let op = &recording.ops[dispatch.op_idx];
    match bound.first() {
        // An embedding may be the output layer's weight too.
        Some((weight, rows)) if !matches!(op, Op::Embed { .. }) => {
            let names: Vec<&str> = bound.iter().map(|(weight, _)| short_name(&weight.name)).collect();
            let n: usize = bound.iter().map(|(weight, _)| weight.n).sum();
            format!("{} {n}×{} ·{rows}", names.join("+"), weight.k)
        }
        _ => {
            let written = writes(op).first().map(|&y| recording.shape(y).to_string());
            format!("{} {}", op.name(), written.unwrap_or_default())
        }
    }
}

/// `model.language_model.layers.3.mlp.up_proj.weight` → `up_proj`.
fn short_name(name: &str) -> &str {
    let stem = name.trim_end_matches(".weight");
    stem.rsplit('.').next().unwrap_or(stem)
}

impl Measured {
    pub fn json(&self) -> Result<String> {
        Ok(serde_json::to_string(self)?)
    }

    pub fn table(&self) -> String {
        let mut lines = vec![
            self.machine.line(),
            format!(
                "{}, {} layers, quant {}, loaded in {:.1} s, {} MiB; medians of {}",
                self.shape,
                self.layers,
                self.quant,
                self.load_s,
                self.memory_bytes >> 20,
                self.runs
            ),
        ];
        for phase in &self.phases {
            lines.push(String::new());
            lines.push(format!(
                "{}, {} cached: step {:.1} µs, sum {:.1} µs, {} dispatches, {} a layer",
                phase.name, phase.context, phase.step_us, phase.sum_us, phase.dispatches, phase.dispatches_a_layer
            ));
            lines.push(format!(
                "{:>5} {:>9} {:>6} {:>8} {:>8}  {:<34} kernel",
                "n", "µs", "share", "GB/s", "Tops/s", "for"
            ));
            lines.extend(phase.kernels.iter().map(Group::line));
        }
        lines.join("\n") + "\n"
    }
}

impl Group {
    fn line(&self) -> String {
        let [x, y, z] = self.grid;
        format!(
            "{:>5} {:>9.1} {:>5.1}% {:>8.1} {:>8.3}  {:<34} {} {x}x{y}x{z}",
            self.n,
            self.median_us,
            100.0 * self.share,
            self.gb_s,
            self.tera_ops_s,
            self.what,
            self.kernel
        )
    }
}
