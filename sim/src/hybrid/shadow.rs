//! [`Shadow`]: a real engine, each of whose dispatches is measured and put beside its modelled and its impossible time.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use gpu::engine::{Adapter, Engine, PreparedId, ReadFuture, StampsFuture, TimesFuture};
use gpu::plan::{Plan, lower_with};
use gpu::recording::{Op, Place, Recording};
use gpu::tensor::TensorId;
use gpu::{Error, Result};
use pipeline::time::{Clock, Timestamp};

use super::ledger::{Elsewhere, ShadowHandle};
use crate::timing::dry::Costed;
use crate::timing::impossible::Switches;
use crate::timing::{Device, Profile, Taken, bundled};

/// Slices whose stamps may be under way; of more the oldest are given up.
const MAX_UNDER_WAY: usize = 1024;

/// What is put beside the real times.
#[derive(Clone, Debug, PartialEq)]
pub struct Beside {
    /// The GPU that is modelled; none: the adapter's own profile, or one like it.
    pub profile: Option<Profile>,
    /// What the impossible one has over it.
    pub switches: Switches,
}

/// See the file's head.
pub struct Shadow<R> {
    real: R,
    watch: Rc<RefCell<Watch>>,
    shadows: BTreeMap<PreparedId, Rc<Cast>>,
}

/// A prepared recording's plan, and where it says how much is in the cache.
struct Cast {
    costed: Arc<Costed>,
    state: Option<TensorId>,
    /// Tokens in the cache before the play under way, and whether that has anything to do.
    found: Cell<(usize, bool)>,
}

/// Measurements under way.
struct Watch {
    modelled: Device,
    impossible: Device,
    clock: Clock,
    under_way: VecDeque<UnderWay>,
    /// Slices that were queued.
    n_queued: u64,
    /// When the last submissions without stamps had ended.
    ended: Timestamp,
    handle: ShadowHandle,
}

struct UnderWay {
    cast: Rc<Cast>,
    slice: usize,
    /// The first words of the state before the play.
    state: Option<ReadFuture>,
    measured: Measured,
}

enum Measured {
    Stamps(StampsFuture),
    /// The number of the slice, and when it was given to the engine.
    Submission(u64, Timestamp),
}

/// A slice that has ended by the clock.
struct Ended {
    cast: Rc<Cast>,
    queued: Timestamp,
    n_cached: usize,
    elsewhere: Elsewhere,
}

impl<R: Engine> Shadow<R> {
    /// Adds what it measures to `handle`.
    pub fn new(real: R, beside: &Beside, handle: ShadowHandle) -> Self {
        let adapter = real.adapter();
        let profile = match &beside.profile {
            Some(profile) => profile.clone(),
            None => bundled::of_adapter(adapter).0,
        };
        let by = if adapter.timestamps { "its time stamps" } else { "the clock" };
        {
            let mut ledger = handle.ledger();
            ledger.by_stamps = adapter.timestamps;
            ledger.head = format!(
                "{}, measured by {by}; modelled: {}; impossible: {}",
                adapter.name,
                profile.key,
                beside.switches.line()
            );
        }
        let watch = Watch {
            impossible: beside.switches.over(&profile),
            modelled: Device::new(profile),
            clock: Clock::new(),
            under_way: VecDeque::new(),
            n_queued: 0,
            ended: Timestamp::default(),
            handle,
        };
        Self {
            real,
            watch: Rc::new(RefCell::new(watch)),
            shadows: BTreeMap::new(),
        }
    }

    fn is_watching(&self) -> bool {
        self.watch.borrow().handle.is_watching()
    }
}

/// The state that a recording's KV cache goes by.
fn state_of(recording: &Recording) -> Option<TensorId> {
    let state = recording.ops.iter().find_map(|op| match op {
        Op::CachedAttention { state, .. } | Op::KvAppend { state, .. } => Some(*state),
        Op::Sample(sample) => Some(sample.state),
        _ => None,
    })?;
    match recording.info(recording.root(state)).place {
        Place::Bound(tensor) => Some(tensor),
        _ => None,
    }
}

