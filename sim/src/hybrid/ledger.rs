//! [`Ledger`]: what a shadowed engine measured, by kernel and by recording, beside what the model and the impossible GPU say.
//! Filled by [`super::Shadow`], read by whoever draws it. Not how a terminal draws it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gpu::engine::Stamps;
use serde::Serialize;

use super::step::{Plays, Step};
use crate::timing::Device;
use crate::timing::dry::Costed;

/// Times that were added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Times {
    /// Dispatches, or plays.
    pub count: u64,
    pub measured_s: f64,
    /// With launches.
    pub modelled_s: f64,
    /// On the impossible GPU: with launches too, and at the same bandwidths.
    pub impossible_s: f64,
}

impl Times {
    fn add(&mut self, count: u64, measured_s: f64, modelled_s: f64, impossible_s: f64) {
        self.count += count;
        self.measured_s += measured_s;
        self.modelled_s += modelled_s;
        self.impossible_s += impossible_s;
    }

    /// How many times its limit, which is the impossible GPU's time, was taken.
    pub fn of_limit(&self) -> f64 {
        self.measured_s / self.impossible_s.max(f64::MIN_POSITIVE)
    }
}

/// What one dispatch takes elsewhere.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Elsewhere {
    pub modelled_s: f64,
    pub impossible_s: f64,
}

/// See the file's head.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// Of what: an adapter, a profile, switches.
    pub head: String,
    /// By the adapter's stamps; else by the run's clock, a submission as a whole.
    pub by_stamps: bool,
    /// By kernel, or where there are no stamps by recordings that were under way together.
    kernels: BTreeMap<String, Times>,
    /// By recording; measured from its first stamp to its last.
    recordings: BTreeMap<String, Times>,
    /// Between the dispatches: less than nothing where some ran at once.
    between_s: f64,
    /// Steps behind the end of an answer, which do nothing.
    idle: Times,
    /// Slices whose stamps were not to be had.
    pub unmeasured: u64,
    /// By recording, of those that are played in one piece.
    plays: BTreeMap<String, Plays>,
}

/// A line of the table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    pub kernel: String,
    #[serde(flatten)]
    pub times: Times,
    /// Of the measured whole.
    pub share: f64,
    /// Measured over impossible.
    pub of_limit: f64,
}

/// The table: what is furthest from its limit first.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Table {
    pub head: String,
    pub by_stamps: bool,
    pub kernels: Vec<Line>,
    pub between_s: f64,
    /// All slices, each from its first stamp to its last: the kernels and what lies between.
    pub measured_s: f64,
    pub recordings: BTreeMap<String, Times>,
    pub idle: Times,
    pub unmeasured: u64,
}

