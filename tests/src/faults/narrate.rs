//! `configs/narrate.toml` on the bundled recording, with sinks that write files, while its stages go wrong as a seed says. What is
//! written must be what is written when nothing goes wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use gpu::protocol::{GpuHandle, LoadOptions, ModelInfo, Quant};
use gpu::weights::source::{Folder, Source};
use pipeline::error::{Error, chain};
use pipeline::graph::Graph;
use pipeline::registry::Registry;
use pipeline::runtime::{Report, Run, RunOptions};
use pipeline::time::Clock;
use stages::{Env, Model, ModelText};

use super::memo::{EngineFault, EngineFaults, Memo};
use super::{Fault, Seen, When, Wrong, injure};
use crate::{Kernels, sim_engine, start_in};

/// What the checker allows a stage in `configs/`: one more within the window ends the run.
const LIMIT: u64 = 5;
/// As the files are called, and the stages that write them.
const SINKS: [&str; 3] = ["text", "jsonl", "tsv"];
/// Where the configuration has its frames from.
const RECORDING: &str = "../tests/data/recording";

/// Where the engine of a run comes from.
pub enum Engines {
    /// A simulator for each run.
    Real,
    /// One simulator, whose answers are remembered.
    Remembered(Arc<Memo>),
}

/// The configuration, and what is written when nothing goes wrong.
pub struct Bench {
    config: String,
    base: PathBuf,
    source: Arc<dyn Source>,
    text: Arc<ModelText>,
    engines: Engines,
    /// The model on the engine that is remembered.
    info: Option<ModelInfo>,
    undisturbed: Option<Undisturbed>,
}

struct Undisturbed {
    files: BTreeMap<&'static str, String>,
    seen: Seen,
}

/// What a run wrote, by sink, and how it ended.
pub struct Played {
    pub files: BTreeMap<&'static str, String>,
    pub ended: Result<Report, Error>,
}

/// How a run with faults went.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub struct Outcome {
    pub seed: u64,
    /// Which stages failed how, in order.
    pub happened: Vec<(String, Fault)>,
    /// Requests to the engine that went wrong.
    pub engine_faults: u64,
    pub restarts: u64,
    pub narrations: usize,
    /// The stage whose last failure ended the run, if one did.
    pub ended_by: Option<String>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn options() -> LoadOptions {
    LoadOptions {
        quant: Quant::Q8,
        ..LoadOptions::default()
    }
}

impl Bench {
    /// `is_real`: each run has a simulator of its own. Runs once undisturbed.
    ///
    /// Errors: the repository is not whole; that run failed.
    pub async fn new(is_real: bool) -> Result<Self> {
        let mut bench = Self::prepared().await?;
        if !is_real {
            let engine = crate::start(|| async { Ok(sim_engine(Kernels::Fast)) })?;
            let (engine, info) = bench.load(engine).await?;
            (bench.info, bench.engines) = (Some(info), Engines::Remembered(Memo::new(engine)));
        }
        let seen = Seen::default();
        let Played { files, ended } = bench.play(Wrong::new(), EngineFaults::new(), 0, &seen).await?;
        ended.map_err(|error| anyhow::anyhow!("the undisturbed run: {}", chain(&error)))?;
        ensure!(seen.finished().len() >= 10, "{} narrations", seen.finished().len());
        bench.undisturbed = Some(Undisturbed { files, seen });
        Ok(bench)
    }

    /// The configuration and its model, on no engine yet: for [`Bench::play_on`].
    pub async fn prepared() -> Result<Self> {
        let base = root().join("configs");
        let config = std::fs::read_to_string(base.join("narrate.toml"))?;
        // It writes to standard output, which a test takes: so it may hang.
        let waits = "deadline_ms = \"none\"";
        ensure!(config.matches(waits).count() == 1, "the terminal alone has no deadline");
        ensure!(config.contains(RECORDING), "the frames are not the bundled recording");
        let config = config.replace(waits, "deadline_ms = 120000\nlive = false");
        let source: Arc<dyn Source> = Arc::new(Folder::open(root().join("models/pocket-vl"))?);
        let text = Arc::new(ModelText::load(&*source).await?);
        Ok(Self {
            config,
            base,
            source,
            text,
            engines: Engines::Real,
            info: None,
            undisturbed: None,
        })
    }

    /// Runs with the faults of a seed, and checks what was written.
    ///
    /// Errors: a file is not whole, a narration that was finished is missing, or is there twice; a run that ended where it should
    /// have gone on, or the other way round.
    pub async fn run(&self, seed: u64) -> Result<Outcome> {
        let (wrong, engine_faults) = self.faults(seed);
        self.run_with(seed, wrong, engine_faults)
            .await
            .with_context(|| format!("seed {seed}"))
    }

