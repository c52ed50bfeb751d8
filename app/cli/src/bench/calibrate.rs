//! `qwglm bench --calibrate`: what this adapter can do, and how much of it this engine's kernels reach, as a profile that
//! `plan` and the simulator take. A few seconds.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use gpu::engine::choose::harness::{Harness, Pass, Passes, Size};
use gpu::engine::choose::{golden, key, timed_size};
use gpu::engine::wgpu::{AdapterChoice, Measured, WgpuEngine};
use gpu::engine::{Adapter, Engine, PreparedId};
use gpu::protocol::Quant;
use serde::Serialize;
use sim::timing::bundled;
use sim::timing::dry::Costed;
use sim::timing::fit::{self, fit};
use sim::timing::{Cache, Profile};

use super::args::BenchModelArgs;
use super::kernels::WARM_UP;
use super::machine::Machine;
use super::median;
use crate::choice::{self, Recall, cache_folder};

/// Tokens in the cache before the steps that are timed: deep enough that reading them is what takes time.
const DEPTHS: [usize; 2] = [2048, 16384];
/// Patches of the pictures that are timed, 1024×1024 and 640×352 pixels: a small one's attention takes no time, and its share would
/// say nothing; a large one hides what each launch takes besides its work.
const GRID: [usize; 2] = [64, 64];
const SMALL_GRID: [usize; 2] = [22, 40];
/// Counts of which the median is taken.
const COUNTS: usize = 5;
const COUNTS_IN_SOFTWARE: usize = 1;
/// Plays in a row without stamps.
const PLAYS: u32 = 10;
/// Tokens that fit in the cache beyond the deepest step: each play adds one.
const ROOM: usize = 32;

/// What was found.
#[derive(Debug, Serialize)]
pub struct Calibrated {
    #[serde(rename = "type")]
    kind: &'static str,
    bench: &'static str,
    #[serde(flatten)]
    machine: Machine,
    took_s: f64,
    /// Bytes that were read over and over, and GB/s.
    reads: Vec<(u64, f64)>,
    memory_gb_s: f64,
    cache_gb_s: Option<f64>,
    cache_mib: Option<f64>,
    /// Tera-operations a second; 0 where there is no such unit.
    f32: f64,
    f16: f64,
    int8: f64,
    matrix: f64,
    dependent_launch_us: f64,
    independent_launch_us: f64,
    round_trip_us: f64,
    upload_gb_s: f64,
    load_gb_s: f64,
    /// What the rest of the profile was taken from.
    base: String,
    profile: PathBuf,
}

/// Measures, and writes the profile: to `--output`, else to the cache folder, where `plan --gpu here` finds it.
///
/// Errors: those of the engine; a file that cannot be written.
pub async fn measure(args: &BenchModelArgs) -> Result<Calibrated> {
    let adapter = AdapterChoice {
        name: args.shape.adapter.clone(),
        ..AdapterChoice::default()
    };
    let (mut engine, choice) = choice::open(adapter, Recall::Remembered).await?;
    let adapter = engine.adapter().clone();
    let started = Instant::now();
    let measured = engine.calibrate().await?;
    let (base, _) = bundled::of_adapter(&adapter);
    let base_key = base.key.clone();
    let mut profile = with_measured(base.with_adapter(&adapter), &measured);
    profile.algorithms = choice.names;
    let (load_gb_s, plans) = kernels(&mut engine, &adapter).await?;
    profile.load.gb_s = load_gb_s;
    let fitted: Vec<fit::Measured<'_>> = plans.iter().map(Timed::as_measured).collect();
    let profile = fit(&profile, &fitted);
    let took_s = started.elapsed().as_secs_f64();
    let Some(path) = args.output.clone().or_else(|| file(&adapter)) else {
        bail!("there is no cache folder here; name a file with --output");
    };
    write(&path, &profile)?;
    let us = |duration: Duration| duration.as_secs_f64() * 1e6;
    let cache = measured.cache();
    Ok(Calibrated {
        kind: "bench",
        bench: "calibrate",
        machine: Machine::new(&adapter),
        took_s,
        reads: measured.reads.iter().map(|&(size, speed)| (size, speed / 1e9)).collect(),
        memory_gb_s: measured.memory() / 1e9,
        cache_gb_s: cache.map(|(speed, _)| speed / 1e9),
        cache_mib: cache.map(|(_, size)| size as f64 / f64::from(1 << 20)),
        f32: measured.f32_ops / 1e12,
        f16: measured.f16_ops / 1e12,
        int8: measured.int8_ops / 1e12,
        matrix: measured.matrix_ops / 1e12,
        dependent_launch_us: us(measured.dependent_launch),
        independent_launch_us: us(measured.independent_launch),
        round_trip_us: us(measured.round_trip),
        upload_gb_s: measured.upload / 1e9,
        load_gb_s,
        base: base_key,
        profile: path,
    })
}

