//! Packets as bytes, for recordings and for links that leave the process. What is only a handle (features on an engine) cannot.

mod speech;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use super::bytes::{In, Out};
use super::picture::PictureCoder;
use crate::error::Error;
use crate::packet::{
    Audio, Body, ChangedTiles, Event, Finish, Frame, FrameRef, Message, Metric, Packet, PacketKind, Part, Prompt, Role, Speech,
    Text, Tokens, TokensRole,
};

type Result<T> = std::result::Result<T, Error>;

/// A packet as bytes. `pictures` remembers the link's or source's last one.
///
/// Errors: [`Error::NotBytes`] if a part of it is a handle; those of [`PictureCoder::write`].
pub fn packet_to_bytes(packet: &Packet, pictures: &mut PictureCoder) -> Result<Vec<u8>> {
    let mut out = Out::new();
    out.number(packet.seq).time(packet.pts).number(packet.turn);
    write_body(&mut out, &packet.body, pictures)?;
    Ok(out.0)
}

/// A packet out of all of `bytes`.
///
/// Errors: [`Error::Malformed`].
pub fn packet_from_bytes(bytes: &[u8], pictures: &mut PictureCoder) -> Result<Packet> {
    let mut bytes = In::new(bytes);
    Ok(Packet {
        seq: bytes.number()?,
        pts: bytes.time()?,
        turn: bytes.number()?,
        body: body(&mut bytes, pictures)?,
    })
}

/// A body alone. Errors: as [`packet_to_bytes`].
pub fn body_to_bytes(body: &Body, pictures: &mut PictureCoder) -> Result<Vec<u8>> {
    let mut out = Out::new();
    write_body(&mut out, body, pictures)?;
    Ok(out.0)
}

/// A body out of all of `bytes`. Errors: as [`packet_from_bytes`].
pub fn body_from_bytes(bytes: &[u8], pictures: &mut PictureCoder) -> Result<Body> {
    body(&mut In::new(bytes), pictures)
}

fn malformed<T>(what: &'static str) -> Result<T> {
    Err(Error::Malformed { what })
}

fn write_body(out: &mut Out, body: &Body, pictures: &mut PictureCoder) -> Result<()> {
    let kind = PacketKind::ALL
        .iter()
        .position(|kind| *kind == body.kind())
        .unwrap_or_default();
    out.u8(kind as u8);
    match body {
        Body::Frame(frame) => {
            about(out, &frame.about);
            out.option(frame.changed.as_deref(), tiles);
            pictures.write(out, frame.width, frame.height, &frame.rgb)?;
        }
        Body::Audio(audio) => {
            out.number(audio.rate_hz.into());
            floats(out, &audio.samples);
            speech::write_words(out, &audio.words);
            out.option(audio.about.as_ref(), about);
        }
        Body::Speech(speech) => {
            out.number(speech.rate_hz.into());
            floats(out, &speech.samples);
            out.bool(speech.kept).option(speech.about.as_ref(), about);
        }
        Body::Played(played) => speech::write_played(out, played),
        Body::Prompt(prompt) => write_prompt(out, prompt)?,
        Body::Tokens(tokens) => write_tokens(out, tokens)?,
        Body::Text(text) => {
            // The delta is as a rule the end of the text.
            let is_end = text.text.ends_with(&text.delta);
            out.text(&text.text).bool(is_end);
            match is_end {
                true => out.number(text.delta.len() as u64),
                false => out.text(&text.delta),
            };
            out.option(text.about.as_ref(), about).bool(text.thought);
            finish(out, text.finished);
            out.option(text.spoken.as_ref(), speech::write_spoken);
        }
        Body::Event(event) => write_event(out, event),
        Body::Metric(metric) => {
            out.text(&metric.of).text(metric.name).f64(metric.value);
        }
        Body::Features(_) => return Err(Error::NotBytes { kind: "features" }),
    }
    Ok(())
}

