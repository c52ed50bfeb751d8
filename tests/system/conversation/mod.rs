//! A conversation by voice, from files: turns, an interruption, backchannels, the program's own voice, and what is remembered. See
//! `stage` for what is real in it, and `ears` for what is not.

mod ears;
mod echo;
mod long;
mod pocket;
mod stage;
mod waterfall;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pipeline::packet::{Played, Role};
use pipeline::time::Timestamp;
use stages::vad::echo::EchoOptions;
use stages::vad::hear::{Hearing, Told};
use stages::vad::segment::SegmentOptions;

use ears::Script;
use echo::Echo;
use stage::{Clip, Ears, RATE_HZ, Room, Talked, talk};
use waterfall::waterfall;

/// Of a block of sound.
const BLOCK_S: f64 = 0.02;

/// What is said when: the second, the recording, what the script takes it to say.
struct Said {
    at_s: f64,
    clip: Clip,
    words: &'static str,
}

const FIRST_S: f64 = 1.0;
/// From the first backchannel to the next, and how many there are.
const BACKCHANNELS_S: f64 = 5.2;
const APART_S: f64 = 1.2;
const N_BACKCHANNELS: usize = 10;
const SECOND_S: f64 = 30.0;
const INTERRUPTS_S: f64 = 33.6;
const LAST_S: f64 = 60.0;
const END_S: f64 = 66.0;

/// Three turns: ten who only listen or cough while the first is answered, and the third interrupts the answer to the second. Then a
/// last turn, whose prompt shows what is remembered.
fn said(backchannels: bool) -> Result<Vec<Said>> {
    let turn = |at_s: f64, name: &str, words: &'static str| -> Result<Said> {
        Ok(Said {
            at_s,
            clip: Clip::read(name)?,
            words,
        })
    };
    let mut all: Vec<Said> = [
        turn(FIRST_S, "sb_spk1_snt2", "What is on the screen?"),
        turn(SECOND_S, "sb_spk2_snt3", "Describe the screen."),
        turn(INTERRUPTS_S, "sb_spk2_snt4", "Wait, look at the window."),
        turn(LAST_S, "sb_spk1_snt5", "Thank you very much."),
    ]
    .into_iter()
    .collect::<Result<_>>()?;
    if !backchannels {
        return Ok(all);
    }
    let listening = [
        ("ast_digits_8", "Mm-hm."),
        ("ast_phonetic_m_p", "Yeah."),
        ("ast_digits_12", "Okay."),
        ("ast_digits_h-80", "Right."),
        ("ast_you-entered", "Uh-huh, okay."),
    ];
    for (index, ((name, words), clip)) in listening.into_iter().zip(coughs()?).enumerate() {
        let at_s = BACKCHANNELS_S + APART_S * (2 * index) as f64;
        all.push(turn(at_s, name, words)?);
        // The script knows none of them.
        all.push(Said {
            at_s: at_s + APART_S,
            clip,
            words: "",
        });
    }
    Ok(all)
}

/// Pieces of speech without a word in them stand for coughs: half as many as there are backchannels in all.
fn coughs() -> Result<Vec<Clip>> {
    let rough = Clip::read("ast_please-try-call-later")?;
    let cut = |index: usize| rough.cut(0.2 + 0.3 * index as f64, 0.4 + 0.3 * index as f64);
    Ok((0..N_BACKCHANNELS / 2).map(cut).collect())
}

fn room_and_script(backchannels: bool) -> Result<(Room, Script)> {
    let (mut room, mut script) = (Room::silent(END_S), Script::default());
    for said in said(backchannels)? {
        room.add(said.at_s, &said.clip);
        if !said.words.is_empty() {
            script.knows(&said.clip.samples, said.words, said.clip.speech);
        }
    }
    Ok((room, script))
}

fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn a_conversation_from_files_in_virtual_time() -> Result<()> {
    let (room, script) = room_and_script(true)?;
    let talked = talk(&room, Ears::Script(script)).await?;
    println!("{:?}", talked.stretches(0.5));
    turns(&talked, &ASKED)?;
    read_ahead(&talked)?;
    let (_, end) = talked.sound_between(FIRST_S, SECOND_S).context("the first answer")?;
    let last = BACKCHANNELS_S + APART_S * (N_BACKCHANNELS - 1) as f64;
    ensure!(
        end > last,
        "the first answer ended at {end} s, the last backchannel came at {last} s"
    );
    an_interruption(&talked)?;
    what_was_heard(&talked)?;
    waits(&talked)?;

    among_its_own_echo(ECHO).await?;
    ten_minutes_of_itself(&talked, ECHO)
}