/// The profile that an earlier calibration of this adapter wrote.
pub fn remembered(adapter: &Adapter) -> Option<Profile> {
    let text = std::fs::read_to_string(file(adapter)?).ok()?;
    Profile::from_toml(&text).ok()
}

fn file(adapter: &Adapter) -> Option<PathBuf> {
    let folder = cache_folder()?.join("profiles");
    Some(choice::file(&folder, &key(adapter)).with_extension("toml"))
}

fn write(path: &Path, profile: &Profile) -> Result<()> {
    let text = profile.to_toml().map_err(anyhow::Error::msg)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let made = folder.map_or(Ok(()), std::fs::create_dir_all);
    made.and_then(|()| std::fs::write(path, text))
        .with_context(|| format!("{} cannot be written", path.display()))
}

/// The profile with what was measured in place of what was published.
fn with_measured(mut profile: Profile, measured: &Measured) -> Profile {
    profile.key.clear();
    profile.memory.bandwidth_gb_s = measured.memory() / 1e9;
    profile.cache = match measured.cache() {
        Some((speed, size)) => Cache {
            size_mib: size as f64 / f64::from(1 << 20),
            bandwidth_gb_s: speed / 1e9,
            ..profile.cache
        },
        None => Cache {
            bandwidth_gb_s: measured.memory() / 1e9,
            ..profile.cache
        },
    };
    profile.rates.f32 = measured.f32_ops / 1e12;
    profile.rates.f16 = measured.f16_ops / 1e12;
    profile.rates.int8 = measured.int8_ops / 1e12;
    profile.rates.matrix = measured.matrix_ops / 1e12;
    profile.launch.dispatch_us = measured.dependent_launch.as_secs_f64() * 1e6;
    profile.launch.submit_us = measured.round_trip.as_secs_f64() * 1e6;
    profile.launch.upload_gb_s = measured.upload / 1e9;
    profile
}

/// A plan, and how long it took.
struct Timed {
    costed: Costed,
    n_cached: usize,
    dispatches: Vec<Duration>,
    play: Duration,
}

impl Timed {
    fn as_measured(&self) -> fit::Measured<'_> {
        fit::Measured {
            costed: &self.costed,
            n_cached: self.n_cached,
            dispatches: self.dispatches.clone(),
            play: self.play,
        }
    }
}

/// How fast weights are loaded, in GB/s, and the passes of a model.
async fn kernels(engine: &mut WgpuEngine, adapter: &Adapter) -> Result<(f64, Vec<Timed>)> {
    let size: Size = match adapter.software {
        true => golden::size(Quant::Q4),
        false => Size {
            context: DEPTHS[1] + ROOM,
            grid: GRID,
            ..timed_size()?
        },
    };
    let started = Instant::now();
    let harness = Harness::load(engine, size).await?;
    engine.read(harness.memory.state, 0, 4).await?;
    let load_gb_s = harness.model.weight_bytes as f64 / started.elapsed().as_secs_f64() / 1e9;
    let timed = match harness.prepare(engine) {
        Ok(passes) => {
            let timed = all_passes(engine, &harness, &passes).await;
            passes.free(engine);
            timed
        }
        Err(error) => Err(error.into()),
    };
    let small = match adapter.software {
        true => Ok(None),
        false => small_picture(engine, &harness).await.map(Some),
    };
    harness.free(engine);
    let mut timed = timed?;
    timed.extend(small?);
    Ok((load_gb_s, timed))
}

async fn small_picture(engine: &mut WgpuEngine, harness: &Harness) -> Result<Timed> {
    let picture = harness.picture(engine, SMALL_GRID)?;
    let timed = one_play(engine, harness, picture.prepared(), (Pass::Image, 0)).await;
    picture.free(engine);
    timed
}

async fn all_passes(engine: &mut WgpuEngine, harness: &Harness, passes: &Passes) -> Result<Vec<Timed>> {
    let mut timed = Vec::new();
    let deepest = harness.size.context.saturating_sub(ROOM);
    for depth in DEPTHS {
        timed.push(one_pass(engine, harness, passes, (Pass::Step, depth.min(deepest))).await?);
    }
    timed.push(one_pass(engine, harness, passes, (Pass::Chunk, 0)).await?);
    timed.push(one_pass(engine, harness, passes, (Pass::Image, 0)).await?);
    Ok(timed)
}

