//! Numbers as English words: cardinals, ordinals, digits one by one, years. American: no "and" inside a number.

const ONES: [&str; 20] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
const TENS: [&str; 10] = [
    "", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety",
];
const POWERS: [&str; 6] = ["", " thousand", " million", " billion", " trillion", " quadrillion"];

/// Above this many digits a number is read digit by digit.
const MOST_DIGITS: usize = 18;

/// `20817` → `twenty thousand eight hundred seventeen`.
pub fn cardinal(value: u64) -> String {
    if value == 0 {
        return ONES[0].into();
    }
    let mut words = Vec::new();
    let mut rest = value;
    for power in POWERS {
        let group = rest % 1000;
        if group > 0 {
            words.push(format!("{}{power}", below_thousand(group)));
        }
        rest /= 1000;
    }
    if rest > 0 {
        words.push(format!("{} quintillion", below_thousand(rest % 1000)));
    }
    words.reverse();
    words.join(" ")
}

fn below_thousand(value: u64) -> String {
    let [hundreds, rest] = [value / 100, value % 100].map(|part| part as usize);
    let mut words = Vec::new();
    if hundreds > 0 {
        words.push(format!("{} hundred", ONES[hundreds]));
    }
    match rest {
        0 => {}
        1..20 => words.push(ONES[rest].into()),
        _ if rest % 10 == 0 => words.push(TENS[rest / 10].into()),
        _ => words.push(format!("{} {}", TENS[rest / 10], ONES[rest % 10])),
    }
    words.join(" ")
}

/// Turns the last word of a cardinal into an ordinal: `forty two` → `forty second`.
pub fn ordinal(value: u64) -> String {
    let words = cardinal(value);
    let (head, last) = words
        .rsplit_once(' ')
        .map_or(("", words.as_str()), |(head, last)| (head, last));
    let last = match last {
        "one" => "first".into(),
        "two" => "second".into(),
        "three" => "third".into(),
        "five" => "fifth".into(),
        "eight" => "eighth".into(),
        "nine" => "ninth".into(),
        "twelve" => "twelfth".into(),
        _ => match last.strip_suffix('y') {
            Some(stem) => format!("{stem}ieth"),
            None => format!("{last}th"),
        },
    };
    if head.is_empty() { last } else { format!("{head} {last}") }
}

/// Each digit by itself; other characters are passed over.
pub fn digits(text: &str) -> String {
    let words: Vec<&str> = text
        .chars()
        .filter_map(|c| c.to_digit(10))
        .map(|digit| ONES[digit as usize])
        .collect();
    words.join(" ")
}

/// A run of digits: a cardinal, or digit by digit where it starts with a zero or is too long.
pub fn whole(digits_only: &str) -> String {
    let is_spelled = digits_only.len() > MOST_DIGITS || (digits_only.len() > 1 && digits_only.starts_with('0'));
    match digits_only.parse() {
        Ok(value) if !is_spelled => cardinal(value),
        _ => digits(digits_only),
    }
}

/// `1,284.50` → `one thousand two hundred eighty four point five zero`. `None`: it is no such number.
///
/// Commas must stand between groups of three digits.
pub fn decimal(text: &str) -> Option<String> {
    let (whole_part, fraction) = match text.split_once('.') {
        Some((whole_part, fraction)) => (whole_part, Some(fraction)),
        None => (text, None),
    };
    let whole_part = without_commas(whole_part)?;
    let fraction_words = match fraction {
        None => String::new(),
        Some(fraction) if is_digits(fraction) => format!(" point {}", digits(fraction)),
        Some(_) => return None,
    };
    match whole_part.as_str() {
        "" if fraction.is_some() => Some(format!("zero{fraction_words}")),
        "" => None,
        _ => Some(format!("{}{fraction_words}", whole(&whole_part))),
    }
}

/// The digits of a number that may have commas between groups of three; `None` if it is none. Empty stays empty.
pub fn without_commas(text: &str) -> Option<String> {
    if !text.contains(',') {
        return (text.is_empty() || is_digits(text)).then(|| text.to_owned());
    }
    let mut groups = text.split(',');
    let first = groups.next()?;
    let is_grouped = is_digits(first) && first.len() <= 3 && groups.all(|group| group.len() == 3 && is_digits(group));
    is_grouped.then(|| text.replace(',', ""))
}

