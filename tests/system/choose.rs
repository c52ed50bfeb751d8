//! Which algorithms an adapter gets: golden vectors are the twins', each candidate is held to them, and one that computes
//! wrong results is never chosen, however fast it is.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use futures::executor::block_on;
use gpu::engine::choose::golden::{self, Answer, QUANTS, TOLERANCE, answer, golden};
use gpu::engine::choose::harness::{Harness, Size};
use gpu::engine::choose::{Choice, Role, Tunable, choose, choose_for};
use gpu::engine::wgpu::{AdapterChoice, WgpuEngine};
use gpu::engine::{Adapter, Engine, PreparedId, ReadFuture};
use gpu::plan::{Variants, Vector};
use gpu::protocol::Quant;
use gpu::recording::Recording;
use gpu::tensor::TensorId;
use pipeline::time::Clock;
use tests::{Kernels, sim_engine, twin};

#[test]
fn golden_vectors_are_what_the_twins_compute() -> Result<()> {
    for quant in QUANTS {
        let mut twins = sim_engine(Kernels::Plain);
        let harness = block_on(Harness::load(&mut twins, golden::size(quant)))?;
        let found = block_on(answer(&mut twins, &harness))?;
        if std::env::var_os("WRITE_GOLDEN").is_some() {
            let file = match quant {
                Quant::Q4 => "golden_q4.bin",
                _ => "golden_f16.bin",
            };
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../gpu/src/engine/choose");
            std::fs::write(folder.join(file), found.to_bytes())?;
            continue;
        }
        let error = found.error(&Answer::from_bytes(golden(quant))?);
        ensure!(error <= 1e-6, "{quant:?}: {error:e}");
    }
    Ok(())
}

/// An adapter that does nothing, very fast, whenever one algorithm is in use.
struct Liar {
    engine: WgpuEngine,
    lies: fn(&Variants) -> bool,
    /// What is lied about: passes of a model, not the packing of its weights.
    passes: BTreeSet<PreparedId>,
}

impl Tunable for Liar {
    fn variants(&self) -> &Variants {
        self.engine.variants()
    }

    fn set_variants(&mut self, variants: Variants) {
        self.engine.set_variants(variants);
    }
}

impl Engine for Liar {
    fn adapter(&self) -> &Adapter {
        self.engine.adapter()
    }

    fn create(&mut self, name: &str, size_bytes: u64) -> gpu::Result<TensorId> {
        self.engine.create(name, size_bytes)
    }

    fn release(&mut self, tensor: TensorId) {
        self.engine.release(tensor);
    }

    fn write(&mut self, tensor: TensorId, offset: u64, bytes: &[u8]) -> gpu::Result<()> {
        self.engine.write(tensor, offset, bytes)
    }

    fn copy(&mut self, from: TensorId, from_offset: u64, to: TensorId, to_offset: u64, size_bytes: u64) -> gpu::Result<()> {
        self.engine.copy(from, from_offset, to, to_offset, size_bytes)
    }

    fn read(&mut self, tensor: TensorId, offset: u64, size_bytes: u64) -> ReadFuture {
        self.engine.read(tensor, offset, size_bytes)
    }

    fn prepare(&mut self, recording: Recording) -> gpu::Result<PreparedId> {
        let is_pass = recording.name != "quantize";
        let prepared = self.engine.prepare(recording)?;
        if is_pass {
            self.passes.insert(prepared);
        }
        Ok(prepared)
    }

    fn discard(&mut self, prepared: PreparedId) {
        self.engine.discard(prepared);
    }

    fn n_slices(&self, prepared: PreparedId) -> usize {
        self.engine.n_slices(prepared)
    }

    fn play_slice(&mut self, prepared: PreparedId, slice: usize) -> gpu::Result<()> {
        match (self.lies)(self.engine.variants()) && self.passes.contains(&prepared) {
            true => Ok(()),
            false => self.engine.play_slice(prepared, slice),
        }
    }

