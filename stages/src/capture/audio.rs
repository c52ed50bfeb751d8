//! `capture.audio`: sound files, each once and one after the other, as blocks at one rate.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pipeline::actor::{Context, Stage, Stamp};
use pipeline::error::{Closed, Fault, StageError};
use pipeline::packet::{Audio, Body, FrameRef, PacketKind, Speech};
use pipeline::registry::{BuildContext, CheckContext, Factory, Registry};
use pipeline::spawn;
use pipeline::time::Timestamp;
use pipeline::turn::Turn;
use serde::Deserialize;

use super::file::{OneOrMany, label_of};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::sound::{Sound, SoundAt};

/// The keys of `capture.audio`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CaptureAudioConfig {
    /// A WAV or FLAC file of any rate and number of channels, or a list of them; relative to the configuration.
    pub path: OneOrMany,
    /// Samples a second of what is sent: 16000.
    pub rate_hz: u32,
    /// Length of a block: 20.
    pub block_ms: u32,
    /// Send blocks when they would have been spoken (on), or as fast as the graph takes them (off). On. Off wants links that wait.
    pub realtime: bool,
}

impl Default for CaptureAudioConfig {
    fn default() -> Self {
        Self {
            path: OneOrMany::default(),
            rate_hz: 16_000,
            block_ms: 20,
            realtime: true,
        }
    }
}

/// What is wrong with a rate or a length of blocks, if anything is.
pub(super) fn faults_of_blocks(rate_hz: u32, block_ms: u32) -> Vec<Fault> {
    let mut faults = Vec::new();
    if !(8000..=192_000).contains(&rate_hz) {
        faults.push(Fault::new(
            "rate_hz",
            format!("is {rate_hz}"),
            "samples a second, from 8000 to 192000",
        ));
    }
    if !(1..=10_000).contains(&block_ms) {
        faults.push(Fault::new(
            "block_ms",
            format!("is {block_ms}"),
            "milliseconds, from 1 to 10000",
        ));
    }
    faults
}

/// Sends each file as blocks, the last of which may be short, and then a [`Speech`] without samples: whoever hears it knows that the
/// file has ended. Sound belongs to no turn. A file that cannot be read to its end does not keep the others from being sent; the stage
/// fails after the last one. A restart keeps how much was sent of which file: nothing is left out or sent twice.
pub struct CaptureAudio {
    paths: Vec<PathBuf>,
    config: CaptureAudioConfig,
}

/// Where the stage is.
#[derive(Clone)]
struct Place {
    /// The file.
    index: usize,
    /// Samples of it that were sent.
    n_sent: u64,
    /// Samples of the files before it.
    n_before: u64,
    start: Timestamp,
    first_error: Option<Arc<Error>>,
}

impl Stage for CaptureAudio {
    async fn run(self, ctx: Context) -> Result<(), StageError> {
        let mut place = ctx.kept_or(|| Place {
            index: 0,
            n_sent: 0,
            n_before: 0,
            start: if self.config.realtime {
                ctx.now()
            } else {
                Timestamp::default()
            },
            first_error: None,
        });
        while let Some(path) = self.paths.get(place.index) {
            if ctx.is_stopping() {
                break;
            }
            let about = FrameRef {
                index: place.index as u64,
                label: label_of(path),
                pts: self.time(&place, 0),
            };
            match Blocks::open(path.clone(), &self.config, place.n_sent).await {
                Ok(mut blocks) => {
                    if let Err(error) = self.send_all(&ctx, &mut blocks, &about, &mut place).await? {
                        note(&ctx, &mut place, error);
                    }
                    let end = Speech {
                        rate_hz: self.config.rate_hz,
                        samples: Arc::default(),
                        kept: true,
                        about: Some(about),
                    };
                    ctx.send(Body::Speech(end), self.stamp(&place)).await?;
                }
                Err(error) => note(&ctx, &mut place, error),
            }
            place.n_before += place.n_sent;
            place.n_sent = 0;
            place.index += 1;
            ctx.keep(place.clone());
        }
        place.first_error.map_or(Ok(()), |error| Err(StageError::fatal(error)))
    }
}

