//! Ten minutes of the program's own voice through the whole graph: question after question, and the speaker in the same room as the
//! microphone. Takes minutes: `cargo xtask test --long` runs it.

use anyhow::{Result, ensure};

use super::ears::Script;
use super::stage::{Clip, Ears, RATE_HZ, Room, Talked, talk};
use super::{ECHO, words};

/// From one question to the next: an answer is over by then.
const EVERY_S: f64 = 26.0;
/// Of the program's own voice.
const VOICE_S: f64 = 600.0;
/// As many answers take that long: they grow short as the history grows, to five seconds in the mean.
const N_TURNS: usize = 130;
const QUESTION: &str = "What is on the screen?";

/// A room in which so many questions are asked, and who knows them.
fn questions(n: usize) -> Result<(Room, Script)> {
    let clip = Clip::read("sb_spk1_snt2")?;
    let (mut room, mut script) = (Room::silent(EVERY_S * n as f64 + 2.0), Script::default());
    for index in 0..n {
        room.add(1.0 + EVERY_S * index as f64, &clip);
    }
    script.knows(&clip.samples, QUESTION, clip.speech);
    Ok((room, script))
}

/// Seconds in which something sounds.
fn voice_s(talked: &Talked) -> f64 {
    talked.stretches(0.5).iter().map(|(from, to)| to - from).sum()
}

fn asked(talked: &Talked) -> Vec<String> {
    let last = |messages: &[(pipeline::packet::Role, String)]| messages.last().map(|(_, text)| words(text));
    talked.prompts.iter().filter_map(|(_, messages)| last(messages)).collect()
}

#[tokio::test]
#[ignore = "takes minutes: cargo xtask test --long"]
async fn ten_minutes_of_its_own_voice_do_not_interrupt_it() -> Result<()> {
    let n = N_TURNS;
    let (room, script) = questions(n)?;
    let alone = talk(&room, Ears::Script(script)).await?;
    println!("{n} turns, {:.0} s of voice", voice_s(&alone));
    ensure!(voice_s(&alone) >= VOICE_S, "{} s of voice", voice_s(&alone));
    ensure!(
        alone.n_interruptions() == 0 && asked(&alone).len() == n,
        "{:?}",
        alone.metrics
    );
    let (mut room, script) = questions(n)?;
    let sound = ECHO.of(&alone.sound, alone.rate_hz, RATE_HZ);
    room.samples.iter_mut().zip(sound).for_each(|(to, from)| *to += from);
    let talked = talk(&room, Ears::Script(script)).await?;
    ensure!(
        talked.n_interruptions() == 0,
        "{} times it was interrupted",
        talked.n_interruptions()
    );
    ensure!(asked(&talked) == asked(&alone), "{:?}", asked(&talked));
    ensure!(talked.answers == alone.answers, "other answers");
    let (with, without) = (talked.stretches(0.5), alone.stretches(0.5));
    ensure!(with.len() == without.len(), "{with:?}\n{without:?}");
    Ok(())
}
