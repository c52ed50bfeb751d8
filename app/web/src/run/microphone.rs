//! The stages `capture.*` for sound in the tab: whatever source a configuration names, what is heard is the person's microphone.

use std::collections::VecDeque;
use std::time::Duration;

use pipeline::actor::{Context, Stage, Stamp};
use pipeline::error::{Fault, StageError};
use pipeline::packet::{Audio, Body, PacketKind};
use pipeline::registry::{BuildContext, CheckContext, Factory, Registry};
use pipeline::time::Timestamp;
use pipeline::turn::Turn;
use serde::Deserialize;
use stages::sound::resample::Resample;

use super::devices::{AudioTime, Devices, Microphone};
use super::error::Error;

/// Types of source that the microphone stands in for.
pub const TYPES: [&str; 2] = ["capture.microphone", "capture.audio"];

/// The keys of these sources. What says where a source is, or how fast a file is read, has no meaning in the tab.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct MicrophoneConfig {
    rate_hz: u32,
    block_ms: u32,
    path: Option<toml::Value>,
    device: Option<String>,
    realtime: bool,
}

impl Default for MicrophoneConfig {
    fn default() -> Self {
        Self {
            rate_hz: 16_000,
            block_ms: 20,
            path: None,
            device: None,
            realtime: true,
        }
    }
}

impl MicrophoneConfig {
    fn faults(&self) -> Vec<Fault> {
        let ranges = [
            ("rate_hz", self.rate_hz, 8000..=192_000),
            ("block_ms", self.block_ms, 1..=10_000),
        ];
        let outside = ranges.into_iter().filter(|(_, value, range)| !range.contains(value));
        let fault = |(key, value, range): (&str, u32, std::ops::RangeInclusive<u32>)| {
            let accepted = format!("a number from {} to {}", range.start(), range.end());
            Fault::new(key, format!("is {value}"), accepted)
        };
        outside.map(fault).collect()
    }
}

/// Hears until the run stops. What the graph has no time for is dropped where it is heard, counted and told; times go on.
struct PageMicrophone {
    device: Microphone,
    time: AudioTime,
    config: MicrophoneConfig,
}

impl Stage for PageMicrophone {
    async fn run(self, ctx: Context) -> Result<(), StageError> {
        let MicrophoneConfig { rate_hz, block_ms, .. } = self.config;
        let from_hz = self.device.rate_hz;
        let unusable = |message| StageError::fatal(stages::Error::RateOfSound { message });
        let mut resample = Resample::new(from_hz, rate_hz).map_err(unusable)?;
        let size = (u64::from(rate_hz) * u64::from(block_ms) / 1000).max(1) as usize;
        // What was heard before is old.
        while self.device.pieces.try_recv().is_ok() {}
        let (mut waiting, mut n_sent, mut start) = (VecDeque::new(), 0u64, None);
        while let Some(piece) = ctx.or_stop(ctx.waiting(self.device.pieces.recv())).await {
            let piece = piece.map_err(|_| StageError::fatal(Error::MicrophoneGone))?;
            let is_first = start.is_none();
            let start = *start.get_or_insert_with(|| self.time.at(piece.frame, from_hz, ctx.now()));
            if piece.n_lost > 0 && !is_first {
                let n_lost = piece.n_lost * u64::from(rate_hz) / u64::from(from_hz.max(1));
                let lost_ms = n_lost * 1000 / u64::from(rate_hz);
                ctx.reporter().warn(format!(
                    "{lost_ms} ms of sound were dropped: the pipeline has no time for them"
                ));
                n_sent += n_lost;
            }
            waiting.extend(resample.push(&piece.samples));
            while waiting.len() >= size {
                let audio = Audio {
                    rate_hz,
                    samples: waiting.drain(..size).collect(),
                    ..Audio::default()
                };
                let after = Duration::from_nanos(n_sent * 1_000_000_000 / u64::from(rate_hz));
                let stamp = Stamp {
                    pts: Timestamp(start.0 + after),
                    turn: Turn::ALWAYS,
                };
                ctx.send(Body::Audio(audio), stamp).await?;
                n_sent += size as u64;
            }
        }
        Ok(())
    }
}

/// Registers these sources. Without a microphone they are checked alone.
pub fn register(registry: &mut Registry, devices: &Devices) {
    for name in TYPES {
        let devices = devices.clone();
        let build = move |config: MicrophoneConfig, _: &BuildContext<'_>| {
            let device = devices.microphone.clone().ok_or(Error::MicrophoneGone)?;
            let time = devices.time.clone();
            Ok(PageMicrophone { device, time, config })
        };
        let factory = Factory::new(build).gives(&[PacketKind::Audio, PacketKind::Speech]);
        let check = |config: &MicrophoneConfig, _: &CheckContext<'_>| config.faults();
        registry.add(name, factory.check(check));
    }
}
