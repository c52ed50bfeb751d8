//! What stands in quotation marks is to stand on the screen letter by letter: a quotation ends where the model doubts.

/// Said, without marks, in place of a quotation of which no word was certain.
const UNREADABLE: &str = "unreadable";

/// Follows one answer id by id and keeps doubtful ends of quotations back.
///
/// Inside quotation marks every id must be likelier than the doubt. The first that is not ends the quotation at the last
/// whole word, or, when none was said yet, "unreadable" stands there; what the model says up to its own closing mark is
/// passed over. So what is quoted is the beginning of what was read instead of a guess.
#[derive(Clone, Debug)]
pub struct QuoteGuard {
    /// Log-probability below which an id is doubtful.
    least: f32,
    quotation: Quotation,
    /// The opening mark and the word under way inside a quotation: told when the word is whole.
    word: String,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Quotation {
    Outside,
    /// `said`: a word of it was told.
    Inside {
        said: bool,
    },
    /// Closed here, not yet by the model.
    Passed,
}

impl QuoteGuard {
    /// `doubt`: the probability in `(0, 1]` that an id must have.
    pub fn new(doubt: f32) -> Self {
        Self {
            least: doubt.ln(),
            quotation: Quotation::Outside,
            word: String::new(),
        }
    }

    /// What may be told after `piece`, the text of one id that was chosen with `logprob`.
    pub fn step(&mut self, piece: &str, logprob: f32) -> String {
        let mut told = String::new();
        if !piece.contains('"') {
            let is_doubtful = logprob < self.least;
            self.plain(piece, is_doubtful, &mut told);
            return told;
        }
        for (index, part) in piece.split('"').enumerate() {
            if index > 0 {
                self.mark(&mut told);
            }
            self.plain(part, false, &mut told);
        }
        told
    }

    /// What was kept back when the answer ends inside a quotation.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.word)
    }

    /// A quotation mark of the model's own.
    fn mark(&mut self, told: &mut String) {
        self.quotation = match self.quotation {
            Quotation::Outside => {
                self.word.push('"');
                Quotation::Inside { said: false }
            }
            Quotation::Inside { .. } => {
                told.push_str(&std::mem::take(&mut self.word));
                told.push('"');
                Quotation::Outside
            }
            Quotation::Passed => Quotation::Outside,
        };
    }

    /// Text without a mark.
    fn plain(&mut self, text: &str, is_doubtful: bool, told: &mut String) {
        match self.quotation {
            Quotation::Outside => told.push_str(text),
            Quotation::Passed => {}
            Quotation::Inside { said } => {
                let begins_word = text.starts_with(char::is_whitespace);
                let is_whole = begins_word && !self.word.is_empty() && self.word != "\"";
                let said = said || is_whole;
                if is_whole {
                    told.push_str(&std::mem::take(&mut self.word));
                }
                if is_doubtful {
                    self.word.clear();
                    told.push_str(if said { "\"" } else { UNREADABLE });
                    self.quotation = Quotation::Passed;
                } else {
                    self.word.push_str(text);
                    self.quotation = Quotation::Inside { said };
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told of `pieces`, of which those that begin with `?` are doubtful.
    fn told(pieces: &[&str]) -> String {
        let mut guard = QuoteGuard::new(0.5);
        let mut told: String = pieces
            .iter()
            .map(|piece| match piece.strip_prefix('?') {
                Some(doubtful) => guard.step(doubtful, 0.4_f32.ln()),
                None => guard.step(piece, 0.6_f32.ln()),
            })
            .collect();
        told.push_str(&guard.finish());
        told
    }

    #[test]
    fn a_certain_answer_stays_as_it_is() {
        assert_eq!(
            told(&["A", " form", " \"", "Log", " in", "\".", " OK"]),
            "A form \"Log in\". OK"
        );
        assert_eq!(told(&["\"a\"", " and", " \"b\""]), "\"a\" and \"b\"");
    }

    #[test]
    fn doubt_outside_of_quotations_changes_nothing() {
        assert_eq!(told(&["?A", "? form", " \"", "Log", "\"", "?."]), "A form \"Log\".");
    }

    #[test]
    fn a_quotation_ends_at_the_last_whole_word() {
        assert_eq!(
            told(&["\"", "Log", " in", " he", "?re", " now", "\"", " OK"]),
            "\"Log in\" OK"
        );
        assert_eq!(told(&["\"", "Log", " in", "? here", "\"", " OK"]), "\"Log in\" OK");
    }

    #[test]
    fn a_quotation_without_a_certain_word_is_unreadable() {
        assert_eq!(told(&["It says \"", "?Log", " in", "\"."]), "It says unreadable.");
        assert_eq!(told(&["It says \"", "Lo", "?g", "\"."]), "It says unreadable.");
    }

    #[test]
    fn an_answer_that_ends_inside_a_quotation_is_told_whole() {
        assert_eq!(told(&["\"", "Log", " in"]), "\"Log in");
        assert_eq!(told(&["\"", "Log", "? in", " x"]), "\"Log\"");
    }
}
