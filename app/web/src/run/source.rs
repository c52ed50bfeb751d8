//! The stages `capture.*` in the tab: whatever source a configuration names, its pictures are those that the person gave the
//! page, and its keys mean what they mean in the program.

use std::sync::Arc;

use async_channel::{Receiver, Sender};
use pipeline::actor::{Context, Stage, Stamp};
use pipeline::error::StageError;
use pipeline::packet::{Body, Frame, FrameRef, PacketKind};
use pipeline::registry::{BuildContext, CheckContext, Factory, Registry};
use serde::Deserialize;
use stages::capture::pace::{Pace, Place, fault_of_fps};
use stages::capture::picture::{Picture, picture_from_bytes};

use crate::protocol::ToPage;
use crate::run::error::Error;

/// Types of source that the page stands in for.
pub const TYPES: [&str; 4] = ["capture.frames", "capture.screen", "capture.file", "capture.video"];

/// Picture files: their names, and their bytes.
pub type PictureFiles = Arc<[(String, Vec<u8>)]>;

/// Where a run's pictures come from.
#[derive(Clone)]
pub enum Shots {
    /// The page is asked (`want`) for each; `None` when nothing is shared any more.
    Shared {
        want: Sender<ToPage>,
        shots: Receiver<Option<Picture>>,
    },
    Files(PictureFiles),
}

impl Shots {
    /// Nothing is looked at.
    pub fn nothing() -> Self {
        Self::Files(Arc::from([]))
    }
}

/// The keys of all `capture.*`. What says where a source is has no meaning in the tab.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct PageSourceConfig {
    fps: f64,
    repeat: bool,
    realtime: bool,
    path: Option<toml::Value>,
    window: Option<String>,
    monitor: Option<usize>,
}

impl Default for PageSourceConfig {
    fn default() -> Self {
        Self {
            fps: 2.0,
            repeat: false,
            realtime: true,
            path: None,
            window: None,
            monitor: None,
        }
    }
}

/// Gives the person's pictures. A restart goes on with the one that was not sent.
struct PageSource {
    shots: Shots,
    config: PageSourceConfig,
}

impl Stage for PageSource {
    async fn run(self, ctx: Context) -> Result<(), StageError> {
        match &self.shots {
            Shots::Shared { want, shots } => self.shared(&ctx, want, shots).await,
            Shots::Files(files) => self.files(&ctx, files).await,
        }
    }
}

impl PageSource {
    async fn shared(&self, ctx: &Context, want: &Sender<ToPage>, shots: &Receiver<Option<Picture>>) -> Result<(), StageError> {
        let mut place = Place::of(ctx);
        let pace = Pace::new(self.config.fps, true, place.start);
        while pace.stamp(place.index, ctx).await.is_some() {
            // What was asked for before a restart is old.
            while shots.try_recv().is_ok() {}
            if want.send(ToPage::WantShot).await.is_err() {
                break;
            }
            let stamp = ctx.stamp();
            let Some(Ok(Some(picture))) = ctx.or_stop(ctx.waiting(shots.recv())).await else {
                break;
            };
            ctx.send(frame(picture, place.index, "", stamp), stamp).await?;
            place.next(ctx);
        }
        Ok(())
    }

    async fn files(&self, ctx: &Context, files: &[(String, Vec<u8>)]) -> Result<(), StageError> {
        let mut place = Place::of(ctx);
        let pace = Pace::new(self.config.fps, self.config.realtime, place.start);
        let n_files = files.len() as u64;
        while n_files > 0 && (self.config.repeat || place.index < n_files) {
            let Some(stamp) = pace.stamp(place.index, ctx).await else {
                break;
            };
            let (name, bytes) = &files[(place.index % n_files) as usize];
            let picture = picture_from_bytes(bytes).map_err(|error| StageError::fatal(Error::from(error)))?;
            ctx.send(frame(picture, place.index, name, stamp), stamp).await?;
            place.next(ctx);
        }
        Ok(())
    }
}

fn frame(picture: Picture, index: u64, label: &str, stamp: Stamp) -> Body {
    let Picture { width, height, rgb } = picture;
    let about = FrameRef {
        index,
        label: label.into(),
        pts: stamp.pts,
    };
    Body::Frame(Frame {
        about,
        width,
        height,
        rgb: rgb.into(),
        changed: None,
    })
}

/// RGB of what a canvas gives, which is opaque: alpha is left out.
pub fn picture_from_rgba(width: u32, height: u32, rgba: &[u8]) -> Picture {
    let rgb = rgba
        .chunks_exact(4)
        .flat_map(|pixel| [pixel[0], pixel[1], pixel[2]])
        .collect();
    Picture { width, height, rgb }
}

/// Registers all `capture.*` with these pictures.
pub fn register(registry: &mut Registry, shots: &Shots) {
    for name in TYPES {
        let shots = shots.clone();
        let build = move |config: PageSourceConfig, _: &BuildContext<'_>| {
            let shots = shots.clone();
            Ok(PageSource { shots, config })
        };
        let check = |config: &PageSourceConfig, _: &CheckContext<'_>| fault_of_fps(config.fps).into_iter().collect();
        registry.add(name, Factory::new(build).gives(&[PacketKind::Frame]).check(check));
    }
}