fn note(ctx: &Context, place: &mut Place, error: Error) {
    ctx.reporter().warn(pipeline::error::chain(&error));
    place.first_error.get_or_insert(Arc::new(error));
}

impl CaptureAudio {
    /// When sample `n_sent + n` of the file is heard.
    fn time(&self, place: &Place, n: u64) -> Timestamp {
        let n = u128::from(place.n_before + place.n_sent + n);
        let nanos = n * 1_000_000_000 / u128::from(self.config.rate_hz.max(1));
        let after = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        Timestamp(place.start.0.saturating_add(after))
    }

    fn stamp(&self, place: &Place) -> Stamp {
        Stamp {
            pts: self.time(place, 0),
            turn: Turn::ALWAYS,
        }
    }

    /// Sends the rest of a file; what went wrong with it if anything did.
    async fn send_all(
        &self,
        ctx: &Context,
        blocks: &mut Blocks,
        about: &FrameRef,
        place: &mut Place,
    ) -> Result<Result<(), Error>, Closed> {
        loop {
            let samples = match blocks.next().await {
                Ok(Some(samples)) => samples,
                Ok(None) => return Ok(Ok(())),
                Err(error) => return Ok(Err(error)),
            };
            let n = samples.len() as u64;
            if self.config.realtime {
                let due = self.time(place, n);
                ctx.or_stop(ctx.sleep_until(due)).await.ok_or(Closed)?;
            }
            let audio = Audio {
                rate_hz: self.config.rate_hz,
                samples: samples.into(),
                about: Some(about.clone()),
                ..Audio::default()
            };
            ctx.send(Body::Audio(audio), self.stamp(place)).await?;
            place.n_sent += n;
            ctx.keep(place.clone());
        }
    }
}

/// Blocks of one length out of a file, a piece of which is in memory.
struct Blocks {
    /// `None` while another thread reads it, and when no more is read.
    sound: Option<Box<SoundAt>>,
    waiting: VecDeque<f32>,
    /// Why no more is read.
    failed: Option<Error>,
    size: usize,
    to_skip: u64,
}

impl Blocks {
    async fn open(path: PathBuf, config: &CaptureAudioConfig, to_skip: u64) -> Result<Self> {
        let rate_hz = config.rate_hz;
        let open = move || Sound::open(&path).and_then(|sound| SoundAt::new(sound, rate_hz));
        Ok(Self {
            sound: Some(Box::new(spawn::blocking(open).await?)),
            waiting: VecDeque::new(),
            failed: None,
            size: block_size(rate_hz, config.block_ms),
            to_skip,
        })
    }

    /// The next block. What an error leaves is given before it.
    async fn next(&mut self) -> Result<Option<Vec<f32>>> {
        while self.waiting.len() < self.size {
            let Some(mut sound) = self.sound.take() else { break };
            let read = spawn::blocking(move || (sound.next_block(), sound)).await;
            match read {
                (Ok(Some(samples)), sound) => {
                    self.sound = Some(sound);
                    let skipped = usize::try_from(self.to_skip).unwrap_or(usize::MAX).min(samples.len());
                    self.to_skip -= skipped as u64;
                    self.waiting.extend(&samples[skipped..]);
                }
                (Ok(None), _) => {}
                (Err(error), _) => self.failed = Some(error),
            }
        }
        if self.waiting.is_empty()
            && let Some(error) = self.failed.take()
        {
            return Err(error);
        }
        let n = self.size.min(self.waiting.len());
        let block: Vec<f32> = self.waiting.drain(..n).collect();
        Ok(Some(block).filter(|block| !block.is_empty()))
    }
}

/// Samples of a block.
pub(super) fn block_size(rate_hz: u32, block_ms: u32) -> usize {
    (u64::from(rate_hz) * u64::from(block_ms) / 1000).max(1) as usize
}

