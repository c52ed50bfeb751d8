//! [`fit`]: a profile that says what was measured. Bandwidths and rates stay as published; what is found is how much of them this
//! engine's kernels reach on this device, class by class, and what a launch costs.

use std::collections::BTreeMap;
use std::time::Duration;

use gpu::kernel::cost::Class;

use super::device::{Device, Taken};
use super::dry::Costed;
use super::profile::{Profile, Share, class_name};

/// What was measured of one plan.
pub struct Measured<'a> {
    pub costed: &'a Costed,
    /// Tokens in the KV cache before.
    pub n_cached: usize,
    /// Of each dispatch by itself, between time stamps; empty where the adapter has none.
    pub dispatches: Vec<Duration>,
    /// Of the whole, played without stamps one after the other.
    pub play: Duration,
}

/// What no kernel is believed to reach, and the least.
const SHARES: std::ops::RangeInclusive<f64> = 0.005..=4.0;
/// Rounds after which shares stand still.
const ROUNDS: usize = 8;

/// The base with the shares and the launch cost that make its times those that were measured.
pub fn fit(base: &Profile, measured: &[Measured<'_>]) -> Profile {
    let mut profile = base.clone();
    if let Some(dispatch_us) = launch_us(measured) {
        profile.launch.dispatch_us = dispatch_us;
    }
    for _ in 0..ROUNDS {
        for (class, wait_us) in waits(&profile, measured) {
            let share = profile.share(class);
            profile
                .shares
                .insert(class_name(class).to_owned(), Share { wait_us, ..share });
        }
        let device = Device::new(profile.clone());
        let mut classes: BTreeMap<Class, (f64, f64)> = BTreeMap::new();
        for plan in measured {
            let taken = plan.costed.taken(&device, plan.n_cached);
            for (i, (class, target_s)) in targets(plan, &taken).enumerate() {
                let (modelled_s, wanted_s) = classes.entry(class).or_default();
                *modelled_s += taken[i].work_s();
                // What a launch and its waits take is not the kernel's.
                *wanted_s += (target_s - taken[i].launch_s - taken[i].wait_s).max(0.05 * target_s);
            }
        }
        for (class, (modelled_s, wanted_s)) in classes {
            if modelled_s > 0.0 && wanted_s > 0.0 {
                let Share {
                    memory,
                    compute,
                    wait_us,
                } = profile.share(class);
                let reached = |share: f64| (share * modelled_s / wanted_s).clamp(*SHARES.start(), *SHARES.end());
                let share = Share {
                    memory: reached(memory),
                    compute: reached(compute),
                    wait_us,
                };
                profile.shares.insert(class_name(class).to_owned(), share);
            }
        }
    }
    profile
}

/// What launches of each class take besides their work: where the line through what was measured of small and large ones begins.
/// Only classes whose launches differ much in size say so, and only where there are stamps.
fn waits(profile: &Profile, measured: &[Measured<'_>]) -> Vec<(Class, f64)> {
    let device = Device::new(profile.clone());
    // Of each class the launches' modelled work, and what they took beyond what is known of launches and waits.
    let mut classes: BTreeMap<Class, Vec<(f64, f64)>> = BTreeMap::new();
    for plan in measured.iter().filter(|plan| !plan.dispatches.is_empty()) {
        let taken = plan.costed.taken(&device, plan.n_cached);
        for (i, (class, target_s)) in targets(plan, &taken).enumerate() {
            let known_s = taken[i].launch_s + taken[i].wait_s - profile.share(class).wait_us * 1e-6;
            classes
                .entry(class)
                .or_default()
                .push((taken[i].work_s(), target_s - known_s));
        }
    }
    let with_waits = |(class, points): (Class, Vec<(f64, f64)>)| {
        let works = points.iter().map(|&(work_s, _)| work_s);
        let (least, most) = works.fold((f64::INFINITY, 0.0f64), |(least, most), work_s| {
            (least.min(work_s), most.max(work_s))
        });
        (most > SPREAD * least).then(|| (class, (begin_of_line(&points) * 1e6).clamp(0.0, MOST_WAIT_US)))
    };
    classes.into_iter().filter_map(with_waits).collect()
}

/// How much larger the largest launch of a class is than the smallest before a line is put through them.
const SPREAD: f64 = 4.0;
const MOST_WAIT_US: f64 = 100.0;

/// Where the line `y = begin + slope x` begins that is off by the least share of each y.
fn begin_of_line(points: &[(f64, f64)]) -> f64 {
    let (mut n, mut x, mut y, mut xx, mut xy) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for &(px, py) in points.iter().filter(|(px, py)| *px > 0.0 && *py > 0.0) {
        let weight = 1.0 / (py * py);
        n += weight;
        x += weight * px;
        y += weight * py;
        xx += weight * px * px;
        xy += weight * px * py;
    }
    let scale = n * xx - x * x;
    if scale > 0.0 { (y * xx - x * xy) / scale } else { 0.0 }
}

/// How long each dispatch has to take for the whole to take what it took: by its own stamps, else as the model shares it out.
fn targets<'a>(plan: &'a Measured<'_>, taken: &'a [Taken]) -> impl Iterator<Item = (Class, f64)> + 'a {
    let play_s = plan.play.as_secs_f64();
    let has_stamps = plan.dispatches.len() == taken.len();
    let sum_s: f64 = match has_stamps {
        true => plan.dispatches.iter().map(Duration::as_secs_f64).sum(),
        false => taken.iter().map(Taken::total_s).sum(),
    };
    let dispatches = plan.costed.plan.dispatches.iter().zip(taken).enumerate();
    dispatches.map(move |(i, (dispatch, taken))| {
        let alone_s = match has_stamps {
            true => plan.dispatches[i].as_secs_f64(),
            false => taken.total_s(),
        };
        (dispatch.cost.class, alone_s * play_s / sum_s.max(f64::MIN_POSITIVE))
    })
}

