//! Who has the floor: what follows from speech that begins and ends, from its words, and from what the program is saying. Times
//! come in with the events; no clock, no actor.

use std::collections::VecDeque;
use std::time::Duration;

use pipeline::time::Timestamp;

use super::words::{Ending, ending, is_backchannel, is_filler, is_interruption, is_own};

/// How long to wait for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FloorOptions {
    /// Silence after a whole question, after which the user's turn is over.
    pub question: Duration,
    /// After anything else that may be whole.
    pub plain: Duration,
    /// After words that something follows.
    pub open: Duration,
    /// Whoever speaks for a shorter time may only listen, or cough, unless their words say otherwise.
    pub sustained: Duration,
    /// Whoever speaks for so long interrupts, whatever the words are.
    pub interrupt_after: Duration,
}

/// What the program is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Answer {
    /// Nothing: it was heard to the end, or there was none.
    #[default]
    None,
    /// It has a turn to answer, and nothing sounds now.
    Thinking,
    Sounding,
}

/// What to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// The speaker falls silent, or goes on.
    Hold(bool),
    /// The answer is over: somebody else speaks.
    Interrupt,
    /// The user's turn is over, with these words, said in that time.
    Said { text: String, start: Timestamp, end: Timestamp },
}

/// The state between events.
#[derive(Clone, Debug)]
pub struct Floor {
    options: FloorOptions,
    answer: Answer,
    /// Words of the answer around those that are heard now.
    spoken: String,
    /// Somebody speaks, since then.
    speaking: Option<Timestamp>,
    /// Utterances that have ended and whose words have not come; less than none where words overtook the news of the end.
    n_pending: i32,
    /// How long each of them was, the oldest first.
    lengths: VecDeque<Duration>,
    /// When speech last ended.
    ended: Timestamp,
    /// The words of the turn so far, and when its speech began.
    said: Vec<String>,
    /// What was heard so far of the utterance under way.
    partial: String,
    start: Option<Timestamp>,
    held: bool,
}

impl Floor {
    pub fn new(options: FloorOptions) -> Self {
        Self {
            options,
            answer: Answer::None,
            spoken: String::new(),
            speaking: None,
            n_pending: 0,
            lengths: VecDeque::new(),
            ended: Timestamp::default(),
            said: Vec::new(),
            partial: String::new(),
            start: None,
            held: false,
        }
    }

    /// What the program does now, and what it says around now.
    pub fn answers(&mut self, answer: Answer, spoken: &str) {
        self.answer = answer;
        spoken.clone_into(&mut self.spoken);
    }

    /// Somebody began to speak at `at`.
    pub fn voice_on(&mut self, at: Timestamp) -> Vec<Action> {
        self.speaking = Some(at);
        if self.said.is_empty() && self.n_pending == 0 {
            self.start = Some(at);
        }
        match self.answer {
            Answer::Sounding if !self.held => {
                self.held = true;
                vec![Action::Hold(true)]
            }
            _ => Vec::new(),
        }
    }

    /// The speech ended at `at`; its words follow, or came already.
    pub fn voice_off(&mut self, at: Timestamp) -> Vec<Action> {
        let began = self.speaking.take().unwrap_or(at);
        self.ended = at;
        self.n_pending += 1;
        if self.n_pending > 0 {
            self.lengths.push_back(at.since(began));
        }
        self.resume()
    }

    /// What was heard of the utterance under way.
    pub fn partial(&mut self, text: &str) -> Vec<Action> {
        text.trim().clone_into(&mut self.partial);
        match self.answer {
            Answer::None => Vec::new(),
            // How long it will be is not known yet.
            _ if self.is_nothing(text, Duration::ZERO) => Vec::new(),
            _ => self.interrupt(),
        }
    }

    /// What was heard of an utterance that has ended at `at`; empty if it was none.
    pub fn utterance(&mut self, text: &str, at: Timestamp) -> Vec<Action> {
        self.n_pending -= 1;
        self.partial.clear();
        let so_far = |began: Timestamp| at.since(began);
        let length = self.lengths.pop_front().or(self.speaking.map(so_far)).unwrap_or_default();
        let mut actions = Vec::new();
        if self.answer != Answer::None {
            if self.is_nothing(text, length) {
                return self.resume();
            }
            actions = self.interrupt();
        } else if self.said.is_empty() && is_filler(text) {
            return self.resume();
        }
        if !text.trim().is_empty() {
            self.said.push(text.trim().to_owned());
        }
        actions
    }

    /// What the user's turn would be if it ended now; nothing while the program has an answer that was not heard yet.
    pub fn so_far(&self) -> Option<String> {
        let is_said = !self.said.is_empty() || !is_filler(&self.partial);
        if self.answer != Answer::None || !is_said {
            return None;
        }
        let partial = Some(&self.partial).filter(|partial| !partial.is_empty());
        let all: Vec<&str> = self.said.iter().chain(partial).map(String::as_str).collect();
        Some(all.join(" "))
    }

