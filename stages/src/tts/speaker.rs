//! Text to samples: which parts of a text are spoken in one go, and when each word is heard. Not a stage (`piper`).

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::phonemes::{Clause, Dialect, Phonemizer};
use super::voice::{Noise, Scales, Voice};
use crate::error::{Error, Result};

/// From here on a clause is long enough to be spoken by itself at the start, so that sound comes early.
const FIRST_SYMBOLS: usize = 12;
/// At the next clause after this many symbols a long sentence is cut.
const LONG_SYMBOLS: usize = 160;
/// Above this a clause is cut between words.
const MAX_SYMBOLS: usize = 320;
/// Between sentences, unless said otherwise.
const PAUSE_MS: u32 = 150;

/// How to speak.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SpeakOptions {
    pub speaker: u32,
    /// 1; 2 is twice as fast.
    pub speed: f32,
    /// None: as the voice's JSON says.
    pub noise_scale: Option<f32>,
    /// None: as the voice's JSON says.
    pub noise_w: Option<f32>,
    /// The same seed gives the same samples.
    pub seed: u64,
    /// What samples are multiplied by; they end at −1 and 1. Always the same, so that quiet sentences stay quiet.
    pub gain: f32,
    /// Silence after a sentence.
    pub pause_ms: u32,
}

impl Default for SpeakOptions {
    fn default() -> Self {
        Self {
            speaker: 0,
            speed: 1.0,
            noise_scale: None,
            noise_w: None,
            seed: 0,
            gain: 1.3,
            pause_ms: PAUSE_MS,
        }
    }
}

/// What is spoken in one go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unit {
    pub phonemes: String,
    /// As in [`Clause`], but counted in the unit's phonemes.
    pub words: Vec<super::phonemes::SpokenWord>,
    pub ends_sentence: bool,
}

/// A unit that was spoken.
#[derive(Clone, Debug)]
pub struct Spoken {
    /// Mono, −1 … 1, at the voice's rate.
    pub samples: Vec<f32>,
    pub words: Vec<WordTime>,
}

/// When a word is heard, from the start of its unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WordTime {
    pub word: String,
    /// Bytes of the text.
    pub range: Range<usize>,
    pub start: Duration,
    pub end: Duration,
}

/// A voice that reads text.
pub struct Speaker {
    pub voice: Arc<Voice>,
    phonemizer: &'static Phonemizer,
    dialect: Dialect,
}

impl Speaker {
    /// Errors: [`Error::Language`] for a voice that was not trained on phonemes of English, [`Error::Lexicon`].
    pub fn new(voice: Arc<Voice>) -> Result<Self> {
        let config = &voice.config;
        let language = &config.espeak.voice;
        let is_english = config.phoneme_type == "espeak" && (language.starts_with("en") || language.is_empty());
        if !is_english {
            return Err(Error::Language {
                voice: voice.name.clone(),
                language: format!("{language} ({})", config.phoneme_type),
            });
        }
        Ok(Self {
            phonemizer: Phonemizer::get()?,
            dialect: dialect(config.piper_version.as_deref()),
            voice,
        })
    }

    /// What is spoken of `text`, in order; nothing if there is nothing to say.
    pub fn units(&self, text: &str) -> Vec<Unit> {
        units(self.phonemizer.phonemize(text, self.dialect))
    }

    /// Speaks one unit; `index` is its number, so that the units of a text differ in their noise.
    ///
    /// Errors: [`Error::Synthesis`].
    pub fn speak(&self, unit: &Unit, index: u64, options: &SpeakOptions) -> Result<Spoken> {
        let config = &self.voice.config;
        let scales = Scales {
            noise_scale: options.noise_scale.unwrap_or(config.inference.noise_scale),
            length_scale: config.inference.length_scale / options.speed.clamp(0.1, 10.0),
            noise_w: options.noise_w.unwrap_or(config.inference.noise_w),
        };
        let (ids, starts) = config.ids(&unit.phonemes);
        let seed = options.seed.wrapping_mul(0x1_0000_0001).wrapping_add(index);
        let utterance = self.voice.synthesize(&ids, scales, options.speaker, Noise::Seed(seed))?;
        let mut frames = vec![0u64];
        for duration in &utterance.durations {
            frames.push(frames[frames.len() - 1] + u64::from(*duration));
        }
        let rate_hz = config.audio.rate_hz;
        let time = |symbol: usize| {
            let frame = starts.get(symbol).and_then(|id| frames.get(*id)).copied().unwrap_or(0);
            Duration::from_secs_f64((frame * config.hop_length) as f64 / f64::from(rate_hz))
        };
        let words = unit.words.iter().map(|word| WordTime {
            word: word.word.clone(),
            range: word.range.clone(),
            start: time(word.phonemes.start),
            end: time(word.phonemes.end),
        });
        let mut samples: Vec<f32> = utterance
            .samples
            .iter()
            .map(|x| (x * options.gain).clamp(-1.0, 1.0))
            .collect();
        if unit.ends_sentence {
            let n_silent = u64::from(rate_hz) * u64::from(options.pause_ms) / 1000;
            samples.resize(samples.len() + usize::try_from(n_silent).unwrap_or(0), 0.0);
        }
        Ok(Spoken {
            samples,
            words: words.collect(),
        })
    }
}