/// From one dispatch to the next: the shortest that any takes has next to no work. `None` without stamps.
fn launch_us(measured: &[Measured<'_>]) -> Option<f64> {
    let least = |plan: &Measured<'_>| {
        let sum: Duration = plan.dispatches.iter().sum();
        let least = plan.dispatches.iter().min()?;
        // Without stamps launches come closer together.
        Some(least.as_secs_f64() * plan.play.as_secs_f64() / sum.as_secs_f64())
    };
    let least = measured.iter().filter_map(least).filter(|s| s.is_finite()).reduce(f64::min);
    least.map(|s| (s * 1e6 * 0.7).max(0.01))
}

#[cfg(test)]
mod tests {
    use gpu::model::qwen3_vl::published;
    use gpu::protocol::{LoadOptions, Quant};

    use super::super::bundled;
    use super::super::dry::{DryEngine, Grid, Plans};
    use super::*;

    /// A device that the base's shares do not describe is found again from what it takes: what was not measured too.
    #[test]
    fn a_fitted_profile_predicts_what_was_not_measured() {
        let base = bundled::find("h100").unwrap();
        let mut real = base.clone();
        real.launch.dispatch_us = 3.5;
        for (name, memory, compute) in [
            ("matvec", 0.7, 0.3),
            ("matmul", 0.4, 0.2),
            ("decoding", 0.2, 0.2),
            ("rows", 0.2, 0.1),
        ] {
            let share = Share {
                memory,
                compute,
                wait_us: 0.0,
            };
            real.shares.insert(name.to_owned(), share);
        }
        let mut config = published::config("qwen3-vl-8b").unwrap().unwrap();
        let options = LoadOptions {
            quant: Quant::Q4,
            context_tokens: 20_000,
            ..LoadOptions::default()
        };
        let [grid, small, between] = [(64, 64), (22, 40), (44, 80)].map(|(rows, columns)| Grid { rows, columns });
        let grids = [grid, small, between];
        let whole = Plans::make(DryEngine::of(base), &config, &options, &[(1000, false)], &grids).unwrap();
        config.text.num_hidden_layers = 4;
        let few = Plans::make(DryEngine::of(base), &config, &options, &[(1000, false)], &grids).unwrap();
        let chunk = *few.chunks.keys().max().unwrap();
        for has_stamps in [true, false] {
            // What each launch takes besides its work can only be seen between stamps.
            let mut real = real.clone();
            if let Some(share) = real.shares.get_mut("matmul").filter(|_| has_stamps) {
                share.wait_us = 15.0;
            }
            let real = Device::new(real);
            let measure = |costed, n_cached| {
                let taken = Costed::taken(costed, &real, n_cached);
                let stamp = |one: &Taken| Duration::from_secs_f64(one.total_s());
                Measured {
                    costed,
                    n_cached,
                    dispatches: taken.iter().map(stamp).filter(|_| has_stamps).collect(),
                    play: taken.iter().map(stamp).sum(),
                }
            };
            let measured = [
                measure(&few.step, 0),
                measure(&few.step, 2048),
                measure(&few.chunks[&chunk], 512),
                measure(&few.towers[&grid], 0),
                measure(&few.towers[&small], 0),
            ];
            let fitted = Device::new(fit(base, &measured));
            for (costed, n_cached) in [
                (&whole.step, 0),
                (&whole.step, 2048),
                (&whole.step, 16_384),
                (&whole.chunks[&chunk], 0),
                (&whole.towers[&grid], 0),
                (&whole.towers[&small], 0),
                (&whole.towers[&between], 0),
            ] {
                let (found, expected) = (costed.total_s(&fitted, n_cached), costed.total_s(&real, n_cached));
                let error = (found / expected - 1.0).abs();
                let most = if has_stamps { 0.1 } else { 0.25 };
                assert!(
                    error < most,
                    "{} at {n_cached}: {found} for {expected} ({has_stamps})",
                    costed.plan.name
                );
            }
        }
    }

