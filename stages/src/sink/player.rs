//! What a speaker does, without one: sound waits in turns, is given out sample by sample, cut, held, and it is known what was heard.
//! No clock and no device (`speaker`, `wav`).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use pipeline::packet::{Audio, PlayState, Played, PlayedTurn, Word};
use pipeline::time::Timestamp;

/// Turns that are told of.
const MAX_TURNS: usize = 8;
/// How much of the signal is told.
const SIGNAL: Duration = Duration::from_secs(1);

/// Sound that waits and sound that was played.
pub struct Player {
    rate_hz: u32,
    waiting: VecDeque<Piece>,
    /// Newest last.
    turns: VecDeque<TurnSound>,
    signal: VecDeque<(Timestamp, Arc<[f32]>)>,
    held: bool,
    /// The latest turn.
    turn: u64,
    /// Something has changed since the last look.
    changed: bool,
}

/// Samples of a turn that were not played yet.
struct Piece {
    turn: u64,
    samples: Arc<[f32]>,
    next: usize,
}

struct TurnSound {
    state: PlayedTurn,
    /// Samples that came.
    n_came: u64,
    /// Words that were not played to their end, and the sample at which that is.
    words: VecDeque<(u64, Word)>,
}

impl Player {
    pub fn new(rate_hz: u32) -> Self {
        Self {
            rate_hz: rate_hz.max(1),
            waiting: VecDeque::new(),
            turns: VecDeque::new(),
            signal: VecDeque::new(),
            held: false,
            turn: 0,
            changed: false,
        }
    }

    pub fn rate_hz(&self) -> u32 {
        self.rate_hz
    }

    /// Adds sound of a turn, at the player's rate. What comes for a turn that was cut is dropped.
    pub fn push(&mut self, turn: u64, audio: &Audio) {
        let rate_hz = self.rate_hz;
        if self.turns.back().is_none_or(|last| last.state.turn != turn) {
            if self
                .turns
                .iter()
                .any(|old| old.state.turn == turn && old.state.state == PlayState::Cut)
            {
                return;
            }
            self.turns.push_back(TurnSound {
                state: PlayedTurn {
                    turn,
                    ..PlayedTurn::default()
                },
                n_came: 0,
                words: VecDeque::new(),
            });
            if self.turns.len() > MAX_TURNS {
                self.turns.pop_front();
            }
        }
        let Some(sound) = self.turns.back_mut() else { return };
        if sound.state.state == PlayState::Cut {
            return;
        }
        let offset = time_of(sound.n_came, rate_hz);
        for word in audio.words.iter() {
            let mut word = word.clone();
            (word.start, word.end) = (word.start + offset, word.end + offset);
            // A word that its rounding makes longer than the sound is heard when the sound has ended.
            let end = sample_at(word.end, rate_hz).min(sound.n_came + audio.samples.len() as u64);
            sound.words.push_back((end, word));
        }
        sound.n_came += audio.samples.len() as u64;
        sound.state.n_waiting += audio.samples.len() as u64;
        sound.settle();
        if !audio.samples.is_empty() {
            self.waiting.push_back(Piece {
                turn,
                samples: audio.samples.clone(),
                next: 0,
            });
        }
        self.changed = true;
    }

    /// Drops what waits of turns older than `turn`. A new turn is not held. Whether it is one.
    pub fn cut(&mut self, turn: u64) -> bool {
        if turn <= self.turn {
            return false;
        }
        self.turn = turn;
        self.hold(false);
        self.waiting.retain(|piece| piece.turn >= turn);
        for sound in self.turns.iter_mut().filter(|sound| sound.state.turn < turn) {
            if sound.state.state == PlayState::Playing {
                sound.state.state = PlayState::Cut;
                self.changed = true;
            }
        }
        true
    }

    /// Is silent until told otherwise; what waits goes on waiting.
    pub fn hold(&mut self, held: bool) {
        self.changed |= self.held != held;
        self.held = held;
    }

