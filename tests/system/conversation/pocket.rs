//! The conversation with the ears that travel with the program: nothing in it is a stand-in. Who speaks is the voice of the tree, a
//! little higher than the program's own.

use anyhow::{Context, Result, ensure};

use super::stage::{Clip, Ears, Room, Talked, talk};
use super::{
    END_S, FIRST_S, INTERRUPTS_S, LAST_S, N_BACKCHANNELS, SECOND_S, an_interruption, coughs, read_ahead, waits, what_was_heard,
    words,
};

/// What is said, each with when.
const SAID: [(f64, &str); 4] = [
    (FIRST_S, "What is on the screen?"),
    (SECOND_S, "Describe the screen."),
    (INTERRUPTS_S, "Wait, look at the window."),
    (LAST_S, "Thank you very much."),
];
/// From the first sound of who only listens to the next: all are within the first answer.
const LISTENS_S: f64 = 3.2;
const APART_S: f64 = 0.9;
/// What is said by who only listens.
const LISTENING: [&str; 5] = ["Okay.", "Yeah.", "Mm-hm.", "Right.", "Uh-huh."];

fn room() -> Result<Room> {
    let mut room = Room::silent(END_S);
    for (at_s, text) in SAID {
        room.add(at_s, &Clip::spoken(text)?);
    }
    Ok(room)
}

/// All is asked, with at most one word misheard in each, and about the newest picture where it is about the screen.
fn asked(talked: &Talked) -> Result<()> {
    let asked = talked
        .prompts
        .iter()
        .filter_map(|(_, messages)| Some(messages.last()?.1.as_str()));
    let asked: Vec<&str> = asked.collect();
    ensure!(asked.len() == SAID.len(), "{asked:?}");
    for (index, (asked, (_, said))) in asked.iter().zip(SAID).enumerate() {
        ensure!(asked.starts_with("[image]") == (index < 3), "{asked:?}");
        let bare = |text: &str| words(text).to_lowercase().replace(['.', ',', '?'], "");
        let heard = bare(asked.trim_start_matches("[image]"));
        let n_right = bare(said)
            .split(' ')
            .filter(|word| heard.split(' ').any(|other| other == *word))
            .count();
        ensure!(n_right + 1 >= said.split(' ').count(), "{said:?} is heard as {heard:?}");
    }
    ensure!(talked.n_interruptions() == 1, "{:?}", talked.metrics);
    Ok(())
}

#[tokio::test]
async fn a_conversation_with_the_ears_of_the_tree() -> Result<()> {
    let talked = talk(&room()?, Ears::Pocket).await?;
    println!("{:?}", talked.stretches(0.5));
    asked(&talked)?;
    an_interruption(&talked)?;
    what_was_heard(&talked)?;
    waits(&talked)?;
    read_ahead(&talked)
}

#[tokio::test]
async fn who_only_listens_or_coughs_does_not_interrupt_the_ears_of_the_tree() -> Result<()> {
    let mut room = room()?;
    for (index, (text, cough)) in LISTENING.into_iter().zip(coughs()?).enumerate() {
        let at_s = LISTENS_S + APART_S * (2 * index) as f64;
        room.add(at_s, &Clip::spoken(text)?);
        room.add(at_s + APART_S, &cough);
    }
    let talked = talk(&room, Ears::Pocket).await?;
    println!("{:?}", talked.stretches(0.5));
    asked(&talked)?;
    let (_, end) = talked.sound_between(FIRST_S, SECOND_S).context("the first answer")?;
    let last = LISTENS_S + APART_S * (N_BACKCHANNELS - 1) as f64;
    ensure!(
        end > last,
        "the first answer ended at {end} s, the last sound came at {last} s"
    );
    an_interruption(&talked)
}