    async fn run_with(&self, seed: u64, wrong: Wrong, engine_faults: EngineFaults) -> Result<Outcome> {
        let undisturbed = self.undisturbed.as_ref().context("there is nothing to compare with")?;
        let seen = Seen::default();
        let n_engine_faults = engine_faults.len() as u64;
        let Played { files, ended } = self.play(wrong, engine_faults, seed, &seen).await?;
        let happened = seen.happened();
        let mut outcome = Outcome {
            seed,
            engine_faults: n_engine_faults,
            restarts: 0,
            narrations: seen.finished().len(),
            ended_by: None,
            happened,
        };
        match ended {
            Ok(report) => {
                for sink in SINKS {
                    same(sink, &files[sink], &undisturbed.files[sink])?;
                }
                outcome.restarts = report.stages.iter().map(|stage| stage.restarts).sum();
                let lost: u64 = report.stages.iter().map(|stage| stage.lost).sum();
                let n_faults = outcome.happened.len() as u64;
                ensure!(lost == 0, "{lost} packets were lost");
                let expected = n_faults..=n_faults + n_engine_faults;
                ensure!(
                    expected.contains(&outcome.restarts),
                    "{} restarts of {expected:?}",
                    outcome.restarts
                );
            }
            Err(error) => {
                let stage = stage_of(&error)?;
                let n = outcome.happened.iter().filter(|(name, _)| *name == stage).count() as u64;
                ensure!(n > LIMIT, "{} after {n} failures", chain(&error));
                for sink in SINKS {
                    let n_finished = seen.finished().len();
                    let written = beginning(sink, &files[sink], &undisturbed.files[sink])?;
                    // What was finished has been written, but by the sink that failed. Of words that are written as they come all
                    // may be there before the end of the answer is.
                    let n_more = usize::from(sink == "text");
                    let is_right = (n_finished..=n_finished + n_more).contains(&written);
                    ensure!(sink == stage || is_right, "{sink}: {written} of {n_finished} narrations");
                }
                outcome.ended_by = Some(stage);
            }
        }
        Ok(outcome)
    }

    /// What goes wrong: a few things in several stages; at each tenth seed one stage is past all help.
    fn faults(&self, seed: u64) -> (Wrong, EngineFaults) {
        let mut dice = Dice::new(seed);
        let (mut wrong, mut engine_faults) = (Wrong::new(), EngineFaults::new());
        let Some(Undisturbed { seen, .. }) = &self.undisturbed else {
            return (wrong, engine_faults);
        };
        let (moments, woken) = (seen.moments(), seen.woken());
        let stages: Vec<&String> = moments.keys().collect();
        if seed.is_multiple_of(10) {
            let stage = stages[dice.below(stages.len() as u64) as usize];
            // Moments that follow each other, so that there are as many as it takes: a stage that fails comes to them again.
            let first = 1 + dice.below(moments[stage] - LIMIT);
            for nth in first..=first + LIMIT {
                wrong.insert((stage.clone(), When::Moment(nth)), dice.fault());
            }
            return (wrong, engine_faults);
        }
        for stage in stages {
            let asks_engine = ["encode", "generate"].contains(&stage.as_str());
            // With the engine's faults no more than the limit.
            for _ in 0..dice.below(if asks_engine { 3 } else { LIMIT }) {
                if dice.below(3) == 0 {
                    let when = When::Woken(1 + dice.below(woken[stage]));
                    let fault = if dice.below(2) == 0 { Fault::Panic } else { Fault::Fail };
                    wrong.insert((stage.clone(), when), fault);
                } else {
                    let when = When::Moment(1 + dice.below(moments[stage]));
                    wrong.insert((stage.clone(), when), dice.fault());
                }
            }
        }
        if matches!(self.engines, Engines::Remembered(_)) {
            for _ in 0..dice.below(3) {
                let fault = [EngineFault::Fails, EngineFault::Silent, EngineFault::Gone][dice.below(3) as usize];
                engine_faults.insert(1 + dice.below(24), fault);
            }
        }
        (wrong, engine_faults)
    }

    /// Plays the graph in virtual time; what the sinks wrote, and how it ended.
    async fn play(&self, wrong: Wrong, engine_faults: EngineFaults, seed: u64, seen: &Seen) -> Result<Played> {
        let clock = Clock::new_virtual();
        let engine = self.engine(&clock, engine_faults, seed).await?;
        self.play_on(engine, clock, None, wrong, seen).await
    }

