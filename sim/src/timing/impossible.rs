//! The impossible GPU: a real one whose cache holds everything, that waits 0.1 ns, and that computes 500 times as fast. Each is
//! a switch of its own. What is left of the 500 says what a workload really waits for.
//!
//! Switched are the cache's hits, the latencies of memory and cache, and the rates of arithmetic. Bandwidths, and what a
//! launch costs, stay the base's: that is what survives.

use serde::Serialize;

use super::device::{Bound, Device};
use super::dry::Plans;
use super::predict::{Time, Work};
use super::profile::Profile;

/// What is switched on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Switches {
    /// Every byte is in the cache.
    pub perfect_cache: bool,
    /// Of memory and cache.
    pub latency_ns: Option<f64>,
    /// Of arithmetic; 1 is off.
    pub speedup: f64,
}

impl Switches {
    pub const OFF: Switches = Switches {
        perfect_cache: false,
        latency_ns: None,
        speedup: 1.0,
    };
    pub const ON: Switches = Switches {
        perfect_cache: true,
        latency_ns: Some(0.1),
        speedup: 500.0,
    };

    /// The base with these switches.
    pub fn over(self, base: &Profile) -> Device {
        let mut profile = base.clone();
        if let Some(latency_ns) = self.latency_ns {
            profile.memory.latency_ns = latency_ns;
            profile.cache.latency_ns = latency_ns;
            profile.shares.values_mut().for_each(|share| share.wait_us = 0.0);
        }
        let rates = &mut profile.rates;
        for rate in [&mut rates.f32, &mut rates.f16, &mut rates.int8, &mut rates.matrix] {
            *rate *= self.speedup;
        }
        if self != Switches::OFF {
            profile.key = "impossible".to_owned();
            profile.name = format!("impossible {}", base.name);
        }
        Device {
            profile,
            perfect_cache: self.perfect_cache,
        }
    }

    /// Those that are on, as words.
    pub fn line(self) -> String {
        let names: Vec<String> = self.alone().into_iter().map(|(name, _)| name).collect();
        match names.is_empty() {
            true => "nothing".to_owned(),
            false => names.join(", "),
        }
    }

    /// Each switch that is on, alone.
    fn alone(self) -> Vec<(String, Switches)> {
        let off = Switches::OFF;
        let mut alone = Vec::new();
        if self.perfect_cache {
            let perfect_cache = true;
            alone.push(("perfect cache".to_owned(), Switches { perfect_cache, ..off }));
        }
        if let Some(ns) = self.latency_ns {
            let latency_ns = Some(ns);
            alone.push((format!("{ns} ns latency"), Switches { latency_ns, ..off }));
        }
        if self.speedup != off.speedup {
            let speedup = self.speedup;
            alone.push((format!("{speedup}× arithmetic"), Switches { speedup, ..off }));
        }
        alone
    }
}

/// What the switches are worth for one workload.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Survival {
    pub work: String,
    pub base_s: f64,
    /// How many times as fast with one switch.
    pub alone: Vec<(String, f64)>,
    /// With all of them.
    pub together: f64,
    /// What the time is spent on that is left, as shares, the largest first; nothing below a hundredth.
    pub left: Vec<(&'static str, f64)>,
}

/// The worth of each switch alone and of all together, over a base.
pub fn survival(base: &Profile, switches: Switches, plans: &Plans, name: &str, work: Work) -> Survival {
    let time = |switches: Switches| plans.time(&switches.over(base), work);
    let base_s = time(Switches::OFF).total_s;
    let all = time(switches);
    Survival {
        work: name.to_owned(),
        base_s,
        alone: switches
            .alone()
            .into_iter()
            .map(|(name, one)| (name, base_s / time(one).total_s))
            .collect(),
        together: base_s / all.total_s,
        left: left(&all),
    }
}

fn left(time: &Time) -> Vec<(&'static str, f64)> {
    let share = |bound: Bound| (bound.name(), time.by_bound[bound as usize] / time.total_s);
    let mut left: Vec<_> = Bound::ALL
        .map(share)
        .into_iter()
        .filter(|&(_, share)| share >= 0.01)
        .collect();
    left.sort_by(|a, b| b.1.total_cmp(&a.1));
    left
}
