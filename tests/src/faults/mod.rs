//! Real stages of a real registry, made to panic, to fail and to hang at chosen moments; and what `configs/narrate.toml` makes
//! of that (`narrate.rs`).

pub mod memo;
pub mod narrate;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use pipeline::actor::{BoxStage, Context, Moment, Probe, Stage};
use pipeline::error::StageError;
use pipeline::packet::{Body, Text};
use pipeline::registry::Registry;

/// How a stage goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    Panic,
    /// `run` gives an error.
    Fail,
    /// It stands still for ever.
    Hang,
}

/// When: the nth moment of a stage (it asks for a packet, has one, is about to send, has sent), or the nth time that it is woken, from
/// 1 and counted over its restarts. A stage that is woken while it waits for a packet is not at work, so there it does not hang.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum When {
    Moment(u64),
    Woken(u64),
}

/// What goes wrong in a run, by stage.
pub type Wrong = BTreeMap<(String, When), Fault>;

/// What was seen of a run. Clones are the same.
#[derive(Clone, Default)]
pub struct Seen(Arc<Mutex<SeenInner>>);

#[derive(Default)]
struct SeenInner {
    moments: BTreeMap<String, u64>,
    woken: BTreeMap<String, u64>,
    happened: Vec<(String, Fault)>,
    finished: Vec<(u64, String)>,
    at_words: Option<AtWords>,
}

/// Is told in the middle of a sentence which answer it is, from 0.
type AtWords = Box<dyn FnMut(usize) + Send>;

impl Seen {
    fn lock(&self) -> MutexGuard<'_, SeenInner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many moments each stage had.
    pub fn moments(&self) -> BTreeMap<String, u64> {
        self.lock().moments.clone()
    }

    /// How often each stage was woken.
    pub fn woken(&self) -> BTreeMap<String, u64> {
        self.lock().woken.clone()
    }

    /// What went wrong, in order.
    pub fn happened(&self) -> Vec<(String, Fault)> {
        self.lock().happened.clone()
    }

    /// Calls `at_words` in the middle of each sentence, whenever words have come: with the number of the answer, from 0.
    pub fn in_mid_sentence(&self, at_words: impl FnMut(usize) + Send + 'static) {
        self.lock().at_words = Some(Box::new(at_words));
    }

    /// The narrations that reached all who read them: frame and text.
    pub fn finished(&self) -> Vec<(u64, String)> {
        self.lock().finished.clone()
    }
}

impl SeenInner {
    fn hear(&mut self, text: &Text) {
        if text.finished.is_some() {
            let frame = text.about.as_ref().map_or(u64::MAX, |about| about.index);
            self.finished.push((frame, text.text.clone()));
        } else if let Some(at_words) = &mut self.at_words {
            at_words(self.finished.len());
        }
    }
}

/// Makes the stages of a registry go wrong.
pub fn injure(registry: &mut Registry, wrong: Wrong, seen: Seen) {
    let wrong = Arc::new(wrong);
    registry.wrap(move |inner, context| {
        let injury = Arc::new(Injury {
            stage: context.spec.name.clone(),
            wrong: wrong.clone(),
            seen: seen.clone(),
            fails: Mutex::new(false),
        });
        Box::new(Injured { inner, injury })
    });
}

struct Injured {
    inner: BoxStage,
    injury: Arc<Injury>,
}

struct Injury {
    stage: String,
    wrong: Arc<Wrong>,
    seen: Seen,
    /// It stands at a moment at which it is to fail.
    fails: Mutex<bool>,
}

impl Injury {
    fn happens(&self, when: When) -> Option<Fault> {
        let fault = *self.wrong.get(&(self.stage.clone(), when))?;
        self.seen.lock().happened.push((self.stage.clone(), fault));
        Some(fault)
    }

    fn woken(&self) -> Option<Fault> {
        let nth = count(&mut self.seen.lock().woken, &self.stage);
        self.happens(When::Woken(nth))
    }

    fn fails(&self) -> MutexGuard<'_, bool> {
        self.fails.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn count(counts: &mut BTreeMap<String, u64>, stage: &str) -> u64 {
    let n = counts.entry(stage.to_owned()).or_default();
    *n += 1;
    *n
}

/// A panic that the hook does not print: there will be hundreds.
fn panics() -> ! {
    std::panic::resume_unwind(Box::new("it was to panic"))
}

impl Probe for Injury {
    fn at(&self, moment: Moment<'_>) -> bool {
        if let Moment::Sent(packet) = moment
            && let Body::Text(text) = &packet.body
        {
            self.seen.lock().hear(text);
        }
        let nth = count(&mut self.seen.lock().moments, &self.stage);
        match self.happens(When::Moment(nth)) {
            None => true,
            Some(Fault::Panic) => panics(),
            Some(Fault::Hang) => false,
            Some(Fault::Fail) => {
                *self.fails() = true;
                false
            }
        }
    }
}

impl Stage for Injured {
    async fn run(self, ctx: Context) -> Result<(), StageError> {
        let Self { inner, injury } = self;
        let mut inner = inner.run_boxed(ctx.probed(injury.clone()));
        let failure = || Poll::Ready(Err(StageError::new("it was to fail")));
        std::future::poll_fn(move |cx| {
            match injury.woken() {
                Some(Fault::Panic) => panics(),
                Some(_) => return failure(),
                None => {}
            }
            let polled = inner.as_mut().poll(cx);
            if std::mem::take(&mut *injury.fails()) {
                return failure();
            }
            polled
        })
        .await
    }
}
