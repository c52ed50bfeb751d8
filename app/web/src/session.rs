//! What the page knows: the phase that it is in, what was said, how the pipeline does. Plain Rust with no view in it.

use std::collections::VecDeque;

use crate::protocol::{
    Counters, Failure, FailureKind, GpuRow, LinkShape, MeasuredBy, Notice, PlanRow, Progress, Rate, Ready, Step, StepTold,
    ToPage, Words,
};

/// How many answers are kept.
const MAX_ENTRIES: usize = 200;
/// Over how long a stage's busy share and a rate of bytes are taken.
const WINDOW_MS: f64 = 1000.0;
/// How fast a screen reader is taken to speak.
const SPOKEN_CHARS_PER_MS: f64 = 0.016;

/// A model is used without being kept.
pub const NOT_KEPT: &str =
    "There is no room to keep the model. It is used all the same, and has to be brought here again next time.";

/// Where the person is.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Phase {
    #[default]
    Start,
    Loading,
    Live,
    /// The run is over; its words stay.
    Over,
    Failed(Failure),
}

/// A download or a load.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Loading {
    pub step: Option<Step>,
    pub done_bytes: u64,
    pub total_bytes: u64,
    pub is_held: bool,
    /// When this step began, and what was there by then.
    since: Option<(f64, u64)>,
    now_ms: f64,
}

impl Loading {
    fn hear(&mut self, progress: &Progress, now_ms: f64) {
        if self.step != Some(progress.step) {
            self.since = Some((now_ms, progress.done_bytes));
        }
        self.step = Some(progress.step);
        self.done_bytes = progress.done_bytes;
        self.total_bytes = progress.total_bytes;
        self.now_ms = now_ms;
    }

    /// 0 to 1.
    pub fn share(&self) -> f64 {
        match self.total_bytes {
            0 => 0.0,
            total => (self.done_bytes as f64 / total as f64).min(1.0),
        }
    }

    /// Bytes a second since the step began.
    pub fn rate(&self) -> Option<f64> {
        let (start_ms, before) = self.since?;
        let elapsed_ms = self.now_ms - start_ms;
        (elapsed_ms > 200.0).then(|| self.done_bytes.saturating_sub(before) as f64 / elapsed_ms * 1000.0)
    }

    pub fn left_s(&self) -> Option<f64> {
        let rate = self.rate().filter(|rate| *rate > 0.0)?;
        Some(self.total_bytes.saturating_sub(self.done_bytes) as f64 / rate)
    }
}

/// What happens between the person and the program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Floor {
    /// Neither speaks.
    #[default]
    Listening,
    Person,
    /// An answer is under way and does not sound yet.
    Thinking,
    Program,
}

/// An answer, or what there is of it; or what was heard.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Grows by one an answer.
    pub id: u64,
    pub words: Words,
}

/// Says finished answers to a screen reader, one at a time: while it must still be speaking the newest waits, and those
/// between are left out.
#[derive(Clone, Debug, Default, PartialEq)]
struct Announcer {
    said: String,
    until_ms: f64,
    waiting: Option<String>,
}

impl Announcer {
    fn say(&mut self, text: String, now_ms: f64) {
        self.waiting = Some(text);
        self.tick(now_ms);
    }

    fn tick(&mut self, now_ms: f64) {
        if now_ms < self.until_ms {
            return;
        }
        if let Some(text) = self.waiting.take() {
            self.until_ms = now_ms + text.chars().count() as f64 / SPOKEN_CHARS_PER_MS;
            self.said = text;
        }
    }
}

/// A decode step on the engine and elsewhere.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stepped {
    pub told: Option<StepTold>,
    /// Why there is nothing newer.
    pub problem: Option<String>,
    /// It was asked for and has not come.
    pub is_measuring: bool,
    /// On each GPU that is known.
    pub gpus: Vec<GpuRow>,
}