fn body(bytes: &mut In<'_>, pictures: &mut PictureCoder) -> Result<Body> {
    let Some(kind) = PacketKind::ALL.get(usize::from(bytes.u8()?)) else {
        return malformed("a kind of packet that is not known");
    };
    let body = match kind {
        PacketKind::Frame => {
            let about = read_about(bytes)?;
            let changed = bytes.option(read_tiles)?.map(Arc::new);
            let (width, height, rgb) = pictures.read(bytes)?;
            Body::Frame(Frame {
                about,
                width,
                height,
                rgb,
                changed,
            })
        }
        PacketKind::Audio => Body::Audio(Audio {
            rate_hz: bytes.small()?,
            samples: read_floats(bytes)?,
            words: speech::read_words(bytes)?,
            about: bytes.option(read_about)?,
        }),
        PacketKind::Speech => Body::Speech(Speech {
            rate_hz: bytes.small()?,
            samples: read_floats(bytes)?,
            kept: bytes.bool()?,
            about: bytes.option(read_about)?,
        }),
        PacketKind::Played => Body::Played(speech::read_played(bytes)?),
        PacketKind::Prompt => Body::Prompt(read_prompt(bytes)?),
        PacketKind::Tokens => Body::Tokens(read_tokens(bytes)?),
        PacketKind::Text => Body::Text(read_text(bytes)?),
        PacketKind::Event => Body::Event(read_event(bytes)?),
        PacketKind::Metric => Body::Metric(Metric {
            of: bytes.string()?,
            name: name_of_metric(bytes.text()?)?,
            value: bytes.f64()?,
        }),
        PacketKind::Features => return malformed("features, which are no bytes"),
    };
    bytes.end()?;
    Ok(body)
}

fn about(out: &mut Out, about: &FrameRef) {
    out.number(about.index).text(&about.label).time(about.pts);
}

fn read_about(bytes: &mut In<'_>) -> Result<FrameRef> {
    Ok(FrameRef {
        index: bytes.number()?,
        label: bytes.text()?.into(),
        pts: bytes.time()?,
    })
}

fn tiles(out: &mut Out, tiles: &ChangedTiles) {
    out.number(tiles.tile.into())
        .number(tiles.columns.into())
        .number(tiles.rows.into())
        .list(tiles.changed.iter(), |out, changed| {
            out.bool(*changed);
        });
}

fn read_tiles(bytes: &mut In<'_>) -> Result<ChangedTiles> {
    let tiles = ChangedTiles {
        tile: bytes.small()?,
        columns: bytes.small()?,
        rows: bytes.small()?,
        changed: bytes.list(1, In::bool)?,
    };
    match u64::from(tiles.columns) * u64::from(tiles.rows) == tiles.changed.len() as u64 {
        true => Ok(tiles),
        false => malformed("tiles that do not fit their rows and columns"),
    }
}

fn floats(out: &mut Out, samples: &[f32]) {
    out.list(samples.iter(), |out, sample| {
        out.f32(*sample);
    });
}

fn read_floats(bytes: &mut In<'_>) -> Result<Arc<[f32]>> {
    Ok(bytes.list(4, In::f32)?.into())
}

fn finish(out: &mut Out, finish: Option<Finish>) {
    out.u8(match finish {
        None => 0,
        Some(Finish::Stop) => 1,
        Some(Finish::Length) => 2,
        Some(Finish::Cancelled) => 3,
    });
}

fn read_finish(bytes: &mut In<'_>) -> Result<Option<Finish>> {
    Ok(match bytes.u8()? {
        0 => None,
        1 => Some(Finish::Stop),
        2 => Some(Finish::Length),
        3 => Some(Finish::Cancelled),
        _ => return malformed("an end of an answer that is not known"),
    })
}

fn read_text(bytes: &mut In<'_>) -> Result<Text> {
    let text = bytes.string()?;
    let delta = match bytes.bool()? {
        true => {
            let n: usize = bytes.small()?;
            let start = text.len().checked_sub(n);
            match start.and_then(|start| text.get(start..)) {
                Some(delta) => delta.to_owned(),
                None => return malformed("an end of a text that is longer than it"),
            }
        }
        false => bytes.string()?,
    };
    Ok(Text {
        delta,
        text,
        about: bytes.option(read_about)?,
        thought: bytes.bool()?,
        finished: read_finish(bytes)?,
        spoken: bytes.option(speech::read_spoken)?,
    })
}

const ROLES: [Role; 3] = [Role::System, Role::User, Role::Assistant];

fn write_prompt(out: &mut Out, prompt: &Prompt) -> Result<()> {
    let has_features = |message: &Message| message.parts.iter().any(|part| !matches!(part, Part::Text(_)));
    if prompt.messages.iter().any(has_features) {
        return Err(Error::NotBytes {
            kind: "a prompt with features",
        });
    }
    out.list(prompt.messages.iter(), |out, message| {
        let role = ROLES.iter().position(|role| *role == message.role).unwrap_or_default();
        out.u8(role as u8).list(message.parts.iter(), |out, part| {
            if let Part::Text(text) = part {
                out.text(text);
            }
        });
    });
    out.option(prompt.about.as_ref(), about);
    out.number(prompt.max_new_tokens.into());
    Ok(())
}

