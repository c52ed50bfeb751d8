//! `vision.brightness`: says of each picture how bright it is. The example of `docs/own-stage.md`, not a stage of the program.

use pipeline::actor::{Context, Stage};
use pipeline::error::{Fault, StageError};
use pipeline::packet::{Body, Finish, Frame, PacketKind, Text};
use pipeline::registry::{Factory, Registry};
use serde::Deserialize;

/// The keys of `vision.brightness`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BrightnessConfig {
    /// A picture whose mean is below this share of white is dark: 0.25.
    pub dark_below: f64,
}

impl Default for BrightnessConfig {
    fn default() -> Self {
        Self { dark_below: 0.25 }
    }
}

impl BrightnessConfig {
    fn faults(&self) -> Vec<Fault> {
        match (0.0..=1.0).contains(&self.dark_below) {
            true => Vec::new(),
            false => {
                let found = format!("is {}", self.dark_below);
                vec![Fault::new("dark_below", found, "a number from 0 to 1")]
            }
        }
    }
}

/// Turns frames into words.
pub struct Brightness {
    config: BrightnessConfig,
}

impl Stage for Brightness {
    async fn run(self, ctx: Context) -> Result<(), StageError> {
        while let Some(packet) = ctx.recv().await {
            let stamp = packet.stamp();
            let Body::Frame(frame) = packet.body else { continue };
            let mean = mean_from_frame(&frame);
            let word = if mean < self.config.dark_below { "dark" } else { "bright" };
            let text = format!("{word}: {:.0} % of white", mean * 100.0);
            let body = Body::Text(Text {
                delta: text.clone(),
                text,
                about: Some(frame.about),
                thought: false,
                finished: Some(Finish::Stop),
                spoken: None,
            });
            ctx.send(body, stamp).await?;
        }
        Ok(())
    }
}

/// The mean of all samples, 0 (black) to 1 (white); black if there are none.
fn mean_from_frame(frame: &Frame) -> f64 {
    let sum: u64 = frame.rgb.iter().map(|sample| u64::from(*sample)).sum();
    sum as f64 / (255.0 * frame.rgb.len().max(1) as f64)
}

/// Makes the type known to a registry.
pub fn register(registry: &mut Registry) {
    let factory = Factory::new(|config: BrightnessConfig, _context: &_| Ok(Brightness { config }))
        .input("frames", &[PacketKind::Frame])
        .gives(&[PacketKind::Text])
        .check(|config, _context| config.faults());
    registry.add("vision.brightness", factory);
}

#[cfg(test)]
mod tests {
    use pipeline::alone::{packets, run_alone};
    use pipeline::packet::FrameRef;
    use pipeline::time::Timestamp;

    use super::*;

    fn frame(grey: u8) -> Body {
        Body::Frame(Frame {
            about: FrameRef {
                index: 0,
                label: "screen".into(),
                pts: Timestamp::default(),
            },
            width: 2,
            height: 1,
            rgb: [grey; 6].into(),
            changed: None,
        })
    }

    #[tokio::test]
    async fn pictures_become_words() {
        let stage = Brightness {
            config: BrightnessConfig::default(),
        };
        let alone = run_alone(stage, packets([frame(0), frame(255)])).await;
        assert!(alone.result.is_ok());
        let words = alone.sent.into_iter().map(|packet| match packet.body {
            Body::Text(text) => text.text,
            other => panic!("{:?} is no text", other.kind()),
        });
        let words: Vec<_> = words.collect();
        assert_eq!(words, ["dark: 0 % of white", "bright: 100 % of white"]);
    }
}
