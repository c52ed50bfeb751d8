//! What a stage sees of the run: inputs, output, clock, turn, events, trace.

use std::any::Any;
use std::collections::BTreeSet;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::{Either, join_all, select};

use super::input::{Input, Links, Look};
use super::life::{Life, Sending, Sends};
use super::probe::{Moment, Probe};
use crate::error::Closed;
use crate::events::Reporter;
use crate::link::{Sender, Sent};
use crate::packet::{Body, Packet, PacketKind};
use crate::record::SourceTape;
use crate::runtime::StageReport;
use crate::signal::yield_now;
use crate::time::{Clock, Timestamp};
use crate::trace::{Span, TraceHandle};
use crate::turn::{Stop, Turn};

/// What a packet inherits from the one that it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    pub pts: Timestamp,
    pub turn: u64,
}

impl Packet {
    /// For the packets that answer this one.
    pub fn stamp(&self) -> Stamp {
        Stamp {
            pts: self.pts,
            turn: self.turn,
        }
    }
}

/// A link out of a stage; it carries those kinds of packet that its reader takes.
pub(crate) struct OutputLink {
    pub sender: Sender,
    pub kinds: Vec<PacketKind>,
    /// In a replay: the packets that its reader took in the recorded run, and the only ones that go.
    pub carried: Option<Arc<BTreeSet<u64>>>,
}

impl OutputLink {
    fn carries(&self, kind: PacketKind, seq: u64) -> bool {
        self.kinds.contains(&kind) && self.carried.as_ref().is_none_or(|carried| carried.contains(&seq))
    }
}

/// What a context is made of.
pub(crate) struct ContextParts {
    pub ports: Vec<String>,
    pub inputs: Links,
    pub outputs: Vec<OutputLink>,
    pub is_source: bool,
    pub clock: Clock,
    pub turn: Turn,
    pub stop: Stop,
    pub reporter: Reporter,
    pub trace: TraceHandle,
    pub meter: Arc<StageMeter>,
    pub life: Life,
    /// Of a source that is recorded.
    pub tape: Option<SourceTape>,
}

impl ContextParts {
    /// Ends all links of the stage, whoever still holds its context.
    pub fn close(&self) {
        self.inputs.close();
        for output in &self.outputs {
            output.sender.close();
        }
    }

    /// Whether there is nothing more to do for the stage.
    pub fn is_over(&self) -> bool {
        let is_fed = if self.is_source {
            !self.stop.is_asked()
        } else {
            !self.inputs.is_ended()
        };
        let is_read = self.outputs.is_empty() || self.outputs.iter().any(|output| !output.sender.is_closed());
        !(is_fed && is_read)
    }
}

/// A stage's side of the run. The stage's inputs and outputs close when it has been dropped and the stage is not restarted.
pub struct Context {
    parts: Arc<ContextParts>,
    incarnation: u64,
    pub(super) probe: Option<Arc<dyn Probe>>,
}

/// Counts what a stage does.
#[derive(Default)]
pub(crate) struct StageMeter {
    pub received: AtomicU64,
    pub sent: AtomicU64,
    pub restarts: AtomicU64,
    pub lost: AtomicU64,
    work: Mutex<Work>,
}

#[derive(Default)]
struct Work {
    busy: Duration,
    since: Option<Timestamp>,
    span: Option<Span>,
}