    /// Stamps of `qwglm bench kernels` on an H100 (docs/performance.md), in µs by kernel, parts and rows of the grid, and the whole in ms.
    const LARGE: (&[(&str, f64)], f64) = (
        &[
            ("patchify", 44.7),
            ("gather_mix", 31.9),
            ("halve", 19.5),
            ("norm_four", 20.7),
            ("rope_four", 12.5),
            ("attention_coop", 1051.4),
            ("matmul_coop halves_f16", 123.5),
            ("matmul_coop result_f16 12", 92.9),
            ("matmul_coop result_f16 34", 274.1),
            ("matmul_coop result_f16 48", 355.2),
            ("matmul_coop result_f32 12 edge", 334.2),
            ("matmul_coop result_f32 12", 118.6),
            ("matmul_coop result_f32 32", 230.1),
        ],
        61.2,
    );
    const SMALL: (&[(&str, f64)], f64) = (
        &[
            ("patchify", 17.4),
            ("gather_mix", 13.1),
            ("halve", 6.9),
            ("norm_four", 9.5),
            ("rope_four", 7.2),
            ("attention_coop", 71.6),
            ("matmul_coop halves_f16", 37.0),
            ("matmul_coop result_f16 18", 27.0),
            ("matmul_coop result_f16 34", 85.8),
            ("matmul_coop result_f16 72", 166.5),
            ("matmul_coop result_f32 18 edge", 92.2),
            ("matmul_coop result_f32 18", 37.3),
            ("matmul_coop result_f32 64", 89.2),
        ],
        13.15,
    );

    /// What was stamped for a dispatch: the first line all of whose words fit it.
    fn stamped(dispatch: &gpu::kernel::Dispatch, lines: &[(&str, f64)]) -> f64 {
        let rows = dispatch.grid[1].to_string();
        let is_edge = dispatch.overrides.contains(&("EDGE", 1));
        let fits =
            |word: &str| word == dispatch.kernel || dispatch.parts.contains(&word) || word == rows || (word == "edge" && is_edge);
        let line = lines.iter().find(|(words, _)| words.split(' ').all(fits));
        line.unwrap_or_else(|| panic!("nothing was stamped for {dispatch}")).1
    }

    #[test]
    fn what_launches_take_besides_their_work_is_found_in_stamps_of_a_gpu() {
        let base = bundled::find("h100").unwrap();
        let config = published::config("qwen3-vl-8b").unwrap().unwrap();
        let options = LoadOptions {
            quant: Quant::Q4,
            ..LoadOptions::default()
        };
        let grids = [(64, 64), (22, 40)].map(|(rows, columns)| Grid { rows, columns });
        let plans = Plans::make(DryEngine::of(base), &config, &options, &[], &grids).unwrap();
        let measure = |grid: Grid, (lines, ms): (&[(&str, f64)], f64)| {
            let costed = &plans.towers[&grid];
            let stamp = |dispatch| Duration::from_secs_f64(stamped(dispatch, lines) * 1e-6);
            Measured {
                costed,
                n_cached: 0,
                dispatches: costed.plan.dispatches.iter().map(stamp).collect(),
                play: Duration::from_secs_f64(ms * 1e-3),
            }
        };
        let errors = |profile: Profile| {
            let device = Device::new(profile);
            let error = |grid: Grid, ms: f64| (plans.towers[&grid].total_s(&device, 0) * 1e3 / ms - 1.0).abs();
            [error(grids[0], LARGE.1), error(grids[1], SMALL.1)]
        };
        let both = fit(base, &[measure(grids[0], LARGE), measure(grids[1], SMALL)]);
        let wait_us = both.share(Class::Matmul).wait_us;
        assert!((2.0..40.0).contains(&wait_us), "{wait_us}");
        let found = errors(both);
        assert!(found.iter().all(|error| *error < 0.1), "{found:?}");
    }
}
