//! [`Step`]: one play of a recording, dispatch by dispatch: what was measured beside what the model and the impossible GPU say.
//! The numbers of a timeline, not how anybody draws it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use gpu::engine::Stamps;
use serde::{Deserialize, Serialize};

use super::ledger::{Line, Times};
use crate::timing::dry::Costed;
use crate::timing::{Bound, Device, Taken, class_name};

/// See the file's head.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Its recording's name.
    pub recording: String,
    /// Tokens in the KV cache before it; where many were measured, on average.
    pub n_cached: usize,
    /// Plays that were measured; what is said of them is their mean.
    pub count: u64,
    /// From its first dispatch to its last; without stamps by the clock; none if nothing was measured.
    pub measured_s: Option<f64>,
    pub dispatches: Vec<Dispatched>,
}

/// A dispatch of a [`Step`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dispatched {
    pub kernel: String,
    /// The class of its kernel, as profiles name it.
    pub class: String,
    /// Where the adapter has stamps.
    pub span: Option<Span>,
    /// With its launch.
    pub modelled_s: f64,
    /// On the impossible GPU, with its launch.
    pub impossible_s: f64,
    /// What most of the modelled time is spent on, as [`Bound`] names it.
    pub waits_for: String,
    /// The same of the impossible GPU's.
    pub impossible_waits_for: String,
}

/// When a dispatch began, from the beginning of its step, and how long it took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Span {
    pub begin_s: f64,
    pub taken_s: f64,
}

impl Step {
    /// A step that nobody measured.
    pub fn modelled(costed: &Costed, n_cached: usize, modelled: &Device, impossible: &Device) -> Self {
        let times = [modelled, impossible].map(|device| costed.taken(device, n_cached));
        let both = times[0].iter().zip(&times[1]);
        let dispatched = |(dispatch, (modelled, impossible)): (&gpu::kernel::Dispatch, (&Taken, &Taken))| Dispatched {
            kernel: dispatch.kernel.to_owned(),
            class: class_name(dispatch.cost.class).to_owned(),
            span: None,
            modelled_s: modelled.total_s(),
            impossible_s: impossible.total_s(),
            waits_for: most(modelled).name().to_owned(),
            impossible_waits_for: most(impossible).name().to_owned(),
        };
        Self {
            recording: costed.plan.name.clone(),
            n_cached,
            count: 0,
            measured_s: None,
            dispatches: costed.plan.dispatches.iter().zip(both).map(dispatched).collect(),
        }
    }

    /// Whether each dispatch was measured, not only the whole.
    pub fn has_spans(&self) -> bool {
        self.dispatches.first().is_some_and(|dispatch| dispatch.span.is_some())
    }

    pub fn modelled_s(&self) -> f64 {
        self.dispatches.iter().map(|dispatch| dispatch.modelled_s).sum()
    }

    pub fn impossible_s(&self) -> f64 {
        self.dispatches.iter().map(|dispatch| dispatch.impossible_s).sum()
    }

    /// By kernel, what is furthest from its limit first. Without spans the measured times are 0, and what the model has is put first
    /// that takes longest.
    pub fn by_kernel(&self) -> Vec<Line> {
        let mut rows: BTreeMap<&str, Times> = BTreeMap::new();
        for dispatch in &self.dispatches {
            let row = rows.entry(&dispatch.kernel).or_default();
            row.count += 1;
            row.measured_s += dispatch.span.map_or(0.0, |span| span.taken_s);
            row.modelled_s += dispatch.modelled_s;
            row.impossible_s += dispatch.impossible_s;
        }
        let whole_s = self.measured_s.unwrap_or(0.0).max(f64::MIN_POSITIVE);
        let line = |(kernel, times): (&str, Times)| Line {
            kernel: kernel.to_owned(),
            times,
            share: times.measured_s / whole_s,
            of_limit: times.of_limit(),
        };
        let mut lines: Vec<Line> = rows.into_iter().map(line).collect();
        match self.has_spans() {
            true => lines.sort_by(|a, b| b.of_limit.total_cmp(&a.of_limit)),
            false => lines.sort_by(|a, b| b.times.modelled_s.total_cmp(&a.times.modelled_s)),
        }
        lines
    }
}

