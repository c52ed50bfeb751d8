//! Dates and times of day.

use super::number::{self, is_digits};
use super::rules::{Reader, Said};
use super::table::Table;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// Words before a number that make it a year.
const BEFORE_YEAR: [&str; 17] = [
    "in",
    "since",
    "of",
    "from",
    "by",
    "until",
    "till",
    "before",
    "after",
    "during",
    "year",
    "circa",
    "early",
    "late",
    "mid",
    "summer",
    "copyright",
];

/// `2024-11-22`, `11/22/2024`, `March 4th`, `4 March`, `in 1998`, `the 1990s`.
pub fn date(reader: &Reader<'_>) -> Option<Said> {
    numeric(reader)
        .or_else(|| month_first(reader))
        .or_else(|| day_first(reader))
        .or_else(|| year(reader))
}

fn numeric(reader: &Reader<'_>) -> Option<Said> {
    let core = reader.core();
    let (day, time) = match core.split_once(['T', '_']) {
        Some((day, time)) if time.contains(':') => (day, Some(time)),
        _ => (core, None),
    };
    let separator = ['-', '/', '.'].into_iter().find(|c| day.contains(*c))?;
    let parts: Vec<&str> = day.split(separator).collect();
    let [a, b, c] = parts[..] else { return None };
    if ![a, b, c].into_iter().all(is_digits) {
        return None;
    }
    let value = |text: &str| text.parse::<u64>().unwrap_or(u64::MAX);
    let (year, month, day) = match (a.len(), c.len(), separator) {
        (4, 1..=2, _) => (value(a), value(b), value(c)),
        (1..=2, 4, '/') if value(a) <= 12 => (value(c), value(a), value(b)),
        (1..=2, 4, _) => (value(c), value(b), value(a)),
        (1..=2, 2, '/') if value(a) <= 12 => (2000 + value(c), value(a), value(b)),
        _ => return None,
    };
    let name = MONTHS.get(usize::try_from(month).ok()?.checked_sub(1)?)?;
    if !(1..=31).contains(&day) || !(1000..10_000).contains(&year) {
        return None;
    }
    let time = time.and_then(|time| clock(time.trim_end_matches('Z').split(['+', '.']).next()?));
    let time = time.map(|time| format!(", {time}")).unwrap_or_default();
    Some(Said::one(format!(
        "{name} {}, {}{time}",
        number::ordinal(day),
        number::year(year)
    )))
}

/// A day of a month, with or without its ending.
fn day(text: &str) -> Option<u64> {
    let digits = ["st", "nd", "rd", "th"]
        .iter()
        .find_map(|ending| text.strip_suffix(ending))
        .unwrap_or(text);
    let value = is_digits(digits).then(|| digits.parse().ok()).flatten()?;
    ((1..=31).contains(&value) && digits.len() <= 2).then_some(value)
}

fn is_year(text: &str) -> bool {
    text.len() == 4 && is_digits(text) && !text.starts_with('0')
}

fn month_first(reader: &Reader<'_>) -> Option<Said> {
    let (name, next) = month(reader.core(), reader)?;
    if let Some(day) = next.and_then(day) {
        return Some(Said::of(2, format!("{name} {}", number::ordinal(day))));
    }
    let (first, last) = next?.split_once('-')?;
    let days = format!("{} to {}", number::ordinal(day(first)?), number::ordinal(day(last)?));
    Some(Said::of(2, format!("{name} {days}")))
}

/// The full name of a month, and what follows; a short name may have a full stop.
fn month<'a>(core: &str, reader: &Reader<'a>) -> Option<(&'static str, Option<&'a str>)> {
    let name = Table::get().said("month", core.trim_end_matches('.'))?;
    let is_short = reader.chunk().tail == ['.'] && core.len() <= 4;
    let next = match is_short {
        true => reader.ahead(1).map(|chunk| chunk.core.as_str()),
        false => reader.following(1),
    };
    Some((name, next))
}

fn day_first(reader: &Reader<'_>) -> Option<Said> {
    let value = day(reader.core())?;
    let name = Table::get().said("month", reader.following(1)?)?;
    let ordinal = number::ordinal(value);
    let is_the = reader.behind(1).is_some_and(|chunk| chunk.core.eq_ignore_ascii_case("the"));
    let article = if is_the { "" } else { "the " };
    Some(Said::of(2, format!("{article}{ordinal} of {name}")))
}

