//! Starting, stopping and joining a graph's stages. Not what they do (crate `stages`).

mod policy;
mod report;
mod supervised;
mod supervisor;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tracing::Instrument;

pub use policy::{RestartPolicy, RestartWhen};
pub use report::{LinkReport, Report, StageReport};

use crate::actor::{ContextParts, InputLink, Keep, Life, Links, OutputLink, StageMeter};
use crate::error::{Cause, Error, StageError};
use crate::events::{Events, Hub, Reporter};
use crate::graph::Graph;
use crate::link::bridge::{Ferry, InMemory, bridged_link, inward_link, outward_link};
use crate::link::{Bound, LinkMeter, LinkParts, WhenFull, link};
use crate::record::{Ears, Orders, Recorder, Script, SourceTape};
use crate::registry::{Blueprint, BuildContext, Registry};
use crate::signal::Signal;
use crate::spawn::{self, Task};
use crate::time::Clock;
use crate::trace::Trace;
use crate::turn::{Stop, Turn};
use supervised::{Start, Supervised};
use supervisor::Supervisor;

/// What a run is started with.
#[derive(Clone)]
pub struct RunOptions {
    /// The run's time. A trace must have the same.
    pub clock: Clock,
    pub trace: Trace,
    /// How long stages may take to end after a stop or a failure; then they are aborted.
    pub deadline: Duration,
    /// How often the run's counters go to its subscribers as metrics; `None` is never.
    pub metrics_every: Option<Duration>,
    /// Writes the run down.
    pub recorder: Option<Recorder>,
    /// A recorded run, the order of whose packets this one keeps to.
    pub script: Option<Script>,
    /// Names of links ([`Graph::link_name`]) that are bridges: see [`crate::link::bridge`].
    pub bridged: BTreeSet<String>,
    /// What of the graph runs here; `None`: all of it.
    pub part: Option<Part>,
}

/// The part of a graph that runs here. Another run, of the same graph (links are known by their order in it) and with its own
/// registry, has the rest; the links between them are bridges over the ferry, and both runs have the same turns. Each is stopped and joined by itself. What the links
/// between carry must have no handles in it (features); a bridge to which that happens ends.
#[derive(Clone)]
pub struct Part {
    /// The names of the stages that are here.
    pub stages: BTreeSet<String>,
    pub ferry: Ferry,
}

impl Part {
    fn has(&self, stage: &str) -> bool {
        self.stages.contains(stage)
    }
}

impl RunOptions {
    fn is_here(&self, graph: &Graph, stage: usize) -> bool {
        let name = &graph.stages()[stage].name;
        self.part.as_ref().is_none_or(|part| part.has(name))
    }
}

impl Default for RunOptions {
    /// A clock that starts now, no trace, no metrics, 10 s to end.
    fn default() -> Self {
        Self {
            clock: Clock::new(),
            trace: Trace::off(),
            deadline: Duration::from_secs(10),
            metrics_every: None,
            recorder: None,
            script: None,
            bridged: BTreeSet::new(),
            part: None,
        }
    }
}

/// A graph at work. Dropping it stops the run but does not wait for its end.
pub struct Run {
    handle: RunHandle,
    outcome: Task<Result<Report, Error>>,
    first_events: Mutex<Option<Events>>,
}

/// Steers a run from elsewhere: a handler of Ctrl-C, a page. Clones steer the same run.
#[derive(Clone)]
pub struct RunHandle {
    stop: Stop,
    turn: Turn,
    hub: Hub,
    meters: Arc<Meters>,
    recorder: Option<Recorder>,
}

/// Where the counters of a run are.
struct Meters {
    clock: Clock,
    links: Vec<(String, crate::link::Bound, LinkMeter)>,
    stages: Vec<(String, String, Arc<StageMeter>)>,
}

