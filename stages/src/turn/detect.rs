//! `turn.detect`: what was heard becomes the user's turns, and new speech takes the floor from the program. This stage alone
//! begins turns of the run.

use std::time::Duration;

use futures::future::{Either, select};
use pipeline::actor::{Context, Stage, Stamp};
use pipeline::error::{Fault, StageError};
use pipeline::packet::{Body, Event, Finish, Packet, PacketKind, PlayState, Played, PlayedTurn, Spoken, Text};
use pipeline::registry::{Factory, Registry};
use pipeline::time::Timestamp;
use pipeline::turn::Turn;
use serde::Deserialize;

use super::floor::{Action, Answer, Floor, FloorOptions};

/// The keys of `turn.detect`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DetectConfig {
    /// Silence that ends a turn after a whole question: 400.
    pub question_ms: u32,
    /// After anything else that may be whole: 700.
    pub plain_ms: u32,
    /// After words that something follows ("and", "um"): 1800.
    pub open_ms: u32,
    /// One word said over an answer in less time than this only shows that somebody listens, unless it is a command: 700.
    pub sustained_ms: u32,
    /// Who speaks for so long interrupts, whatever the words are: 1500.
    pub interrupt_ms: u32,
    /// Pass on what was said so far while the turn goes on, as a text that is not finished, so that a model reads it ahead: off.
    pub ahead: bool,
}

impl Default for DetectConfig {
    fn default() -> Self {
        Self {
            question_ms: 400,
            plain_ms: 700,
            open_ms: 1800,
            sustained_ms: 700,
            interrupt_ms: 1500,
            ahead: false,
        }
    }
}

impl DetectConfig {
    fn options(&self) -> FloorOptions {
        let ms = |ms: u32| Duration::from_millis(ms.into());
        FloorOptions {
            question: ms(self.question_ms),
            plain: ms(self.plain_ms),
            open: ms(self.open_ms),
            sustained: ms(self.sustained_ms),
            interrupt_after: ms(self.interrupt_ms),
        }
    }

    fn faults(&self) -> Vec<Fault> {
        let keys = [
            ("question_ms", self.question_ms),
            ("plain_ms", self.plain_ms),
            ("open_ms", self.open_ms),
            ("sustained_ms", self.sustained_ms),
            ("interrupt_ms", self.interrupt_ms),
        ];
        let outside = keys.into_iter().filter(|(_, ms)| !(1..=60_000).contains(ms));
        outside
            .map(|(key, ms)| Fault::new(key, format!("is {ms}"), "milliseconds, from 1 to 60000"))
            .collect()
    }
}

/// Tells turns apart. A restart forgets the turn that the user is saying.
pub struct Detect {
    config: DetectConfig,
}

/// What the program says in answer to the last turn of the user.
#[derive(Default)]
struct Reply {
    /// `None`: nothing was asked since the last interruption.
    turn: Option<u64>,
    text: String,
    finished: bool,
    played: Option<PlayedTurn>,
}

/// Words of an answer around the one that is heard now: before and after.
const AROUND: (usize, usize) = (16, 8);

impl Reply {
    fn sees(&mut self, played: &Played) {
        let mine = |turn: &&PlayedTurn| Some(turn.turn) == self.turn;
        if let Some(turn) = played.turns.iter().find(mine) {
            self.played = Some(turn.clone());
        }
    }

    fn answer(&self) -> Answer {
        match (&self.turn, &self.played) {
            (None, _) => Answer::None,
            (Some(_), Some(played)) => match played.state {
                PlayState::Playing => Answer::Sounding,
                PlayState::Done if self.finished => Answer::None,
                PlayState::Done => Answer::Thinking,
                PlayState::Cut => Answer::None,
            },
            // An answer may be empty, and then it never sounds.
            (Some(_), None) if self.finished && self.text.trim().is_empty() => Answer::None,
            (Some(_), None) => Answer::Thinking,
        }
    }

    /// What is said around now.
    fn spoken(&self) -> String {
        let n_played = self.played.as_ref().map_or(0, |played| played.words.len());
        let words = self.text.split_whitespace().skip(n_played.saturating_sub(AROUND.0));
        let words: Vec<&str> = words.take(AROUND.0 + AROUND.1).collect();
        words.join(" ")
    }
}

