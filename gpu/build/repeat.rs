//! Repeats lines of a kernel when it is built. Drivers do not unroll loops over cooperative matrices, and arrays of them do
//! not become registers; so a kernel that keeps several names each, with the help of three lines:
//!
//! ```text
//! //% let N = 4            a number, anywhere in the kernel or a part
//! //% for i in N           the lines up to `//% end` once for each i below N, with `$i` replaced; they nest
//! //% end
//! ```

use std::collections::BTreeMap;

/// Carries the directives out.
///
/// Errors: what does not read as one of them, in words.
pub fn expand(text: &str) -> Result<String, String> {
    if !text.contains("//%") {
        return Ok(text.to_owned());
    }
    let mut numbers = BTreeMap::new();
    let mut lines = Vec::new();
    for line in text.lines() {
        match directive(line) {
            Some(["let", name, "=", value]) => {
                let value: u32 = value.parse().map_err(|_| format!("{value} is no number"))?;
                numbers.insert(name, value);
            }
            _ => lines.push(line),
        }
    }
    let mut out = String::new();
    write(&lines, &numbers, &[], &mut out)?;
    Ok(out)
}

/// The words of a line that starts with `//%`.
fn directive(line: &str) -> Option<[&str; 4]> {
    let mut words = line.trim().strip_prefix("//%")?.split_whitespace();
    Some([(); 4].map(|()| words.next().unwrap_or_default()))
}

/// Writes lines with the replacements of the loops around them.
fn write(lines: &[&str], numbers: &BTreeMap<&str, u32>, around: &[(String, u32)], out: &mut String) -> Result<(), String> {
    let mut i = 0;
    while let Some(line) = lines.get(i) {
        i += 1;
        match directive(line) {
            None => {
                let replaced = around.iter().fold((*line).to_owned(), |line, (name, value)| {
                    line.replace(name, &value.to_string())
                });
                out.push_str(&replaced);
                out.push('\n');
            }
            Some(["for", name, "in", count]) => {
                let count = match count.parse() {
                    Ok(count) => count,
                    Err(_) => *numbers.get(count).ok_or_else(|| format!("there is no number {count}"))?,
                };
                let length = body_length(&lines[i..]).ok_or_else(|| format!("`for {name}` has no end"))?;
                for value in 0..count {
                    let mut inner = around.to_vec();
                    inner.push((format!("${name}"), value));
                    write(&lines[i..i + length], numbers, &inner, out)?;
                }
                i += length + 1;
            }
            Some(_) => return Err(format!("{line} is no directive here")),
        }
    }
    Ok(())
}

/// Lines up to the `end` that closes a loop.
fn body_length(lines: &[&str]) -> Option<usize> {
    let mut depth = 0;
    lines.iter().position(|line| {
        let word = directive(line).map_or("", |words| words[0]);
        let closes = word == "end" && depth == 0;
        match word {
            "for" => depth += 1,
            "end" if depth > 0 => depth -= 1,
            _ => {}
        }
        closes
    })
}
