//! `vision.changes`: lets frames pass that show something new, and marks the tiles that changed.

use std::sync::Arc;

use pipeline::actor::{Context, Stage};
use pipeline::error::{Fault, StageError};
use pipeline::packet::{Body, ChangedTiles, Frame, PacketKind};
use pipeline::registry::{Factory, Registry};
use pipeline::spawn;
use serde::Deserialize;

use super::difference::{Threshold, difference};

/// The keys of `vision.changes`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChangesConfig {
    /// Side of a tile in pixels: 32.
    pub tile_px: u32,
    /// Levels of 255 by which a channel of a pixel must differ to count as changed: more than 8.
    pub levels: u8,
    /// Changed pixels that a frame needs to pass: 1. 64 lets a blinking text caret pass for nothing new.
    pub min_changed_px: u64,
}

impl Default for ChangesConfig {
    fn default() -> Self {
        Self {
            tile_px: 32,
            levels: 8,
            min_changed_px: 1,
        }
    }
}

/// Compares each frame with the last one that passed, so that slow changes add up until they show. A restart keeps that frame.
pub struct Changes {
    config: ChangesConfig,
    last: Option<Frame>,
}

/// What becomes of a frame.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// The first of its size.
    First,
    Changed(ChangedTiles),
    NothingNew,
}

impl Changes {
    pub fn new(config: ChangesConfig) -> Self {
        Self { config, last: None }
    }

    /// The frame with its changed tiles marked, or `None` if it shows nothing new.
    pub fn step(&mut self, mut frame: Frame) -> Option<Frame> {
        let verdict = verdict(&self.config, self.last.as_ref(), &frame);
        frame.changed = match verdict {
            Verdict::NothingNew => return None,
            Verdict::First => None,
            Verdict::Changed(tiles) => Some(Arc::new(tiles)),
        };
        self.last = Some(frame.clone());
        Some(frame)
    }
}

fn verdict(config: &ChangesConfig, last: Option<&Frame>, frame: &Frame) -> Verdict {
    let Some(last) = last.filter(|last| (last.width, last.height) == (frame.width, frame.height)) else {
        return Verdict::First;
    };
    let threshold = Threshold {
        tile_px: config.tile_px,
        levels: config.levels,
    };
    match difference(&last.rgb, &frame.rgb, frame.width, frame.height, threshold) {
        Some(found) if found.n_changed_px < config.min_changed_px.max(1) => Verdict::NothingNew,
        Some(found) => Verdict::Changed(found.tiles),
        // Pixels that do not fit their size: for the next stage to complain about.
        None => Verdict::First,
    }
}

impl Stage for Changes {
    async fn run(mut self, ctx: Context) -> Result<(), StageError> {
        self.last = ctx.kept().unwrap_or_default();
        while let Some(packet) = ctx.recv().await {
            let stamp = packet.stamp();
            let Body::Frame(frame) = packet.body else { continue };
            let (passed, back) = spawn::blocking(move || (self.step(frame), self)).await;
            self = back;
            if let Some(frame) = passed {
                ctx.send(Body::Frame(frame), stamp).await?;
                ctx.commit(self.last.clone());
            }
        }
        Ok(())
    }
}

pub(super) fn register(registry: &mut Registry) {
    let factory = Factory::new(|config: ChangesConfig, _: &_| Ok(Changes::new(config)))
        .input("frames", &[PacketKind::Frame])
        .gives(&[PacketKind::Frame])
        .check(|config, _| match config.tile_px {
            8..=512 => Vec::new(),
            other => vec![Fault::new("tile_px", format!("is {other}"), "pixels, from 8 to 512")],
        });
    registry.add("vision.changes", factory);
}

#[cfg(test)]
mod tests {
    use pipeline::packet::FrameRef;
    use pipeline::time::Timestamp;

    use super::*;

    fn frame(index: u64, width: u32, value: impl Fn(usize) -> u8) -> Frame {
        let about = FrameRef {
            index,
            label: "".into(),
            pts: Timestamp::default(),
        };
        let rgb: Vec<u8> = (0..width as usize * 64 * 3).map(value).collect();
        Frame {
            about,
            width,
            height: 64,
            rgb: rgb.into(),
            changed: None,
        }
    }

    #[test]
    fn nothing_new_is_dropped_and_changes_are_marked() {
        let mut changes = Changes::new(ChangesConfig::default());
        assert_eq!(changes.step(frame(0, 64, |_| 0)).unwrap().changed, None);
        assert!(changes.step(frame(1, 64, |_| 8)).is_none());
        let passed = changes.step(frame(2, 64, |i| if i == 40 * 3 { 9 } else { 0 })).unwrap();
        assert_eq!(passed.changed.unwrap().changed, [false, true, false, false]);
        assert_eq!(
            changes.step(frame(3, 32, |_| 0)).unwrap().changed,
            None,
            "another size is a first frame"
        );
    }

    #[test]
    fn slow_changes_add_up() {
        let mut changes = Changes::new(ChangesConfig::default());
        let passed: Vec<u64> = (0..20)
            .filter_map(|n| changes.step(frame(n, 64, |_| n as u8 * 3)))
            .map(|f| f.about.index)
            .collect();
        assert_eq!(passed, [0, 3, 6, 9, 12, 15, 18]);
    }

    #[test]
    fn a_caret_can_be_let_pass_for_nothing() {
        let mut changes = Changes::new(ChangesConfig {
            min_changed_px: 64,
            ..ChangesConfig::default()
        });
        changes.step(frame(0, 64, |_| 0));
        assert!(changes.step(frame(1, 64, |i| if i < 63 * 3 { 255 } else { 0 })).is_none());
        assert!(changes.step(frame(2, 64, |i| if i < 64 * 3 { 255 } else { 0 })).is_some());
    }
}