impl StageMeter {
    fn lock(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Since when the stage is at work without a wait.
    fn since(&self) -> Option<Timestamp> {
        self.lock().since
    }

    fn begin(&self, now: Timestamp, span: Option<Span>) {
        let mut work = self.lock();
        work.since = Some(now);
        if span.is_some() {
            work.span = span;
        }
    }

    /// The stage waits from now on; with `done` it is through with its packet.
    fn pause(&self, now: Timestamp, done: bool) {
        let mut work = self.lock();
        if let Some(since) = work.since.take() {
            work.busy += now.since(since);
        }
        let span = if done { work.span.take() } else { None };
        drop(work);
        drop(span);
    }

    pub fn report(&self, name: &str, type_name: &str, now: Timestamp) -> StageReport {
        let work = self.lock();
        StageReport {
            name: name.to_owned(),
            type_name: type_name.to_owned(),
            received: self.received.load(Ordering::Relaxed),
            sent: self.sent.load(Ordering::Relaxed),
            restarts: self.restarts.load(Ordering::Relaxed),
            lost: self.lost.load(Ordering::Relaxed),
            busy: work.busy + work.since.map_or(Duration::ZERO, |since| now.since(since)),
        }
    }
}

impl Context {
    pub(crate) fn new(parts: Arc<ContextParts>) -> Self {
        let now = parts.clock.now();
        parts.meter.begin(now, None);
        parts.life.goes_on(now);
        let incarnation = parts.life.incarnation();
        Self {
            parts,
            incarnation,
            probe: None,
        }
    }

    // Restarts

    /// How often the stage has been started again.
    pub fn n_restarts(&self) -> u64 {
        self.incarnation
    }

    /// What the stage kept before it was started again: the last of [`Context::keep`] and [`Context::commit`]. `None` if that
    /// is nothing, or something of another type.
    pub fn kept<T: Clone + Send + Sync + 'static>(&self) -> Option<T> {
        self.parts.life.kept()?.downcast_ref::<T>().cloned()
    }

