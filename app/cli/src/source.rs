//! What SOURCE of the command line means: pictures, a folder of frames, a video, a screen or a window.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use stages::capture::frames::ENDINGS;
use toml_edit::{Array, Value};

use crate::failure::usage;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    Pictures(Vec<PathBuf>),
    Frames(PathBuf),
    Video(PathBuf),
    Screen { window: Option<String> },
}

const DESKTOP: &str = "this program was built without screen capture; build it with `cargo build --release --features desktop`, \
    or name a picture, a folder or a video";

impl Source {
    /// Reads the arguments of `narrate`; there is at least one.
    ///
    /// Errors: bad usage if they do not go together; a file that is not there.
    pub fn from_args(args: &[PathBuf]) -> Result<Self> {
        if let [one] = args {
            return Self::from_arg(one);
        }
        let is_other = |path: &&PathBuf| !matches!(Self::from_arg(path), Ok(Self::Pictures(_)) | Err(_));
        if let Some(other) = args.iter().find(is_other) {
            return Err(usage(format!(
                "{} must be the only source: only pictures can be several",
                other.display()
            )));
        }
        // What cannot be read is said when it is its turn, so that the others are narrated.
        Ok(Self::Pictures(args.iter().map(|path| absolute(path)).collect()))
    }

    fn from_arg(path: &Path) -> Result<Self> {
        let word = path.to_string_lossy();
        let window = word.strip_prefix("window:");
        if (word == "screen" || window.is_some()) && !path.exists() {
            if !cfg!(feature = "desktop") {
                return Err(usage(DESKTOP));
            }
            if window == Some("") {
                return Err(usage("window: needs a part of its title after it"));
            }
            return Ok(Self::Screen {
                window: window.map(str::to_owned),
            });
        }
        let shown = || format!("{} cannot be read", path.display());
        let metadata = std::fs::metadata(path).with_context(shown)?;
        let ending = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        let path = absolute(path);
        Ok(match metadata.is_dir() {
            true => Self::Frames(path),
            false if ENDINGS.contains(&ending.as_str()) || is_picture(&path) => Self::Pictures(vec![path]),
            false => Self::Video(path),
        })
    }

    /// Whether there is a screen that this program can capture.
    pub fn has_screen() -> bool {
        let is_set = |variable: &str| std::env::var_os(variable).is_some_and(|value| !value.is_empty());
        let has_display = !cfg!(target_os = "linux") || is_set("DISPLAY") || is_set("WAYLAND_DISPLAY");
        cfg!(feature = "desktop") && has_display
    }

    /// The keys of the stage that captures it.
    ///
    /// Errors: bad usage if it has no rate and one was given.
    pub fn keys(&self, fps: Option<f64>, is_live: bool) -> Result<Vec<(&'static str, Value)>> {
        let text = |path: &Path| Value::from(path.to_string_lossy().into_owned());
        let mut keys: Vec<(&'static str, Value)> = match self {
            Self::Pictures(paths) => {
                if fps.is_some() {
                    return Err(usage(
                        "--fps is for a screen, a folder or a video; pictures are taken once each",
                    ));
                }
                let paths = paths.iter().map(|path| text(path));
                vec![
                    ("type", "capture.file".into()),
                    ("path", Value::Array(Array::from_iter(paths))),
                ]
            }
            Self::Frames(path) => vec![
                ("type", "capture.frames".into()),
                ("path", text(path)),
                ("realtime", is_live.into()),
            ],
            Self::Video(path) => vec![
                ("type", "capture.video".into()),
                ("path", text(path)),
                ("realtime", is_live.into()),
            ],
            Self::Screen { window } => {
                let window = window.iter().map(|window| ("window", Value::from(window)));
                [("type", Value::from("capture.screen"))].into_iter().chain(window).collect()
            }
        };
        keys.extend(fps.map(|fps| ("fps", Value::from(fps))));
        Ok(keys)
    }
}

/// A path of the command line: it starts from the working directory wherever the configuration lies.
pub fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// A picture whose name does not say so; an empty file counts, for the right words about it.
fn is_picture(path: &Path) -> bool {
    use std::io::Read;
    let mut start = [0; 16];
    let n = std::fs::File::open(path)
        .and_then(|mut file| file.read(&mut start))
        .unwrap_or(0);
    let start = &start[..n];
    let magics: [&[u8]; 5] = [b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"RIFF"];
    let is_webp = !start.starts_with(b"RIFF") || start.get(8..12) == Some(b"WEBP");
    n == 0 || is_webp && magics.iter().any(|magic| start.starts_with(magic))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            path
        };
        let (png, clip) = (file("a.PNG", b"x"), file("clip.mp4", b"\0\0\0\x18ftyp"));
        let (unnamed, avi, empty) = (
            file("shot", b"\x89PNG\r\n"),
            file("clip", b"RIFF\0\0\0\0AVI "),
            file("nothing", b""),
        );
        let read = |paths: &[&PathBuf]| Source::from_args(&paths.iter().map(|path| path.to_path_buf()).collect::<Vec<_>>());
        assert_eq!(read(&[&png]).unwrap(), Source::Pictures(vec![png.clone()]));
        assert_eq!(read(&[&unnamed]).unwrap(), Source::Pictures(vec![unnamed.clone()]));
        assert_eq!(read(&[&empty]).unwrap(), Source::Pictures(vec![empty.clone()]));
        assert_eq!(read(&[&clip]).unwrap(), Source::Video(clip.clone()));
        assert_eq!(read(&[&avi]).unwrap(), Source::Video(avi));
        assert_eq!(
            read(&[&folder.path().to_owned()]).unwrap(),
            Source::Frames(folder.path().to_owned())
        );
        assert_eq!(read(&[&png, &unnamed]).unwrap(), Source::Pictures(vec![png.clone(), unnamed]));
        let mixed = read(&[&png, &clip]).unwrap_err();
        assert_eq!(crate::failure::exit_code(&mixed), 2, "{mixed}");
        let missing = read(&[&folder.path().join("no.png")]).unwrap_err();
        assert!(format!("{missing}").contains("no.png") && crate::failure::exit_code(&missing) == 1);
    }

    #[test]
    fn a_rate_is_for_what_has_one() {
        assert!(Source::Pictures(Vec::new()).keys(Some(1.0), false).is_err());
        let keys = Source::Frames("f".into()).keys(Some(0.5), true).unwrap();
        let of = |name: &str| keys.iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_string());
        assert_eq!((of("fps").as_deref(), of("realtime").as_deref()), (Some("0.5"), Some("true")));
    }
}
