//! `sink.wav`: sound to a WAV file, 16-bit mono. The header is right after every packet, so the file is whole at every moment.
//! With `realtime` it stands for a speaker.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::future::{Either, select};
use pipeline::actor::{Context, Stage, Stamp};
use pipeline::error::{Fault, StageError};
use pipeline::packet::{Body, Event, PacketKind, Played};
use pipeline::registry::{BuildContext, Factory, Registry};
use pipeline::time::Timestamp;
use pipeline::turn::Turn;
use serde::Deserialize;

use super::player::{Player, time_of};
use crate::error::Error;

/// The keys of `sink.wav`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WavConfig {
    /// The file, from the working directory.
    pub path: PathBuf,
    /// Off: sound is written as it comes. On: it is played in the run's time, as a speaker would, and the file has it when it
    /// would be heard from the stage's start on, with silence where nothing is said.
    pub realtime: bool,
}

/// Writes sound, and tells what of it was played. With `realtime` a new turn breaks off the sound of older ones, and
/// [`pipeline::packet::Event::Hold`] makes it wait.
pub struct WavSink {
    config: WavConfig,
}

impl Stage for WavSink {
    async fn run(self, ctx: Context) -> Result<(), StageError> {
        let mut out = Out {
            path: self.config.path,
            open: None,
        };
        if self.config.realtime {
            return out.play(&ctx).await;
        }
        while let Some(packet) = ctx.recv().await {
            let turn = packet.turn;
            let Body::Audio(audio) = packet.body else { continue };
            let (wav, player) = out.at_rate(audio.rate_hz)?;
            player.cut(ctx.current_turn());
            player.push(turn, &audio);
            let mut samples = vec![0.0; audio.samples.len()];
            let at = Timestamp(time_of(wav.n_samples.into(), wav.rate_hz));
            let n = player.fill(&mut samples, at);
            wav.write(&samples[..n])?;
            tell(&ctx, player.news()).await;
        }
        Ok(())
    }
}

/// The length of what is played at once.
const BLOCK: Duration = Duration::from_millis(20);
/// Of a file in which nothing was said.
const SILENT_RATE_HZ: u32 = 22_050;

/// The file and what plays into it, once a rate is known.
struct Out {
    path: PathBuf,
    open: Option<(Wav, Player)>,
}

impl Out {
    /// Errors: [`Error::Write`], [`Error::RateChanged`].
    fn at_rate(&mut self, rate_hz: u32) -> Result<&mut (Wav, Player), Error> {
        let open = match &mut self.open {
            Some(open) => open,
            none => none.insert((Wav::create(&self.path, rate_hz)?, Player::new(rate_hz))),
        };
        if open.0.rate_hz != rate_hz {
            return Err(Error::RateChanged {
                path: self.path.clone(),
                rate_hz: open.0.rate_hz,
                found: rate_hz,
            });
        }
        Ok(open)
    }

    /// Plays in the run's time until the input has ended and nothing waits.
    async fn play(&mut self, ctx: &Context) -> Result<(), StageError> {
        let start = ctx.now();
        let (mut n_blocks, mut is_open, mut is_held) = (0u32, true, false);
        while is_open || self.open.as_ref().is_some_and(|(_, player)| !player.is_done()) {
            let due = Timestamp(start.0 + BLOCK * (n_blocks + 1));
            let is_waiting = is_open;
            let next = async {
                match is_waiting {
                    true => ctx.recv().await,
                    false => std::future::pending().await,
                }
            };
            match select(std::pin::pin!(next), std::pin::pin!(ctx.sleep_until(due))).await {
                Either::Left((None, _)) => is_open = false,
                Either::Left((Some(packet), _)) => match packet.body {
                    Body::Audio(audio) => {
                        let is_first = self.open.is_none();
                        let (wav, player) = self.at_rate(audio.rate_hz)?;
                        if is_first {
                            play_until(wav, player, start, BLOCK * n_blocks)?;
                        }
                        is_held &= !player.cut(ctx.current_turn());
                        player.push(packet.turn, &audio);
                        player.hold(is_held);
                    }
                    Body::Event(Event::Hold { held }) => {
                        is_held = held;
                        if let Some((_, player)) = &mut self.open {
                            player.hold(held);
                        }
                    }
                    _ => {}
                },
                Either::Right(_) => {
                    n_blocks += 1;
                    if let Some((wav, player)) = &mut self.open {
                        let turn = ctx.current_turn();
                        is_held &= !player.cut(turn);
                        play_until(wav, player, start, BLOCK * n_blocks)?;
                        tell(ctx, player.news()).await;
                    }
                }
            }
            if ctx.is_stopping() && !is_open {
                break;
            }
        }
        let (wav, player) = match &mut self.open {
            Some(open) => open,
            None => self.at_rate(SILENT_RATE_HZ)?,
        };
        play_until(wav, player, start, ctx.now().since(start))?;
        tell(ctx, player.news()).await;
        Ok(())
    }
}

