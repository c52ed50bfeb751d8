//! What is said in sound, and what of it was played, as bytes.

use std::sync::Arc;

use super::{Result, floats, malformed, read_floats};
use crate::packet::{PlayState, Played, PlayedTurn, Spoken, Word};
use crate::record::bytes::{In, Out};

pub(super) fn write_words(out: &mut Out, words: &[Word]) {
    out.list(words.iter(), |out, word| {
        out.text(&word.text)
            .duration(word.start)
            .duration(word.end)
            .f32(word.confidence);
    });
}

pub(super) fn read_words(bytes: &mut In<'_>) -> Result<Arc<[Word]>> {
    let word = |bytes: &mut In<'_>| {
        Ok(Word {
            text: bytes.string()?,
            start: bytes.duration()?,
            end: bytes.duration()?,
            confidence: bytes.f32()?,
        })
    };
    Ok(bytes.list(7, word)?.into())
}

pub(super) fn write_spoken(out: &mut Out, spoken: &Spoken) {
    out.time(spoken.start).time(spoken.end);
    write_words(out, &spoken.words);
    out.number(spoken.n_settled as u64);
}

pub(super) fn read_spoken(bytes: &mut In<'_>) -> Result<Spoken> {
    let spoken = Spoken {
        start: bytes.time()?,
        end: bytes.time()?,
        words: read_words(bytes)?,
        n_settled: bytes.small()?,
    };
    match spoken.n_settled <= spoken.words.len() {
        true => Ok(spoken),
        false => malformed("more settled words than words"),
    }
}

const STATES: [PlayState; 3] = [PlayState::Playing, PlayState::Done, PlayState::Cut];

pub(super) fn write_played(out: &mut Out, played: &Played) {
    out.list(played.turns.iter(), |out, turn| {
        let state = STATES.iter().position(|state| *state == turn.state).unwrap_or_default();
        out.number(turn.turn)
            .time(turn.start)
            .number(turn.n_samples)
            .number(turn.n_waiting);
        write_words(out, &turn.words);
        out.u8(state as u8);
    });
    out.number(played.rate_hz.into());
    out.list(played.signal.iter(), |out, (time, samples)| {
        out.time(*time);
        floats(out, samples);
    });
}

pub(super) fn read_played(bytes: &mut In<'_>) -> Result<Played> {
    let turn = |bytes: &mut In<'_>| {
        Ok(PlayedTurn {
            turn: bytes.number()?,
            start: bytes.time()?,
            n_samples: bytes.number()?,
            n_waiting: bytes.number()?,
            words: read_words(bytes)?,
            state: match STATES.get(usize::from(bytes.u8()?)) {
                Some(state) => *state,
                None => return malformed("a state of a player that is not known"),
            },
        })
    };
    Ok(Played {
        turns: bytes.list(6, turn)?.into(),
        rate_hz: bytes.small()?,
        signal: bytes.list(2, |bytes| Ok((bytes.time()?, read_floats(bytes)?)))?.into(),
    })
}