/// All that the page knows of the engine's worker.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Session {
    pub phase: Phase,
    pub is_awake: bool,
    pub loading: Loading,
    pub ready: Option<Ready>,
    /// Of the configuration as it was last checked.
    pub faults: Vec<String>,
    pub plan: Vec<PlanRow>,
    /// Why the model that was asked for last is not among them.
    pub no_plan: Option<String>,
    pub stepped: Stepped,
    /// Oldest first.
    pub entries: VecDeque<Entry>,
    pub links: Vec<LinkShape>,
    pub counters: Counters,
    earlier: VecDeque<Counters>,
    pub rate: Option<Rate>,
    pub notice: Option<Notice>,
    /// Somebody speaks into the microphone.
    pub is_voice: bool,
    /// The loudspeaker sounds.
    pub is_sounding: bool,
    /// Counters of the parts that run beside the engine, by worker.
    beside: [Counters; 2],
    n_entries: u64,
    announcer: Announcer,
}

impl Session {
    /// A download or load begins.
    pub fn load(&mut self) {
        self.phase = Phase::Loading;
        self.loading = Loading::default();
        self.notice = None;
    }

    pub fn fail(&mut self, kind: FailureKind, message: impl Into<String>) {
        let message = message.into();
        if std::mem::take(&mut self.stepped.is_measuring) {
            self.stepped.problem = Some(match kind {
                FailureKind::Cancelled => "Loading was cancelled.".to_owned(),
                _ => message.clone(),
            });
        }
        self.phase = match kind {
            FailureKind::Cancelled => Phase::Start,
            kind => Phase::Failed(Failure { kind, message }),
        };
    }

    /// A step is to be measured.
    pub fn measure(&mut self) {
        self.stepped.is_measuring = true;
        self.stepped.problem = None;
    }

    /// The engine is ready, and nobody wants it to narrate.
    pub fn rest(&mut self) {
        if self.phase == Phase::Loading {
            self.phase = Phase::Start;
        }
    }

    /// Takes in a message of the worker.
    pub fn hear(&mut self, message: ToPage, now_ms: f64) {
        match message {
            ToPage::Awake => self.is_awake = true,
            ToPage::Progress(progress) => self.loading.hear(&progress, now_ms),
            ToPage::Ready(ready) => self.ready = Some(ready),
            ToPage::Checked { faults } => self.faults = faults,
            ToPage::Planned { rows } => {
                // Asked for again: in its place.
                self.plan.retain(|old| rows.iter().all(|row| row.model != old.model));
                self.plan.extend(rows);
                self.no_plan = None;
            }
            ToPage::NoPlan { message } => self.no_plan = Some(message),
            ToPage::Began { links } => {
                self.phase = Phase::Live;
                self.links = links;
                self.counters = Counters::default();
                self.earlier.clear();
                self.entries.clear();
                self.rate = None;
                // That a model was not kept is of the load before, and no less true.
                self.notice.take_if(|notice| !matches!(notice, Notice::NotKept { .. }));
                self.beside = Default::default();
                (self.is_voice, self.is_sounding) = (false, false);
            }
            ToPage::Text(words) => self.hear_words(words, now_ms),
            ToPage::Counters(counters) => self.hear_counters(counters),
            ToPage::Rate(rate) => self.rate = Some(rate),
            ToPage::Notice(notice) => {
                if matches!(notice, Notice::NotKept { .. }) {
                    self.announcer.say(NOT_KEPT.to_owned(), now_ms);
                }
                let is_loss = notice == Notice::DeviceLost;
                // What follows from a loss is not worth more words than the loss.
                if is_loss || self.notice != Some(Notice::DeviceLost) {
                    self.notice = Some(notice);
                }
                if is_loss {
                    let said = "The GPU was lost. It is being opened again, and the narration goes on.";
                    self.announcer.say(said.to_owned(), now_ms);
                }
            }
            ToPage::Failed(failure) => {
                if failure.kind != FailureKind::Config {
                    self.ready = None;
                }
                self.fail(failure.kind, failure.message);
            }
            ToPage::Ended => {
                // A failure ended it before.
                if self.phase == Phase::Live {
                    self.phase = Phase::Over;
                }
                (self.is_voice, self.is_sounding) = (false, false);
            }
            ToPage::Step(told) => {
                let gpus = std::mem::take(&mut self.stepped.gpus);
                // What comes for another profile while one is measured is not what is waited for.
                let is_measuring = self.stepped.is_measuring && told.by == MeasuredBy::Nothing;
                self.stepped = Stepped {
                    told: Some(*told),
                    problem: None,
                    is_measuring,
                    gpus,
                };
            }
            ToPage::NoStep { message } => {
                self.stepped.is_measuring = false;
                self.stepped.problem = Some(message);
            }
            ToPage::Compared(row) => {
                // Of another model than before: in its place.
                match self.stepped.gpus.iter_mut().find(|old| old.key == row.key) {
                    Some(old) => *old = row,
                    None => self.stepped.gpus.push(row),
                }
            }
            ToPage::Voice { on } => self.is_voice = on,
            ToPage::Speaking { on } => self.is_sounding = on,
            ToPage::WantShot | ToPage::VoiceReady | ToPage::Joined => {}
        }
    }

