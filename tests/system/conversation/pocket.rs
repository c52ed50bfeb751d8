//! The conversation with the ears that travel with the program: nothing in it is a stand-in. Who speaks is the voice of the tree, a
//! little higher than the program's own; coughs are pieces of real clips.

use anyhow::{Result, ensure};

use super::stage::{Clip, Ears, Room, talk};
use super::{
    APART_S, BACKCHANNELS_S, END_S, FIRST_S, INTERRUPTS_S, LAST_S, SECOND_S, an_interruption, read_ahead, turns, waits,
    what_was_heard,
};

/// Said by who only listens, between coughs.
const LISTENING: [&str; 5] = ["Okay.", "Right.", "Yeah.", "I see.", "Sure."];

/// As it is heard: small letters, no marks.
const ASKED: [&str; 4] = [
    "[image]what is on the screen",
    "[image]describe the screen",
    "[image]wait look at the window",
    "thank you very much",
];

#[tokio::test]
async fn a_conversation_with_the_ears_of_the_tree() -> Result<()> {
    let mut room = Room::silent(END_S);
    for (at_s, text) in [
        (FIRST_S, "What is on the screen?"),
        (SECOND_S, "Describe the screen."),
        (INTERRUPTS_S, "Wait, look at the window."),
        (LAST_S, "Thank you very much."),
    ] {
        room.add(at_s, &Clip::spoken(text)?);
    }
    let rough = Clip::read("ast_please-try-call-later")?;
    for (index, text) in LISTENING.into_iter().enumerate() {
        let at_s = BACKCHANNELS_S + APART_S * (2 * index) as f64;
        room.add(at_s, &Clip::spoken(text)?);
        let from_s = 0.2 + 0.3 * index as f64;
        room.add(at_s + APART_S, &rough.cut(from_s, from_s + 0.2));
    }
    let talked = talk(&room, Ears::Pocket).await?;
    println!("{:?}", talked.stretches(0.5));
    turns(&talked, &ASKED)?;
    let first = talked.sound_between(FIRST_S, SECOND_S);
    let last = BACKCHANNELS_S + APART_S * (2 * LISTENING.len() - 1) as f64;
    ensure!(first.is_some_and(|(_, end)| end > last), "the first answer sounded {first:?}");
    an_interruption(&talked)?;
    what_was_heard(&talked)?;
    waits(&talked)?;
    read_ahead(&talked)
}
