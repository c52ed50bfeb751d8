//! `vision.encode`: frames become embeddings on an engine.

use std::sync::Arc;

use gpu::protocol::EncodeRequest;
use pipeline::actor::{Context, Stage};
use pipeline::error::{Fault, StageError};
use pipeline::packet::{Body, Features, Frame, PacketKind};
use pipeline::registry::{BuildContext, Factory, Need, Registry};
use pipeline::spawn;
use serde::Deserialize;

use super::resize::{PixelLimits, Size, image_size, resize_rgb, video_size};
use crate::env::{Env, OnEngine};
use crate::error::Result;

/// The keys of `vision.encode`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EncodeConfig {
    /// Encode each frame together with the one before, as a video of two frames: off.
    pub pairs: bool,
    /// Pixels that a picture is reduced to, if the model's own bound is larger. 1280×720 is 921,600. None: the model's.
    pub max_pixels: Option<u64>,
}

/// Resizes and encodes frames. A restart keeps the frame before, for pairs; the one in hand is encoded again with `retry`.
pub struct Encode {
    config: EncodeConfig,
    model: OnEngine,
    /// The last frame, for pairs.
    before: Option<Frame>,
}

impl Stage for Encode {
    async fn run(mut self, ctx: Context) -> Result<(), StageError> {
        let cap = |limits: PixelLimits| {
            let max_pixels = limits.max_pixels.min(self.config.max_pixels.unwrap_or(u64::MAX));
            PixelLimits {
                min_pixels: limits.min_pixels.min(max_pixels),
                max_pixels,
            }
        };
        let (images, videos) = (cap(self.model.text.image_limits), cap(self.model.text.video_limits));
        self.before = ctx.kept().unwrap_or_default();
        while let Some(packet) = ctx.recv().await {
            let stamp = packet.stamp();
            let Body::Frame(frame) = packet.body else { continue };
            let before = if self.config.pairs {
                self.before.replace(frame.clone())
            } else {
                None
            };
            // A window that was resized has no frame before it.
            let before = before.filter(|b| (b.width, b.height) == (frame.width, frame.height));
            let (about, about_before) = (frame.about.clone(), before.as_ref().map(|b| b.about.clone()));
            let prepared = spawn::blocking(move || match before {
                None => prepare(&[&frame], |from| image_size(from, images)),
                Some(before) => prepare(&[&before, &frame], |from| video_size(from, 2, videos)),
            });
            let Prepared { frames, n_frames, size } = prepared.await?;
            let request = EncodeRequest {
                model: self.model.info.id,
                frames,
                n_frames,
                height: size.height as usize,
                width: size.width as usize,
            };
            let features = self.model.engine.encode(request).await?;
            let grid_thw = features.grid_thw;
            let body = Features {
                about,
                before: about_before,
                grid_thw,
                handle: Arc::new(features),
            };
            ctx.send(Body::Features(body), stamp).await?;
            if self.config.pairs {
                ctx.commit(self.before.clone());
            }
        }
        Ok(())
    }
}

/// Frames as the engine takes them.
struct Prepared {
    /// `[n_frames, height, width, 3]` u8.
    frames: Arc<[u8]>,
    n_frames: usize,
    size: Size,
}

/// Resizes frames of one size and joins them.
fn prepare(frames: &[&Frame], size_of: impl Fn(Size) -> Result<Size>) -> Result<Prepared> {
    let mut joined = Vec::new();
    let mut size = Size { height: 0, width: 0 };
    for frame in frames {
        let from = Size {
            height: frame.height,
            width: frame.width,
        };
        size = size_of(from)?;
        joined.extend(resize_rgb(&frame.rgb, from, size)?);
    }
    Ok(Prepared {
        frames: joined.into(),
        n_frames: frames.len(),
        size,
    })
}

pub(super) fn register(registry: &mut Registry, env: &Arc<Env>) {
    let env = env.clone();
    let build = move |config: EncodeConfig, context: &BuildContext<'_>| {
        Ok(Encode {
            config,
            model: env.on_engine(context)?,
            before: None,
        })
    };
    let factory = Factory::new(build)
        .input("frames", &[PacketKind::Frame])
        .gives(&[PacketKind::Features])
        .model(Need::Required)
        .engine(Need::Required)
        .check(|config, _| match config.max_pixels {
            Some(0..1024) => vec![Fault::new("max_pixels", "is too small", "pixels, from 1024")],
            _ => Vec::new(),
        });
    registry.add("vision.encode", factory);
}