pub(super) fn register(registry: &mut Registry, env: &Arc<Env>) {
    let env = env.clone();
    let build = move |config: CaptureAudioConfig, _: &BuildContext<'_>| {
        let paths = config.path.paths().iter().map(|path| env.path(path)).collect();
        Ok(CaptureAudio { paths, config })
    };
    let check = |config: &CaptureAudioConfig, _: &CheckContext<'_>| {
        let mut faults = faults_of_blocks(config.rate_hz, config.block_ms);
        if config.path.paths().is_empty() {
            faults.push(Fault::new("path", "names no file", "a path, or a list of paths"));
        }
        faults
    };
    let gives = [PacketKind::Audio, PacketKind::Speech];
    registry.add("capture.audio", Factory::new(build).gives(&gives).check(check));
}

#[cfg(test)]
mod tests {
    use pipeline::alone::{Alone, run_alone_with};

    use super::*;
    use crate::sink::wav::Wav;

    fn wav(folder: &std::path::Path, name: &str, rate_hz: u32, n: usize) -> PathBuf {
        let path = folder.join(name);
        let samples: Vec<f32> = (0..n).map(|i| (i as f32 * 0.05).sin() * 0.5).collect();
        Wav::create(&path, rate_hz).unwrap().write(&samples).unwrap();
        path
    }

    async fn captured(paths: Vec<PathBuf>, block_ms: u32) -> Alone {
        let config = CaptureAudioConfig {
            block_ms,
            realtime: false,
            ..CaptureAudioConfig::default()
        };
        run_alone_with(CaptureAudio { paths, config }, Vec::new()).await
    }

    fn samples(alone: &Alone) -> Vec<f32> {
        let blocks = alone.sent.iter().filter_map(|packet| match &packet.body {
            Body::Audio(audio) => Some(audio.samples.to_vec()),
            _ => None,
        });
        blocks.flatten().collect()
    }

    #[tokio::test]
    async fn files_follow_each_other_in_blocks_that_tell_their_time() {
        let folder = tempfile::tempdir().unwrap();
        let paths = vec![
            wav(folder.path(), "a.wav", 16_000, 1000),
            wav(folder.path(), "b.wav", 48_000, 1000),
        ];
        let alone = captured(paths.clone(), 20).await;
        alone.result.as_ref().unwrap();
        let told: Vec<(u128, usize, String)> = alone
            .sent
            .iter()
            .map(|packet| {
                assert_eq!(packet.turn, Turn::ALWAYS);
                let (n, about) = match &packet.body {
                    Body::Audio(audio) => (audio.samples.len(), &audio.about),
                    Body::Speech(end) => (0, &end.about),
                    other => panic!("{other:?}"),
                };
                (packet.pts.0.as_micros(), n, about.as_ref().unwrap().label.to_string())
            })
            .collect();
        let a = |micros, n| (micros, n, "a".to_owned());
        let b = |micros, n| (micros, n, "b".to_owned());
        let expected = [
            a(0, 320),
            a(20_000, 320),
            a(40_000, 320),
            a(60_000, 40),
            a(62_500, 0),
            b(62_500, 320),
            b(82_500, 14),
        ];
        assert_eq!(told[..7], expected);
        assert_eq!(told.len(), 8);
        let whole = samples(&captured(paths, 10_000).await);
        assert_eq!(samples(&alone), whole, "blocks change nothing");
    }

    #[tokio::test]
    async fn a_bad_file_keeps_no_other_from_being_sent() {
        let folder = tempfile::tempdir().unwrap();
        let good = wav(folder.path(), "good.wav", 16_000, 640);
        let cut = wav(folder.path(), "cut.wav", 16_000, 640);
        let bytes = std::fs::read(&cut).unwrap();
        std::fs::write(&cut, &bytes[..44 + 2 * 400]).unwrap();
        let alone = captured(vec![folder.path().join("none.wav"), cut, good], 20).await;
        let error = alone.result.as_ref().unwrap_err().to_string();
        assert!(error.contains("none.wav"), "{error}");
        assert_eq!(samples(&alone).len(), 400 + 640, "and the damaged one as far as it goes");
        let mut warnings = Vec::new();
        while let Some(packet) = alone.events.recv().await {
            warnings.push(format!("{:?}", packet.body));
        }
        assert!(warnings[1].contains("truncated: it has 400 of 640"), "{warnings:?}");
    }
}