/// At least one character, all of them ASCII digits.
pub fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// A year: in pairs before 2000 (`nineteen ninety eight`), as a number from then on (`two thousand six`).
pub fn year(value: u64) -> String {
    let [century, rest] = [value / 100, value % 100];
    match value {
        1100..2000 if rest == 0 => format!("{} hundred", cardinal(century)),
        1100..2000 if rest < 10 => format!("{} oh {}", cardinal(century), cardinal(rest)),
        1100..2000 | 2100..10_000 if rest >= 10 => format!("{} {}", cardinal(century), cardinal(rest)),
        _ => cardinal(value),
    }
}

/// A decade without its `s`: `1990` → `nineteen nineties`, `2010` → `twenty tens`, `80` → `eighties`.
pub fn decade(value: u64) -> String {
    let [century, rest] = [value / 100, value % 100];
    let plural = |word: String| match word.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None => format!("{word}s"),
    };
    match (century, rest) {
        (0, rest) => plural(cardinal(rest)),
        (20, 0) => "two thousands".into(),
        (century, 0) => plural(format!("{} hundred", cardinal(century))),
        (century, rest) => format!("{} {}", cardinal(century), plural(cardinal(rest))),
    }
}

/// The value of a plain Roman numeral (`IV`, `XIX`) up to 49; `None` for anything else, `IIII` and `I` among it.
pub fn roman(text: &str) -> Option<u64> {
    const PARTS: [(&str, u64); 7] = [("XL", 40), ("X", 10), ("IX", 9), ("V", 5), ("IV", 4), ("I", 1), ("", 0)];
    let (mut rest, mut value) = (text, 0);
    for (part, worth) in PARTS {
        let most = if matches!(part, "X" | "I") { 3 } else { 1 };
        for _ in 0..most {
            let Some(after) = rest.strip_prefix(part).filter(|_| !part.is_empty()) else {
                break;
            };
            (rest, value) = (after, value + worth);
        }
    }
    (rest.is_empty() && value > 1).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_said_as_in_america() {
        for (value, words) in [
            (0, "zero"),
            (15, "fifteen"),
            (47, "forty seven"),
            (100, "one hundred"),
            (512, "five hundred twelve"),
            (20_817, "twenty thousand eight hundred seventeen"),
            (1_000_000, "one million"),
            (2_000_001, "two million one"),
        ] {
            assert_eq!(cardinal(value), words);
        }
        assert!(cardinal(u64::MAX).starts_with("eighteen quintillion four hundred forty six quadrillion"));
        assert_eq!(whole("007"), "zero zero seven");
        assert_eq!(whole(&"9".repeat(40)).split(' ').count(), 40);
    }

    #[test]
    fn ordinals_years_and_decades_have_their_own_forms() {
        let cases = [
            (1, "first"),
            (12, "twelfth"),
            (20, "twentieth"),
            (42, "forty second"),
            (103, "one hundred third"),
        ];
        for (value, words) in cases {
            assert_eq!(ordinal(value), words);
        }
        let cases = [
            (1998, "nineteen ninety eight"),
            (1900, "nineteen hundred"),
            (1905, "nineteen oh five"),
            (2006, "two thousand six"),
            (2025, "two thousand twenty five"),
        ];
        for (value, words) in cases {
            assert_eq!(year(value), words);
        }
        let cases = [
            (1990, "nineteen nineties"),
            (2010, "twenty tens"),
            (80, "eighties"),
            (1800, "eighteen hundreds"),
        ];
        for (value, words) in cases {
            assert_eq!(decade(value), words);
        }
    }

    #[test]
    fn decimals_need_their_commas_in_the_right_places() {
        assert_eq!(decimal("0.75").as_deref(), Some("zero point seven five"));
        assert_eq!(decimal(".5").as_deref(), Some("zero point five"));
        assert_eq!(decimal("1,310").as_deref(), Some("one thousand three hundred ten"));
        for none in ["1,31", "1,,000", "", ".", "1.2.3", "12a", "1.", ",1"] {
            assert_eq!(decimal(none), None, "{none}");
        }
    }

    #[test]
    fn roman_numerals_are_read_when_well_formed() {
        for (text, value) in [("II", 2), ("IV", 4), ("VIII", 8), ("XIV", 14), ("XL", 40), ("XLIX", 49)] {
            assert_eq!(roman(text), Some(value), "{text}");
        }
        for none in ["", "I", "IIII", "VV", "IC", "MIX", "LIVID", "iv"] {
            assert_eq!(roman(none), None, "{none}");
        }
    }
}
