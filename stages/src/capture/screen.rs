//! `capture.screen`: a monitor or a window, through `xcap` (feature `desktop`).

use pipeline::actor::{Context, Stage};
use pipeline::error::StageError;
use pipeline::packet::PacketKind;
use pipeline::registry::{BuildContext, CheckContext, Factory, Registry};
use pipeline::spawn;
use serde::Deserialize;

use super::file::frame;
use super::pace::{Pace, Place, fault_of_fps};
use super::picture::Picture;
use crate::error::{Error, Result};

/// The keys of `capture.screen`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CaptureScreenConfig {
    /// Frames a second: 2.
    pub fps: f64,
    /// Part of a window's title or application. None: a whole monitor.
    pub window: Option<String>,
    /// Which monitor, from 0. None: the primary one.
    pub monitor: Option<usize>,
}

impl Default for CaptureScreenConfig {
    fn default() -> Self {
        Self {
            fps: 2.0,
            window: None,
            monitor: None,
        }
    }
}

/// Captures a screen. A restart keeps the numbers and times of frames; what the screen showed meanwhile is lost.
pub struct CaptureScreen {
    config: CaptureScreenConfig,
}

impl Stage for CaptureScreen {
    async fn run(self, ctx: Context) -> Result<(), StageError> {
        let mut place = Place::of(&ctx);
        let pace = Pace::new(self.config.fps, true, place.start);
        while let Some(_due) = pace.stamp(place.index, &ctx).await {
            let config = self.config.clone();
            let stamp = ctx.stamp();
            let grabbed = spawn::blocking(move || grab(&config)).await;
            let (label, picture) = match grabbed {
                Ok(grabbed) => grabbed,
                // A screen that was never there does not come.
                Err(error) if place.index == 0 => return Err(StageError::fatal(error)),
                Err(error) => return Err(error.into()),
            };
            ctx.send(frame(picture, place.index, label.into(), stamp), stamp).await?;
            place.next(&ctx);
        }
        Ok(())
    }
}

/// Whether a screen can be captured here.
///
/// Errors: [`Error::NoScreen`] with the reason why not.
pub fn probe() -> Result<()> {
    grab(&CaptureScreenConfig::default()).map(|_| ())
}

/// One picture of what `config` names, and its title.
#[cfg(not(feature = "desktop"))]
fn grab(_: &CaptureScreenConfig) -> Result<(String, Picture)> {
    let reason = "this program was built without the feature `desktop`; build it with `--features desktop`, or narrate files";
    Err(Error::NoScreen {
        reason: reason.to_owned(),
    })
}

#[cfg(feature = "desktop")]
fn grab(config: &CaptureScreenConfig) -> Result<(String, Picture)> {
    let fail = |error: xcap::XCapError| Error::NoScreen {
        reason: error.to_string(),
    };
    let (label, image) = match &config.window {
        Some(wanted) => {
            let wanted = wanted.to_lowercase();
            let windows = xcap::Window::all().map_err(fail)?;
            let name = |window: &xcap::Window| (window.title().unwrap_or_default(), window.app_name().unwrap_or_default());
            let found = windows.iter().find(|window| {
                let (title, app) = name(window);
                title.to_lowercase().contains(&wanted) || app.to_lowercase().contains(&wanted)
            });
            let window = found.ok_or_else(|| {
                let titles: Vec<String> = windows
                    .iter()
                    .map(|window| name(window).0)
                    .filter(|t| !t.is_empty())
                    .collect();
                Error::NoScreen {
                    reason: format!("no window is called {wanted}; there are: {}", titles.join(", ")),
                }
            })?;
            (name(window).0, window.capture_image().map_err(fail)?)
        }
        None => {
            let monitors = xcap::Monitor::all().map_err(fail)?;
            let primary = || monitors.iter().find(|m| m.is_primary().unwrap_or(false)).or(monitors.first());
            let monitor = config
                .monitor
                .map_or_else(primary, |index| monitors.get(index))
                .ok_or_else(|| Error::NoScreen {
                    reason: format!("there are {} monitors", monitors.len()),
                })?;
            (monitor.name().unwrap_or_default(), monitor.capture_image().map_err(fail)?)
        }
    };
    let (width, height) = image.dimensions();
    let rgb = image
        .as_raw()
        .chunks_exact(4)
        .flat_map(|pixel| [pixel[0], pixel[1], pixel[2]])
        .collect();
    Ok((label, Picture { width, height, rgb }))
}

pub(super) fn register(registry: &mut Registry) {
    let build = |config: CaptureScreenConfig, _: &BuildContext<'_>| Ok(CaptureScreen { config });
    let check = |config: &CaptureScreenConfig, _: &CheckContext<'_>| fault_of_fps(config.fps).into_iter().collect();
    registry.add("capture.screen", Factory::new(build).gives(&[PacketKind::Frame]).check(check));
}