fn read_prompt(bytes: &mut In<'_>) -> Result<Prompt> {
    let message = |bytes: &mut In<'_>| {
        let Some(role) = ROLES.get(usize::from(bytes.u8()?)) else {
            return malformed("a role that is not known");
        };
        Ok(Message {
            role: *role,
            parts: bytes.list(1, |bytes| Ok(Part::Text(bytes.string()?)))?,
        })
    };
    Ok(Prompt {
        messages: bytes.list(2, message)?,
        about: bytes.option(read_about)?,
        max_new_tokens: bytes.small()?,
    })
}

fn write_tokens(out: &mut Out, tokens: &Tokens) -> Result<()> {
    out.list(tokens.ids.iter(), |out, id| {
        out.number((*id).into());
    });
    out.option(tokens.about.as_ref(), about);
    match &tokens.role {
        TokensRole::Prompt { media, .. } if !media.is_empty() => {
            return Err(Error::NotBytes {
                kind: "a prompt with features",
            });
        }
        TokensRole::Prompt {
            max_new_tokens,
            thinking,
            ..
        } => {
            out.bool(true).number((*max_new_tokens).into()).bool(*thinking);
        }
        TokensRole::Answer {
            logprobs,
            finished,
            thinking,
        } => {
            out.bool(false);
            floats(out, logprobs);
            finish(out, *finished);
            out.bool(*thinking);
        }
    }
    Ok(())
}

fn read_tokens(bytes: &mut In<'_>) -> Result<Tokens> {
    let ids = bytes.list(1, In::small)?.into();
    let about = bytes.option(read_about)?;
    let role = match bytes.bool()? {
        true => TokensRole::Prompt {
            media: Vec::new(),
            max_new_tokens: bytes.small()?,
            thinking: bytes.bool()?,
        },
        false => TokensRole::Answer {
            logprobs: read_floats(bytes)?,
            finished: read_finish(bytes)?,
            thinking: bytes.bool()?,
        },
    };
    Ok(Tokens { ids, about, role })
}

fn write_event(out: &mut Out, event: &Event) {
    match event {
        Event::Progress {
            stage,
            what,
            done,
            total,
        } => out.u8(0).text(stage).text(what).number(*done).number(*total),
        Event::Warning { stage, message } => out.u8(1).text(stage).text(message),
        Event::StageFailed { stage, message } => out.u8(2).text(stage).text(message),
        Event::StageRestarted {
            stage,
            n_restarts,
            message,
        } => out.u8(3).text(stage).number(*n_restarts).text(message),
        Event::StageEnded { stage } => out.u8(4).text(stage),
        Event::Hold { held } => out.u8(5).text("").bool(*held),
        Event::Voice { on } => out.u8(6).text("").bool(*on),
    };
}

fn read_event(bytes: &mut In<'_>) -> Result<Event> {
    let kind = bytes.u8()?;
    let stage = bytes.string()?;
    Ok(match kind {
        0 => Event::Progress {
            stage,
            what: bytes.string()?,
            done: bytes.number()?,
            total: bytes.number()?,
        },
        1 => Event::Warning {
            stage,
            message: bytes.string()?,
        },
        2 => Event::StageFailed {
            stage,
            message: bytes.string()?,
        },
        3 => Event::StageRestarted {
            stage,
            n_restarts: bytes.number()?,
            message: bytes.string()?,
        },
        4 => Event::StageEnded { stage },
        5 => Event::Hold { held: bytes.bool()? },
        6 => Event::Voice { on: bytes.bool()? },
        _ => return malformed("an event that is not known"),
    })
}

/// Names of metrics live as long as the program; those that come as bytes are kept once each, and not more of them than programs
/// have.
fn name_of_metric(name: &str) -> Result<&'static str> {
    const MAX_NAMES: usize = 256;
    const MAX_BYTES: usize = 64;
    static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(name) = names.get(name) {
        return Ok(name);
    }
    if names.len() >= MAX_NAMES || name.len() > MAX_BYTES {
        return malformed("more names of metrics than there can be");
    }
    let name: &'static str = String::leak(name.to_owned());
    names.insert(name);
    Ok(name)
}

#[cfg(test)]
mod tests;