/// Writes what sounds up to `end` after `start`.
fn play_until(wav: &mut Wav, player: &mut Player, start: Timestamp, end: Duration) -> Result<(), Error> {
    let due = u32::try_from(end.as_nanos() * u128::from(wav.rate_hz) / 1_000_000_000).unwrap_or(u32::MAX);
    let mut block = vec![0.0; (due.saturating_sub(wav.n_samples)) as usize];
    let at = Timestamp(start.0 + time_of(wav.n_samples.into(), wav.rate_hz));
    player.fill(&mut block, at);
    wav.write(&block)
}

/// Tells what was played, if that is something new and somebody asks. Who asks may end before.
pub(super) async fn tell(ctx: &Context, news: Option<Played>) {
    if let Some(played) = news.filter(|_| ctx.is_read(PacketKind::Played)) {
        let stamp = Stamp {
            pts: ctx.now(),
            turn: Turn::ALWAYS,
        };
        let _ = ctx.send(Body::Played(played), stamp).await;
    }
}

const HEADER_BYTES: u32 = 44;
const BYTES_PER_SAMPLE: u16 = 2;

/// A WAV file that is written.
pub struct Wav {
    path: PathBuf,
    file: File,
    pub rate_hz: u32,
    n_samples: u32,
}

impl Wav {
    /// Starts a file.
    ///
    /// Errors: [`Error::Write`].
    pub fn create(path: &Path, rate_hz: u32) -> Result<Self, Error> {
        let failed = |source| Error::Write {
            path: path.to_owned(),
            source,
        };
        let mut wav = Self {
            path: path.to_owned(),
            file: File::create(path).map_err(failed)?,
            rate_hz,
            n_samples: 0,
        };
        wav.write(&[])?;
        Ok(wav)
    }

    /// Adds samples (−1 … 1) and brings the header up to date.
    ///
    /// Errors: [`Error::Write`], also when the file would be longer than WAV can say.
    pub fn write(&mut self, samples: &[f32]) -> Result<(), Error> {
        let written = self.append(samples);
        written.map_err(|source| Error::Write {
            path: self.path.clone(),
            source,
        })
    }

    fn append(&mut self, samples: &[f32]) -> io::Result<()> {
        let too_long = || io::Error::other("a WAV file cannot be longer than 4 GiB");
        let total = u32::try_from(samples.len()).ok().and_then(|n| self.n_samples.checked_add(n));
        let total = total.filter(|n| n.checked_mul(2).is_some_and(|bytes| bytes < u32::MAX - HEADER_BYTES));
        let total = total.ok_or_else(too_long)?;
        let bytes: Vec<u8> = samples.iter().flat_map(|x| pcm(*x).to_le_bytes()).collect();
        self.file
            .seek(SeekFrom::Start(u64::from(HEADER_BYTES) + 2 * u64::from(self.n_samples)))?;
        self.file.write_all(&bytes)?;
        self.n_samples = total;
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&header(self.rate_hz, 2 * total))?;
        self.file.flush()
    }
}

/// One sample in 16 bits.
pub fn pcm(sample: f32) -> i16 {
    #[expect(clippy::cast_possible_truncation, reason = "clamped")]
    let value = (sample.clamp(-1.0, 1.0) * f32::from(i16::MAX)).round() as i16;
    value
}

/// RIFF, one format chunk, one data chunk.
fn header(rate_hz: u32, data_bytes: u32) -> Vec<u8> {
    let [channels, bits] = [1u16, 8 * BYTES_PER_SAMPLE];
    let parts: [&[u8]; 13] = [
        b"RIFF",
        &(data_bytes + HEADER_BYTES - 8).to_le_bytes(),
        b"WAVE",
        b"fmt ",
        &16u32.to_le_bytes(),
        &1u16.to_le_bytes(),
        &channels.to_le_bytes(),
        &rate_hz.to_le_bytes(),
        &(rate_hz * u32::from(BYTES_PER_SAMPLE)).to_le_bytes(),
        &BYTES_PER_SAMPLE.to_le_bytes(),
        &bits.to_le_bytes(),
        b"data",
        &data_bytes.to_le_bytes(),
    ];
    parts.concat()
}