/// What a voice was trained on, by the version of Piper in its JSON: 1.3 brought espeak-ng 1.52.
fn dialect(version: Option<&str>) -> Dialect {
    let mut parts = version
        .unwrap_or_default()
        .split('.')
        .map(|part| part.parse::<u32>().unwrap_or(0));
    let version = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    if version >= (1, 3) {
        Dialect::Espeak152
    } else {
        Dialect::Phonemize1
    }
}

/// Clauses joined to what is spoken in one go: a sentence, or less of it.
pub fn units(clauses: Vec<Clause>) -> Vec<Unit> {
    let mut units: Vec<Unit> = Vec::new();
    let mut open = Unit::default();
    for clause in clauses.into_iter().flat_map(cut) {
        let gap = usize::from(!open.phonemes.is_empty());
        let offset = open.phonemes.chars().count() + gap;
        if gap > 0 {
            open.phonemes.push(' ');
        }
        open.phonemes.push_str(&clause.phonemes);
        open.ends_sentence = clause.ends_sentence();
        open.words.extend(clause.words.into_iter().map(|mut word| {
            word.phonemes = word.phonemes.start + offset..word.phonemes.end + offset;
            word
        }));
        let n_symbols = open.phonemes.chars().count();
        let is_early = units.is_empty() && n_symbols >= FIRST_SYMBOLS;
        if open.ends_sentence || is_early || n_symbols >= LONG_SYMBOLS {
            units.push(std::mem::take(&mut open));
        }
    }
    if !open.phonemes.is_empty() {
        units.push(open);
    }
    units
}

/// A clause in parts that are not too long, between words; the last has the mark. One endless word is cut anywhere.
fn cut(clause: Clause) -> Vec<Clause> {
    let symbols: Vec<char> = clause.phonemes.chars().collect();
    if symbols.len() <= MAX_SYMBOLS {
        return vec![clause];
    }
    let mut ends = Vec::new();
    let mut start = 0;
    while symbols.len() - start > MAX_SYMBOLS {
        let latest = start + MAX_SYMBOLS;
        let end = (start + 1..latest).rev().find(|at| symbols[*at] == ' ').unwrap_or(latest);
        ends.push((start, end));
        start = end;
    }
    ends.push((start, symbols.len()));
    let n_parts = ends.len();
    let parts = ends.into_iter().enumerate().map(|(index, (start, end))| {
        let is_inside = |word: &&super::phonemes::SpokenWord| (start..end).contains(&word.phonemes.start);
        let words = clause.words.iter().filter(is_inside).cloned().map(|mut word| {
            word.phonemes = word.phonemes.start - start..word.phonemes.end.min(end) - start;
            word
        });
        Clause {
            phonemes: symbols[start..end].iter().collect(),
            mark: if index + 1 == n_parts { clause.mark } else { Some(',') },
            words: words.collect(),
        }
    });
    parts.collect()
}

/// Cuts a text that is still coming into parts that can be spoken: the parts are the same however it comes.
#[derive(Debug, Default)]
pub struct Splitter {
    rest: String,
}

/// A part ends at a mark, but not before this many characters.
const MIN_CHARS: usize = 24;
/// Without a mark it ends at a space after this many.
const MAX_CHARS: usize = 600;

impl Splitter {
    /// Adds text; the parts that are complete with it.
    pub fn push(&mut self, text: &str) -> Vec<String> {
        self.rest.push_str(text);
        let mut parts = Vec::new();
        let mut start = 0;
        while let Some(end) = part_end(&self.rest[start..]) {
            parts.push(self.rest[start..start + end].to_owned());
            start += end;
        }
        self.rest.drain(..start);
        parts
    }