/// What comes back of the program's own voice.
const ECHO: Echo = Echo {
    delay_s: 0.12,
    rt60_s: 0.3,
    level_db: -20.0,
    drift_ppm: 100.0,
};

/// The turns and the interruption again, with the speaker in the same room as the microphone: it hears itself all the time, and nothing
/// changes. Without the backchannels: they would hold the speaker a few milliseconds later or earlier, and what is played
/// to the microphone would be another answer's echo.
async fn among_its_own_echo(echo: Echo) -> Result<()> {
    let (room, script) = room_and_script(false)?;
    let alone = talk(&room, Ears::Script(script)).await?;
    let (mut room, script) = room_and_script(false)?;
    let sound = echo.of(&alone.sound, alone.rate_hz, RATE_HZ);
    room.samples.iter_mut().zip(sound).for_each(|(to, from)| *to += from);
    let talked = talk(&room, Ears::Script(script)).await?;
    println!("alone {:?}\nwith its echo {:?}", alone.stretches(0.5), talked.stretches(0.5));
    turns(&talked, &ASKED)?;
    an_interruption(&talked)?;
    what_was_heard(&talked)
}

/// What is asked, with the picture where it is about the screen.
const ASKED: [&str; 4] = [
    "[image]What is on the screen?",
    "[image]Describe the screen.",
    "[image]Wait, look at the window.",
    "Thank you very much.",
];

/// Who says something is answered, and who only listens is not.
fn turns(talked: &Talked, expected: &[&str]) -> Result<()> {
    let asked: Vec<&str> = talked
        .prompts
        .iter()
        .filter_map(|(_, messages)| Some(messages.last()?.1.as_str()))
        .collect();
    ensure!(asked == expected, "{asked:?}");
    ensure!(talked.n_interruptions() == 1, "{:?}", talked.metrics);
    Ok(())
}

/// What the user said was read while they still spoke, or while it was not sure yet that they had finished: of each prompt only the
/// last token was left to be fed.
fn read_ahead(talked: &Talked) -> Result<()> {
    let (prompts, reused) = (talked.metric("prompt_tokens"), talked.metric("reused_tokens"));
    println!(
        "{} prompts read ahead; {prompts:?} tokens of prompts, {reused:?} of them read before",
        talked.n_read_ahead
    );
    ensure!(
        talked.n_read_ahead > prompts.len() && prompts.len() >= 3,
        "{}",
        talked.n_read_ahead
    );
    let left: Vec<f64> = prompts.iter().zip(&reused).map(|(all, before)| all - before).collect();
    ensure!(left.iter().all(|n| *n == 1.0), "{left:?} tokens were left");
    Ok(())
}

/// The second answer falls silent within 200 ms of the first sample of who interrupts it, and stays so until the third.
fn an_interruption(talked: &Talked) -> Result<()> {
    let before = talked.sound_between(INTERRUPTS_S - 0.5, INTERRUPTS_S);
    ensure!(
        before.is_some(),
        "nothing was said that could be interrupted: {:?}",
        talked.stretches(0.5)
    );
    let (third, _) = talked.prompts.get(2).context("a third prompt")?;
    let end = third.pts.as_secs_f64();
    let after = talked.sound_between(INTERRUPTS_S, end).map_or(INTERRUPTS_S, |(_, last)| last);
    println!(
        "silent {:.0} ms after the first sample of the interruption",
        (after - INTERRUPTS_S) * 1e3
    );
    ensure!(after - INTERRUPTS_S <= 0.2, "it went on for {} s", after - INTERRUPTS_S);
    Ok(())
}

