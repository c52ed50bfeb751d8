//! One stage through its restarts: what ends it, what starts it again. Not what follows for the others (`supervisor.rs`).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::future::{Either, select};
use tracing::Instrument;

use super::policy::Failures;
use super::{RestartPolicy, RestartWhen, cause_of};
use crate::actor::{BoxStage, Context, ContextParts};
use crate::error::{Error, StageError, chain};
use crate::packet::{Body, Event};
use crate::registry::Blueprint;
use crate::spawn::{self, Task, TaskError};

/// A stage that has been started.
pub(super) struct Supervised {
    pub name: String,
    type_name: String,
    policy: RestartPolicy,
    /// How long it may work on a packet without a move.
    deadline: Option<Duration>,
    /// `None` if it is never started again.
    blueprint: Option<Blueprint>,
    parts: Open,
    incarnation: Result<Incarnation, Error>,
}

/// The stage's links, until it has ended for good.
struct Open(Arc<ContextParts>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// A stage at work; it is aborted when this is dropped.
struct Incarnation(Task<Result<(), StageError>>);

impl Drop for Incarnation {
    fn drop(&mut self) {
        self.0.abort();
    }
}

enum End {
    Good,
    /// Nobody reads its output any more.
    Closed,
    Failed(Error),
    /// A restart would not mend it.
    Fatal(Error),
}

impl End {
    fn failure(&self) -> Option<&Error> {
        match self {
            Self::Good | Self::Closed => None,
            Self::Failed(error) | Self::Fatal(error) => Some(error),
        }
    }
}

/// What a stage is started with, besides the stage.
pub(super) struct Start {
    pub name: String,
    pub type_name: String,
    pub policy: RestartPolicy,
    pub deadline: Option<Duration>,
    pub blueprint: Option<Blueprint>,
    pub parts: Arc<ContextParts>,
}

impl Supervised {
    pub fn start(stage: BoxStage, start: Start) -> Self {
        let incarnation = Ok(incarnation(stage, &start.parts));
        Self {
            name: start.name,
            type_name: start.type_name,
            policy: start.policy,
            deadline: start.deadline,
            blueprint: start.blueprint,
            parts: Open(start.parts),
            incarnation,
        }
    }

    /// Restarts the stage as its policy says until it has ended for good.
    ///
    /// Errors: [`Error::Stage`], [`Error::Panic`], [`Error::Hang`] or [`Error::Build`] that is not followed by a restart.
    pub async fn run(mut self) -> Result<(), Error> {
        let mut failures = Failures::default();
        let mut n_restarts = 0;
        loop {
            let end = self.end().await;
            if let Some(tape) = &self.parts.0.tape {
                tape.ended(self.parts.0.clock.now(), end.failure(), matches!(end, End::Fatal(_)));
            }
            let (end, after) = match end {
                End::Closed => return Ok(()),
                End::Good if self.policy.policy != RestartWhen::Always || self.parts.0.is_over() => return Ok(()),
                End::Fatal(error) => {
                    let stage = self.name.clone();
                    let message = chain(&error);
                    self.tell(Event::StageFailed { stage, message });
                    return Err(error);
                }
                End::Good => {
                    self.parts.0.life.ended_well();
                    (None, Some(Failures::after_good_end(&self.policy)))
                }
                End::Failed(error) => {
                    let stage = self.name.clone();
                    let message = chain(&error);
                    self.tell(Event::StageFailed { stage, message });
                    (Some(error), failures.next(&self.policy, self.parts.0.clock.now()))
                }
            };
            let (Some(after), Some(blueprint)) = (after, &self.blueprint) else {
                return end.map_or(Ok(()), Err);
            };
            let parts = &*self.parts.0;
            let ContextParts { life, clock, meter, .. } = parts;
            life.begins_again();
            meter.lost.store(life.n_lost(), Ordering::Relaxed);
            let sleep = std::pin::pin!(clock.sleep(after));
            if parts.is_source {
                select(sleep, std::pin::pin!(parts.stop.asked())).await;
            } else {
                sleep.await;
            }
            // A stage that ended well has nothing more to do then, and a source nothing more to begin.
            if parts.is_over() && (end.is_none() || parts.is_source) {
                return Ok(());
            }
            n_restarts += 1;
            self.incarnation = match blueprint.build() {
                Ok(stage) => Ok(incarnation(stage, &self.parts.0)),
                Err(error) => Err(Error::Build {
                    stage: self.name.clone(),
                    type_name: self.type_name.clone(),
                    source: cause_of(error),
                }),
            };
            if self.incarnation.is_ok() {
                meter.restarts.fetch_add(1, Ordering::Relaxed);
                let message = end.as_ref().map_or_else(|| "it had ended".to_owned(), |error| chain(error));
                tracing::warn!(stage = %self.name, error = %message, "stage restarted");
                self.tell(Event::StageRestarted {
                    stage: self.name.clone(),
                    n_restarts,
                    message,
                });
            }
        }
    }

    /// How the incarnation ends. One that hangs is left behind: it can no longer act.
    async fn end(&mut self) -> End {
        let task = match &mut self.incarnation {
            Ok(Incarnation(task)) => task,
            Err(_) => {
                let error = std::mem::replace(&mut self.incarnation, Err(Error::NoRuntime));
                return error.map_or_else(End::Failed, |_| End::Good);
            }
        };
        let ContextParts { life, clock, .. } = &*self.parts.0;
        let hangs = async {
            match self.deadline {
                Some(deadline) => {
                    life.hangs(clock, deadline).await;
                    deadline
                }
                None => std::future::pending().await,
            }
        };
        match select(task, std::pin::pin!(hangs)).await {
            Either::Left((result, _)) => end_of_result(&self.name, result),
            Either::Right((deadline, task)) => {
                task.abort();
                let stage = self.name.clone();
                End::Failed(Error::Hang { stage, deadline })
            }
        }
    }

    fn tell(&self, event: Event) {
        self.parts.0.reporter.hub.tell(Body::Event(event));
    }
}

fn incarnation(stage: BoxStage, parts: &Arc<ContextParts>) -> Incarnation {
    let context = Context::new(parts.clone());
    let span = tracing::info_span!("stage.run", stage = %context.name());
    let mut future = stage.run_boxed(context);
    let watched = parts.life.is_watched().then(|| parts.clone());
    let future = std::future::poll_fn(move |cx| {
        if let Some(parts) = &watched {
            parts.life.moves(parts.clock.now());
        }
        future.as_mut().poll(cx)
    });
    Incarnation(spawn::spawn_tracked(&parts.clock, future.instrument(span)))
}

fn end_of_result(name: &str, result: Result<Result<(), StageError>, TaskError>) -> End {
    let stage = name.to_owned();
    match result {
        Ok(Ok(())) => End::Good,
        Ok(Err(StageError::Closed)) => End::Closed,
        Ok(Err(StageError::Fatal(source))) => End::Fatal(Error::Stage { stage, source }),
        Ok(Err(error)) => End::Failed(Error::Stage {
            stage,
            source: cause_of(error),
        }),
        Err(TaskError::Panicked { message }) => End::Failed(Error::Panic { stage, message }),
        Err(error) => End::Failed(Error::Stage {
            stage,
            source: Box::new(error),
        }),
    }
}
