//! What words tell about a turn: whether more will come, whether they only say "I am listening", whether they are the program's
//! own. English; no sound and no time.

/// How a text ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// A question that is whole.
    Question,
    /// Nothing says that more will come.
    Plain,
    /// More will come: "and", "um", a comma.
    Open,
}

/// After these words something follows.
const OPEN: [&str; 70] = [
    "a", "about", "after", "although", "an", "and", "any", "are", "as", "at", "because", "before", "between", "but", "by", "can",
    "could", "every", "for", "from", "how", "i", "if", "in", "into", "is", "its", "like", "maybe", "my", "of", "on", "or", "our",
    "please", "should", "since", "so", "some", "than", "that", "the", "their", "then", "there", "these", "they", "this", "those",
    "to", "unless", "until", "was", "we", "were", "when", "where", "whether", "which", "while", "who", "whose", "why", "will",
    "with", "without", "would", "you", "your", "he",
];
/// Said while thinking.
const FILLERS: [&str; 12] = ["ah", "eh", "er", "erm", "hm", "hmm", "mm", "uh", "uhm", "um", "umm", "well"];
/// Said while listening.
const BACKCHANNELS: [&str; 32] = [
    "ah", "aha", "alright", "cool", "exactly", "fine", "good", "great", "hm", "hmm", "huh", "mhm", "mm", "mmhm", "mmhmm", "mmm",
    "nice", "oh", "ok", "okay", "right", "sure", "uh", "uhhuh", "uhuh", "wow", "yeah", "yep", "yes", "yup", "see", "i",
];
/// Backchannels that may be known by their sound where ears write them otherwise: "occa" for "okay".
const SOUNDS: [&str; 4] = ["okay", "yeah", "yep", "uhhuh"];
/// One of these is enough to interrupt, however short.
const COMMANDS: [&str; 21] = [
    "cancel", "continue", "enough", "help", "hey", "hold", "listen", "next", "no", "nope", "pardon", "pause", "quiet", "repeat",
    "silence", "sorry", "stop", "wait", "what", "why", "wrong",
];
/// A question begins with these; questions without a mark are told by them.
const ASKING: [&str; 26] = [
    "are", "can", "could", "did", "do", "does", "has", "have", "how", "is", "may", "shall", "should", "was", "were", "what",
    "when", "where", "which", "who", "whom", "whose", "why", "will", "would", "am",
];

/// The words of a text, lower case, of letters and digits alone: "Mm-hm, okay." is `mmhm`, `okay`.
pub fn words(text: &str) -> Vec<String> {
    let bare = |word: &str| -> String {
        let kept = word.chars().filter(|c| c.is_alphanumeric());
        kept.flat_map(char::to_lowercase).collect()
    };
    text.split_whitespace().map(bare).filter(|word| !word.is_empty()).collect()
}

/// How `text` ends, as far as it has come.
pub fn ending(text: &str) -> Ending {
    let text = text.trim_end();
    let words = words(text);
    let Some(last) = words.last() else { return Ending::Open };
    if text.ends_with([',', ';', ':', '-', '–', '—', '…']) || text.ends_with("...") {
        return Ending::Open;
    }
    // A model of speech ends what it hears with a mark, whether or not more will come: words count for more.
    let is_filler = FILLERS.contains(&last.as_str());
    if is_filler || text.ends_with('?') {
        return if is_filler { Ending::Open } else { Ending::Question };
    }
    let is_question = words.len() > 2 && ASKING.contains(&words[0].as_str());
    // "What is it you look at": a question may end with a word that a sentence does not.
    let open = OPEN.contains(&last.as_str())
        && !(is_question && ["at", "for", "in", "is", "on", "to", "with", "about"].contains(&last.as_str()));
    match (open, is_question) {
        (true, _) => Ending::Open,
        (false, true) => Ending::Question,
        (false, false) => Ending::Plain,
    }
}

/// Whether `text` only shows that somebody listens, or is nothing at all: "mm-hm", "okay, right".
pub fn is_backchannel(text: &str) -> bool {
    words(text).iter().all(|word| BACKCHANNELS.contains(&word.as_str()))
}

/// Whether `text`, said within so short a time that it may be a backchannel or a cough, takes the floor all the same: by a command, or by
/// two words of three letters or more that nobody says while listening. What ears make of a cough, or of a backchannel that they
/// misheard, is one word, or one and an article: "a got" for "uh-huh".
pub fn is_interruption(text: &str) -> bool {
    let words = words(text);
    let listens = |word: &&String| BACKCHANNELS.contains(&word.as_str()) || sounds_listening(word);
    words.iter().any(|word| is_command(word)) || words.iter().filter(|word| word.len() > 2 && !listens(word)).count() >= 2
}

