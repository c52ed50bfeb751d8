//! `capture.file`: picture files, each once.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use pipeline::actor::{Context, Stage, Stamp};
use pipeline::error::{Fault, StageError};
use pipeline::packet::{Body, Frame, FrameRef, PacketKind};
use pipeline::registry::{BuildContext, CheckContext, Factory, Registry};
use pipeline::spawn;
use serde::Deserialize;

use super::picture::{MAX_BYTES, Picture, picture_from_bytes};
use crate::env::Env;
use crate::error::{Error, Result};

/// The keys of `capture.file`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CaptureFileConfig {
    /// A file, or a list of files; relative to the configuration.
    pub path: OneOrMany,
}

/// A path, or a list of them.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum OneOrMany {
    One(PathBuf),
    Many(Vec<PathBuf>),
}

impl Default for OneOrMany {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl OneOrMany {
    pub(super) fn paths(&self) -> &[PathBuf] {
        match self {
            Self::One(path) => std::slice::from_ref(path),
            Self::Many(paths) => paths,
        }
    }
}

/// Sends each file as a frame. A file that cannot be read does not keep the others from being sent; the stage fails
/// after the last one. A restart keeps which file is next and that one could not be read: none is left out or sent twice.
pub struct CaptureFile {
    paths: Vec<PathBuf>,
}

impl Stage for CaptureFile {
    async fn run(self, ctx: Context) -> Result<(), StageError> {
        let mut place = ctx.kept_or(Place::default);
        while let Some(path) = self.paths.get(place.index).cloned() {
            if ctx.is_stopping() {
                break;
            }
            let label = label_of(&path);
            match spawn::blocking(move || read_picture(&path)).await {
                Ok(picture) => {
                    let stamp = ctx.stamp();
                    ctx.send(frame(picture, place.index as u64, label, stamp), stamp).await?;
                }
                Err(error) => {
                    ctx.reporter().warn(pipeline::error::chain(&error));
                    place.first_error.get_or_insert(Arc::new(error));
                }
            }
            place.index += 1;
            ctx.keep(place.clone());
        }
        place.first_error.map_or(Ok(()), |error| Err(StageError::fatal(error)))
    }
}

/// Where the stage is.
#[derive(Clone, Default)]
struct Place {
    /// Of the next file.
    index: usize,
    first_error: Option<Arc<Error>>,
}

/// Reads and decodes a file. Blocks.
///
/// Errors: [`Error::Read`]; [`Error::InFile`] with those of [`picture_from_bytes`].
pub fn read_picture(path: &Path) -> Result<Picture> {
    let read = |error| Error::Read {
        path: path.to_owned(),
        source: error,
    };
    let inside = |error| Error::InFile {
        path: path.to_owned(),
        source: Box::new(error),
    };
    let size_bytes = std::fs::metadata(path).map_err(read)?.len();
    if size_bytes > MAX_BYTES {
        return Err(inside(Error::TooManyBytes {
            size_bytes,
            max_bytes: MAX_BYTES,
        }));
    }
    let bytes = std::fs::read(path).map_err(read)?;
    picture_from_bytes(&bytes).map_err(inside)
}

/// The file's stem.
pub(crate) fn label_of(path: &Path) -> Arc<str> {
    path.file_stem().map(|stem| stem.to_string_lossy()).unwrap_or_default().into()
}

pub(crate) fn frame(picture: Picture, index: u64, label: Arc<str>, stamp: Stamp) -> Body {
    let Picture { width, height, rgb } = picture;
    let about = FrameRef {
        index,
        label,
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

pub(super) fn register(registry: &mut Registry, env: &Arc<Env>) {
    let env = env.clone();
    let build = move |config: CaptureFileConfig, _: &BuildContext<'_>| {
        let paths = config.path.paths().iter().map(|path| env.path(path)).collect();
        Ok(CaptureFile { paths })
    };
    let check = |config: &CaptureFileConfig, _: &CheckContext<'_>| match config.path.paths() {
        [] => vec![Fault::new("path", "names no file", "a path, or a list of paths")],
        _ => Vec::new(),
    };
    registry.add("capture.file", Factory::new(build).gives(&[PacketKind::Frame]).check(check));
}
