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
                let Share { memory, compute } = profile.share(class);
                let reached = |share: f64| (share * modelled_s / wanted_s).clamp(*SHARES.start(), *SHARES.end());
                let share = Share {
                    memory: reached(memory),
                    compute: reached(compute),
                };
                profile.shares.insert(class_name(class).to_owned(), share);
            }
        }
    }
    profile
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
            real.shares.insert(name.to_owned(), Share { memory, compute });
        }
        let real = Device::new(real);
        let mut config = published::config("qwen3-vl-8b").unwrap().unwrap();
        let options = LoadOptions {
            quant: Quant::Q4,
            context_tokens: 20_000,
            ..LoadOptions::default()
        };
        let grid = Grid { rows: 64, columns: 64 };
        let whole = Plans::make(DryEngine::of(base), &config, &options, &[(1000, false)], &[grid]).unwrap();
        config.text.num_hidden_layers = 4;
        let few = Plans::make(DryEngine::of(base), &config, &options, &[(1000, false)], &[grid]).unwrap();
        let chunk = *few.chunks.keys().max().unwrap();
        for has_stamps in [true, false] {
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
            ];
            let fitted = Device::new(fit(base, &measured));
            for (costed, n_cached) in [
                (&whole.step, 0),
                (&whole.step, 2048),
                (&whole.step, 16_384),
                (&whole.chunks[&chunk], 0),
                (&whole.towers[&grid], 0),
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
}