    /// The same; where that is nothing, the stage keeps `first` and begins with it.
    pub fn kept_or<T: Clone + Send + Sync + 'static>(&self, first: impl FnOnce() -> T) -> T {
        self.kept().unwrap_or_else(|| {
            let first = first();
            self.keep(first.clone());
            first
        })
    }

    /// The stage, started again, begins with `state`. A packet in hand stays there: with `retry` it is given again, and of what
    /// was sent for it only that counts as sent which is sent from here on.
    pub fn keep<T: Any + Send + Sync>(&self, state: T) {
        self.parts.life.keeps(self.incarnation, Arc::new(state), false);
    }

    /// The stage is through with its packet in hand, which is not given again, and begins with `state` if it is started again:
    /// both or neither, whatever happens.
    pub fn commit<T: Any + Send + Sync>(&self, state: T) {
        self.parts.life.keeps(self.incarnation, Arc::new(state), true);
    }

    /// The stage is through with its packet in hand, which is not given again. Asking for the next one says so too.
    pub fn done(&self) {
        self.parts.life.lets_go(self.incarnation);
    }

    /// The stage was restarted, and this is what it was before: a thread that hung and now goes on. It must touch nothing that the
    /// next one has.
    pub fn is_past(&self) -> bool {
        self.incarnation != self.parts.life.incarnation()
    }

    /// The stage's name in the configuration.
    pub fn name(&self) -> &str {
        &self.parts.reporter.stage
    }

    // Inputs

    /// The next packet from any input; `None` when all of them have ended.
    pub async fn recv(&self) -> Option<Packet> {
        self.recv_from(None).await.map(|(_, packet)| packet)
    }

    /// The next packet and the name of the input that it came from; `None` when all of them have ended.
    pub async fn recv_any(&self) -> Option<(&str, Packet)> {
        let (port, packet) = self.recv_from(None).await?;
        Some((self.parts.ports[port].as_str(), packet))
    }

    /// The next packet from any input, if one lies there.
    pub fn try_recv(&self) -> Option<Packet> {
        self.try_recv_from(None).map(|(_, packet)| packet)
    }

    /// One of several inputs.
    ///
    /// # Panics
    /// If the stage's factory declares no input of that name: a bug in the stage.
    pub fn input(&self, name: &str) -> Input<'_> {
        let port = self.parts.ports.iter().position(|port| port == name);
        Input {
            context: self,
            port: port.unwrap_or_else(|| panic!("stage {} declares no input {name}", self.name())),
        }
    }

    pub(crate) async fn recv_from(&self, port: Option<usize>) -> Option<(usize, Packet)> {
        if self.is_past() {
            std::future::pending::<()>().await;
        }
        self.tell(Moment::Asks).await;
        self.parts.meter.pause(self.now(), true);
        self.parts.life.lets_go(self.incarnation);
        let (received, sends) = match self.again(port) {
            Some((port, packet, sends)) => (Some((port, packet)), Some(sends)),
            None => {
                self.parts.life.waits();
                (self.parts.inputs.recv(port).await, None)
            }
        };
        self.received(received.as_ref(), sends);
        if let Some((_, packet)) = &received {
            self.tell(Moment::Received(packet)).await;
        }
        received
    }

    pub(crate) fn try_recv_from(&self, port: Option<usize>) -> Option<(usize, Packet)> {
        if self.is_past() {
            return None;
        }
        let (received, sends) = match (self.again(port), port) {
            (Some((port, packet, sends)), _) => ((port, packet), Some(sends)),
            (None, port) => match self.parts.inputs.look(port) {
                Look::Packet(port, packet) => ((port, packet), None),
                Look::Nothing | Look::Ended => return None,
            },
        };
        self.parts.meter.pause(self.now(), true);
        self.received(Some(&received), sends);
        Some(received)
    }

    /// What the incarnation before had in hand and what it sent for it, unless its turn is over.
    fn again(&self, port: Option<usize>) -> Option<(usize, Packet, Sends)> {
        let again = self.parts.life.again(port)?;
        (!self.parts.turn.is_stale(again.1.turn)).then_some(again)
    }

    fn received(&self, received: Option<&(usize, Packet)>, sends: Option<Sends>) {
        let span = received.map(|(port, packet)| {
            self.parts.life.takes(*port, packet, sends, self.now());
            self.parts.meter.received.fetch_add(1, Ordering::Relaxed);
            tracing::trace!(
                stage = self.name(),
                seq = packet.seq,
                pts_ms = packet.pts.as_millis_f64(),
                "packet"
            );
            self.span_of(packet)
        });
        let now = self.now();
        if received.is_none() {
            self.parts.life.goes_on(now);
        }
        self.parts.meter.begin(now, span);
    }

    fn span_of(&self, packet: &Packet) -> Span {
        match self.parts.trace.is_on() {
            true => self.parts.trace.span(self.name().to_owned()).on(packet),
            false => Span::default(),
        }
    }

    // Output

    /// Sends a packet to every stage that reads this one and takes its kind; waits where such a link is full and says `wait`.
    /// A packet of an older turn is dropped, which is no error.
    ///
    /// Errors: [`Closed`] when every reader is gone, and to a source once the run stops. A stage then ends: `?` does it.
    pub async fn send(&self, body: Body, stamp: Stamp) -> Result<(), Closed> {
        if self.is_past() {
            std::future::pending::<()>().await;
        }
        if self.parts.is_source && self.is_stopping() {
            return Err(Closed);
        }
        let sending = self.parts.life.sends();
        let Stamp { pts, turn } = stamp;
        let packet = Packet {
            seq: sending.seq,
            pts,
            turn,
            body,
        };
        self.parts
            .meter
            .sent
            .fetch_add(u64::from(!sending.is_again), Ordering::Relaxed);
        if let Some(tape) = self.parts.tape.as_ref().filter(|_| !sending.is_again) {
            tape.sent(self.now(), &packet).await;
        }
        if self.probe.is_some() {
            self.tell(Moment::Sends(&packet)).await;
        }
        if self.parts.outputs.is_empty() {
            return Ok(());
        }
        if self.parts.is_source && self.parts.trace.is_on() {
            // It has no packet whose stay could be shown: this is how long it worked on what it sends.
            let now = self.now();
            let start = self.parts.meter.since().unwrap_or(now);
            self.parts.trace.slice_on(self.name().to_owned(), start, now, &packet);
        }
        self.parts.meter.pause(self.now(), false);
        self.parts.life.waits();
        let probed = self.probe.is_some().then(|| packet.clone());
        let sent = self.send_to_readers(packet, sending).await;
        if sent.contains(&Ok(Sent::Dropped)) {
            // A sender that never waits would keep the readers from running where all share one thread.
            yield_now().await;
        }
        let now = self.now();
        self.parts.life.goes_on(now);
        self.parts.meter.begin(now, None);
        if let Some(packet) = &probed {
            self.tell(Moment::Sent(packet)).await;
        }
        if self.parts.outputs.iter().all(|output| output.sender.is_closed()) {
            Err(Closed)
        } else {
            Ok(())
        }
    }

    /// What became of the packet at every output that takes it and has not got it from an incarnation before.
    async fn send_to_readers(&self, packet: Packet, sending: Sending) -> Vec<Result<Sent, Closed>> {
        let kind = packet.body.kind();
        let life = &self.parts.life;
        let outputs = self.parts.outputs.iter().enumerate();
        let readers = outputs.filter(|(index, output)| output.carries(kind, packet.seq) && !life.is_through(sending, *index));
        let sends: Vec<_> = readers
            .map(|(index, output)| {
                let packet = packet.clone();
                async move {
                    let sent = output.sender.send(packet).await;
                    life.gets_through(sending, index);
                    sent
                }
            })
            .collect();
        drop(packet);
        join_all(sends).await
    }

    /// Whether somebody reads packets of that kind: what nobody reads need not be made.
    pub fn is_read(&self, kind: PacketKind) -> bool {
        self.parts
            .outputs
            .iter()
            .any(|output| output.kinds.contains(&kind) && !output.sender.is_closed())
    }

    /// For a packet that answers none: now, in the current turn.
    pub fn stamp(&self) -> Stamp {
        Stamp {
            pts: self.now(),
            turn: self.current_turn(),
        }
    }

    // Turns

    pub fn current_turn(&self) -> u64 {
        self.parts.turn.current()
    }

    /// The run's turn: `next()`, `over(turn)`, `is_stale(turn)`. Clones go where the context cannot.
    pub fn turn(&self) -> &Turn {
        &self.parts.turn
    }

    // Time and the end

    pub fn clock(&self) -> Clock {
        self.parts.clock.clone()
    }

    pub fn now(&self) -> Timestamp {
        self.parts.clock.now()
    }

    /// Waits for something outside of the graph that may take as long as it likes: that the stage stands still meanwhile is no
    /// hang.
    pub async fn waiting<T>(&self, future: impl Future<Output = T>) -> T {
        self.parts.meter.pause(self.now(), false);
        self.parts.life.waits();
        let value = future.await;
        let now = self.now();
        self.parts.life.goes_on(now);
        self.parts.meter.begin(now, None);
        value
    }

    /// Waits for a time of the run, as with [`Context::waiting`]: a source waits with this.
    pub async fn sleep_until(&self, time: Timestamp) {
        self.waiting(self.parts.clock.sleep_until(time)).await;
    }

    pub fn is_stopping(&self) -> bool {
        self.parts.stop.is_asked()
    }

    /// Ends when the run stops. For sources: other stages end when their inputs have.
    pub async fn stopping(&self) {
        self.parts.stop.asked().await;
    }

    /// What `future` gives, or `None` if the run stops first.
    pub async fn or_stop<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        match select(std::pin::pin!(self.stopping()), std::pin::pin!(future)).await {
            Either::Left(((), _)) => None,
            Either::Right((value, _)) => Some(value),
        }
    }

    // What others see

    /// Progress, warnings and metrics for the run's subscribers.
    pub fn reporter(&self) -> &Reporter {
        &self.parts.reporter
    }

    /// The stage's track. Each packet's stay in the stage is a slice there already.
    pub fn trace(&self) -> &TraceHandle {
        &self.parts.trace
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        self.parts.meter.pause(self.now(), true);
    }
}
