//! The conversation with the ears that travel with the program: nothing in it is a stand-in. Who speaks is the voice of the tree, a
//! little higher than the program's own. Nobody only listens in it: the weights of a first go hear "okay" as "occa", which interrupts
//! (issue 5).

use anyhow::Result;

use super::stage::{Clip, Ears, Room, talk};
use super::{END_S, FIRST_S, INTERRUPTS_S, LAST_S, SECOND_S, an_interruption, read_ahead, turns, waits, what_was_heard};

/// As it is heard: small letters, no marks. The third is heard with its first word misspelt.
const ASKED: [&str; 4] = [
    "[image]what is on the screen",
    "[image]describe the screen",
    "[image]weight look at the window",
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
    let talked = talk(&room, Ears::Pocket).await?;
    println!("{:?}", talked.stretches(0.5));
    turns(&talked, &ASKED)?;
    an_interruption(&talked)?;
    what_was_heard(&talked)?;
    waits(&talked)?;
    read_ahead(&talked)
}