    /// Counters of a part that runs beside the engine, in the worker of that number.
    pub fn hear_beside(&mut self, worker: usize, counters: Counters) {
        if let Some(place) = self.beside.get_mut(worker) {
            *place = counters;
        }
    }

    /// Who has the floor.
    pub fn floor(&self) -> Floor {
        let is_answered = self.entries.back().is_none_or(|entry| match entry.words.is_heard {
            true => !entry.words.is_finished,
            false => entry.words.is_finished,
        });
        match (self.is_voice, self.is_sounding) {
            (true, _) => Floor::Person,
            (_, true) => Floor::Program,
            _ if is_answered => Floor::Listening,
            _ => Floor::Thinking,
        }
    }

    fn hear_words(&mut self, words: Words, now_ms: f64) {
        let same = |entry: &Entry| {
            let old = &entry.words;
            let is_same = match words.is_heard {
                // Utterances follow each other; one that was none has no time.
                true => old.is_heard,
                false => !old.is_heard && (old.turn, old.pts_ms, &old.frame) == (words.turn, words.pts_ms, &words.frame),
            };
            !old.is_finished && is_same
        };
        if words.is_finished && !words.is_thought {
            // Words came after the loss: it is over.
            self.notice.take_if(|notice| !matches!(notice, Notice::NotKept { .. }));
            if !words.text.is_empty() {
                let who = if words.is_heard { "You: " } else { "" };
                self.announcer.say(format!("{who}{}", words.text), now_ms);
            }
        }
        let found = self.entries.iter().rposition(same);
        if words.is_heard && words.text.is_empty() {
            // It was no speech after all, or none of which a word is known yet.
            if let Some(index) = found.filter(|_| words.is_finished) {
                self.entries.remove(index);
            }
            return;
        }
        match found.and_then(|index| self.entries.get_mut(index)) {
            Some(entry) => entry.words = words,
            None => {
                self.entries.push_back(Entry {
                    id: self.n_entries,
                    words,
                });
                self.n_entries += 1;
            }
        }
        if self.entries.len() > MAX_ENTRIES {
            self.entries.pop_front();
        }
    }

    fn hear_counters(&mut self, mut counters: Counters) {
        for beside in &self.beside {
            counters.links.extend(beside.links.iter().cloned());
            counters.stages.extend(beside.stages.iter().cloned());
        }
        let now_ms = counters.elapsed_ms as f64;
        self.earlier.push_back(std::mem::replace(&mut self.counters, counters));
        // One that is older than the window stays, so that the window is whole.
        while self
            .earlier
            .get(1)
            .is_some_and(|second| second.elapsed_ms as f64 + WINDOW_MS <= now_ms)
        {
            self.earlier.pop_front();
        }
    }

    /// The share of the last second in which a stage did not wait: 0 to 1.
    pub fn busy_share(&self, stage: &str) -> f64 {
        let busy = |counters: &Counters| {
            counters
                .stages
                .iter()
                .find(|other| other.name == stage)
                .map_or(0, |s| s.busy_ms)
        };
        let Some(earlier) = self.earlier.front() else { return 0.0 };
        let elapsed = self.counters.elapsed_ms.saturating_sub(earlier.elapsed_ms);
        match elapsed {
            0 => 0.0,
            elapsed => (busy(&self.counters).saturating_sub(busy(earlier)) as f64 / elapsed as f64).min(1.0),
        }
    }

    /// What a screen reader is to say now.
    pub fn announced(&self) -> &str {
        &self.announcer.said
    }

    /// Time goes on: what waits may be said.
    pub fn tick(&mut self, now_ms: f64) {
        self.announcer.tick(now_ms);
    }

    /// Whether [`Session::tick`] has something to do.
    pub fn has_waiting(&self) -> bool {
        self.announcer.waiting.is_some()
    }
}

#[cfg(test)]
mod tests;