impl Stage for Detect {
    async fn run(self, ctx: Context) -> Result<(), StageError> {
        let mut floor = Floor::new(self.config.options());
        let mut reply = Reply::default();
        let mut passed_on = String::new();
        loop {
            let packet = match floor.deadline() {
                None => ctx.recv_any().await,
                Some(deadline) => {
                    let clock = ctx.clock();
                    let wait = std::pin::pin!(clock.sleep_until(deadline));
                    match select(std::pin::pin!(ctx.recv_any()), wait).await {
                        Either::Left((packet, _)) => packet,
                        Either::Right(_) => {
                            let actions = floor.tick(ctx.now());
                            act(&ctx, actions, &mut reply).await?;
                            continue;
                        }
                    }
                }
            };
            let Some((port, packet)) = packet else { break };
            let actions = take(&mut floor, &mut reply, port, packet);
            act(&ctx, actions, &mut reply).await?;
            floor.answers(reply.answer(), &reply.spoken());
            if self.config.ahead {
                let so_far = floor.so_far().unwrap_or_default();
                if so_far != passed_on && !so_far.is_empty() {
                    pass_on(&ctx, so_far.clone()).await?;
                }
                passed_on = so_far;
            }
        }
        let actions = floor.finish();
        act(&ctx, actions, &mut reply).await
    }
}

fn take(floor: &mut Floor, reply: &mut Reply, port: &str, packet: Packet) -> Vec<Action> {
    match packet.body {
        Body::Played(played) => {
            reply.sees(&played);
            Vec::new()
        }
        Body::Event(Event::Voice { on: true }) => floor.voice_on(packet.pts),
        Body::Event(Event::Voice { on: false }) => floor.voice_off(packet.pts),
        Body::Text(text) if port == "answer" => {
            if Some(packet.turn) == reply.turn && !text.thought {
                reply.finished = text.finished.is_some();
                reply.text = text.text;
            }
            Vec::new()
        }
        Body::Text(text) if text.finished.is_some() => floor.utterance(&text.text, packet.pts),
        Body::Text(text) => floor.partial(&text.text),
        _ => Vec::new(),
    }
}

async fn act(ctx: &Context, actions: Vec<Action>, reply: &mut Reply) -> Result<(), StageError> {
    for action in actions {
        match action {
            Action::Hold(held) => {
                let stamp = Stamp {
                    pts: ctx.now(),
                    turn: Turn::ALWAYS,
                };
                ctx.send(Body::Event(Event::Hold { held }), stamp).await?;
            }
            Action::Interrupt => {
                *reply = Reply::default();
                ctx.turn().next();
                ctx.reporter().metric("interrupted_ms", ctx.now().as_millis_f64());
            }
            Action::Said { text, start, end } => {
                // After an interruption the turn is new already, and nothing belongs to it.
                let turn = match reply.turn {
                    None if ctx.current_turn() > 0 => ctx.current_turn(),
                    _ => ctx.turn().next(),
                };
                *reply = Reply {
                    turn: Some(turn),
                    ..Reply::default()
                };
                tell(ctx, end);
                let words = Spoken {
                    start,
                    end,
                    ..Spoken::default()
                };
                let text = Text {
                    delta: text.clone(),
                    text,
                    finished: Some(Finish::Stop),
                    spoken: Some(words),
                    ..Text::default()
                };
                ctx.send(Body::Text(text), Stamp { pts: end, turn }).await?;
            }
        }
    }
    Ok(())
}

/// Tells what was said so far. It belongs to no turn: none has begun.
async fn pass_on(ctx: &Context, text: String) -> Result<(), StageError> {
    let stamp = Stamp {
        pts: ctx.now(),
        turn: Turn::ALWAYS,
    };
    let text = Text { text, ..Text::default() };
    Ok(ctx.send(Body::Text(text), stamp).await?)
}

/// How long the end of a turn took to be known.
fn tell(ctx: &Context, end: Timestamp) {
    let waited = ctx.now().since(end);
    ctx.reporter().metric("endpoint_ms", waited.as_secs_f64() * 1e3);
}

pub(super) fn register(registry: &mut Registry) {
    let factory = Factory::new(|config: DetectConfig, _: &_| Ok(Detect { config }))
        .input("text", &[PacketKind::Text])
        .input("voice", &[PacketKind::Event])
        .optional_input("played", &[PacketKind::Played])
        .optional_input("answer", &[PacketKind::Text])
        .gives(&[PacketKind::Text, PacketKind::Event])
        .check(|config, _| config.faults());
    registry.add("turn.detect", factory);
}