/// Whether a word is one of [`COMMANDS`], or sounds as one of them that is not too short to tell: "weight" is "wait".
fn is_command(word: &str) -> bool {
    let sounds = sound(word);
    let is_it = |command: &&str| *command == word || (sounds.len() > 2 && sound(command) == sounds);
    COMMANDS.iter().any(is_it)
}

/// Whether a word is a hum, or sounds as one of [`SOUNDS`].
fn sounds_listening(word: &str) -> bool {
    let is_hum = word.chars().all(|c| "hmn".contains(c));
    is_hum || SOUNDS.iter().any(|other| sound(other) == sound(word))
}

/// A word by its sound, coarsely: letters that sound alike are one, vowels are only in front or at the back, and what is doubled counts
/// once. "okay" and "occa" are the same.
fn sound(word: &str) -> String {
    let mut sound = String::new();
    for (index, letter) in word.replace("gh", "").chars().enumerate() {
        let letter = match letter {
            'c' | 'q' => 'k',
            'e' | 'i' => 'a',
            'y' if index > 0 => 'a',
            'u' => 'o',
            'h' if index > 0 => continue,
            other => other,
        };
        if !sound.ends_with(letter) {
            sound.push(letter);
        }
    }
    sound
}

/// Whether `text` has no word but those of somebody who thinks.
pub fn is_filler(text: &str) -> bool {
    words(text)
        .iter()
        .all(|word| FILLERS.contains(&word.as_str()) || ["mhm", "mmhm", "mmhmm", "uhhuh"].contains(&word.as_str()))
}

/// Whether `heard` is what the program itself says, of which `spoken` are the words around now: three words or more, three
/// quarters of which come in the same order.
pub fn is_own(heard: &str, spoken: &str) -> bool {
    let (heard, spoken) = (words(heard), words(spoken));
    heard.len() >= 3 && 4 * longest_common(&heard, &spoken) >= 3 * heard.len()
}

/// The length of the longest common subsequence.
fn longest_common(a: &[String], b: &[String]) -> usize {
    let mut row = vec![0; b.len() + 1];
    for x in a {
        let mut diagonal = 0;
        for (at, y) in b.iter().enumerate() {
            let above = row[at + 1];
            row[at + 1] = if x == y { diagonal + 1 } else { above.max(row[at]) };
            diagonal = above;
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_tell_whether_more_will_come() {
        let cases = [
            ("What is on the screen?", Ending::Question),
            ("what is on the screen", Ending::Question),
            ("Can you read the error aloud", Ending::Question),
            ("What are you looking at", Ending::Question),
            ("Open the second file.", Ending::Plain),
            ("Thanks.", Ending::Plain),
            ("Open the file and", Ending::Open),
            ("Open the file and.", Ending::Open),
            ("So I was thinking, um", Ending::Open),
            ("Well...", Ending::Open),
            ("First the tests,", Ending::Open),
            ("Can you open the", Ending::Open),
            ("what is", Ending::Open),
            ("um", Ending::Open),
            ("", Ending::Open),
        ];
        let wrong: Vec<_> = cases.iter().filter(|(text, expected)| ending(text) != *expected).collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }

    #[test]
    fn backchannels_are_only_that() {
        for text in ["Mm-hm.", "uh-huh", "Yeah, okay.", "Oh, I see.", "Right.", "hm", ""] {
            assert!(is_backchannel(text), "{text}");
        }
        for text in ["Yeah, but wait", "okay stop", "No.", "What?"] {
            assert!(!is_backchannel(text), "{text}");
        }
        assert!(is_filler("Um, mm-hm") && !is_filler("okay"));
    }

    #[test]
    fn a_short_sound_interrupts_by_a_command_or_by_two_words() {
        for text in [
            "No.",
            "okay stop",
            "Wait",
            "what?",
            "open that",
            "the second one",
            "you there",
        ] {
            assert!(is_interruption(text), "{text}");
        }
        for text in [
            "",
            "occa",
            "Ocay. Yea",
            "hmm mn occa",
            "the",
            "right",
            "uhuh a",
            "a got",
            "yah, okey",
        ] {
            assert!(!is_interruption(text), "{text}");
        }
    }

    #[test]
    fn the_own_words_are_known_again() {
        let spoken = "The terminal shows a build that has failed. There are three errors.";
        assert!(is_own("shows a build that has failed", spoken));
        assert!(is_own("Terminal shows the build has", spoken), "some of it misheard");
        assert!(!is_own("which build has failed then", spoken));
        assert!(!is_own("a build", spoken), "two words say little");
    }
}