    /// When to look again, if nothing happens before.
    pub fn deadline(&self) -> Option<Timestamp> {
        match self.speaking {
            Some(since) if self.answer != Answer::None => Some(Timestamp(since.0 + self.options.interrupt_after)),
            Some(_) => None,
            None if self.n_pending > 0 || self.said.is_empty() => None,
            None => Some(Timestamp(self.ended.0 + self.patience())),
        }
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Timestamp) -> Vec<Action> {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return Vec::new();
        }
        if self.speaking.is_some() {
            self.interrupt()
        } else {
            self.commit()
        }
    }

    /// Nobody will speak any more.
    pub fn finish(&mut self) -> Vec<Action> {
        if self.said.is_empty() { self.release() } else { self.commit() }
    }

    fn patience(&self) -> Duration {
        match self.said.last().map(|text| ending(text)) {
            Some(Ending::Question) => self.options.question,
            Some(Ending::Plain) => self.options.plain,
            Some(Ending::Open) | None => self.options.open,
        }
    }

    /// Whether what was said in that time leaves the floor to the program.
    fn is_nothing(&self, text: &str, length: Duration) -> bool {
        let is_short = length < self.options.sustained;
        is_backchannel(text) || is_own(text, &self.spoken) || (is_short && !is_interruption(text))
    }

    fn commit(&mut self) -> Vec<Action> {
        let text = std::mem::take(&mut self.said).join(" ");
        self.answer = Answer::Thinking;
        vec![Action::Said {
            text,
            start: self.start.take().unwrap_or(self.ended),
            end: self.ended,
        }]
    }

    fn interrupt(&mut self) -> Vec<Action> {
        self.answer = Answer::None;
        let mut actions = vec![Action::Interrupt];
        actions.extend(self.release());
        actions
    }

    /// Lets the speaker go on, unless somebody speaks, or their words are still to come.
    fn resume(&mut self) -> Vec<Action> {
        match self.speaking.is_some() || self.n_pending > 0 {
            true => Vec::new(),
            false => self.release(),
        }
    }

    fn release(&mut self) -> Vec<Action> {
        match std::mem::take(&mut self.held) {
            true => vec![Action::Hold(false)],
            false => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Timestamp {
        Timestamp(Duration::from_millis(ms))
    }

    fn floor() -> Floor {
        Floor::new(FloorOptions {
            question: Duration::from_millis(350),
            plain: Duration::from_millis(600),
            open: Duration::from_millis(1600),
            sustained: Duration::from_millis(700),
            interrupt_after: Duration::from_millis(1500),
        })
    }

    fn said(text: &str, start: u64, end: u64) -> Vec<Action> {
        let (text, start, end) = (text.to_owned(), at(start), at(end));
        vec![Action::Said { text, start, end }]
    }

    /// Somebody says `text`, from `start` to `end`.
    fn utter(floor: &mut Floor, text: &str, start: u64, end: u64) -> Vec<Action> {
        let mut actions = floor.voice_on(at(start));
        actions.extend(floor.voice_off(at(end)));
        actions.extend(floor.utterance(text, at(end)));
        actions
    }

    #[test]
    fn words_decide_how_long_a_silence_may_be() {
        for (text, ms) in [("What is this?", 350), ("Open the file.", 600), ("Open the file and", 1600)] {
            let mut floor = floor();
            assert_eq!(utter(&mut floor, text, 100, 900), []);
            assert_eq!(floor.deadline(), Some(at(900 + ms)), "{text}");
            assert_eq!(floor.tick(at(899 + ms)), []);
            assert_eq!(floor.tick(at(900 + ms)), said(text, 100, 900));
            assert_eq!(floor.deadline(), None);
        }
    }

    #[test]
    fn utterances_with_short_pauses_are_one_turn() {
        let mut floor = floor();
        utter(&mut floor, "Open the file and", 100, 900);
        assert_eq!(floor.voice_on(at(2000)), []);
        assert_eq!(floor.tick(at(2600)), [], "somebody speaks");
        floor.voice_off(at(2700));
        assert_eq!(floor.tick(at(9000)), [], "the words are missing");
        floor.utterance("read it to me.", at(2700));
        assert_eq!(floor.tick(at(3300)), said("Open the file and read it to me.", 100, 2700));
    }

    #[test]
    fn a_backchannel_holds_the_speaker_and_lets_it_go_on() {
        for text in ["Mm-hm.", "", "okay", "occa", "the", "a build that has failed"] {
            let mut floor = floor();
            floor.answers(Answer::Sounding, "shows a build that has failed twice");
            assert_eq!(floor.voice_on(at(1000)), [Action::Hold(true)]);
            assert_eq!(floor.partial(text), []);
            floor.voice_off(at(1400));
            assert_eq!(floor.utterance(text, at(1400)), [Action::Hold(false)], "{text}");
            assert_eq!(floor.deadline(), None);
        }
    }

    #[test]
    fn words_may_overtake_the_news_that_the_speech_has_ended() {
        let mut floor = floor();
        floor.answers(Answer::Sounding, "shows a build");
        floor.voice_on(at(1000));
        assert_eq!(floor.utterance("okay", at(1400)), [], "somebody speaks, as far as is known");
        assert_eq!(floor.voice_off(at(1400)), [Action::Hold(false)]);
        floor.answers(Answer::None, "");
        floor.voice_on(at(5000));
        assert_eq!(floor.utterance("Open the file.", at(6000)), []);
        assert_eq!(floor.deadline(), None);
        assert_eq!(floor.voice_off(at(6000)), []);
        assert_eq!(floor.tick(at(6600)), said("Open the file.", 5000, 6000));
    }

    #[test]
    fn words_of_their_own_interrupt_as_soon_as_they_are_known() {
        let mut floor = floor();
        floor.answers(Answer::Sounding, "shows a build");
        assert_eq!(floor.voice_on(at(1000)), [Action::Hold(true)]);
        assert_eq!(floor.partial("no wait"), [Action::Interrupt, Action::Hold(false)]);
        assert_eq!(floor.partial("no wait what"), []);
        floor.voice_off(at(2000));
        assert_eq!(floor.utterance("No, wait, what is that?", at(2000)), []);
        assert_eq!(floor.tick(at(2350)), said("No, wait, what is that?", 1000, 2000));
    }

    #[test]
    fn one_word_interrupts_if_it_is_a_command_or_long() {
        for (text, end, interrupts) in [("Stop.", 1300, true), ("Describe.", 1600, false), ("Describe.", 1700, true)] {
            let mut floor = floor();
            floor.answers(Answer::Sounding, "shows a build");
            floor.voice_on(at(1000));
            floor.voice_off(at(end));
            let actions = floor.utterance(text, at(end));
            assert_eq!(actions.contains(&Action::Interrupt), interrupts, "{text} {end}: {actions:?}");
            assert!(actions.contains(&Action::Hold(false)), "{text}");
        }
    }

    #[test]
    fn whoever_speaks_long_interrupts() {
        let mut floor = floor();
        floor.answers(Answer::Sounding, "");
        floor.voice_on(at(1000));
        assert_eq!(floor.deadline(), Some(at(2500)));
        assert_eq!(floor.tick(at(2500)), [Action::Interrupt, Action::Hold(false)]);
    }

    #[test]
    fn who_goes_on_before_the_answer_sounds_takes_the_turn_back() {
        let mut floor = floor();
        utter(&mut floor, "Open the file.", 100, 900);
        floor.tick(at(1500));
        floor.answers(Answer::Thinking, "");
        assert_eq!(floor.voice_on(at(1600)), [], "nothing sounds that could be held");
        floor.voice_off(at(2400));
        assert_eq!(floor.utterance("The second one.", at(2400)), [Action::Interrupt]);
        assert_eq!(floor.tick(at(3000)), said("The second one.", 1600, 2400));
    }

    #[test]
    fn a_yes_is_an_answer_once_the_question_was_heard() {
        let mut floor = floor();
        floor.answers(Answer::None, "Shall I go on?");
        assert_eq!(utter(&mut floor, "Yes.", 100, 400), []);
        assert_eq!(floor.tick(at(1000)), said("Yes.", 100, 400));
        assert_eq!(utter(&mut floor, "Mm", 5000, 5200), [], "but this is none");
        assert_eq!(floor.deadline(), None);
    }

    #[test]
    fn what_was_said_so_far_is_told_while_nothing_is_answered() {
        let mut floor = floor();
        assert_eq!(floor.so_far(), None);
        floor.voice_on(at(100));
        floor.partial("um");
        assert_eq!(floor.so_far(), None, "nothing to read");
        floor.partial("open the");
        assert_eq!(floor.so_far().as_deref(), Some("open the"));
        floor.voice_off(at(900));
        floor.utterance("Open the file and", at(900));
        assert_eq!(floor.so_far().as_deref(), Some("Open the file and"));
        floor.voice_on(at(1500));
        floor.partial("read");
        assert_eq!(floor.so_far().as_deref(), Some("Open the file and read"));
        floor.voice_off(at(2000));
        floor.utterance("read it.", at(2000));
        floor.tick(at(2600));
        assert_eq!(floor.so_far(), None, "it is the program's turn");
        floor.answers(Answer::Sounding, "shows a build");
        floor.voice_on(at(4000));
        floor.partial("okay");
        assert_eq!(floor.so_far(), None);
        floor.partial("okay stop");
        assert_eq!(floor.so_far().as_deref(), Some("okay stop"), "that is a turn");
    }

    #[test]
    fn what_was_said_last_counts_when_nobody_will_speak_any_more() {
        let mut floor = floor();
        utter(&mut floor, "Open the file and", 100, 900);
        assert_eq!(floor.finish(), said("Open the file and", 100, 900));
    }
}