async fn one_pass(engine: &mut WgpuEngine, harness: &Harness, passes: &Passes, of: (Pass, usize)) -> Result<Timed> {
    one_play(engine, harness, passes.of(of.0), of).await
}

async fn one_play(
    engine: &mut WgpuEngine,
    harness: &Harness,
    prepared: PreparedId,
    (pass, depth): (Pass, usize),
) -> Result<Timed> {
    let ids: Vec<u32> = match pass {
        Pass::Step => vec![3],
        Pass::Chunk => (0..harness.size.chunk as u32).map(|i| 3 + i % 900).collect(),
        Pass::Image => Vec::new(),
    };
    let feed = |engine: &mut WgpuEngine| match ids.is_empty() {
        true => Ok(()),
        false => harness.feed(engine, depth, &ids),
    };
    let (mut stamps, mut plays) = (Vec::new(), Vec::new());
    // The first is not counted: it makes what the driver puts off.
    let (counts, n) = match engine.adapter().software {
        true => (COUNTS_IN_SOFTWARE, 1),
        false => (COUNTS, PLAYS),
    };
    for count in 0..=counts {
        let warm_from = Instant::now();
        while !engine.adapter().software && warm_from.elapsed() < WARM_UP {
            feed(engine)?;
            (0..PLAYS).try_for_each(|_| engine.play(prepared))?;
            engine.read(harness.memory.state, 0, 4).await?;
        }
        feed(engine)?;
        let times = engine.play_timed(prepared).await?.unwrap_or_default();
        feed(engine)?;
        engine.read(harness.memory.state, 0, 4).await?;
        let started = Instant::now();
        for _ in 0..n {
            engine.play(prepared)?;
        }
        engine.read(harness.memory.state, 0, 4).await?;
        if count > 0 {
            plays.push(started.elapsed().as_secs_f64() / f64::from(n));
            stamps.push(times);
        }
    }
    let plan = engine.plan(prepared).context("a plan is gone")?.clone();
    let n_stamped = stamps.iter().map(Vec::len).min().unwrap_or(0);
    let of_dispatch = |i: usize| {
        let times: Vec<f64> = stamps.iter().map(|times| times[i].as_secs_f64()).collect();
        Duration::from_secs_f64(median(&times))
    };
    Ok(Timed {
        dispatches: (0..n_stamped).map(of_dispatch).collect(),
        costed: Costed::new(plan),
        n_cached: depth,
        play: Duration::from_secs_f64(median(&plays)),
    })
}

impl Calibrated {
    pub fn json(&self) -> Result<String> {
        Ok(serde_json::to_string(self)?)
    }

    pub fn table(&self) -> String {
        let mut lines = vec![
            self.machine.line(),
            format!("measured in {:.1} s", self.took_s),
            String::new(),
        ];
        let mut row = |what: &str, value: String| lines.push(format!("{what:<26}{value}"));
        for (size, speed) in &self.reads {
            row(&format!("reads of {} MiB", size >> 20), format!("{speed:.0} GB/s"));
        }
        let cache = self.cache_gb_s.zip(self.cache_mib);
        row(
            "cache",
            cache.map_or("none seen".to_owned(), |(speed, size)| {
                format!("{speed:.0} GB/s, at least {size:.0} MiB")
            }),
        );
        for (unit, rate) in [
            ("f32", self.f32),
            ("f16", self.f16),
            ("int8", self.int8),
            ("matrices of f16", self.matrix),
        ] {
            let shown = match rate > 0.0 {
                true => format!("{rate:.2} Tops/s"),
                false => "none".to_owned(),
            };
            row(unit, shown);
        }
        row(
            "a launch",
            format!(
                "{:.1} µs behind another, {:.1} µs beside it",
                self.dependent_launch_us, self.independent_launch_us
            ),
        );
        row("there and back", format!("{:.0} µs", self.round_trip_us));
        row(
            "upload",
            format!("{:.1} GB/s; weights {:.1} GB/s", self.upload_gb_s, self.load_gb_s),
        );
        lines.push(String::new());
        lines.push(format!(
            "{} is this profile (what was not measured is {}'s): qwglm plan MODEL --gpu {}",
            self.profile.display(),
            self.base,
            self.profile.display()
        ));
        lines.join("\n") + "\n"
    }
}
