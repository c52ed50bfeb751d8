//! Which algorithms an adapter runs, found out at the first start: adapters lie about what they can do, and what is promised to be
//! fast need not be. Each candidate is checked on golden vectors; those that are right are timed on a model's shapes; the choice is
//! remembered by whoever starts the engine, under [`key`].

pub mod golden;
pub mod harness;
mod role;
#[cfg(test)]
mod tests;

use std::time::Duration;

use pipeline::time::Clock;
use serde::{Deserialize, Serialize};

use self::golden::{Answer, QUANTS, TOLERANCE};
use self::harness::{Harness, Passes, Size};
pub use self::role::Role;
use crate::engine::{Adapter, Engine};
use crate::error::{Error, Result};
use crate::kernel;
use crate::model::qwen3_vl::buckets::MAX_CHUNK;
use crate::model::qwen3_vl::published;
use crate::plan::Variants;
use crate::protocol::Quant;
use crate::recording::Recording;

/// An engine whose algorithms can be chosen.
pub trait Tunable: Engine {
    fn variants(&self) -> &Variants;

    /// Lowers what is prepared from now on with these.
    fn set_variants(&mut self, variants: Variants);

    /// Makes what recordings will need with each of these, so that preparing them then takes no time. What cannot be made fails
    /// when it is prepared. An engine that makes nothing does nothing.
    fn compile_ahead(&mut self, _recordings: &[Recording], _variants: &[Variants]) {}
}

/// Timing ends after so much playing, whatever is left: the rest is chosen by what the adapter's features promise.
pub const BUDGET: Duration = Duration::from_secs(3);
/// How long the device is kept busy before anything counts.
const WARM_UP: Duration = Duration::from_millis(80);
/// A stretch of plays that is timed takes about this long.
const STRETCH: Duration = Duration::from_millis(10);
const MAX_STRETCH: u32 = 100;
/// The shortest of so many counts.
const STRETCHES: usize = 3;
/// Tokens that are in the cache before a step that is timed.
const DEPTH: usize = 2048;

/// What was tried for one role.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tried {
    pub role: Role,
    pub name: String,
    /// Of the golden vectors; none if it could not be played.
    pub error: Option<f64>,
    /// Why it could not be played.
    pub message: Option<String>,
    pub passed: bool,
    /// Of one pass on the model's shapes; none if it was not timed.
    pub us: Option<f64>,
    pub chosen: bool,
}

/// What was chosen, and all that was tried.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// The name of the algorithm of each role.
    pub names: Vec<(Role, String)>,
    /// Empty where nothing was tried: on adapters that draw on the CPU.
    pub tried: Vec<Tried>,
    /// What the driver took to compile the kernels of all candidates.
    #[serde(default)]
    pub compile_ms: u64,
    pub check_ms: u64,
    pub timing_ms: u64,
}

/// What a choice holds for: adapter, driver, this program's kernels.
pub fn key(adapter: &Adapter) -> String {
    let Adapter {
        name, driver, backend, ..
    } = adapter;
    format!(
        "{name}|{driver}|{backend}|{}|{:016x}",
        env!("CARGO_PKG_VERSION"),
        kernel::fingerprint()
    )
}

impl Choice {
    /// What is known to be good, untried.
    pub fn promised(adapter: &Adapter) -> Self {
        Self::of(&Variants::of(adapter))
    }

    /// These algorithms, untried.
    pub fn of(variants: &Variants) -> Self {
        Self {
            names: names(variants),
            ..Self::default()
        }
    }

    /// The algorithms; `None` if this adapter does not offer one of them: then the choice is another adapter's.
    pub fn variants(&self, adapter: &Adapter) -> Option<Variants> {
        let mut chosen = Variants::plain(adapter);
        for role in Role::ALL {
            let (_, name) = self.names.iter().find(|(named, _)| *named == role)?;
            let mut candidates = role.candidates(adapter, &chosen).into_iter();
            chosen = candidates.find(|candidate| role.of(candidate) == *name)?;
        }
        Some(chosen)
    }

    /// Reads what [`Choice::to_json`] wrote; `None` for anything else, which is then chosen anew.
    pub fn from_json(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// Errors: none but for a bug: a choice has a JSON form.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|error| Error::Engine {
            what: "the choice",
            message: error.to_string(),
        })
    }
}

fn names(variants: &Variants) -> Vec<(Role, String)> {
    Role::ALL.into_iter().map(|role| (role, role.of(variants))).collect()
}