/// What most of a dispatch's time is spent on.
fn most(taken: &Taken) -> Bound {
    let longest = taken.by_bound().into_iter().max_by(|a, b| a.1.total_cmp(&b.1));
    longest.map_or(Bound::Memory, |(bound, _)| bound)
}

/// Plays of one recording, added up dispatch by dispatch.
#[derive(Clone, Debug)]
pub(super) struct Plays {
    costed: Arc<Costed>,
    count: u64,
    n_cached: u64,
    whole_s: f64,
    /// None without stamps.
    spans: Vec<Span>,
}

impl Plays {
    pub fn new(costed: Arc<Costed>) -> Self {
        Self {
            costed,
            count: 0,
            n_cached: 0,
            whole_s: 0.0,
            spans: Vec::new(),
        }
    }

    /// Whether they are of this plan.
    pub fn are_of(&self, costed: &Arc<Costed>) -> bool {
        Arc::ptr_eq(&self.costed, costed)
    }

    /// One play, by the adapter's stamps.
    pub fn stamped(&mut self, n_cached: usize, stamps: &Stamps) {
        let seconds = |times: &[Duration]| times.iter().map(Duration::as_secs_f64).collect::<Vec<_>>();
        let (begins, taken) = (seconds(&stamps.begins), seconds(&stamps.dispatches));
        self.spans.resize(self.costed.plan.dispatches.len(), Span::default());
        for (span, (begin_s, taken_s)) in self.spans.iter_mut().zip(begins.into_iter().zip(taken)) {
            span.begin_s += begin_s;
            span.taken_s += taken_s;
        }
        self.clocked(&[n_cached], stamps.whole.as_secs_f64());
    }

    /// Plays that took so long together.
    pub fn clocked(&mut self, n_cached: &[usize], whole_s: f64) {
        self.count += n_cached.len() as u64;
        self.n_cached += n_cached.iter().sum::<usize>() as u64;
        self.whole_s += whole_s;
    }

    /// Their mean, beside what it takes on these devices.
    pub fn step(&self, modelled: &Device, impossible: &Device) -> Step {
        let n = self.count.max(1);
        let mut step = Step::modelled(&self.costed, (self.n_cached / n) as usize, modelled, impossible);
        step.count = self.count;
        step.measured_s = Some(self.whole_s / n as f64);
        for (dispatch, span) in step.dispatches.iter_mut().zip(&self.spans) {
            dispatch.span = Some(Span {
                begin_s: span.begin_s / n as f64,
                taken_s: span.taken_s / n as f64,
            });
        }
        step
    }
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;
    use gpu::engine::Engine;
    use gpu::plan::lower_with;
    use gpu::recording::{Op, Recording};
    use gpu::tensor::{DType, TensorId};
    use gpu::weights::{Format, Weight, WeightPart};

    use super::super::{Beside, Shadow, ShadowHandle};
    use super::*;
    use crate::timing::bundled;
    use crate::timing::impossible::Switches;
    use crate::{Kernels, SimEngine};

    const N: usize = 64;

    /// Two products, one after the other.
    fn products(x: TensorId, packed: TensorId) -> Recording {
        let mut rec = Recording::new("products");
        let weight = Arc::new(Weight {
            name: "w".into(),
            format: Format::F32,
            n: N,
            k: N,
            parts: vec![WeightPart {
                first_row: 0,
                n_rows: N,
                packed,
                scales: None,
            }],
        });
        let mut at = rec.bind(x, DType::F32, [1, N]);
        for _ in 0..2 {
            let y = rec.temp([1, N]);
            let weight = weight.clone();
            rec.ops.push(Op::Linear {
                x: at,
                weight,
                bias: None,
                y,
            });
            at = y;
        }
        rec
    }