fn year(reader: &Reader<'_>) -> Option<Said> {
    let core = reader.core();
    if let Some(digits) = core.strip_suffix("'s").or_else(|| core.strip_suffix('s')) {
        let digits = digits.trim_start_matches('\'');
        let is_decade = is_digits(digits) && digits.ends_with('0') && matches!(digits.len(), 2 | 4);
        return is_decade.then(|| Said::one(number::decade(digits.parse().unwrap_or(0))));
    }
    if let Some(digits) = core
        .strip_prefix('\'')
        .filter(|digits| digits.len() == 2 && is_digits(digits))
    {
        return Some(Said::one(number::whole(digits)));
    }
    let (first, last) = match core.split_once('-') {
        Some((first, last)) => (first, Some(last)),
        None => (core, None),
    };
    if !is_year(first) || last.is_some_and(|last| !(is_year(last) || (last.len() == 2 && is_digits(last)))) {
        return None;
    }
    let value: u64 = first.parse().ok()?;
    let before = reader.behind(1)?;
    let word = before.core.to_lowercase();
    let is_after_day = day(&before.core).is_some()
        && reader
            .behind(2)
            .is_some_and(|chunk| Table::get().has("month", chunk.core.trim_end_matches('.')));
    let is_after_month = Table::get().has("month", &before.core);
    let is_apart = reader.chunk().lead == ['('] && reader.chunk().tail.first() == Some(&')');
    let is_year = is_after_day || is_after_month || is_apart || BEFORE_YEAR.contains(&word.as_str());
    if !(1100..2100).contains(&value) || !is_year {
        return None;
    }
    let last = last.and_then(|last| last.parse().ok()).map(number::year);
    let last = last.map(|last| format!(" to {last}")).unwrap_or_default();
    Some(Said::one(format!("{}{last}", number::year(value))))
}

/// `14:05`, `7:45 p.m.`, `9am`, `9 a.m.`
pub fn time(reader: &Reader<'_>) -> Option<Said> {
    let core = reader.core();
    let small = core.to_lowercase();
    if let Some((from, to)) = core.split_once('-')
        && let (Some(from), Some(to)) = (clock(from), clock(to))
    {
        return Some(Said::one(format!("{from} to {to}")));
    }
    let halves = ["a.m.", "p.m.", "am", "pm"];
    let (digits, half) = match halves
        .iter()
        .find_map(|half| small.strip_suffix(half).map(|digits| (digits, *half)))
    {
        Some((digits, half)) => (digits.to_owned(), Some((1, half.to_owned()))),
        None => {
            let next = reader.following(1).map(|next| (next.to_lowercase(), reader.ahead(1)));
            let half = next.and_then(|(next, chunk)| {
                let is_half = halves.contains(&next.as_str()) || (next == "a.m" || next == "p.m");
                (is_half && chunk.is_some()).then_some((2, next))
            });
            (small.clone(), half)
        }
    };
    let hour = digits
        .parse::<u64>()
        .ok()
        .filter(|hour| (1..=12).contains(hour) && half.is_some());
    let said = match hour {
        Some(hour) => number::cardinal(hour),
        None => {
            let said = clock(&digits)?;
            match half {
                Some(_) => said.trim_end_matches(" o'clock").to_owned(),
                None => said,
            }
        }
    };
    let Some((n_chunks, half)) = half else {
        return Some(Said::one(said));
    };
    let has_stop = half.ends_with('.');
    let is_end = reader.ahead(n_chunks).is_none_or(|next| next.starts_upper());
    Some(Said {
        ends_sentence: has_stop && is_end,
        ..Said::of(
            n_chunks,
            format!("{said} {}", if half.starts_with('a') { "a.m" } else { "p.m" }),
        )
    })
}

/// `14:05`, `14:05:33`.
fn clock(text: &str) -> Option<String> {
    let parts: Vec<&str> = text.split(':').collect();
    let is_pair = |part: &&str| part.len() == 2 && is_digits(part);
    let (hour, rest) = parts.split_first()?;
    if !(1..=2).contains(&hour.len()) || !is_digits(hour) || !(1..=2).contains(&rest.len()) || !rest.iter().all(is_pair) {
        return None;
    }
    let value = |text: &str| text.parse::<u64>().unwrap_or(u64::MAX);
    if value(hour) > 24 || rest.iter().any(|part| value(part) > 59) {
        return None;
    }
    let minutes = value(rest[0]);
    let hours = number::cardinal(value(hour));
    let said = match minutes {
        0 if value(hour) == 0 || value(hour) > 12 => format!("{hours} hundred"),
        0 => format!("{hours} o'clock"),
        1..10 => format!("{hours} zero {}", number::cardinal(minutes)),
        _ => format!("{hours} {}", number::cardinal(minutes)),
    };
    Some(match rest.get(1) {
        Some(seconds) if value(seconds) == 0 => said,
        Some(seconds) if minutes == 0 => format!("{hours} hours and {}", seconds_said(value(seconds))),
        Some(seconds) => format!("{said} and {}", seconds_said(value(seconds))),
        None => said,
    })
}

fn seconds_said(value: u64) -> String {
    let plural = if value == 1 { "" } else { "s" };
    format!("{} second{plural}", number::cardinal(value))
}