    /// Plays the graph on that engine, if need be with another folder of frames.
    ///
    /// Errors: the graph is none.
    pub async fn play_on(
        &self,
        (engine, info): (GpuHandle, ModelInfo),
        clock: Clock,
        frames: Option<&Path>,
        wrong: Wrong,
        seen: &Seen,
    ) -> Result<Played> {
        let folder = tempfile::tempdir()?;
        let mut text = match frames {
            Some(frames) => self.config.replace(RECORDING, &frames.to_string_lossy()),
            None => self.config.clone(),
        };
        for sink in SINKS {
            let path = folder.path().join(sink);
            text += &format!("\n[stage.{sink}]\ntype = \"sink.{sink}\"\ninput = \"words\"\npath = {path:?}\n");
        }
        let options = RunOptions {
            clock: clock.clone(),
            ..RunOptions::default()
        };
        let played = async {
            let model = Model {
                text: self.text.clone(),
                loaded: BTreeMap::from([("main".to_owned(), info)]),
            };
            let env = Env {
                engines: BTreeMap::from([("main".to_owned(), engine)]),
                models: BTreeMap::from([("eyes".to_owned(), model)]),
                base: self.base.clone(),
                ..Env::default()
            };
            let mut registry = Registry::new();
            stages::register(&mut registry, &Arc::new(env));
            injure(&mut registry, wrong, seen.clone());
            let graph = Graph::from_toml(&text, &registry)?;
            let run = Run::start(&graph, &registry, options)?;
            drop(registry);
            anyhow::Ok(run.join().await)
        };
        let ended = clock.track(played).await?;
        let read = |sink: &&'static str| {
            // A sink that failed before it began has no file.
            let text = std::fs::read_to_string(folder.path().join(sink)).unwrap_or_default();
            (*sink, text)
        };
        let files = SINKS.iter().map(read).collect();
        Ok(Played { files, ended })
    }

    /// Loads the model of the configuration onto an engine.
    pub async fn load(&self, engine: GpuHandle) -> Result<(GpuHandle, ModelInfo)> {
        let info = engine.load(self.source.clone(), options(), None).await?;
        Ok((engine, info))
    }

    async fn engine(&self, clock: &Clock, faults: EngineFaults, seed: u64) -> Result<(GpuHandle, ModelInfo)> {
        match (&self.engines, &self.info) {
            (Engines::Remembered(memo), Some(info)) => Ok((memo.handle(clock, Dice::new(!seed), faults), info.clone())),
            _ => {
                self.load(start_in(clock.clone(), || async { Ok(sim_engine(Kernels::Fast)) })?)
                    .await
            }
        }
    }
}

fn same(sink: &str, found: &str, expected: &str) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    let lines: BTreeSet<&str> = found.lines().collect();
    let twice = found.lines().count() - lines.len();
    let missing: Vec<&str> = expected.lines().filter(|line| !lines.contains(line)).collect();
    bail!("{sink} is not what it is otherwise: {twice} lines are there twice, missing are {missing:?}; it is\n{found}")
}

/// How many narrations are in a file of a run that ended early.
///
/// Errors: it is no beginning of what it is otherwise, or not whole.
fn beginning(sink: &str, found: &str, expected: &str) -> Result<usize> {
    ensure!(
        found.is_empty() || found.ends_with('\n'),
        "{sink} ends inside a line:\n{found}"
    );
    if expected.starts_with(found) {
        return Ok(found.lines().count());
    }
    // Words are written as they come: the last line may be of an answer that broke off, and is closed all the same.
    let is_beginning = sink == "text" && expected.starts_with(found.trim_end_matches('\n'));
    ensure!(is_beginning, "{sink} is no beginning of what it is otherwise:\n{found}");
    Ok(found.lines().count() - 1)
}

fn stage_of(error: &Error) -> Result<String> {
    match error {
        Error::Stage { stage, .. } | Error::Panic { stage, .. } | Error::Hang { stage, .. } => Ok(stage.clone()),
        other => bail!("{}", chain(other)),
    }
}

/// Numbers that follow from a seed (SplitMix64).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to `n` − 1; 0 if `n` is 0.
    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }

    /// Dice of their own for something that runs beside.
    pub fn split(&mut self) -> Self {
        Self(self.next())
    }

    fn fault(&mut self) -> Fault {
        [Fault::Panic, Fault::Fail, Fault::Hang][self.below(3) as usize]
    }
}
