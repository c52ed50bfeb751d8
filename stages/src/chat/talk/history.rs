//! What was said in a conversation, and of the answers only what was heard. No actor and no tokenizer.

use std::collections::VecDeque;

use pipeline::packet::{Message, Played, Role};

use crate::chat::text_message;

/// A turn: what the user said, and what of the answer they heard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exchange {
    /// The run's number of the turn.
    pub turn: u64,
    pub user: String,
    pub heard: String,
}

/// The turns so far, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    exchanges: VecDeque<Exchange>,
}

/// More turns than this are not kept, whatever the budget.
const MAX_EXCHANGES: usize = 256;

impl History {
    /// The user said something. If nothing was heard of the answer before, both are one turn of theirs.
    pub fn says(&mut self, turn: u64, text: &str) {
        match self.exchanges.back_mut() {
            Some(last) if last.heard.is_empty() => {
                last.turn = turn;
                last.user = format!("{} {text}", last.user).trim().to_owned();
            }
            _ => self.exchanges.push_back(Exchange {
                turn,
                user: text.to_owned(),
                heard: String::new(),
            }),
        }
        if self.exchanges.len() > MAX_EXCHANGES {
            self.exchanges.pop_front();
        }
    }

    /// What was played of the last answers; true if that is more than was known.
    pub fn hears(&mut self, played: &Played) -> bool {
        let mut is_news = false;
        for turn in played.turns.iter() {
            let mine = self.exchanges.iter_mut().rev().find(|exchange| exchange.turn == turn.turn);
            if let Some(exchange) = mine {
                let words: Vec<&str> = turn.words.iter().map(|word| word.text.as_str()).collect();
                let heard = words.join(" ");
                is_news |= heard != exchange.heard;
                exchange.heard = heard;
            }
        }
        is_news
    }

    pub fn exchanges(&self) -> impl Iterator<Item = &Exchange> {
        self.exchanges.iter()
    }

    /// What the user said last.
    pub fn question(&self) -> &str {
        self.exchanges.back().map_or("", |exchange| exchange.user.as_str())
    }

    /// The conversation before the last thing that the user said: as many of the last whole turns as `n_tokens` of them fit
    /// `budget`.
    pub fn before(&self, budget: usize, n_tokens: impl Fn(&Exchange) -> usize) -> Vec<Message> {
        let mut used = 0;
        let fits = |exchange: &&Exchange| {
            used += n_tokens(exchange);
            used <= budget
        };
        let kept: Vec<&Exchange> = self.exchanges.iter().rev().skip(1).take_while(fits).collect();
        let messages = kept.into_iter().rev().flat_map(|exchange| {
            [
                text_message(Role::User, &exchange.user),
                text_message(Role::Assistant, &exchange.heard),
            ]
        });
        messages.collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use pipeline::packet::{Part, PlayedTurn, Word};

    use super::*;

    fn played(turns: &[(u64, &str)]) -> Played {
        let word = |text: &str| Word {
            text: text.into(),
            ..Word::default()
        };
        let turn = |(turn, words): &(u64, &str)| PlayedTurn {
            turn: *turn,
            words: words.split_whitespace().map(word).collect(),
            ..PlayedTurn::default()
        };
        Played {
            turns: turns.iter().map(turn).collect::<Arc<[_]>>(),
            ..Played::default()
        }
    }

    fn spelled(messages: &[Message]) -> Vec<String> {
        let text = |message: &Message| match &message.parts[..] {
            [Part::Text(text)] => format!("{:?}: {text}", message.role),
            _ => panic!("not one text"),
        };
        messages.iter().map(text).collect()
    }

    #[test]
    fn only_what_was_heard_is_remembered() {
        let mut history = History::default();
        history.says(1, "What is on the screen?");
        history.hears(&played(&[(1, "The terminal")]));
        history.hears(&played(&[(1, "The terminal shows a")]));
        history.says(2, "Stop. What time is it?");
        history.hears(&played(&[(1, "The terminal shows a"), (2, "It")]));
        assert_eq!(history.question(), "Stop. What time is it?");
        let before = history.before(1000, |_| 1);
        assert_eq!(
            spelled(&before),
            ["User: What is on the screen?", "Assistant: The terminal shows a"]
        );
    }

    #[test]
    fn what_was_said_before_any_answer_sounded_is_one_turn() {
        let mut history = History::default();
        history.says(1, "Open the file.");
        history.says(2, "The second one.");
        history.hears(&played(&[(1, "never"), (2, "Good.")]));
        let exchanges: Vec<_> = history.exchanges().cloned().collect();
        let expected = Exchange {
            turn: 2,
            user: "Open the file. The second one.".into(),
            heard: "Good.".into(),
        };
        assert_eq!(exchanges, [expected]);
    }

    #[test]
    fn the_oldest_turns_are_dropped_whole() {
        let mut history = History::default();
        for turn in 1..=5 {
            history.says(turn, &format!("q{turn}"));
            history.hears(&played(&[(turn, &format!("a{turn}"))]));
        }
        let cost = |exchange: &Exchange| if exchange.turn == 2 { 100 } else { 10 };
        assert_eq!(
            spelled(&history.before(25, cost)),
            ["User: q3", "Assistant: a3", "User: q4", "Assistant: a4"]
        );
        assert_eq!(history.before(9, cost).len(), 0);
        // What comes after a turn that does not fit would stand without it.
        assert_eq!(history.before(119, cost).len(), 4);
        assert_eq!(history.before(125, cost).len(), 6);
        assert_eq!(history.before(130, cost).len(), 8);
    }
}
