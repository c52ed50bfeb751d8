//! One word by itself: from the lists, by its parts, or letter by letter.

use super::{Forms, Phonemizer, is_vowel};

/// Longer words are read in parts of this many letters.
const MAX_LETTERS: usize = 40;

const LETTERS: [&str; 26] = [
    "eɪ",
    "biː",
    "siː",
    "diː",
    "iː",
    "ɛf",
    "dʒiː",
    "eɪtʃ",
    "aɪ",
    "dʒeɪ",
    "keɪ",
    "ɛl",
    "ɛm",
    "ɛn",
    "oʊ",
    "piː",
    "kjuː",
    "ɑːɹ",
    "ɛs",
    "tiː",
    "juː",
    "viː",
    "dʌbəljuː",
    "ɛks",
    "waɪ",
    "ziː",
];

impl Phonemizer {
    /// How a word is said by itself. Empty if nothing of it can be.
    pub(super) fn forms(&self, word: &str) -> Forms {
        let small = plain_letters(word);
        match self.special.get(small.as_str()) {
            Some(forms) => forms.clone(),
            None => same(self.said(&small)),
        }
    }

    fn said(&self, word: &str) -> String {
        if let Some(said) = self.known(word).or_else(|| self.by_parts(word)) {
            return said;
        }
        let letters: Vec<char> = word.chars().filter(char::is_ascii_lowercase).collect();
        let parts = letters
            .chunks(MAX_LETTERS)
            .map(|part| self.unknown(&part.iter().collect::<String>()));
        parts.collect()
    }

    /// From the lists.
    fn known(&self, word: &str) -> Option<String> {
        match self.special.get(word) {
            Some(forms) => Some(forms.usual.clone()),
            None => self.lexicon.get(word),
        }
    }

    /// A known word with an ending, or two known words.
    fn by_parts(&self, word: &str) -> Option<String> {
        if word.len() > MAX_LETTERS || !word.is_ascii() {
            return None;
        }
        if let Some(stem) = word.strip_suffix("'s").or_else(|| word.strip_suffix("s'")) {
            return Some(with_s(&self.said(stem)));
        }
        let stems = |ending: &str| {
            let stem = word.strip_suffix(ending).filter(|stem| stem.len() > 2)?;
            let doubled = stem.as_bytes();
            let is_doubled = doubled.len() > 3 && doubled[doubled.len() - 1] == doubled[doubled.len() - 2];
            let once = is_doubled.then(|| &stem[..stem.len() - 1]);
            self.known(stem)
                .or_else(|| self.known(&format!("{stem}e")))
                .or_else(|| once.and_then(|stem| self.known(stem)))
        };
        if let Some(stem) = word
            .strip_suffix('s')
            .filter(|stem| !stem.ends_with('s'))
            .and_then(|stem| self.known(stem))
        {
            return Some(with_s(&stem));
        }
        if let Some(stem) = word.strip_suffix("ies").and_then(|stem| self.known(&format!("{stem}y"))) {
            return Some(with_s(&stem));
        }
        if let Some(stem) = word.strip_suffix("es").and_then(|stem| self.known(stem)) {
            return Some(with_s(&stem));
        }
        if let Some(stem) = stems("ed") {
            return Some(with_ed(&stem));
        }
        for (ending, said) in [("ing", "ɪŋ"), ("able", "əbəl"), ("er", "ɚ"), ("ers", "ɚz"), ("or", "ɚ")] {
            if let Some(stem) = stems(ending) {
                return Some(format!("{}{said}", flapped(&stem)));
            }
        }
        for (ending, said) in [
            ("ly", "li"),
            ("less", "ləs"),
            ("ness", "nəs"),
            ("ful", "fəl"),
            ("ment", "mənt"),
        ] {
            if let Some(stem) = word
                .strip_suffix(ending)
                .filter(|stem| stem.len() > 2)
                .and_then(|stem| self.known(stem))
            {
                return Some(format!("{stem}{said}"));
            }
        }
        for (start, said) in [
            ("un", "ʌn"),
            ("re", "ɹiː"),
            ("non", "nˈɑːn"),
            ("pre", "pɹiː"),
            ("sub", "sˈʌb"),
            ("multi", "mˈʌltaɪ"),
            ("de", "diː"),
        ] {
            let rest = word.strip_prefix(start).filter(|rest| rest.len() > 3);
            if let Some(rest) = rest.and_then(|rest| self.known(rest)) {
                let rest = if said.contains('ˈ') { rest.replace('ˈ', "ˌ") } else { rest };
                return Some(format!("{said}{rest}"));
            }
        }
        self.compound(word)
    }

    /// Two known words; the first is stressed.
    fn compound(&self, word: &str) -> Option<String> {
        let splits = (3..word.len().saturating_sub(2)).rev();
        splits.into_iter().find_map(|at| {
            let (first, second) = word.split_at_checked(at)?;
            let [first, second] = [self.known(first)?, self.known(second)?];
            Some(format!("{first}{}", second.replace('ˈ', "ˌ")))
        })
    }