impl Watch {
    /// Takes in what has arrived. What was queued before slice `n_ended` has ended.
    fn settle(&mut self, cx: &mut Context<'_>, n_ended: u64) {
        let mut submissions: Vec<Ended> = Vec::new();
        while let Some(first) = self.under_way.front_mut() {
            if let Some(state) = &mut first.state {
                match state.as_mut().poll(cx) {
                    Poll::Pending => break,
                    Poll::Ready(words) => first.cast.see(words),
                }
                first.state = None;
            }
            let stamps = match &mut first.measured {
                Measured::Submission(number, _) if *number >= n_ended => break,
                // A step behind the end of an answer.
                Measured::Submission(..) if !first.cast.found.get().1 => {
                    self.handle.ledger().idled(0.0);
                    self.under_way.pop_front();
                    continue;
                }
                Measured::Submission(_, queued) => {
                    let dispatches = first.cast.elsewhere(first.slice, &self.modelled, &self.impossible);
                    let sum = |of: fn(&Elsewhere) -> f64| dispatches.iter().map(|(_, elsewhere)| of(elsewhere)).sum();
                    submissions.push(Ended {
                        cast: first.cast.clone(),
                        queued: *queued,
                        n_cached: first.cast.found.get().0,
                        elsewhere: Elsewhere {
                            modelled_s: sum(|e| e.modelled_s),
                            impossible_s: sum(|e| e.impossible_s),
                        },
                    });
                    self.under_way.pop_front();
                    continue;
                }
                Measured::Stamps(stamps) => match stamps.as_mut().poll(cx) {
                    Poll::Pending => break,
                    Poll::Ready(stamps) => stamps,
                },
            };
            let (cast, slice) = (first.cast.clone(), first.slice);
            self.under_way.pop_front();
            let mut ledger = self.handle.ledger();
            match stamps {
                Ok(Some(stamps)) if cast.found.get().1 => {
                    let kernels: Vec<_> = cast.elsewhere(slice, &self.modelled, &self.impossible);
                    ledger.stamped(&cast.costed.plan.name, slice == 0, &stamps, &kernels);
                    if let Some(plays) = ledger.plays(&cast.costed) {
                        plays.stamped(cast.found.get().0, &stamps);
                    }
                }
                Ok(Some(stamps)) => ledger.idled(stamps.whole.as_secs_f64()),
                Ok(None) | Err(_) => ledger.unmeasured += 1,
            }
        }
        self.end(&submissions);
    }

    /// Submissions that ended together, by now.
    fn end(&mut self, submissions: &[Ended]) {
        let Some(first) = submissions.first() else {
            return;
        };
        let now = self.clock.now();
        let measured_s = now.since(self.ended.max(first.queued)).as_secs_f64();
        self.ended = now;
        let plays: Vec<(&str, Elsewhere)> = submissions
            .iter()
            .map(|ended| (ended.cast.costed.plan.name.as_str(), ended.elsewhere))
            .collect();
        let mut ledger = self.handle.ledger();
        ledger.submitted(&plays, measured_s);
        if submissions.iter().all(|ended| Rc::ptr_eq(&ended.cast, &first.cast))
            && let Some(plays) = ledger.plays(&first.cast.costed)
        {
            let n_cached: Vec<usize> = submissions.iter().map(|ended| ended.n_cached).collect();
            plays.clocked(&n_cached, measured_s);
        }
    }

    /// `queued`: when it was given to the engine, which may have played it before it came back.
    fn begin(
        &mut self,
        cast: &Rc<Cast>,
        slice: usize,
        state: Option<ReadFuture>,
        stamps: Option<StampsFuture>,
        queued: Timestamp,
    ) {
        let measured = match stamps {
            Some(stamps) => Measured::Stamps(stamps),
            None => Measured::Submission(self.n_queued, queued),
        };
        self.n_queued += 1;
        if self.under_way.len() >= MAX_UNDER_WAY {
            self.under_way.pop_front();
            self.handle.ledger().unmeasured += 1;
        }
        self.under_way.push_back(UnderWay {
            cast: cast.clone(),
            slice,
            state,
            measured,
        });
    }
}

impl Cast {
    /// The state's first words arrived. Without them it is as it was.
    fn see(&self, words: Result<Vec<u8>>) {
        let Ok(bytes) = words else { return };
        if let [kv_len, n_tokens] = bytes.as_chunks::<4>().0 {
            self.found
                .set((u32::from_le_bytes(*kv_len) as usize, u32::from_le_bytes(*n_tokens) > 0));
        }
    }

    /// A slice's kernels, and what each takes elsewhere.
    fn elsewhere(&self, slice: usize, modelled: &Device, impossible: &Device) -> Vec<(&'static str, Elsewhere)> {
        let Some(range) = self.costed.plan.slices.get(slice).cloned() else {
            return Vec::new();
        };
        let n_cached = self.found.get().0;
        let [modelled, impossible] = [modelled, impossible].map(|device| self.costed.taken(device, n_cached));
        let kernels = self.costed.plan.dispatches[range.clone()]
            .iter()
            .map(|dispatch| dispatch.kernel);
        let times = modelled[range.clone()].iter().zip(&impossible[range]);
        let elsewhere = |(modelled, impossible): (&Taken, &Taken)| Elsewhere {
            modelled_s: modelled.total_s(),
            impossible_s: impossible.total_s(),
        };
        kernels.zip(times.map(elsewhere)).collect()
    }
}

