//! `capture.video`: a video file, decoded by an installed `ffmpeg`.

use std::path::PathBuf;
use std::sync::Arc;

use pipeline::actor::{Context, Stage};
use pipeline::error::{Fault, StageError};
use pipeline::packet::PacketKind;
use pipeline::registry::{BuildContext, CheckContext, Factory, Registry};
use pipeline::spawn;
use serde::Deserialize;

use super::ffmpeg::Ffmpeg;
use super::file::{frame, label_of};
use super::pace::{Pace, Place, fault_of_fps};
use crate::env::Env;
use crate::error::Result;

/// The keys of `capture.video`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CaptureVideoConfig {
    /// The file, relative to the configuration.
    pub path: PathBuf,
    /// Frames that are taken of a second: 2.
    pub fps: f64,
    /// Send frames at their time (on), or as fast as the graph takes them (off). On. Off wants links that wait.
    pub realtime: bool,
    /// The program: `ffmpeg`.
    pub ffmpeg: String,
}

impl Default for CaptureVideoConfig {
    fn default() -> Self {
        Self {
            path: PathBuf::new(),
            fps: 2.0,
            realtime: true,
            ffmpeg: "ffmpeg".to_owned(),
        }
    }
}

/// Plays a video. A restart keeps which frame is next and when the first one was due; the frames before it are decoded again and
/// passed over.
pub struct CaptureVideo {
    path: PathBuf,
    config: CaptureVideoConfig,
}

impl Stage for CaptureVideo {
    async fn run(self, ctx: Context) -> Result<(), StageError> {
        let CaptureVideoConfig {
            fps, realtime, ffmpeg, ..
        } = self.config;
        let label = label_of(&self.path);
        let mut place = Place::of(&ctx);
        let started = spawn::blocking(move || Ffmpeg::start(&ffmpeg, &self.path, fps)).await;
        let mut video = started.map_err(StageError::fatal)?;
        for _ in 0..place.index {
            let (passed, back) = spawn::blocking(move || (video.next_frame(), video)).await;
            video = back;
            if passed?.is_none() {
                return Ok(());
            }
        }
        let pace = Pace::new(fps, realtime, place.start);
        while let Some(stamp) = pace.stamp(place.index, &ctx).await {
            let (next, back) = spawn::blocking(move || (video.next_frame(), video)).await;
            video = back;
            let next = match next {
                Ok(next) => next,
                // What is no video does not become one.
                Err(error) if place.index == 0 => return Err(StageError::fatal(error)),
                Err(error) => return Err(error.into()),
            };
            let Some(picture) = next else { break };
            ctx.send(frame(picture, place.index, label.clone(), stamp), stamp).await?;
            place.next(&ctx);
        }
        Ok(())
    }
}

pub(super) fn register(registry: &mut Registry, env: &Arc<Env>) {
    let env = env.clone();
    let build = move |config: CaptureVideoConfig, _: &BuildContext<'_>| {
        Ok(CaptureVideo {
            path: env.path(&config.path),
            config,
        })
    };
    let check = |config: &CaptureVideoConfig, _: &CheckContext<'_>| {
        let mut faults: Vec<Fault> = fault_of_fps(config.fps).into_iter().collect();
        if config.path.as_os_str().is_empty() {
            faults.push(Fault::new("path", "is missing", "a video file"));
        }
        faults
    };
    registry.add("capture.video", Factory::new(build).gives(&[PacketKind::Frame]).check(check));
}
