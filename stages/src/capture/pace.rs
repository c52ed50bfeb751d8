//! When a source sends its frames: at its rate in the run's time, or as fast as the graph takes them.

use std::time::Duration;

use pipeline::actor::{Context, Stamp};
use pipeline::error::Fault;
use pipeline::time::Timestamp;

/// Where a source is; it keeps this over restarts, and goes on with the frame that it had not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The next frame, from 0.
    pub index: u64,
    /// When the source began.
    pub start: Timestamp,
}

impl Place {
    /// Where the source was before it was restarted, or its beginning.
    pub fn of(ctx: &Context) -> Self {
        ctx.kept_or(|| Self {
            index: 0,
            start: ctx.now(),
        })
    }

    /// The frame was sent.
    pub fn next(&mut self, ctx: &Context) {
        self.index += 1;
        ctx.keep(*self);
    }
}

/// The pace of a source of recorded frames.
pub struct Pace {
    fps: f64,
    realtime: bool,
    start: Timestamp,
}

impl Pace {
    /// `fps` must be a positive number: see [`fault_of_fps`].
    pub fn new(fps: f64, realtime: bool, start: Timestamp) -> Self {
        Self { fps, realtime, start }
    }

    /// Waits for the time of frame `index` and gives its stamp; `None` if the run stops before.
    pub async fn stamp(&self, index: u64, ctx: &Context) -> Option<Stamp> {
        let time = Duration::try_from_secs_f64(index as f64 / self.fps).unwrap_or(Duration::MAX);
        if !self.realtime {
            let pts = Timestamp(time);
            return (!ctx.is_stopping()).then(|| Stamp {
                pts,
                turn: ctx.current_turn(),
            });
        }
        let pts = Timestamp(self.start.0.saturating_add(time));
        ctx.or_stop(ctx.sleep_until(pts)).await?;
        Some(Stamp {
            pts,
            turn: ctx.current_turn(),
        })
    }
}

/// What is wrong with a rate, if anything is.
pub fn fault_of_fps(fps: f64) -> Option<Fault> {
    let ok = fps.is_finite() && (0.001..=1000.0).contains(&fps);
    (!ok).then(|| Fault::new("fps", format!("is {fps}"), "frames a second, from 0.001 to 1000"))
}
