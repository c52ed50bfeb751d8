//! The stages `sink.*` for sound in the tab: what plays is the browser's own thread for sound. This stage mirrors it, command by
//! command and frame by frame, and so knows of each sample whether it sounded and when.

use std::collections::VecDeque;

use async_channel::Sender;
use futures::future::{Either, select};
use pipeline::actor::{Context, Stage, Stamp};
use pipeline::error::{Closed, StageError};
use pipeline::packet::{Audio, Body, Event, Packet, PacketKind};
use pipeline::registry::{BuildContext, Factory, Registry};
use pipeline::turn::Turn;
use serde::Deserialize;
use stages::sink::player::Player;
use stages::sound::resample::at_rate;

use super::devices::{AudioTime, Command, Devices, Done, Loudspeaker};
use super::error::Error;
use crate::protocol::ToPage;

/// Types of sink that the loudspeaker stands in for.
pub const TYPES: [&str; 2] = ["sink.speaker", "sink.wav"];

/// The keys of these sinks. What says where sound goes has no meaning in the tab.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct SpeakerConfig {
    device: Option<String>,
    path: Option<toml::Value>,
    realtime: bool,
}

/// Plays, and tells what of it sounded. A new turn breaks off the sound of older ones at once, and [`Event::Hold`] makes it wait.
struct PageSpeaker {
    device: Loudspeaker,
    time: AudioTime,
    page: Sender<ToPage>,
}

/// What a command does to the mirror, once the device has obeyed it.
enum Mirrored {
    /// Nothing of an earlier run is left in the device.
    Begin,
    Push(u64, Audio),
    Cut(u64),
    Hold(bool),
}

/// What happens next.
enum Next {
    Packet(Option<Packet>),
    Done(Done),
    Turn,
}

struct Mirror {
    device: Loudspeaker,
    player: Player,
    /// What the device has not obeyed yet, by number.
    pending: VecDeque<(u64, Mirrored)>,
    has_begun: bool,
    is_held: bool,
    /// What was pushed for.
    turn: u64,
}

impl Stage for PageSpeaker {
    async fn run(self, ctx: Context) -> Result<(), StageError> {
        let Self { device, time, page } = self;
        let mut mirror = Mirror {
            player: Player::new(device.rate_hz),
            device: device.clone(),
            pending: VecDeque::new(),
            has_begun: false,
            is_held: false,
            turn: ctx.current_turn(),
        };
        mirror.command(Mirrored::Begin).await?;
        let (mut is_open, mut told) = (true, false);
        while is_open || !mirror.is_done() {
            if ctx.is_stopping() && !is_open {
                break;
            }
            match next(&ctx, &device, is_open, mirror.turn).await? {
                Next::Packet(None) => is_open = false,
                Next::Packet(Some(packet)) => mirror.take(packet, ctx.current_turn()).await?,
                Next::Turn => mirror.cut(ctx.current_turn()).await?,
                Next::Done(done) => mirror.hears(done, &time, &ctx),
            }
            if let Some(played) = mirror.player.news().filter(|_| ctx.is_read(PacketKind::Played)) {
                let stamp = Stamp {
                    pts: ctx.now(),
                    turn: Turn::ALWAYS,
                };
                let _ = ctx.send(Body::Played(played), stamp).await;
            }
            let sounds = mirror.sounds();
            if sounds != told && page.try_send(ToPage::Speaking { on: sounds }).is_ok() {
                told = sounds;
            }
        }
        // Whatever is left of it is not to be heard any more.
        mirror.command(Mirrored::Cut(u64::MAX)).await?;
        if told {
            drop(page.send(ToPage::Speaking { on: false }).await);
        }
        Ok(())
    }
}