impl Run {
    /// Builds all stages and starts them; natively inside a tokio runtime.
    ///
    /// Errors: [`Error::Build`] if a stage cannot be built, then none has started; [`Error::NoRuntime`].
    pub fn start(graph: &Graph, registry: &Registry, options: RunOptions) -> Result<Self, Error> {
        if !spawn::has_runtime() {
            return Err(Error::NoRuntime);
        }
        let mut stages = Vec::new();
        for (index, spec) in graph.stages().iter().enumerate() {
            if !options.is_here(graph, index) {
                continue;
            }
            let context = BuildContext {
                graph,
                spec,
                clock: options.clock.clone(),
                trace: &options.trace,
            };
            let stage = registry.build(&context).map_err(|error| Error::Build {
                stage: spec.name.clone(),
                type_name: spec.type_name.clone(),
                source: cause_of(error),
            })?;
            stages.push((index, stage));
        }
        let (handle, all_parts) = wire(graph, registry, &options);
        let first_events = handle.hub.subscribe();
        tracing::info!(pipeline = graph.name(), n_stages = stages.len(), "run started");
        let graph = Arc::new(graph.clone());
        let running = stages.into_iter().zip(all_parts).map(|((index, stage), parts)| {
            let spec = &graph.stages()[index];
            // A factory may hold an engine, which ends with the last that holds it.
            let may_restart = spec.restart.policy != RestartWhen::Never;
            let factory = registry.factory(&spec.type_name).filter(|_| may_restart);
            let blueprint = factory.map(|factory| Blueprint {
                graph: graph.clone(),
                stage: index,
                build: factory.build.clone(),
                clock: options.clock.clone(),
                trace: options.trace.clone(),
            });
            let start = Start {
                name: spec.name.clone(),
                type_name: spec.type_name.clone(),
                policy: spec.restart,
                deadline: spec.deadline,
                blueprint,
                parts,
            };
            Supervised::start(stage, start)
        });
        let supervisor = Supervisor {
            running: running.collect(),
            handle: handle.clone(),
            clock: options.clock.clone(),
            deadline: options.deadline,
            metrics_every: options.metrics_every,
            turns: options.script.map(|script| script.tape.turns.clone()).unwrap_or_default(),
        };
        let outcome = spawn::spawn_tracked(
            &options.clock,
            supervisor
                .run()
                .instrument(tracing::info_span!("graph.run", pipeline = graph.name())),
        );
        Ok(Self {
            handle,
            outcome,
            first_events: Mutex::new(Some(first_events)),
        })
    }

    pub fn handle(&self) -> &RunHandle {
        &self.handle
    }

    /// Subscribes to events and metrics. The first subscription has what was told since the start, later ones what is told
    /// from now on.
    pub fn events(&self) -> Events {
        let first = self.first_events.lock().unwrap_or_else(PoisonError::into_inner).take();
        first.unwrap_or_else(|| self.handle.hub.subscribe())
    }

    /// Waits until all stages have ended by themselves or after a stop.
    ///
    /// Errors: [`Error::Stage`], [`Error::Panic`], [`Error::Hang`] or (of a restart) [`Error::Build`] of the stage that first
    /// failed for good, after the others drained their links and ended; [`Error::Deadline`] with the stages that did not.
    pub async fn join(mut self) -> Result<Report, Error> {
        let outcome = (&mut self.outcome).await;
        match outcome {
            Ok(outcome) => outcome,
            Err(error) => Err(Error::Panic {
                stage: "the supervisor".to_owned(),
                message: error.to_string(),
            }),
        }
    }

    /// Stops the sources, lets what is on its way arrive, and waits for the end.
    ///
    /// Errors: as [`Run::join`].
    pub async fn stop(self) -> Result<Report, Error> {
        self.handle.stop();
        self.join().await
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.handle.stop();
    }
}

impl RunHandle {
    /// Asks the sources to end; the others end when all that is on its way has arrived. Does not wait.
    pub fn stop(&self) {
        self.stop.ask();
    }

    /// Cancels what is under way: see [`Turn::next`].
    pub fn next_turn(&self) -> u64 {
        let turn = self.turn.next();
        if let Some(recorder) = &self.recorder {
            recorder.turn(self.meters.clock.now(), turn);
        }
        turn
    }

    pub fn turn(&self) -> &Turn {
        &self.turn
    }

    /// Subscribes to what is told from now on.
    pub fn events(&self) -> Events {
        self.hub.subscribe()
    }

    /// The counters so far.
    pub fn report(&self) -> Report {
        let Meters { clock, links, stages } = &*self.meters;
        let now = clock.now();
        let links = links.iter().map(|(name, bound, meter)| LinkReport {
            name: name.clone(),
            bound: *bound,
            counters: meter.counters(),
        });
        let stages = stages
            .iter()
            .map(|(name, type_name, meter)| meter.report(name, type_name, now));
        Report {
            elapsed: now.0,
            links: links.collect(),
            stages: stages.collect(),
        }
    }
}

