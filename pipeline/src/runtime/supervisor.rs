//! Watches a run's stages: what ends, fails, panics or hangs, and what follows for the others.

use std::time::Duration;

use futures::StreamExt;
use futures::future::{Either, select};
use futures::stream::FuturesUnordered;

use super::{Report, RunHandle, cause_of};
use crate::error::{Error, StageError, chain};
use crate::packet::{Body, Event};
use crate::spawn::{Task, TaskError};
use crate::time::Clock;

/// A stage that has been started.
pub(super) struct Running {
    pub name: String,
    pub task: Task<Result<(), StageError>>,
}

pub(super) struct Supervisor {
    pub running: Vec<Running>,
    pub handle: RunHandle,
    pub clock: Clock,
    pub deadline: Duration,
    pub metrics_every: Option<Duration>,
}

impl Supervisor {
    /// Waits until every stage has ended, or the deadline after a stop or a failure.
    pub async fn run(self) -> Result<Report, Error> {
        let Self {
            running,
            handle,
            clock,
            deadline,
            metrics_every,
        } = self;
        let mut cause = None;
        let mut aborts: Vec<_> = running
            .iter()
            .map(|stage| (stage.name.clone(), stage.task.abort_handle()))
            .collect();
        let mut ends: FuturesUnordered<_> = running
            .into_iter()
            .map(|Running { name, task }| async move { (name, task.await) })
            .collect();
        let timeout = async {
            handle.stop.asked().await;
            clock.sleep(deadline).await;
        };
        let mut timeout = std::pin::pin!(timeout);
        let mut metrics = std::pin::pin!(tell_metrics(&handle, clock.clone(), metrics_every));
        loop {
            let end = {
                let next = std::pin::pin!(ends.next());
                match select(next, select(&mut timeout, &mut metrics)).await {
                    Either::Left((end, _)) => end,
                    Either::Right(_) => break,
                }
            };
            let Some((name, result)) = end else { break };
            aborts.retain(|(other, _)| *other != name);
            match failure_of(&name, result) {
                None => handle.hub.tell(Body::Event(Event::StageEnded { stage: name })),
                Some(error) => {
                    let message = chain(&error);
                    handle.hub.tell(Body::Event(Event::StageFailed { stage: name, message }));
                    // The first failure is the cause; the others may follow from it.
                    cause.get_or_insert(error);
                    handle.stop.ask();
                }
            }
        }
        let late: Vec<String> = aborts.iter().map(|(name, _)| name.clone()).collect();
        for (name, abort) in &aborts {
            abort.abort();
            let message = format!("did not end within {} ms and was aborted", deadline.as_millis());
            handle.hub.tell(Body::Event(Event::StageFailed {
                stage: name.clone(),
                message,
            }));
        }
        for metric in handle.report().metrics() {
            handle.hub.tell(Body::Metric(metric));
        }
        handle.hub.close();
        match cause {
            Some(error) => Err(error),
            None if !late.is_empty() => Err(Error::Deadline { stages: late, deadline }),
            None => Ok(handle.report()),
        }
    }
}

fn failure_of(name: &str, result: Result<Result<(), StageError>, TaskError>) -> Option<Error> {
    let stage = name.to_owned();
    match result {
        Ok(Ok(()) | Err(StageError::Closed)) => None,
        Ok(Err(error)) => Some(Error::Stage {
            stage,
            source: cause_of(error),
        }),
        Err(TaskError::Panicked { message }) => Some(Error::Panic { stage, message }),
        Err(error) => Some(Error::Stage {
            stage,
            source: Box::new(error),
        }),
    }
}

async fn tell_metrics(handle: &RunHandle, clock: Clock, every: Option<Duration>) {
    let Some(every) = every else {
        return std::future::pending().await;
    };
    loop {
        clock.sleep(every).await;
        for metric in handle.report().metrics() {
            handle.hub.tell(Body::Metric(metric));
        }
    }
}