    /// Whether nothing waits.
    pub fn is_done(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The next samples, of which the first sounds at `at`; silence where there are none. How many are sound.
    pub fn fill(&mut self, out: &mut [f32], at: Timestamp) -> usize {
        out.fill(0.0);
        if self.held {
            return 0;
        }
        let mut n = 0;
        while n < out.len() {
            let Some(piece) = self.waiting.front_mut() else { break };
            let left = &piece.samples[piece.next..];
            let taken = left.len().min(out.len() - n);
            out[n..n + taken].copy_from_slice(&left[..taken]);
            piece.next += taken;
            let (turn, is_through) = (piece.turn, piece.next == piece.samples.len());
            if is_through {
                self.waiting.pop_front();
            }
            let start = Timestamp(at.0 + time_of(n as u64, self.rate_hz));
            self.played_of(turn, taken as u64, start);
            n += taken;
        }
        if n > 0 {
            self.signal.push_back((at, out[..n].into()));
            let oldest = at.0.saturating_sub(SIGNAL);
            while self.signal.front().is_some_and(|(time, _)| time.0 < oldest) {
                self.signal.pop_front();
            }
            self.changed = true;
        }
        n
    }

    fn played_of(&mut self, turn: u64, n: u64, start: Timestamp) {
        let Some(sound) = self.turns.iter_mut().rev().find(|sound| sound.state.turn == turn) else {
            return;
        };
        let state = &mut sound.state;
        if state.n_samples == 0 {
            state.start = start;
        }
        state.n_samples += n;
        state.n_waiting = state.n_waiting.saturating_sub(n);
        sound.settle();
    }

    /// What was played, if that has changed since this was asked last.
    pub fn news(&mut self) -> Option<Played> {
        std::mem::take(&mut self.changed).then(|| self.played())
    }

    pub fn played(&self) -> Played {
        Played {
            turns: self.turns.iter().map(|sound| sound.state.clone()).collect(),
            rate_hz: self.rate_hz,
            signal: self.signal.iter().cloned().collect(),
        }
    }
}

impl TurnSound {
    /// Brings words and state up to the samples that were played.
    fn settle(&mut self) {
        let state = &mut self.state;
        if state.state != PlayState::Cut {
            state.state = match state.n_waiting {
                0 => PlayState::Done,
                _ => PlayState::Playing,
            };
        }
        let mut words = Vec::new();
        while self.words.front().is_some_and(|(end, _)| *end <= state.n_samples) {
            words.extend(self.words.pop_front().map(|(_, word)| word));
        }
        if !words.is_empty() {
            state.words = state.words.iter().cloned().chain(words).collect();
        }
    }
}

/// How long samples take.
pub fn time_of(n_samples: u64, rate_hz: u32) -> Duration {
    let nanos = u128::from(n_samples) * 1_000_000_000 / u128::from(rate_hz.max(1));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// The sample before which a time lies.
fn sample_at(time: Duration, rate_hz: u32) -> u64 {
    let samples = time.as_nanos() * u128::from(rate_hz) / 1_000_000_000;
    u64::try_from(samples).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ms(time: u64) -> Timestamp {
        Timestamp(Duration::from_millis(time))
    }

    fn word(text: &str, start_ms: u64, end_ms: u64) -> Word {
        Word {
            text: text.into(),
            start: Duration::from_millis(start_ms),
            end: Duration::from_millis(end_ms),
            confidence: 1.0,
        }
    }

    /// A sample a millisecond.
    fn audio(n: usize, words: &[Word]) -> Audio {
        Audio {
            rate_hz: 1000,
            samples: vec![0.5; n].into(),
            words: words.into(),
            about: None,
        }
    }

    fn words(turn: &PlayedTurn) -> Vec<&str> {
        turn.words.iter().map(|word| word.text.as_str()).collect()
    }

    #[test]
    fn words_are_heard_when_their_last_sample_was_played() {
        let mut player = Player::new(1000);
        player.push(1, &audio(50, &[word("one", 0, 20), word("two", 20, 50)]));
        player.push(1, &audio(30, &[word("three", 5, 30)]));
        let mut block = [0.0; 20];
        let mut heard = Vec::new();
        for at in 0..5 {
            let n = player.fill(&mut block, ms(100 + 20 * at));
            let played = player.news().unwrap_or_else(|| player.played());
            let turn = &played.turns[0];
            heard.push((n, turn.words.len(), turn.n_samples, turn.n_waiting, turn.state));
        }
        use PlayState::{Done, Playing};
        let expected = [
            (20, 1, 20, 60, Playing),
            (20, 1, 40, 40, Playing),
            (20, 2, 60, 20, Playing),
            (20, 3, 80, 0, Done),
            (0, 3, 80, 0, Done),
        ];
        assert_eq!(heard, expected);
        let played = player.played();
        assert_eq!(played.turns[0].start, ms(100));
        assert_eq!(
            played.turns[0].words[2].start,
            Duration::from_millis(55),
            "from the turn's first sample"
        );
        assert!(player.news().is_none(), "silence is no news");
        assert_eq!(played.signal.len(), 4);
        player.push(1, &audio(10, &[]));
        assert_eq!(player.played().turns[0].state, Playing, "more came");
    }

    #[test]
    fn a_new_turn_cuts_and_a_held_player_keeps() {
        let mut player = Player::new(1000);
        player.push(1, &audio(100, &[word("one", 0, 30), word("two", 30, 100)]));
        let mut block = [0.0; 40];
        player.fill(&mut block, ms(0));
        player.hold(true);
        assert_eq!(player.fill(&mut block, ms(40)), 0);
        assert_eq!(block, [0.0; 40]);
        assert_eq!(player.played().turns[0].n_waiting, 60);
        player.hold(false);
        assert_eq!(player.fill(&mut block, ms(80)), 40);
        player.hold(true);
        player.cut(2);
        player.push(1, &audio(5, &[]));
        player.push(2, &audio(10, &[word("new", 0, 10)]));
        assert_eq!(player.fill(&mut block, ms(120)), 10, "a new turn is not held");
        let played = player.played();
        assert_eq!(words(&played.turns[0]), ["one"]);
        assert_eq!((played.turns[0].state, played.turns[0].n_waiting), (PlayState::Cut, 20));
        assert_eq!(words(&played.turns[1]), ["new"]);
        assert_eq!(played.signal.iter().map(|(_, samples)| samples.len()).sum::<usize>(), 90);
        for turn in 3..30 {
            player.cut(turn);
            player.push(turn, &audio(5, &[]));
        }
        assert_eq!(player.played().turns.len(), MAX_TURNS);
    }

    proptest! {
        /// Whatever the blocks, everything is played once, in order, and every word is heard.
        #[test]
        fn blocks_change_nothing(pieces in prop::collection::vec(0usize..60, 1..8), block in 1usize..50) {
            let mut player = Player::new(1000);
            let mut all = Vec::new();
            for (index, n) in pieces.iter().enumerate() {
                let samples: Vec<f32> = (0..*n).map(|i| (index * 100 + i + 1) as f32).collect();
                all.extend(samples.clone());
                let words = [word("w", 0, *n as u64)];
                let audio = Audio { samples: samples.into(), ..audio(0, &words) };
                player.push(0, &audio);
            }
            let mut heard = Vec::new();
            let mut out = vec![0.0; block];
            while !player.is_done() {
                let n = player.fill(&mut out, ms(heard.len() as u64));
                heard.extend_from_slice(&out[..n]);
            }
            prop_assert_eq!(&heard, &all);
            let played = player.played();
            prop_assert_eq!(played.turns[0].words.len(), pieces.len());
            prop_assert_eq!(played.turns[0].n_samples, all.len() as u64);
            prop_assert_eq!(played.turns[0].state, PlayState::Done);
        }
    }
}