/// Makes the links and each stage's side of them.
fn wire(graph: &Graph, registry: &Registry, options: &RunOptions) -> (RunHandle, Vec<Arc<ContextParts>>) {
    let (clock, turn, stop) = (options.clock.clone(), Turn::new(), Stop::default());
    let hub = Hub::new(clock.clone(), turn.clone());
    let n_stages = graph.stages().len();
    let readable: Vec<Arc<Signal>> = (0..n_stages).map(|_| Arc::default()).collect();
    let mut inputs: Vec<Vec<InputLink>> = (0..n_stages).map(|_| Vec::new()).collect();
    let mut outputs: Vec<Vec<OutputLink>> = (0..n_stages).map(|_| Vec::new()).collect();
    let mut meters = Meters {
        clock: clock.clone(),
        links: Vec::new(),
        stages: Vec::new(),
    };
    let orders = options.script.as_ref().map(|script| script.orders(graph));
    let Orders { mut carried, mut stages } = orders.unwrap_or_default();
    carried.resize(graph.links().len(), None);
    stages.resize_with(n_stages, || None);
    for ((index, spec), carried) in graph.links().iter().enumerate().zip(carried) {
        let readable = readable[spec.to].clone();
        // What a recorded run dropped is not sent, and what it kept had room: nothing else may be dropped.
        let when_full = if carried.is_some() {
            WhenFull::Wait
        } else {
            spec.bound.when_full
        };
        let parts = LinkParts {
            bound: Bound { when_full, ..spec.bound },
            turn: turn.clone(),
            clock: clock.clone(),
            readable,
        };
        let name = graph.link_name(spec);
        let ends = (options.is_here(graph, spec.from), options.is_here(graph, spec.to));
        let port = options.part.as_ref().and_then(|part| part.ferry.take(index));
        let (sender, receiver) = match (ends, port) {
            ((true, true), _) => {
                let (sender, receiver) = match options.bridged.contains(&name) {
                    true => bridged_link(parts, InMemory::pair()),
                    false => link(parts),
                };
                (Some(sender), Some(receiver))
            }
            ((true, false), Some(port)) => (Some(outward_link(parts, port)), None),
            ((false, true), Some(port)) => (None, Some(inward_link(parts, port))),
            _ => (None, None),
        };
        if let Some(sender) = sender {
            // Of a bridge the half at the sender counts.
            meters.links.push((name, spec.bound, sender.meter()));
            outputs[spec.from].push(OutputLink {
                sender,
                kinds: spec.kinds.clone(),
                carried,
            });
        }
        if let Some(receiver) = receiver {
            inputs[spec.to].push(InputLink {
                port: spec.port,
                index,
                receiver,
                feedback: spec.feedback,
            });
        }
    }
    if let Some(part) = &options.part {
        part.ferry.settle();
    }
    let is_source: Vec<bool> = inputs.iter().map(|links| links.iter().all(|link| link.feedback)).collect();
    let recorder = options.recorder.clone();
    if let Some(recorder) = &recorder {
        recorder.graph(graph, |stage| is_source[stage]);
    }
    let mut all_parts = Vec::new();
    let ends = inputs.into_iter().zip(outputs).zip(readable).zip(stages);
    for ((index, spec), (((inputs, outputs), readable), order)) in graph.stages().iter().enumerate().zip(ends) {
        if !options.is_here(graph, index) {
            continue;
        }
        let signature = registry
            .factory(&spec.type_name)
            .map(|factory| factory.signature.clone())
            .unwrap_or_default();
        let meter = Arc::new(StageMeter::default());
        meters.stages.push((spec.name.clone(), spec.type_name.clone(), meter.clone()));
        let is_source = is_source[index];
        let recorder = recorder.clone();
        let tape = recorder.clone().filter(|_| is_source);
        all_parts.push(Arc::new(ContextParts {
            is_source,
            ports: signature.inputs.into_iter().map(|port| port.name).collect(),
            inputs: Links::new(inputs, readable, stop.clone(), Ears { recorder, order }),
            outputs,
            clock: clock.clone(),
            turn: turn.clone(),
            stop: stop.clone(),
            reporter: Reporter {
                stage: spec.name.as_str().into(),
                hub: hub.clone(),
            },
            trace: options.trace.track(&spec.name),
            meter,
            life: Life::new(Keep {
                restarts: spec.restart.policy != RestartWhen::Never,
                is_source,
                retry: spec.restart.retry,
                watch: spec.deadline.is_some(),
            }),
            tape: tape.map(|recorder| SourceTape { recorder, source: index }),
        }));
    }
    (
        RunHandle {
            stop,
            turn,
            hub,
            meters: Arc::new(meters),
            recorder,
        },
        all_parts,
    )
}

fn cause_of(error: StageError) -> Cause {
    match error {
        StageError::Closed => Box::new(crate::error::Closed),
        StageError::Failed(cause) | StageError::Fatal(cause) => cause,
    }
}

#[cfg(test)]
mod kept_tests;
#[cfg(test)]
mod part_tests;
#[cfg(test)]
mod restart_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod turn_tests;
