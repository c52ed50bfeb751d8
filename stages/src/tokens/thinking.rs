//! Splits a streamed reply into thought (`<think>` … `</think>`) and answer.
//!
//! The budget of a thought is kept by the engine, which forces `</think>`; here it is only told apart.

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";

/// A piece of a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    pub thought: bool,
    pub text: String,
}

/// Splits one reply; however the reply is cut into steps, the texts come out the same.
#[derive(Clone, Debug)]
pub struct ThinkingSplitter {
    state: State,
    /// Text that may be part of a tag, or white space that may be the last of a part.
    held: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing but white space so far: `<think>` may follow.
    Start,
    /// In a thought; `true` once it has text, before that white space is dropped.
    Thought {
        begun: bool,
    },
    /// After a thought: white space is dropped.
    BeforeAnswer,
    Answer,
}

impl ThinkingSplitter {
    /// `inside`: the prompt ended with `<think>`, so the reply starts inside the thought.
    pub fn new(inside: bool) -> Self {
        let state = if inside {
            State::Thought { begun: false }
        } else {
            State::Start
        };
        Self {
            state,
            held: String::new(),
        }
    }

    /// Whether the next text is a thought, as far as is known.
    pub fn in_thought(&self) -> bool {
        matches!(self.state, State::Thought { .. })
    }

    /// Takes more of the reply and gives what is certain. White space around a thought is dropped.
    pub fn step(&mut self, delta: &str) -> Vec<Piece> {
        self.held.push_str(delta);
        let mut pieces = Vec::new();
        while self.advance(&mut pieces) {}
        pieces
    }

    /// What was held back; the end of the reply.
    pub fn finish(&mut self) -> Vec<Piece> {
        let text = std::mem::take(&mut self.held);
        let thought = self.in_thought();
        let text = if thought { text.trim_end().to_owned() } else { text };
        if text.is_empty() {
            Vec::new()
        } else {
            vec![Piece { thought, text }]
        }
    }

    /// One transition; `false` if more of the reply is needed.
    fn advance(&mut self, pieces: &mut Vec<Piece>) -> bool {
        match self.state {
            State::Start => {
                let text = self.held.trim_start();
                if let Some(rest) = text.strip_prefix(OPEN) {
                    self.held = rest.to_owned();
                    self.state = State::Thought { begun: false };
                    return true;
                }
                if OPEN.starts_with(text) {
                    return false;
                }
                self.state = State::Answer;
                true
            }
            State::Thought { begun } => {
                if !begun {
                    self.held = self.held.trim_start().to_owned();
                }
                if let Some(at) = self.held.find(CLOSE) {
                    let text = self.held[..at].trim_end().to_owned();
                    self.held.drain(..at + CLOSE.len());
                    push(pieces, true, text);
                    self.state = State::BeforeAnswer;
                    return true;
                }
                // A tag that has begun, and the white space before it or at the end, wait.
                let tag = (1..CLOSE.len())
                    .rev()
                    .find(|&n| self.held.ends_with(&CLOSE[..n]))
                    .unwrap_or(0);
                let certain = self.held[..self.held.len() - tag].trim_end().len();
                let text: String = self.held.drain(..certain).collect();
                if !text.is_empty() {
                    self.state = State::Thought { begun: true };
                }
                push(pieces, true, text);
                false
            }
            State::BeforeAnswer => {
                self.held = self.held.trim_start().to_owned();
                if self.held.is_empty() {
                    return false;
                }
                self.state = State::Answer;
                true
            }
            State::Answer => {
                push(pieces, false, std::mem::take(&mut self.held));
                false
            }
        }
    }
}

fn push(pieces: &mut Vec<Piece>, thought: bool, text: String) {
    if !text.is_empty() {
        pieces.push(Piece { thought, text });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(inside: bool, parts: &[&str]) -> (String, String) {
        let mut splitter = ThinkingSplitter::new(inside);
        let mut pieces: Vec<Piece> = parts.iter().flat_map(|part| splitter.step(part)).collect();
        pieces.extend(splitter.finish());
        let join = |thought| {
            pieces
                .iter()
                .filter(|p| p.thought == thought)
                .map(|p| p.text.as_str())
                .collect()
        };
        (join(true), join(false))
    }

    #[test]
    fn thought_and_answer_are_told_apart() {
        let cases = [
            (false, "plain", "", "plain"),
            (false, "<think>\nhm < </ </thin\n</think>\n\nyes", "hm < </ </thin", "yes"),
            (true, "\nhm\n</think>\n\nyes", "hm", "yes"),
            (true, "never closed ", "never closed", ""),
            (true, "</think>\n\nat once", "", "at once"),
            (false, "  <think></think>a", "", "a"),
            (false, "a <think> b </think>", "", "a <think> b </think>"),
            (false, "<thinker>", "", "<thinker>"),
            (false, "<th", "", "<th"),
            (false, "", "", ""),
            (true, "a\n\nb </think> c </think> d", "a\n\nb", "c </think> d"),
        ];
        for (inside, text, thought, answer) in cases {
            assert_eq!(split(inside, &[text]), (thought.into(), answer.into()), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn cutting_the_reply_changes_nothing(
            inside: bool,
            words in prop::collection::vec(
                prop::sample::select(vec!["<think>", "</think>", "<", "/", "</th", "ink>", " ", "\n", "a", "é"]), 0..12),
        ) {
            let whole: String = words.concat();
            let cut: Vec<String> = whole.chars().map(String::from).collect();
            let cut: Vec<&str> = cut.iter().map(String::as_str).collect();
            prop_assert_eq!(split(inside, &[&whole]), split(inside, &cut));
            prop_assert_eq!(split(inside, &[&whole]), split(inside, &words));
        }
    }
}
