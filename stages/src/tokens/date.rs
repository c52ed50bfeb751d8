//! The `strftime_now` of chat templates, in UTC.

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
const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// `strftime` of a Unix time; what it does not know stands as it is written.
pub fn strftime(format: &str, unix_s: u64) -> String {
    let (days, second) = (unix_s / 86_400, unix_s % 86_400);
    let (year, month, day) = date_of_days(days);
    let weekday = DAYS[(days as usize + 3) % 7];
    let month_name = MONTHS[month - 1];
    let mut out = String::new();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('Y') => out.push_str(&year.to_string()),
            Some('y') => out.push_str(&format!("{:02}", year % 100)),
            Some('m') => out.push_str(&format!("{month:02}")),
            Some('d') => out.push_str(&format!("{day:02}")),
            Some('B') => out.push_str(month_name),
            Some('b') => out.push_str(&month_name[..3]),
            Some('A') => out.push_str(weekday),
            Some('a') => out.push_str(&weekday[..3]),
            Some('H') => out.push_str(&format!("{:02}", second / 3600)),
            Some('M') => out.push_str(&format!("{:02}", second / 60 % 60)),
            Some('S') => out.push_str(&format!("{:02}", second % 60)),
            Some('F') => out.push_str(&format!("{year}-{month:02}-{day:02}")),
            Some('%') => out.push('%'),
            Some(other) => out.extend(['%', other]),
            None => out.push('%'),
        }
    }
    out
}

/// Year, month and day (from 1) of a day since 1970-01-01 in the Gregorian calendar.
fn date_of_days(days: u64) -> (u64, usize, u64) {
    let mut left = days;
    let mut year = 1970;
    let is_leap = |year: u64| year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    // 400 years are 146,097 days; the rest is at most 400 steps.
    year += left / 146_097 * 400;
    left %= 146_097;
    loop {
        let length = if is_leap(year) { 366 } else { 365 };
        if left < length {
            break;
        }
        left -= length;
        year += 1;
    }
    let february = if is_leap(year) { 29 } else { 28 };
    let mut month = 0;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if left < length {
            break;
        }
        left -= length;
        month += 1;
    }
    (year, month + 1, left + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_days() {
        let cases = [
            (0, "Thu 1970-01-01 00:00:00"),
            (951_782_400, "Tue 2000-02-29 00:00:00"),
            (1_709_251_199, "Thu 2024-02-29 23:59:59"),
            (4_102_444_800, "Fri 2100-01-01 00:00:00"),
            (4_107_542_400, "Mon 2100-03-01 00:00:00"),
        ];
        for (unix_s, text) in cases {
            assert_eq!(strftime("%a %F %H:%M:%S", unix_s), text);
        }
        assert_eq!(
            strftime("%d %B %Y, %A %b %y 100%% %q %", 0),
            "01 January 1970, Thursday Jan 70 100% %q %"
        );
    }
}
