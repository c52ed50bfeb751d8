//! Watches a run's stages: what ends, fails, panics or hangs, and what follows for the others.

use std::time::Duration;

use futures::StreamExt;
use futures::future::{Either, join, select};
use futures::stream::FuturesUnordered;

use super::supervised::Supervised;
use super::{Report, RunHandle};
use crate::error::Error;
use crate::packet::{Body, Event};
use crate::time::{Clock, Timestamp};

pub(super) struct Supervisor {
    pub running: Vec<Supervised>,
    pub handle: RunHandle,
    pub clock: Clock,
    pub deadline: Duration,
    pub metrics_every: Option<Duration>,
    /// When turns of a recorded run began.
    pub turns: Vec<(Timestamp, u64)>,
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
            turns,
        } = self;
        let mut cause = None;
        let mut late: Vec<_> = running.iter().map(|stage| stage.name.clone()).collect();
        let mut ends: FuturesUnordered<_> = running
            .into_iter()
            .map(|stage| async move { (stage.name.clone(), stage.run().await) })
            .collect();
        let timeout = async {
            handle.stop.asked().await;
            clock.sleep(deadline).await;
        };
        let mut timeout = std::pin::pin!(timeout);
        let metrics = tell_metrics(&handle, clock.clone(), metrics_every);
        let mut metrics = std::pin::pin!(join(metrics, begin_turns(&handle, clock.clone(), turns)));
        loop {
            let end = {
                let next = std::pin::pin!(ends.next());
                match select(next, select(&mut timeout, &mut metrics)).await {
                    Either::Left((end, _)) => end,
                    Either::Right(_) => break,
                }
            };
            let Some((name, result)) = end else { break };
            late.retain(|other| *other != name);
            match result {
                Ok(()) => handle.hub.tell(Body::Event(Event::StageEnded { stage: name })),
                Err(error) => {
                    // The first failure is the cause; the others may follow from it.
                    cause.get_or_insert(error);
                    handle.stop.ask();
                }
            }
        }
        // What is still at work is aborted.
        drop(ends);
        for name in &late {
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

/// Begins the turns of a recorded run at their times; never ends.
async fn begin_turns(handle: &RunHandle, clock: Clock, turns: Vec<(Timestamp, u64)>) {
    for (time, turn) in turns {
        clock.sleep_until(time).await;
        handle.turn.reach(turn);
    }
    std::future::pending().await
}