/// Checks and times what the adapter offers, and sets the engine to the fastest that is right. An adapter that draws on the CPU
/// gets what is promised.
///
/// Errors: those of the engine that concern no candidate alone, a lost device above all; `Engine` if no algorithm is right.
pub async fn choose<E: Tunable>(engine: &mut E, clock: &Clock) -> Result<Choice> {
    let adapter = engine.adapter().clone();
    if adapter.software {
        let choice = Choice::promised(&adapter);
        engine.set_variants(Variants::of(&adapter));
        return Ok(choice);
    }
    choose_for(engine, clock, timed_size()?, BUDGET).await
}

/// The 8B model's shapes: two of its layers, a block of its tower.
///
/// Errors: none but for a bug: the configuration is this crate's own.
pub fn timed_size() -> Result<Size> {
    let fault = |error: serde_json::Error| Error::Engine {
        what: "the timed model",
        message: error.to_string(),
    };
    let json = published::config_json("qwen3-vl-8b").unwrap_or_default();
    let mut config: serde_json::Value = serde_json::from_str(json).map_err(fault)?;
    config["text_config"]["num_hidden_layers"] = 2.into();
    // The output layer is one weight among many, and large.
    config["text_config"]["vocab_size"] = 4096.into();
    config["vision_config"]["depth"] = 1.into();
    config["vision_config"]["deepstack_visual_indexes"] = serde_json::Value::Array(Vec::new());
    config["image_token_id"] = 1.into();
    config["video_token_id"] = 2.into();
    Ok(Size {
        config_json: config.to_string(),
        quant: Quant::Q4,
        chunk: MAX_CHUNK,
        grid: [32, 32],
        context: DEPTH + MAX_STRETCH as usize + 1,
    })
}

/// As [`choose`], on any adapter, timed on a model of this size for at most `budget`.
pub async fn choose_for<E: Tunable>(engine: &mut E, clock: &Clock, size: Size, budget: Duration) -> Result<Choice> {
    let adapter = engine.adapter().clone();
    let started = clock.now();
    let mut checks = Checks::load(engine).await?;
    let mut stopwatch = match Stopwatch::load(engine, clock, size, budget).await {
        Ok(stopwatch) => stopwatch,
        Err(error) => {
            checks.free(engine);
            return Err(error);
        }
    };
    let begun = clock.now();
    let compiled = compile_ahead(engine, &adapter, &checks, &stopwatch);
    let compile_time = clock.now().since(begun);
    let timed = match compiled {
        Ok(()) => time_all(engine, &mut stopwatch, &mut checks).await,
        Err(error) => Err(error),
    };
    let whole = clock.now().since(started);
    let timing = stopwatch.spent;
    stopwatch.harness.free(engine);
    checks.free(engine);
    let (chosen, tried) = timed?;
    engine.set_variants(chosen.clone());
    Ok(Choice {
        names: names(&chosen),
        tried,
        compile_ms: compile_time.as_millis() as u64,
        check_ms: whole.saturating_sub(compile_time + timing).as_millis() as u64,
        timing_ms: timing.as_millis() as u64,
    })
}

/// All kernels that will be tried if what is promised is right: all at once, since a driver takes seconds for some of them.
fn compile_ahead<E: Tunable>(engine: &mut E, adapter: &Adapter, checks: &Checks, stopwatch: &Stopwatch) -> Result<()> {
    let promised = Variants::of(adapter);
    let mut variants = vec![promised.clone()];
    for candidate in Role::ALL.into_iter().flat_map(|role| role.candidates(adapter, &promised)) {
        if !variants.contains(&candidate) {
            variants.push(candidate);
        }
    }
    let mut recordings = Vec::new();
    for harness in checks.models.iter().map(|(harness, _)| harness).chain([&stopwatch.harness]) {
        recordings.extend(harness.recordings()?);
    }
    engine.compile_ahead(&recordings, &variants);
    Ok(())
}

/// Times the candidates of each role beside what is chosen so far. Returns what is chosen in the end, and what was tried.
async fn time_all<E: Tunable>(engine: &mut E, stopwatch: &mut Stopwatch, checks: &mut Checks) -> Result<(Variants, Vec<Tried>)> {
    let adapter = engine.adapter().clone();
    let mut chosen = checks.find(engine, &adapter).await?;
    let mut tried = Vec::new();
    for role in Role::ALL {
        let (better, of_role) = decide(engine, role, &chosen, &adapter, checks, stopwatch).await?;
        chosen = better;
        tried.extend(of_role);
    }
    Ok((chosen, tried))
}