    fn read_tap(&mut self, prepared: PreparedId, name: &str) -> ReadFuture {
        self.engine.read_tap(prepared, name)
    }

    fn describe(&self, prepared: PreparedId) -> String {
        self.engine.describe(prepared)
    }

    fn memory_bytes(&self) -> u64 {
        self.engine.memory_bytes()
    }
}

/// The adapter that is there, planned for as a GPU.
fn liar(lies: fn(&Variants) -> bool) -> Result<Option<Liar>> {
    if twin::gpu_engine().is_none() {
        return Ok(None);
    }
    let choice = AdapterChoice {
        as_hardware: true,
        ..AdapterChoice::default()
    };
    let engine = block_on(WgpuEngine::new(choice))?;
    Ok(Some(Liar {
        engine,
        lies,
        passes: BTreeSet::new(),
    }))
}

/// Small enough to be timed on a CPU.
fn small() -> Size {
    Size {
        chunk: 16,
        grid: [4, 4],
        ..golden::size(Quant::Q4)
    }
}

#[test]
fn a_wrong_algorithm_is_never_chosen_however_fast_and_of_the_right_ones_the_fastest_is() -> Result<()> {
    let Some(mut engine) = liar(|variants| variants.vector == Vector::Dot)? else {
        return Ok(());
    };
    let held = engine.memory_bytes();
    let promised = Variants::of(engine.adapter());
    ensure!(promised.vector == Vector::Dot, "the lie is about what would be taken unseen");
    let choice = block_on(choose_for(&mut engine, &Clock::new(), small(), Duration::from_secs(600)))?;
    for role in Role::ALL {
        let tried: Vec<_> = choice.tried.iter().filter(|tried| tried.role == role).collect();
        for one in &tried {
            let is_lie = role == Role::Vector && one.name == "dot";
            ensure!(
                one.passed != is_lie && one.error.is_some_and(|error| error <= TOLERANCE) == one.passed,
                "{one:?}"
            );
            ensure!(one.us.is_some() == (one.passed && tried.len() > 1), "{tried:?}");
        }
        let chosen: Vec<_> = tried.iter().filter(|tried| tried.chosen).collect();
        ensure!(chosen.len() == 1 && chosen[0].passed, "{role:?}: {tried:?}");
        let right = tried.iter().filter(|tried| tried.passed);
        ensure!(right.clone().all(|other| other.us >= chosen[0].us), "{role:?}: {tried:?}");
        ensure!(choice.names.contains(&(role, chosen[0].name.clone())), "{choice:?}");
    }
    ensure!(engine.variants().vector != Vector::Dot);
    ensure!(choice.variants(engine.adapter()).as_ref() == Some(engine.variants()));
    // Times may lose their last bit in a file.
    let read = Choice::from_json(&choice.to_json()?);
    let is_same = |read: Choice| read.names == choice.names && read.tried.len() == choice.tried.len();
    ensure!(read.is_some_and(is_same), "it is remembered");
    ensure!(engine.memory_bytes() == held, "what was tried with is freed");
    Ok(())
}

#[test]
fn an_adapter_that_computes_nothing_right_is_an_error_and_one_that_draws_on_the_cpu_is_not_timed() -> Result<()> {
    let Some(mut engine) = liar(|_| true)? else {
        return Ok(());
    };
    let error = block_on(choose_for(&mut engine, &Clock::new(), small(), Duration::from_secs(600)));
    ensure!(
        matches!(&error, Err(error) if error.to_string().contains("wrong results")),
        "{error:?}"
    );

    let mut engine = block_on(WgpuEngine::new(AdapterChoice::default()))?;
    if engine.adapter().software {
        let choice = block_on(choose(&mut engine, &Clock::new()))?;
        ensure!(choice.tried.is_empty());
        ensure!(choice.variants(engine.adapter()) == Some(Variants::of(engine.adapter())));
        let names: BTreeSet<Role> = choice.names.iter().map(|(role, _)| *role).collect();
        ensure!(names.len() == Role::ALL.len());
    }
    Ok(())
}