    fn devices() -> [Device; 2] {
        let profile = bundled::find("rtx-3060").expect("a bundled profile");
        [Device::new(profile.clone()), Switches::ON.over(profile)]
    }

    #[test]
    fn a_step_is_the_mean_of_its_plays_and_its_kernels_come_to_it() {
        let [modelled, impossible] = devices();
        let profile = &modelled.profile;
        let recording = products(TensorId(0), TensorId(1));
        let plan = lower_with(&recording, &profile.adapter(), &profile.variants()).expect("a plan");
        let n = plan.dispatches.len();
        assert!(n >= 2);
        let mut plays = Plays::new(Arc::new(Costed::new(plan)));
        for us in [10, 30] {
            plays.stamped(
                us as usize,
                &Stamps {
                    gate: None,
                    dispatches: vec![Duration::from_micros(us); n],
                    begins: (0..n as u64).map(|i| Duration::from_micros(2 * us * i)).collect(),
                    whole: Duration::from_micros(2 * us * n as u64),
                },
            );
        }
        let step = plays.step(&modelled, &impossible);
        assert!(step.has_spans());
        assert_eq!((step.count, step.n_cached, step.dispatches.len()), (2, 20, n));
        let near = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-12, "{found} for {expected}");
        near(step.measured_s.expect("it was measured"), 40e-6 * n as f64);
        let last = step.dispatches[n - 1].span.expect("it was measured");
        near(last.taken_s, 20e-6);
        near(last.begin_s, 40e-6 * (n - 1) as f64);
        let lines = step.by_kernel();
        near(lines.iter().map(|line| line.times.measured_s).sum(), 20e-6 * n as f64);
        near(lines.iter().map(|line| line.times.modelled_s).sum(), step.modelled_s());
        assert!(step.modelled_s() > step.impossible_s() && step.impossible_s() > 0.0);
        let text = serde_json::to_string(&step).expect("plain data");
        assert_eq!(
            serde_json::from_str::<Step>(&text)
                .expect("what was written")
                .dispatches
                .len(),
            n
        );
    }

    #[test]
    fn a_shadow_that_is_off_measures_nothing_and_one_without_stamps_the_step_alone() {
        let handle = ShadowHandle::default();
        handle.watch(false);
        let beside = Beside {
            profile: None,
            switches: Switches::ON,
        };
        let mut engine = Shadow::new(SimEngine::new(Kernels::Fast), &beside, handle.clone());
        let x = engine.create("x", 4 * N as u64).expect("room");
        let packed = engine.create("w", Format::F32.packed_bytes(N, N)).expect("room");
        let prepared = engine.prepare(products(x, packed)).expect("a right recording");
        let [modelled, impossible] = devices();
        let mut play = |n| {
            engine.play_times(prepared, n).expect("it plays");
            block_on(engine.read(x, 0, 4)).expect("it reads");
            handle.step("products", &modelled, &impossible)
        };
        assert_eq!(play(2), None);
        assert!(handle.table().is_empty());
        handle.watch(true);
        let step = play(3).expect("it was measured");
        assert!(
            step.count == 3 && !step.has_spans() && step.measured_s.is_some_and(|s| s > 0.0),
            "{step:?}"
        );
        assert!(step.dispatches.len() >= 2 && step.modelled_s() > step.impossible_s());
        let table = handle.table();
        assert_eq!(table.recordings["products"].count, 3);
        let measured_s = table.recordings["products"].measured_s;
        assert!((step.measured_s.unwrap_or(0.0) * 3.0 - measured_s).abs() < 1e-12);
        handle.clear();
        assert!(handle.table().is_empty() && !handle.table().head.is_empty());
        assert!(handle.step("products", &modelled, &impossible).is_none());
    }
}
