//! `capture.replay`: a source that sends what another source sent, at the times that it did.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::packet::packet_from_bytes;
use super::picture::PictureCoder;
use super::tape::{Played, Tape};
use crate::actor::{Context, Stage};
use crate::error::{Error, StageError};
use crate::packet::PacketKind;
use crate::registry::{Factory, Registry};
use crate::spawn;

/// The type of stage that takes a recorded source's place; the stage has the source's name.
pub const REPLAY_TYPE: &str = "capture.replay";

/// It has no keys of its own.
#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ReplayConfig {}

/// Plays one source of a tape, from where the incarnation before it ended.
struct Replay {
    tape: Arc<Tape>,
    name: String,
    place: Arc<Mutex<Place>>,
}

/// Where a source is on its tape.
#[derive(Default)]
struct Place {
    next: usize,
    pictures: PictureCoder,
}

impl Replay {
    fn place(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stage for Replay {
    async fn run(self, ctx: Context) -> Result<(), StageError> {
        let played: &[Played] = self.tape.sources.get(&self.name).map_or(&[], Vec::as_slice);
        loop {
            let index = self.place().next;
            let Some(next) = played.get(index) else { return Ok(()) };
            self.place().next += 1;
            let (time, bytes, at_byte) = match next {
                Played::Packet { time, bytes, at_byte } => (*time, bytes.clone(), *at_byte),
                Played::Ended(end) => {
                    return match &end.failure {
                        None => Ok(()),
                        Some(failure) if end.is_fatal => Err(StageError::fatal(failure.as_str())),
                        Some(failure) => Err(StageError::new(failure.as_str())),
                    };
                }
            };
            if ctx.or_stop(ctx.clock().sleep_until(time)).await.is_none() {
                return Ok(());
            }
            let mut pictures = std::mem::take(&mut self.place().pictures);
            let (packet, pictures) = spawn::blocking(move || (packet_from_bytes(&bytes, &mut pictures), pictures)).await;
            self.place().pictures = pictures;
            let packet = packet.map_err(|error| Error::RecordingDamaged {
                at_byte,
                message: error.to_string(),
            })?;
            ctx.turn().reach(packet.turn);
            let stamp = packet.stamp();
            ctx.send(packet.body, stamp).await?;
            // What comes after a restart follows this; it is not this again.
            ctx.keep(());
        }
    }
}

/// Adds the type [`REPLAY_TYPE`], which plays the sources of `tape`.
pub fn register_replay(registry: &mut Registry, tape: &Arc<Tape>) {
    let kinds: Vec<PacketKind> = PacketKind::ALL
        .into_iter()
        .filter(|kind| *kind != PacketKind::Features)
        .collect();
    let places: BTreeMap<String, Arc<Mutex<Place>>> = tape.sources().map(|name| (name.to_owned(), Arc::default())).collect();
    let tape = tape.clone();
    let factory = Factory::new(move |_: ReplayConfig, context| {
        let name = context.spec.name.clone();
        let place = places.get(&name).cloned();
        let not_there = || StageError::new(format!("the recording has no source {name}"));
        Ok(Replay {
            tape: tape.clone(),
            place: place.ok_or_else(not_there)?,
            name,
        })
    });
    registry.add(REPLAY_TYPE, factory.gives(&kinds).may_be_unread());
}