/// The fastest right algorithm of one role, the others being `chosen`'s.
async fn decide<E: Tunable>(
    engine: &mut E,
    role: Role,
    chosen: &Variants,
    adapter: &Adapter,
    checks: &mut Checks,
    stopwatch: &mut Stopwatch,
) -> Result<(Variants, Vec<Tried>)> {
    let candidates = role.candidates(adapter, chosen);
    let mut tried = Vec::with_capacity(candidates.len());
    for candidate in &candidates {
        let checked = checks.check(engine, candidate).await?;
        let passed = matches!(checked, Ok(error) if error <= TOLERANCE);
        let us = match passed && candidates.len() > 1 {
            true => stopwatch.time(engine, candidate, role).await?,
            false => None,
        };
        tried.push(Tried {
            role,
            name: role.of(candidate),
            error: checked.as_ref().ok().copied().filter(|error| error.is_finite()),
            message: checked.err(),
            passed,
            us,
            chosen: false,
        });
    }
    let all_timed = tried.iter().all(|one| !one.passed || one.us.is_some());
    let us = |i: &usize| tried[*i].us.unwrap_or(f64::INFINITY);
    // `chosen` is right, and so among them.
    let best = match all_timed {
        true => (0..tried.len())
            .filter(|&i| tried[i].passed)
            .min_by(|a, b| us(a).total_cmp(&us(b))),
        false => candidates.iter().position(|candidate| candidate == chosen),
    };
    let best = best.unwrap_or_default();
    tried[best].chosen = true;
    Ok((candidates[best].clone(), tried))
}

/// Models that golden vectors are known of, on the engine, and what was found out so far.
struct Checks {
    models: Vec<(Harness, Answer)>,
    known: Vec<(Variants, std::result::Result<f64, String>)>,
}

impl Checks {
    async fn load<E: Tunable>(engine: &mut E) -> Result<Self> {
        let mut checks = Self {
            models: Vec::new(),
            known: Vec::new(),
        };
        for quant in QUANTS {
            let loaded = match Answer::from_bytes(golden::golden(quant)) {
                Ok(golden) => Harness::load(engine, golden::size(quant))
                    .await
                    .map(|harness| (harness, golden)),
                Err(error) => Err(error),
            };
            match loaded {
                Ok(model) => checks.models.push(model),
                Err(error) => {
                    checks.free(engine);
                    return Err(error);
                }
            }
        }
        Ok(checks)
    }

    fn free<E: Tunable>(self, engine: &mut E) {
        for (harness, _) in self.models {
            harness.free(engine);
        }
    }

    /// What is promised, if it is right; else the plain algorithms with as much of the promised as is right.
    ///
    /// Errors: `Engine` if the plain algorithms are wrong too.
    async fn find<E: Tunable>(&mut self, engine: &mut E, adapter: &Adapter) -> Result<Variants> {
        let promised = Variants::of(adapter);
        if self.is_right(engine, &promised).await? {
            return Ok(promised);
        }
        let mut right = Variants::plain(adapter);
        if !self.is_right(engine, &right).await? {
            return Err(Error::Engine {
                what: "golden vectors",
                message: format!("{} computes wrong results; the driver may be broken", adapter.name),
            });
        }
        for role in Role::ALL {
            let with = role.taken(&right, &promised);
            if self.is_right(engine, &with).await? {
                right = with;
            }
        }
        Ok(right)
    }

    async fn is_right<E: Tunable>(&mut self, engine: &mut E, variants: &Variants) -> Result<bool> {
        let checked = self.check(engine, variants).await?;
        Ok(matches!(checked, Ok(error) if error <= TOLERANCE))
    }