/// Whatever comes first; the device's own word before others, since they build on it.
async fn next(ctx: &Context, device: &Loudspeaker, is_open: bool, turn: u64) -> Result<Next, StageError> {
    let done = std::pin::pin!(device.done.recv());
    let packet = std::pin::pin!(async {
        match is_open {
            true => ctx.recv().await,
            false => std::future::pending().await,
        }
    });
    let over = std::pin::pin!(ctx.turn().over(turn));
    match select(done, select(over, packet)).await {
        Either::Left((done, _)) => Ok(Next::Done(done.map_err(|_| StageError::fatal(Error::NoLoudspeaker))?)),
        Either::Right((Either::Left(_), _)) => Ok(Next::Turn),
        Either::Right((Either::Right((packet, _)), _)) => Ok(Next::Packet(packet)),
    }
}

impl Mirror {
    async fn take(&mut self, packet: Packet, turn: u64) -> Result<(), StageError> {
        self.cut(turn).await?;
        match packet.body {
            Body::Audio(audio) => {
                let audio = at_rate(audio, self.device.rate_hz)?;
                self.command(Mirrored::Push(packet.turn, audio)).await
            }
            Body::Event(Event::Hold { held }) => self.command(Mirrored::Hold(held)).await,
            _ => Ok(()),
        }
    }

    /// Ends the sound of turns before `turn`.
    async fn cut(&mut self, turn: u64) -> Result<(), StageError> {
        if turn <= self.turn {
            return Ok(());
        }
        self.turn = turn;
        self.command(Mirrored::Cut(turn)).await
    }

    async fn command(&mut self, mirrored: Mirrored) -> Result<(), StageError> {
        let id = self.device.next_id();
        let command = match &mirrored {
            Mirrored::Begin | Mirrored::Cut(_) => Command::Cut(id),
            Mirrored::Push(_, audio) => Command::Push(id, audio.samples.clone()),
            Mirrored::Hold(held) => Command::Hold(id, *held),
        };
        self.pending.push_back((id, mirrored));
        Ok(self.device.commands.send(command).await.map_err(|_| Closed)?)
    }

    /// Does what the device has done.
    fn hears(&mut self, done: Done, time: &AudioTime, ctx: &Context) {
        while self.pending.front().is_some_and(|(id, _)| *id <= done.id) {
            match self.pending.pop_front() {
                Some((_, Mirrored::Begin)) => self.has_begun = true,
                Some((_, Mirrored::Push(turn, audio))) => self.player.push(turn, &audio),
                Some((_, Mirrored::Cut(turn))) => {
                    self.player.cut(turn);
                    self.is_held = false;
                }
                Some((_, Mirrored::Hold(held))) => {
                    self.player.hold(held);
                    self.is_held = held;
                }
                None => {}
            }
        }
        // What sounded before belongs to an earlier run.
        if done.n_frames == 0 || !self.has_begun {
            return;
        }
        let at = time.at(done.frame, self.device.rate_hz, ctx.now());
        let mut samples = vec![0.0; done.n_frames];
        let n = self.player.fill(&mut samples, at);
        if n != done.n_frames {
            tracing::warn!(
                n_frames = done.n_frames,
                mirrored = n,
                "the loudspeaker played something else"
            );
        }
    }

    fn is_done(&self) -> bool {
        self.pending.is_empty() && self.player.is_done()
    }

    fn sounds(&self) -> bool {
        !self.player.is_done() && !self.is_held
    }
}

/// Registers these sinks. Without a loudspeaker they are checked alone.
pub fn register(registry: &mut Registry, devices: &Devices, page: &Sender<ToPage>) {
    for name in TYPES {
        let (devices, page) = (devices.clone(), page.clone());
        let build = move |_: SpeakerConfig, _: &BuildContext<'_>| {
            let device = devices.loudspeaker.clone().ok_or(Error::NoLoudspeaker)?;
            let (time, page) = (devices.time.clone(), page.clone());
            Ok(PageSpeaker { device, time, page })
        };
        let factory = Factory::new(build)
            .input("audio", &[PacketKind::Audio])
            .optional_input("hold", &[PacketKind::Event])
            .gives(&[PacketKind::Played])
            .may_be_unread();
        registry.add(name, factory);
    }
}

#[cfg(test)]
mod tests;
