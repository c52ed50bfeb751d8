//! `capture.microphone`: what a microphone hears, as blocks at one rate, through `cpal` (feature `desktop`).

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_channel::Receiver;
use pipeline::actor::{Context, Stage, Stamp};
use pipeline::error::StageError;
use pipeline::packet::{Audio, Body, PacketKind};
use pipeline::registry::{BuildContext, CheckContext, Factory, Registry};
use pipeline::spawn;
use pipeline::time::Timestamp;
use pipeline::turn::Turn;
use serde::Deserialize;

use super::audio::{block_size, faults_of_blocks};
use crate::error::{Error, Result};
use crate::sound::resample::Resample;

/// The keys of `capture.microphone`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CaptureMicrophoneConfig {
    /// Part of a microphone's name. None: the system's usual one.
    pub device: Option<String>,
    /// Samples a second of what is sent, whatever the device has: 16000.
    pub rate_hz: u32,
    /// Length of a block: 20.
    pub block_ms: u32,
}

impl Default for CaptureMicrophoneConfig {
    fn default() -> Self {
        Self {
            device: None,
            rate_hz: 16_000,
            block_ms: 20,
        }
    }
}

/// Hears until the run stops. What the graph has no time for is dropped in the device's pieces, counted and told; times go on.
/// A restart loses what was said meanwhile.
pub struct CaptureMicrophone {
    config: CaptureMicrophoneConfig,
}

/// Pieces of the device that wait: about half a second.
#[cfg(feature = "desktop")]
const WAITING: usize = 32;

/// A microphone that is open.
struct Microphone {
    rate_hz: u32,
    /// Ends when the device is gone.
    pieces: Receiver<Vec<f32>>,
    /// Samples for which there was no room.
    n_dropped: Arc<AtomicU64>,
    #[cfg(feature = "desktop")]
    _keep: crate::sound::device::Keep,
}

impl Stage for CaptureMicrophone {
    async fn run(self, ctx: Context) -> Result<(), StageError> {
        let CaptureMicrophoneConfig {
            device,
            rate_hz,
            block_ms,
        } = self.config;
        let opened = spawn::blocking(move || open(device)).await;
        let microphone = match opened {
            Ok(microphone) => microphone,
            // One that was never there does not come.
            Err(error) if ctx.n_restarts() == 0 => return Err(StageError::fatal(error)),
            Err(error) => return Err(error.into()),
        };
        let unusable = |message: String| StageError::fatal(Error::NoMicrophone { reason: message });
        let mut resample = Resample::new(microphone.rate_hz, rate_hz).map_err(unusable)?;
        let start = ctx.now();
        let (mut waiting, mut n_sent, mut n_told) = (VecDeque::new(), 0u64, 0);
        let size = block_size(rate_hz, block_ms);
        while let Some(piece) = ctx.or_stop(ctx.waiting(microphone.pieces.recv())).await {
            let Ok(piece) = piece else {
                let reason = "it was unplugged, or its driver gave up".to_owned();
                return Err(Error::NoMicrophone { reason }.into());
            };
            let n_dropped = microphone.n_dropped.load(Ordering::Relaxed);
            if n_dropped > n_told {
                let lost = (n_dropped - n_told) * u64::from(rate_hz) / u64::from(microphone.rate_hz.max(1));
                let lost_ms = lost * 1000 / u64::from(rate_hz.max(1));
                ctx.reporter()
                    .warn(format!("{lost_ms} ms of sound were dropped: the graph has no time for them"));
                (n_sent, n_told) = (n_sent + lost, n_dropped);
            }
            waiting.extend(resample.push(&piece));
            while waiting.len() >= size {
                let audio = Audio {
                    rate_hz,
                    samples: waiting.drain(..size).collect(),
                    ..Audio::default()
                };
                let nanos = u128::from(n_sent) * 1_000_000_000 / u128::from(rate_hz.max(1));
                let after = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
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

/// Whether there is a microphone.
///
/// Errors: [`Error::NoMicrophone`] with the reason why not.
pub fn probe() -> Result<()> {
    open(None).map(|_| ())
}

#[cfg(not(feature = "desktop"))]
fn open(_: Option<String>) -> Result<Microphone> {
    let reason =
        "this program was built without the feature `desktop`; build it with `--features desktop`, or hear files (capture.audio)";
    Err(Error::NoMicrophone {
        reason: reason.to_owned(),
    })
}

#[cfg(feature = "desktop")]
fn open(device: Option<String>) -> Result<Microphone> {
    let (sender, pieces) = async_channel::bounded(WAITING);
    let n_dropped = Arc::new(AtomicU64::new(0));
    let (counter, closer) = (n_dropped.clone(), sender.clone());
    let hear = move |samples: &[f32]| {
        if sender.try_send(samples.to_vec()).is_err() {
            counter.fetch_add(samples.len() as u64, Ordering::Relaxed);
        }
    };
    let fail = move |message: String| {
        tracing::warn!(error = message, "microphone");
        // A glitch is reported too; a device that is gone gives nothing more.
        if message.to_lowercase().contains("not available") || message.to_lowercase().contains("disconnected") {
            closer.close();
        }
    };
    let opened = crate::sound::device::open_microphone(device, hear, fail);
    let (keep, rate_hz) = opened.map_err(|message| Error::NoMicrophone {
        reason: format!("{message}; plug one in and allow its use, or hear files (capture.audio)"),
    })?;
    Ok(Microphone {
        rate_hz,
        pieces,
        n_dropped,
        _keep: keep,
    })
}

pub(super) fn register(registry: &mut Registry) {
    let build = |config: CaptureMicrophoneConfig, _: &BuildContext<'_>| Ok(CaptureMicrophone { config });
    let check = |config: &CaptureMicrophoneConfig, _: &CheckContext<'_>| faults_of_blocks(config.rate_hz, config.block_ms);
    registry.add(
        "capture.microphone",
        Factory::new(build).gives(&[PacketKind::Audio]).check(check),
    );
}

#[cfg(test)]
mod tests {
    use pipeline::alone::run_alone_with;

    use super::*;

    #[tokio::test]
    async fn without_a_microphone_it_says_what_to_do() {
        let config = CaptureMicrophoneConfig {
            device: Some("no such microphone".into()),
            ..CaptureMicrophoneConfig::default()
        };
        let alone = run_alone_with(CaptureMicrophone { config }, Vec::new()).await;
        let Err(StageError::Fatal(error)) = alone.result else {
            panic!("no fatal error");
        };
        let message = error.to_string();
        assert!(
            message.contains("microphone") && message.contains("capture.audio"),
            "{message}"
        );
    }
}