    /// How far off the golden vectors these algorithms are, or why they cannot be played.
    ///
    /// Errors: [`Error::DeviceLost`].
    async fn check<E: Tunable>(&mut self, engine: &mut E, variants: &Variants) -> Result<std::result::Result<f64, String>> {
        if let Some((_, known)) = self.known.iter().find(|(other, _)| other == variants) {
            return Ok(known.clone());
        }
        engine.set_variants(variants.clone());
        let mut worst = Ok(0.0f64);
        for (harness, golden) in &self.models {
            worst = match golden::answer(engine, harness).await {
                Ok(answer) => {
                    tracing::debug!(errors = ?answer.errors(golden), "golden vectors");
                    worst.map(|worst| worst.max(answer.error(golden)))
                }
                Err(Error::DeviceLost { message }) => return Err(Error::DeviceLost { message }),
                Err(error) => Err(error.to_string()),
            };
            if worst.is_err() {
                break;
            }
        }
        tracing::debug!(?variants, ?worst, "checked");
        self.known.push((variants.clone(), worst.clone()));
        Ok(worst)
    }
}

/// Times passes of a model, within a budget.
struct Stopwatch {
    harness: Harness,
    clock: Clock,
    budget: Duration,
    /// Of playing: what the driver takes to compile is not counted.
    spent: Duration,
}

impl Stopwatch {
    async fn load<E: Tunable>(engine: &mut E, clock: &Clock, size: Size, budget: Duration) -> Result<Self> {
        Ok(Self {
            harness: Harness::load(engine, size).await?,
            clock: clock.clone(),
            budget,
            spent: Duration::ZERO,
        })
    }

    /// Microseconds of a role's pass; `None` if the budget is spent or the pass cannot be played on these shapes.
    ///
    /// Errors: [`Error::DeviceLost`].
    async fn time<E: Tunable>(&mut self, engine: &mut E, variants: &Variants, role: Role) -> Result<Option<f64>> {
        if self.spent >= self.budget {
            return Ok(None);
        }
        engine.set_variants(variants.clone());
        let timed = match self.harness.prepare(engine) {
            Ok(passes) => {
                // The first is not counted: it makes what the driver puts off.
                let timed = match self.stretch(engine, &passes, role, 1).await {
                    Ok(_) => self.best(engine, &passes, role).await,
                    Err(error) => Err(error),
                };
                passes.free(engine);
                timed
            }
            Err(error) => Err(error),
        };
        match timed {
            Ok(us) => Ok(us),
            Err(Error::DeviceLost { message }) => Err(Error::DeviceLost { message }),
            Err(error) => {
                tracing::warn!(%error, ?variants, "cannot be timed");
                Ok(None)
            }
        }
    }

    /// The shortest of a few counts; `None` if the budget ends before the first.
    async fn best<E: Tunable>(&mut self, engine: &mut E, passes: &Passes, role: Role) -> Result<Option<f64>> {
        let started = self.clock.now();
        let before = self.spent;
        let mut one = self.stretch(engine, passes, role, 1).await?;
        // Each time: clocks fall while the driver compiles.
        while self.clock.now().since(started) < WARM_UP {
            one = self.stretch(engine, passes, role, plays_in(one)).await?;
        }
        let mut best: Option<Duration> = None;
        for _ in 0..STRETCHES {
            self.spent = before + self.clock.now().since(started);
            // A slow adapter is timed once, if at all.
            if self.budget.saturating_sub(self.spent) < one {
                break;
            }
            one = self.stretch(engine, passes, role, plays_in(one)).await?;
            best = Some(best.map_or(one, |best| best.min(one)));
        }
        self.spent = before + self.clock.now().since(started);
        Ok(best.map(|best| best.as_secs_f64() * 1e6))
    }

    /// How long one of `n` plays in a row takes.
    async fn stretch<E: Tunable>(&self, engine: &mut E, passes: &Passes, role: Role, n: u32) -> Result<Duration> {
        let pass = role.pass();
        match pass {
            harness::Pass::Step => self.harness.feed(engine, DEPTH.min(self.harness.size.context / 2), &[3])?,
            harness::Pass::Chunk => {
                let ids: Vec<u32> = (0..self.harness.size.chunk as u32).map(|i| 3 + i).collect();
                self.harness.feed(engine, 0, &ids)?;
            }
            harness::Pass::Image => {}
        }
        engine.read(self.harness.memory.state, 0, 4).await?;
        let started = self.clock.now();
        for _ in 0..n {
            engine.play(passes.of(pass))?;
        }
        engine.read(self.harness.memory.state, 0, 4).await?;
        Ok(self.clock.now().since(started) / n)
    }
}

/// Plays that fill a stretch when one takes so long.
fn plays_in(one: Duration) -> u32 {
    (STRETCH.as_nanos() / one.as_nanos().max(1)).clamp(1, MAX_STRETCH.into()) as u32
}