    /// Letter by letter through the trees, with one stress.
    fn unknown(&self, word: &str) -> String {
        let said = self.lexicon.spell_out(word);
        match said.find('ˈ') {
            Some(at) => {
                let behind = at + 'ˈ'.len_utf8();
                format!("{}{}", &said[..behind], said[behind..].replace('ˈ', "ˌ"))
            }
            None => match said.find(is_vowel) {
                Some(at) => format!("{}ˈ{}", said[..at].trim_end_matches('ˌ'), &said[at..]),
                None => said,
            },
        }
    }
}

/// A word that is said in one way.
fn same(said: String) -> Forms {
    Forms {
        before_vowel: said.clone(),
        last: said.clone(),
        usual: said,
    }
}

/// Letters one by one, the last one stressed most; `letters` are small and may end in `'s`.
pub(super) fn spelled(letters: &str) -> Forms {
    let (letters, has_s) = match letters.split_once('\'') {
        Some((letters, _)) => (letters, true),
        None => (letters, false),
    };
    let letters = plain_letters(letters);
    let names: Vec<&str> = letters
        .bytes()
        .filter(u8::is_ascii_lowercase)
        .map(|letter| LETTERS[usize::from(letter - b'a')])
        .collect();
    let mut said = String::new();
    for (index, name) in names.iter().enumerate() {
        let is_last = index + 1 == names.len();
        let next_is_vowel = names.get(index + 1).is_some_and(|next| next.starts_with(is_vowel));
        let at = name.find(is_vowel).unwrap_or(0);
        said.push_str(&name[..at]);
        said.push(if is_last { 'ˈ' } else { 'ˌ' });
        let rest = &name[at..];
        // The end of the name of W is stressed too.
        said.push_str(&rest.replace("juː", "jˌuː"));
        if name.ends_with('ɹ') && next_is_vowel {
            said.push('ɹ');
        }
    }
    let said = said.replace("jˌuːˈ", "juːˈ").replace("kˌjuː", "kjˌuː");
    same(if has_s { with_s(&said) } else { said })
}

/// Plural, possessive, third person.
fn with_s(stem: &str) -> String {
    let ending = match last_sound(stem) {
        's' | 'z' | 'ʃ' | 'ʒ' => "ᵻz",
        'p' | 't' | 'k' | 'f' | 'θ' => "s",
        _ => "z",
    };
    format!("{stem}{ending}")
}

fn with_ed(stem: &str) -> String {
    match last_sound(stem) {
        't' | 'd' => format!("{}ᵻd", flapped(stem)),
        'p' | 'k' | 'f' | 'θ' | 's' | 'ʃ' => format!("{stem}t"),
        _ => format!("{stem}d"),
    }
}

fn last_sound(said: &str) -> char {
    said.chars().rfind(|c| *c != 'ː').unwrap_or(' ')
}

/// A last `t` between a vowel or `ɹ` and the vowel of an ending is a flap; a last `ɚ` takes an `ɹ`.
fn flapped(stem: &str) -> String {
    if let Some(head) = stem.strip_suffix('t')
        && head.ends_with(|c| is_vowel(c) || c == 'ː' || c == 'ɹ')
    {
        return format!("{head}ɾ");
    }
    if stem.ends_with('ɚ') || stem.ends_with("ɜː") {
        return format!("{stem}ɹ");
    }
    stem.to_owned()
}

/// Small letters without accents; what is no letter of Latin script or apostrophe is left out.
fn plain_letters(word: &str) -> String {
    const FOLDED: [(&str, &str); 24] = [
        ("àáâãäåāăąǎ", "a"),
        ("çćĉċč", "c"),
        ("ďđð", "d"),
        ("èéêëēĕėęě", "e"),
        ("ĝğġģ", "g"),
        ("ĥħ", "h"),
        ("ìíîïĩīĭįı", "i"),
        ("ĵ", "j"),
        ("ķ", "k"),
        ("ĺļľŀł", "l"),
        ("ñńņňŉŋ", "n"),
        ("òóôõöøōŏőơ", "o"),
        ("ŕŗř", "r"),
        ("śŝşšș", "s"),
        ("ţťŧț", "t"),
        ("ùúûüũūŭůűųư", "u"),
        ("ŵ", "w"),
        ("ýÿŷ", "y"),
        ("źżž", "z"),
        ("ß", "ss"),
        ("æ", "ae"),
        ("œ", "oe"),
        ("þ", "th"),
        ("ﬁ", "fi"),
    ];
    let mut plain = String::new();
    for c in word.chars().flat_map(char::to_lowercase) {
        match FOLDED.iter().find(|(accented, _)| accented.contains(c)) {
            Some((_, letters)) => plain.push_str(letters),
            None if c.is_ascii_lowercase() || c == '\'' => plain.push(c),
            None => {}
        }
    }
    plain
}