impl Ledger {
    /// A slice was measured; `kernels` names its dispatches.
    pub fn stamped(&mut self, recording: &str, first: bool, stamps: &Stamps, kernels: &[(&'static str, Elsewhere)]) {
        let measured = stamps.dispatches.iter().map(std::time::Duration::as_secs_f64);
        let mut sum = Times::default();
        for ((kernel, elsewhere), measured_s) in kernels.iter().zip(measured) {
            sum.add(1, measured_s, elsewhere.modelled_s, elsewhere.impossible_s);
            let row = self.kernels.entry((*kernel).to_owned()).or_default();
            row.add(1, measured_s, elsewhere.modelled_s, elsewhere.impossible_s);
        }
        if let Some(gate) = stamps.gate {
            // No plan has it as a dispatch, so nobody models it.
            sum.measured_s += gate.as_secs_f64();
            self.kernels
                .entry("gate".to_owned())
                .or_default()
                .add(1, gate.as_secs_f64(), 0.0, 0.0);
        }
        let whole_s = stamps.whole.as_secs_f64();
        self.between_s += whole_s - sum.measured_s;
        let row = self.recordings.entry(recording.to_owned()).or_default();
        row.add(u64::from(first), whole_s, sum.modelled_s, sum.impossible_s);
    }

    /// A step did nothing.
    pub fn idled(&mut self, whole_s: f64) {
        self.idle.add(1, whole_s, 0.0, 0.0);
    }

    /// Submissions ended together, after so long: their recordings, and what these take elsewhere.
    pub fn submitted(&mut self, plays: &[(&str, Elsewhere)], measured_s: f64) {
        let mut names: Vec<&str> = plays.iter().map(|(name, _)| *name).collect();
        names.dedup();
        names.sort_unstable();
        names.dedup();
        let sum = |of: fn(&Elsewhere) -> f64| plays.iter().map(|(_, elsewhere)| of(elsewhere)).sum();
        let (modelled_s, impossible_s) = (sum(|e| e.modelled_s), sum(|e| e.impossible_s));
        let name = names.join(" + ");
        for rows in [&mut self.kernels, &mut self.recordings] {
            let row = rows.entry(name.clone()).or_default();
            row.add(plays.len() as u64, measured_s, modelled_s, impossible_s);
        }
    }

    /// The plays of a recording in one piece; those of an older plan of its name are forgotten.
    pub fn plays(&mut self, costed: &Arc<Costed>) -> Option<&mut Plays> {
        if costed.plan.slices.len() != 1 {
            return None;
        }
        let plays = self
            .plays
            .entry(costed.plan.name.clone())
            .or_insert_with(|| Plays::new(costed.clone()));
        if !plays.are_of(costed) {
            *plays = Plays::new(costed.clone());
        }
        Some(plays)
    }

    pub fn table(&self) -> Table {
        let measured_s: f64 = self.recordings.values().map(|times| times.measured_s).sum();
        let line = |(kernel, times): (&String, &Times)| Line {
            kernel: kernel.clone(),
            times: *times,
            share: times.measured_s / measured_s.max(f64::MIN_POSITIVE),
            of_limit: if times.impossible_s > 0.0 { times.of_limit() } else { 0.0 },
        };
        let mut kernels: Vec<Line> = self.kernels.iter().map(line).collect();
        kernels.sort_by(|a, b| b.of_limit.total_cmp(&a.of_limit));
        Table {
            head: self.head.clone(),
            by_stamps: self.by_stamps,
            kernels,
            between_s: self.between_s,
            measured_s,
            recordings: self.recordings.clone(),
            idle: self.idle,
            unmeasured: self.unmeasured,
        }
    }
}

impl Table {
    /// Nothing was measured.
    pub fn is_empty(&self) -> bool {
        self.kernels.is_empty()
    }

    /// What the lines come to.
    pub fn sum_s(&self) -> f64 {
        self.kernels.iter().map(|line| line.times.measured_s).sum::<f64>() + self.between_s
    }

    /// The lines by kernel with their head, of at most so many kernels.
    pub fn lines(&self, most: usize) -> Vec<String> {
        let first = if self.by_stamps { "kernel" } else { "submissions of" };
        let name = |line: &Line| line.kernel.chars().count();
        let width = self.kernels.iter().map(name).chain([first.len(), 18]).max().unwrap_or(0);
        let head = format!(
            "{first:<width$} {:>8} {:>12} {:>12} {:>12} {:>7} {:>9}",
            "count", "measured ms", "modelled ms", "impossible", "share", "× limit"
        );
        let mut lines = vec![head];
        for line in self.kernels.iter().take(most) {
            let of_limit = match line.of_limit {
                0.0 => "-".to_owned(),
                of_limit => format!("{of_limit:.1}"),
            };
            lines.push(format!(
                "{:<width$} {:>8} {:>12.3} {:>12.3} {:>12.3} {:>5.1} % {of_limit:>9}",
                line.kernel,
                line.times.count,
                line.times.measured_s * 1e3,
                line.times.modelled_s * 1e3,
                line.times.impossible_s * 1e3,
                line.share * 100.0,
            ));
        }
        if let Some(more) = self.kernels.len().checked_sub(most).filter(|&more| more > 0) {
            lines.push(format!("and {more} more"));
        }
        if self.by_stamps {
            let share = 100.0 * self.between_s / self.measured_s.max(f64::MIN_POSITIVE);
            let ms = self.between_s * 1e3;
            lines.push(format!(
                "{:<width$} {:>8} {ms:>12.3} {:>12} {:>12} {share:>5.1} %",
                "between dispatches", "", "", ""
            ));
        }
        lines
    }
}

impl fmt::Display for Table {
    /// All of it: what was measured on what, the kernels, the recordings.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.head)?;
        if !self.by_stamps {
            writeln!(
                f,
                "the adapter has no time stamps: what was under way together is measured as one, by the clock"
            )?;
        }
        for line in self.lines(usize::MAX) {
            writeln!(f, "{line}")?;
        }
        writeln!(f)?;
        writeln!(
            f,
            "{:<18} {:>8} {:>12} {:>12} {:>12}",
            "recording", "count", "ms each", "modelled ms", "impossible"
        )?;
        for (name, times) in &self.recordings {
            let each = |s: f64| s * 1e3 / times.count.max(1) as f64;
            let (measured, modelled, impossible) = (each(times.measured_s), each(times.modelled_s), each(times.impossible_s));
            writeln!(
                f,
                "{name:<18} {:>8} {measured:>12.3} {modelled:>12.3} {impossible:>12.3}",
                times.count
            )?;
        }
        if self.idle.count > 0 {
            let (n, ms) = (self.idle.count, self.idle.measured_s * 1e3);
            writeln!(f, "{n} steps behind the end of an answer did nothing, in {ms:.3} ms")?;
        }
        if self.unmeasured > 0 {
            writeln!(f, "{} slices were not measured", self.unmeasured)?;
        }
        Ok(())
    }
}

/// A ledger, shared with whoever draws it, and whether it is kept.
#[derive(Clone, Debug, Default)]
pub struct ShadowHandle(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    ledger: Mutex<Ledger>,
    is_off: AtomicBool,
}

impl ShadowHandle {
    pub fn table(&self) -> Table {
        self.ledger().table()
    }

    /// The mean play of a recording since the last [`ShadowHandle::clear`], beside what it takes on two devices; none if it was not
    /// measured, or is played in slices.
    pub fn step(&self, recording: &str, modelled: &Device, impossible: &Device) -> Option<Step> {
        let plays = self.ledger().plays.get(recording).cloned();
        plays.map(|plays| plays.step(modelled, impossible))
    }

    /// Whether dispatches are measured from now on. They are, until this says otherwise; a shadow that is off costs nothing.
    pub fn watch(&self, on: bool) {
        self.0.is_off.store(!on, Ordering::Relaxed);
    }

    /// Whether dispatches are measured.
    pub fn is_watching(&self) -> bool {
        !self.0.is_off.load(Ordering::Relaxed)
    }

    /// Forgets what was measured.
    pub fn clear(&self) {
        let mut ledger = self.ledger();
        *ledger = Ledger {
            head: std::mem::take(&mut ledger.head),
            by_stamps: ledger.by_stamps,
            ..Ledger::default()
        };
    }

    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.0.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
