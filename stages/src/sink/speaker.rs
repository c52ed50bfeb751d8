//! `sink.speaker`: sound that is heard, through `cpal` (feature `desktop`). What it does with turns is `player`'s, as in `sink.wav`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::{Either, select};
use pipeline::actor::{Context, Stage};
use pipeline::error::StageError;
use pipeline::packet::{Body, Event, PacketKind};
use pipeline::registry::{BuildContext, Factory, Registry};
use pipeline::spawn;
use pipeline::time::{Clock, Timestamp};
use serde::Deserialize;

use super::player::Player;
use super::wav::tell;
use crate::error::{Error, Result};
use crate::sound::resample::at_rate;

/// The keys of `sink.speaker`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SpeakerConfig {
    /// Part of a speaker's name. None: the system's usual one.
    pub device: Option<String>,
}

/// Plays, and tells what of it was given to the device and when that sounds. A new turn breaks off the sound of older ones, and
/// [`pipeline::packet::Event::Hold`] makes it wait. A restart loses what waits.
pub struct Speaker {
    config: SpeakerConfig,
}

/// How often turns are looked at and news told.
const TICK: Duration = Duration::from_millis(20);

/// A speaker that is open.
struct Device {
    player: Arc<Mutex<Player>>,
    /// What went wrong with it.
    failed: Arc<Mutex<Option<String>>>,
    #[cfg(feature = "desktop")]
    _keep: crate::sound::device::Keep,
}

impl Device {
    fn lock(&self) -> MutexGuard<'_, Player> {
        lock(&self.player)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Stage for Speaker {
    async fn run(self, ctx: Context) -> Result<(), StageError> {
        let (wanted, clock) = (self.config.device, ctx.clock());
        let opened = spawn::blocking(move || open(wanted, clock)).await;
        let device = match opened {
            Ok(device) => device,
            // One that was never there does not come.
            Err(error) if ctx.n_restarts() == 0 => return Err(StageError::fatal(error)),
            Err(error) => return Err(error.into()),
        };
        let (mut is_open, mut is_held) = (true, false);
        let mut due = Timestamp(ctx.now().0 + TICK);
        while is_open || !device.lock().is_done() {
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
                        let turn = ctx.current_turn();
                        let mut player = device.lock();
                        let audio = at_rate(audio, player.rate_hz())?;
                        is_held &= !player.cut(turn);
                        player.push(packet.turn, &audio);
                        player.hold(is_held);
                    }
                    Body::Event(Event::Hold { held }) => {
                        is_held = held;
                        device.lock().hold(held);
                    }
                    _ => {}
                },
                Either::Right(_) => {
                    due = Timestamp(ctx.now().0 + TICK);
                    let news = {
                        let mut player = device.lock();
                        is_held &= !player.cut(ctx.current_turn());
                        player.news()
                    };
                    tell(&ctx, news).await;
                    if let Some(reason) = lock(&device.failed).take() {
                        return Err(Error::NoLoudspeaker { reason }.into());
                    }
                }
            }
            if ctx.is_stopping() && !is_open {
                break;
            }
        }
        let news = device.lock().news();
        tell(&ctx, news).await;
        Ok(())
    }
}

/// Whether there is a speaker.
///
/// Errors: [`Error::NoLoudspeaker`] with the reason why not.
pub fn probe() -> Result<()> {
    open(None, Clock::new()).map(|_| ())
}

#[cfg(not(feature = "desktop"))]
fn open(_: Option<String>, _: Clock) -> Result<Device> {
    let reason =
        "this program was built without the feature `desktop`; build it with `--features desktop`, or write files (sink.wav)";
    Err(Error::NoLoudspeaker {
        reason: reason.to_owned(),
    })
}

#[cfg(feature = "desktop")]
fn open(wanted: Option<String>, clock: Clock) -> Result<Device> {
    let player = Arc::new(Mutex::new(Player::new(1)));
    let failed: Arc<Mutex<Option<String>>> = Arc::default();
    let (shared, failure) = (player.clone(), failed.clone());
    let give = move |rate_hz: u32| {
        *lock(&shared) = Player::new(rate_hz);
        move |samples: &mut [f32], until: Duration| {
            let at = Timestamp(clock.now().0 + until);
            lock(&shared).fill(samples, at);
        }
    };
    let fail = move |message: String| {
        tracing::warn!(error = message, "speaker");
        // A glitch is reported too; a device that is gone takes nothing more.
        if message.to_lowercase().contains("not available") || message.to_lowercase().contains("disconnected") {
            *lock(&failure) = Some(message);
        }
    };
    let opened = crate::sound::device::open_speaker(wanted, give, fail);
    let (keep, _) = opened.map_err(|message| Error::NoLoudspeaker {
        reason: format!("{message}; plug one in, or write files (sink.wav)"),
    })?;
    Ok(Device {
        player,
        failed,
        _keep: keep,
    })
}

pub(super) fn register(registry: &mut Registry) {
    let build = |config: SpeakerConfig, _: &BuildContext<'_>| Ok(Speaker { config });
    let factory = Factory::new(build)
        .input("audio", &[PacketKind::Audio])
        .optional_input("hold", &[PacketKind::Event])
        .gives(&[PacketKind::Played])
        .may_be_unread();
    registry.add("sink.speaker", factory);
}

#[cfg(test)]
mod tests {
    use pipeline::alone::run_alone;

    use pipeline::packet::Audio;

    use super::*;

    #[tokio::test]
    async fn without_a_speaker_it_says_what_to_do() {
        let config = SpeakerConfig {
            device: Some("no such speaker".into()),
        };
        let alone = run_alone(Speaker { config }, Vec::new()).await;
        let Err(StageError::Fatal(error)) = alone.result else {
            panic!("no fatal error");
        };
        let message = error.to_string();
        assert!(message.contains("speaker") && message.contains("sink.wav"), "{message}");
    }

    #[test]
    fn a_unit_keeps_its_length_and_its_words_at_another_rate() {
        let audio = Audio {
            rate_hz: 22_050,
            samples: vec![0.1; 22_050].into(),
            ..Audio::default()
        };
        let found = at_rate(audio, 48_000).unwrap();
        assert_eq!((found.rate_hz, found.samples.len()), (48_000, 48_000));
    }
}