/// The prompts remember of each answer exactly the words that sounded to their end.
fn what_was_heard(talked: &Talked) -> Result<()> {
    let (_, last) = talked.prompts.get(3).context("a last prompt")?;
    let heard: Vec<&str> = last
        .iter()
        .filter(|message| message.0 == Role::Assistant)
        .map(|message| message.1.as_str())
        .collect();
    let [first, second, third] = heard[..] else {
        anyhow::bail!("{last:?}")
    };
    let turns: Vec<u64> = talked.prompts.iter().map(|(packet, _)| packet.turn).collect();
    for (index, heard) in [(0, first), (2, third)] {
        let written = words(&talked.answers[&turns[index]]);
        ensure!(heard == written, "of {written:?} was heard {heard:?}");
    }
    // Of the answer that was cut: by the file, and by the times of the words in what the voice made.
    let spoken = &talked.spoken[&turns[1]];
    let n_heard = second.split_whitespace().count();
    let (start, _) = talked.sound_between(SECOND_S, INTERRUPTS_S).context("the second answer")?;
    let (_, end) = talked
        .sound_between(SECOND_S, talked.prompts[2].0.pts.as_secs_f64())
        .context("its end")?;
    let sounded_s = end - start;
    let by_time: Vec<&str> = spoken
        .iter()
        .take_while(|(_, until)| *until <= sounded_s + BLOCK_S)
        .map(|(word, _)| word.as_str())
        .collect();
    println!("{sounded_s:.2} s of the second answer sounded: {second:?}");
    ensure!(
        n_heard > 0 && second == by_time.join(" "),
        "{second:?} by the prompt, {by_time:?} by the file"
    );
    let is_cut = second.len() < words(&talked.answers[&turns[1]]).len() || n_heard < spoken.len();
    ensure!(is_cut, "nothing was cut off {second:?}");
    Ok(())
}

/// What the user waits for: the parts add up to the silence in the file.
fn waits(talked: &Talked) -> Result<()> {
    for (prompt, _) in &talked.prompts[..3] {
        let found = waterfall(&talked.trace, prompt.turn)?;
        let (sounds, _) = talked
            .sound_between(found.end, found.end + 20.0)
            .context("an answer sounds")?;
        let parts: Vec<String> = found
            .parts
            .iter()
            .map(|(name, part)| format!("{name} {:.0}", part * 1e3))
            .collect();
        println!(
            "turn {}: {} ms; in the file {:.0} ms",
            prompt.turn,
            parts.join(" + "),
            (sounds - found.end) * 1e3
        );
        ensure!(found.parts.iter().all(|(_, part)| *part >= 0.0), "{found:?}");
        let off = (found.sounds_at() - sounds).abs();
        ensure!(
            off <= BLOCK_S + 1e-6,
            "turn {}: off by {off} s: {found:?}, it sounds at {sounds}",
            prompt.turn
        );
    }
    Ok(())
}

/// Ten minutes of the voice that the conversation had, without a pause, and of nothing but its echo. It must not take it for somebody.
fn ten_minutes_of_itself(talked: &Talked, echo: Echo) -> Result<()> {
    let rate = f64::from(talked.rate_hz);
    let spoken = talked.stretches(0.5).into_iter().flat_map(|(from, to)| {
        let sound = &talked.sound[(from * rate) as usize..(to * rate) as usize];
        [sound, &vec![0.0; talked.rate_hz as usize / 4]].concat()
    });
    let spoken: Vec<f32> = spoken.collect();
    let n = talked.rate_hz as usize * 600;
    let played: Vec<f32> = spoken.iter().cycle().take(n).copied().collect();
    let mut heard = Room::silent(600.0).samples;
    for (to, from) in heard.iter_mut().zip(echo.of(&played, talked.rate_hz, RATE_HZ)) {
        *to += from;
    }
    let deaf = begins(&played, talked.rate_hz, &heard[..RATE_HZ as usize * 60], None)?;
    ensure!(deaf > 5, "without the check it is taken for somebody: {deaf}");
    let found = begins(&played, talked.rate_hz, &heard, Some(EchoOptions::default()))?;
    println!("ten minutes of its own voice: taken for somebody {found} times ({deaf} times a minute without the check)");
    ensure!(found == 0, "{found} times");
    Ok(())
}

/// How often speech begins.
fn begins(played: &[f32], rate_hz: u32, heard: &[f32], options: Option<EchoOptions>) -> Result<usize> {
    let mut hearing = Hearing::new(SegmentOptions::default(), 300, options)?;
    let mut n = 0;
    for (index, block) in heard.chunks(RATE_HZ as usize / 50).enumerate() {
        let at = Timestamp(Duration::from_millis(20 * index as u64));
        let size = rate_hz as usize / 50;
        let sounds = played.get(index * size..(index + 1) * size).unwrap_or_default();
        hearing.plays(&Played {
            rate_hz,
            signal: [(at, sounds.into())].into(),
            ..Played::default()
        });
        let told = hearing.hears(at, block)?;
        n += told.iter().filter(|told| matches!(told, Told::Began(_))).count();
    }
    Ok(n)
}
