//! `capture.frames`: the pictures of a folder in the order of their names.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use pipeline::actor::{Context, Stage};
use pipeline::error::{Fault, StageError};
use pipeline::packet::PacketKind;
use pipeline::registry::{BuildContext, CheckContext, Factory, Registry};
use pipeline::spawn;
use serde::Deserialize;

use super::file::{frame, label_of, read_picture};
use super::pace::{Pace, Place, fault_of_fps};
use crate::env::Env;
use crate::error::{Error, Result};

/// File name endings that count as pictures.
pub const ENDINGS: [&str; 6] = ["png", "jpg", "jpeg", "webp", "gif", "bmp"];

/// The keys of `capture.frames`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CaptureFramesConfig {
    /// The folder, relative to the configuration.
    pub path: PathBuf,
    /// Frames a second: 2.
    pub fps: f64,
    /// Begin again after the last frame: off.
    pub repeat: bool,
    /// Send frames at their time (on), or as fast as the graph takes them (off). On. Off wants links that wait.
    pub realtime: bool,
}

impl Default for CaptureFramesConfig {
    fn default() -> Self {
        Self {
            path: PathBuf::new(),
            fps: 2.0,
            repeat: false,
            realtime: true,
        }
    }
}

/// Plays a folder of frames. A restart keeps which frame is next and when the first one was due: none is left out or sent twice.
pub struct CaptureFrames {
    folder: PathBuf,
    config: CaptureFramesConfig,
}

impl Stage for CaptureFrames {
    async fn run(self, ctx: Context) -> Result<(), StageError> {
        let folder = self.folder;
        let paths = spawn::blocking(move || pictures_in(&folder))
            .await
            .map_err(StageError::fatal)?;
        let mut place = Place::of(&ctx);
        let pace = Pace::new(self.config.fps, self.config.realtime, place.start);
        let n_paths = paths.len() as u64;
        while self.config.repeat || place.index < n_paths {
            let Some(stamp) = pace.stamp(place.index, &ctx).await else {
                break;
            };
            let path = paths[(place.index % n_paths) as usize].clone();
            let label = label_of(&path);
            let picture = spawn::blocking(move || read_picture(&path))
                .await
                .map_err(StageError::fatal)?;
            ctx.send(frame(picture, place.index, label, stamp), stamp).await?;
            place.next(&ctx);
        }
        Ok(())
    }
}

/// The pictures of a folder, by name. Blocks.
///
/// Errors: [`Error::Read`] if the folder cannot be listed; [`Error::NoPictures`] if there are none.
pub fn pictures_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let fail = |source| Error::Read {
        path: folder.to_owned(),
        source,
    };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        let ending = path
            .extension()
            .map(|ending| ending.to_string_lossy().to_lowercase())
            .unwrap_or_default();
        if ENDINGS.contains(&ending.as_str()) && path.is_file() {
            paths.push(path);
        }
    }
    if paths.is_empty() {
        return Err(Error::NoPictures { path: folder.to_owned() });
    }
    paths.sort();
    Ok(paths)
}

pub(super) fn register(registry: &mut Registry, env: &Arc<Env>) {
    let env = env.clone();
    let build = move |config: CaptureFramesConfig, _: &BuildContext<'_>| {
        Ok(CaptureFrames {
            folder: env.path(&config.path),
            config,
        })
    };
    let check = |config: &CaptureFramesConfig, _: &CheckContext<'_>| {
        let mut faults: Vec<Fault> = fault_of_fps(config.fps).into_iter().collect();
        if config.path.as_os_str().is_empty() {
            faults.push(Fault::new("path", "is missing", "a folder of pictures"));
        }
        faults
    };
    registry.add("capture.frames", Factory::new(build).gives(&[PacketKind::Frame]).check(check));
}