    /// What is left when the text has ended.
    pub fn finish(&mut self) -> Option<String> {
        let rest = std::mem::take(&mut self.rest);
        (!rest.trim().is_empty()).then_some(rest)
    }
}

/// Where the first part of `text` ends, if what follows it is known well enough.
fn part_end(text: &str) -> Option<usize> {
    let mut n_chars = 0;
    let mut last = ' ';
    for (at, c) in text.char_indices() {
        n_chars += 1;
        let is_mark = c.is_whitespace() && matches!(last, '.' | '!' | '?' | ';' | ':' | ',');
        let is_line = c == '\n' && n_chars > 1;
        let is_long = c.is_whitespace() && n_chars >= MAX_CHARS || n_chars >= 2 * MAX_CHARS;
        last = c;
        if !(is_long || is_line || (is_mark && n_chars >= MIN_CHARS)) {
            continue;
        }
        let end = at + c.len_utf8();
        if is_long || is_line {
            return Some(end);
        }
        // What follows decides: a date goes on with a number, an abbreviation with a small letter.
        let follows = text[end..].chars().find(|c| !c.is_whitespace())?;
        let mark = text[..at].chars().next_back();
        let word = text[..at].split_whitespace().next_back().unwrap_or_default();
        let is_short_name = word.chars().count() < 6 && word.starts_with(char::is_uppercase);
        let is_abbreviation = is_short_name || word.trim_end_matches('.').contains('.');
        let goes_on = match mark {
            Some('.') => is_abbreviation || !follows.is_uppercase(),
            Some(',') => follows.is_ascii_digit(),
            _ => false,
        };
        if !goes_on {
            return Some(end);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str, size: usize) -> Vec<String> {
        let mut splitter = Splitter::default();
        let chars: Vec<char> = text.chars().collect();
        let mut parts: Vec<String> = chars
            .chunks(size)
            .flat_map(|some| splitter.push(&some.iter().collect::<String>()))
            .collect();
        parts.extend(splitter.finish());
        parts
    }

    #[test]
    fn a_text_is_cut_alike_however_it_comes() {
        let text = "Dr. Lee met us on Tuesday, March 4th, 2025, at noon. The build failed; was it 3.5 or e.g. 4? \
                    No idea!\nA new line: one, two, three and so on and so forth, until the end.";
        let whole = parts(text, 10_000);
        assert_eq!(whole.concat(), text);
        assert!(whole.len() >= 5, "{whole:?}");
        assert!(whole[0].starts_with("Dr. Lee"), "{whole:?}");
        for size in [1, 2, 3, 7, 50] {
            assert_eq!(parts(text, size), whole, "{size}");
        }
        let endless = "x".repeat(5_000);
        assert!(parts(&endless, 100).iter().all(|part| part.len() <= 2 * MAX_CHARS));
    }

    #[test]
    fn the_first_clause_comes_early_and_long_ones_are_cut() {
        let phonemizer = Phonemizer::get().unwrap();
        let of = |text: &str| units(phonemizer.phonemize(text, Dialect::default()));
        let found = of("When the build is done, the tests run, then it ends. Good.");
        let ends: Vec<bool> = found.iter().map(|unit| unit.ends_sentence).collect();
        assert_eq!(ends, [false, true, true]);
        for unit in &found {
            let symbols: Vec<char> = unit.phonemes.chars().collect();
            for word in &unit.words {
                assert!(word.phonemes.end <= symbols.len() && !word.phonemes.is_empty(), "{word:?}");
                assert_ne!(symbols[word.phonemes.start], ' ', "{word:?}");
            }
        }
        for text in ["again and ".repeat(200), "ab".repeat(5_000)] {
            assert!(
                of(&text)
                    .iter()
                    .all(|unit| unit.phonemes.chars().count() <= MAX_SYMBOLS + LONG_SYMBOLS)
            );
        }
        assert_eq!(of(""), []);
    }

    #[test]
    fn newer_voices_speak_the_newer_dialect() {
        assert_eq!(dialect(None), Dialect::Phonemize1);
        assert_eq!(dialect(Some("1.0.0")), Dialect::Phonemize1);
        assert_eq!(dialect(Some("1.3.0")), Dialect::Espeak152);
    }
}