impl<R: Engine> Engine for Shadow<R> {
    fn adapter(&self) -> &Adapter {
        self.real.adapter()
    }

    fn create(&mut self, name: &str, size_bytes: u64) -> Result<TensorId> {
        self.real.create(name, size_bytes)
    }

    fn release(&mut self, tensor: TensorId) {
        self.real.release(tensor);
    }

    fn write(&mut self, tensor: TensorId, offset: u64, bytes: &[u8]) -> Result<()> {
        self.real.write(tensor, offset, bytes)
    }

    fn copy(&mut self, from: TensorId, from_offset: u64, to: TensorId, to_offset: u64, size_bytes: u64) -> Result<()> {
        self.real.copy(from, from_offset, to, to_offset, size_bytes)
    }

    /// When it arrives, so have the measurements of what was queued before.
    fn read(&mut self, tensor: TensorId, offset: u64, size_bytes: u64) -> ReadFuture {
        let (read, watch) = (self.real.read(tensor, offset, size_bytes), self.watch.clone());
        let n_ended = watch.borrow().n_queued;
        Box::pin(async move {
            let bytes = read.await;
            std::future::poll_fn(|cx| {
                watch.borrow_mut().settle(cx, n_ended);
                Poll::Ready(())
            })
            .await;
            bytes
        })
    }

    fn prepare(&mut self, recording: Recording) -> Result<PreparedId> {
        let state = state_of(&recording);
        let id = self.real.prepare(recording.clone())?;
        let plan = match self.real.plan(id) {
            Some(plan) => Ok(plan.clone()),
            // An engine that plays no plans: what a GPU of the profile would play.
            None => {
                let profile = &self.watch.borrow().modelled.profile;
                lower_with(&recording, &profile.adapter(), &profile.variants())
            }
        };
        match plan {
            Ok(plan) => {
                let cast = Cast {
                    costed: Arc::new(Costed::new(plan)),
                    state,
                    found: Cell::new((0, true)),
                };
                self.shadows.insert(id, Rc::new(cast));
                Ok(id)
            }
            Err(error) => {
                self.real.discard(id);
                Err(error)
            }
        }
    }

    fn discard(&mut self, prepared: PreparedId) {
        self.real.discard(prepared);
        self.shadows.remove(&prepared);
    }

    fn n_slices(&self, prepared: PreparedId) -> usize {
        self.real.n_slices(prepared)
    }

    fn play_slice(&mut self, prepared: PreparedId, slice: usize) -> Result<()> {
        if !self.is_watching() {
            return self.real.play_slice(prepared, slice);
        }
        let cast = self.shadows.get(&prepared).cloned().ok_or_else(|| Error::Engine {
            what: "play",
            message: format!("recording {} is not there", prepared.0),
        })?;
        let state = cast.state.filter(|_| slice == 0);
        let state = state.map(|state| self.real.read(state, 0, 8));
        let queued = self.watch.borrow().clock.now();
        let stamps = match self.real.adapter().timestamps {
            true => Some(self.real.play_stamped(prepared, slice)?),
            false => {
                self.real.play_slice(prepared, slice)?;
                None
            }
        };
        self.watch.borrow_mut().begin(&cast, slice, state, stamps, queued);
        Ok(())
    }

    /// Each by itself where it is measured.
    fn play_slices(&mut self, prepared: PreparedId, mut slices: Range<usize>) -> Result<()> {
        match self.is_watching() {
            true => slices.try_for_each(|slice| self.play_slice(prepared, slice)),
            false => self.real.play_slices(prepared, slices),
        }
    }

    fn play(&mut self, prepared: PreparedId) -> Result<()> {
        let n_slices = self.n_slices(prepared);
        match self.is_watching() {
            true => self.play_slices(prepared, 0..n_slices),
            false => self.real.play(prepared),
        }
    }

    fn play_times(&mut self, prepared: PreparedId, n: u32) -> Result<()> {
        match self.is_watching() {
            true => (0..n).try_for_each(|_| self.play(prepared)),
            false => self.real.play_times(prepared, n),
        }
    }

    fn charges_time(&self) -> bool {
        self.real.charges_time()
    }

    fn play_timed(&mut self, prepared: PreparedId) -> TimesFuture {
        self.real.play_timed(prepared)
    }

    fn plan(&self, prepared: PreparedId) -> Option<&Plan> {
        self.real.plan(prepared)
    }

    fn read_tap(&mut self, prepared: PreparedId, name: &str) -> ReadFuture {
        self.real.read_tap(prepared, name)
    }

    fn describe(&self, prepared: PreparedId) -> String {
        self.real.describe(prepared)
    }

    fn memory_bytes(&self) -> u64 {
        self.real.memory_bytes()
    }
}