pub(super) fn register(registry: &mut Registry) {
    let build = |config: WavConfig, _: &BuildContext<'_>| Ok(WavSink { config });
    let factory = Factory::new(build)
        .input("audio", &[PacketKind::Audio])
        .optional_input("hold", &[PacketKind::Event])
        .gives(&[PacketKind::Played])
        .may_be_unread()
        .check(|config, _| match config.path.as_os_str().is_empty() {
            true => vec![Fault::new("path", "is missing", "a file to write, such as \"speech.wav\"")],
            false => Vec::new(),
        })
        .writes(|config| vec![config.path.clone()]);
    registry.add("sink.wav", factory);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use pipeline::graph::Graph;
    use pipeline::packet::PlayState;
    use pipeline::runtime::{Run, RunOptions};
    use pipeline::time::Clock;

    use super::*;
    use crate::env::Env;

    /// Runs a graph in virtual time: `capture.audio` of a file as the source of sound, and this sink.
    async fn played(realtime: bool) -> (Vec<u8>, Vec<Played>, f64) {
        let folder = tempfile::tempdir().unwrap();
        let sound: Vec<f32> = (0..8000).map(|i| (i as f32 * 0.1).sin()).collect();
        let (input, output) = (folder.path().join("in.wav"), folder.path().join("out.wav"));
        Wav::create(&input, 16_000).unwrap().write(&sound).unwrap();
        let text = format!(
            "[stage.sound]\ntype = \"capture.audio\"\npath = {input:?}\nblock_ms = 100\nrealtime = false\n\
             [stage.out]\ntype = \"sink.wav\"\npath = {output:?}\nrealtime = {realtime}\ninput = \"sound\"\n\
             [stage.heard]\ntype = \"sink.channel\"\ninput = \"out\""
        );
        let env = Arc::new(Env::default());
        let heard = env.open_channel("heard", 1000);
        let mut registry = Registry::new();
        crate::register(&mut registry, &env);
        let graph = Graph::from_toml(&text, &registry).unwrap();
        let options = RunOptions {
            clock: Clock::new_virtual(),
            ..RunOptions::default()
        };
        let clock = options.clock.clone();
        let report = Run::start(&graph, &registry, options).unwrap().join().await;
        report.unwrap();
        let mut states = Vec::new();
        while let Ok(packet) = heard.try_recv() {
            assert_eq!(packet.turn, Turn::ALWAYS);
            let Body::Played(played) = packet.body else {
                panic!("something else")
            };
            states.push(played);
        }
        (std::fs::read(output).unwrap(), states, clock.now().as_secs_f64())
    }

    #[tokio::test]
    async fn in_real_time_the_file_takes_as_long_as_the_sound() {
        let (at_once, states, seconds) = played(false).await;
        assert_eq!((at_once.len(), seconds), (44 + 2 * 8000, 0.0));
        assert_eq!(states.len(), 5, "one of each packet");
        let (in_time, states, seconds) = played(true).await;
        assert!((0.5..0.55).contains(&seconds), "{seconds}");
        assert_eq!(in_time[44..44 + 16_000], at_once[44..]);
        let n_samples: Vec<u64> = states.iter().map(|played| played.turns[0].n_samples).collect();
        assert!(n_samples.is_sorted() && n_samples.len() >= 25, "{n_samples:?}");
        let last = &states[states.len() - 1].turns[0];
        assert_eq!((last.n_samples, last.n_waiting, last.state), (8000, 0, PlayState::Done));
        let times: Vec<f64> = states[24].signal.iter().map(|(time, _)| time.as_secs_f64()).collect();
        assert_eq!(times.len(), 25);
        assert!((times[24] - times[0] - 0.48).abs() < 1e-6, "{times:?}");
    }

    #[test]
    fn the_file_is_whole_after_every_packet() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        let mut wav = Wav::create(&path, 22_050).unwrap();
        let lengths = [&[0.0, 1.0, -2.0][..], &[], &[0.5]];
        let mut n_bytes = 44;
        for samples in lengths {
            wav.write(samples).unwrap();
            n_bytes += 2 * samples.len();
            let bytes = std::fs::read(&path).unwrap();
            assert_eq!(bytes.len(), n_bytes);
            assert_eq!(bytes[4..8], u32::try_from(n_bytes - 8).unwrap().to_le_bytes());
            assert_eq!(bytes[40..44], u32::try_from(n_bytes - 44).unwrap().to_le_bytes());
        }
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(bytes[24..28], 22_050u32.to_le_bytes());
        assert_eq!(bytes[44..], [0, 0, 0xFF, 0x7F, 1, 0x80, 0, 0x40]);
    }
}
