//! Serde's errors as faults: all of a table at once, each with its key. Not what the keys mean.

use crate::error::Fault;
use crate::registry::StageConfig;

/// Reads a stage's keys.
pub(crate) fn config_from_table<C: StageConfig>(table: &toml::Table) -> Result<C, toml::de::Error> {
    toml::Value::Table(table.clone()).try_into()
}

/// Everything that serde refuses in a table. Serde stops at the first error, so each key is tried by itself.
pub(crate) fn faults_of_table<C: StageConfig>(table: &toml::Table) -> Vec<Fault> {
    if config_from_table::<C>(table).is_ok() {
        return Vec::new();
    }
    let mut faults = Vec::new();
    let mut rest = table.clone();
    for (key, value) in table {
        let alone: toml::Table = std::iter::once((key.clone(), value.clone())).collect();
        if let Err(error) = config_from_table::<C>(&alone) {
            let text = text_of_error(&error);
            // That another key is missing is not this one's fault.
            if text.starts_with("missing field") {
                continue;
            }
            faults.push(fault_from_text(key, &text));
            rest.remove(key);
        }
    }
    if let Err(error) = config_from_table::<C>(&rest) {
        let text = text_of_error(&error);
        let missing = text
            .strip_prefix("missing field `")
            .and_then(|rest| rest.split('`').next());
        match missing {
            Some(key) if table.contains_key(key) => {}
            Some(key) => faults.push(Fault::new(key, "is missing", "")),
            None => faults.push(Fault::new("", text, "")),
        }
    }
    faults
}

fn text_of_error(error: &toml::de::Error) -> String {
    error.to_string().trim().replace('\n', " ")
}

/// `unknown field `fpss`, expected one of `fps`, `size`` and the like, split into what is wrong and what would be accepted.
fn fault_from_text(key: &str, text: &str) -> Fault {
    // "… in `a.b`" tells where in the key.
    let (text, path) = match text.rsplit_once(" in `") {
        Some((text, path)) => (text, path.trim_end_matches('`')),
        None => (text, key),
    };
    let (message, accepted) = match text.split_once(", expected ") {
        Some((message, accepted)) => (
            message,
            accepted.trim_start_matches("one of ").replace('`', ""),
        ),
        None => (text, String::new()),
    };
    if let Some(unknown) = message.strip_prefix("unknown field `") {
        let unknown = unknown.trim_end_matches('`');
        let path = if path.ends_with(unknown) {
            path.to_owned()
        } else {
            format!("{path}.{unknown}")
        };
        let accepted = if message == text {
            "no keys".to_owned()
        } else {
            accepted
        };
        let known: Vec<&str> = accepted.split(", ").collect();
        return Fault::new(
            path,
            format!("is no key here{}", hint(unknown, &known)),
            accepted,
        );
    }
    Fault::new(path, message, accepted)
}

/// `, did you mean "fps"?` if a known word is near.
fn hint(word: &str, known: &[&str]) -> String {
    nearest(word, known.iter().copied())
        .map(|near| format!(", did you mean \"{near}\"?"))
        .unwrap_or_default()
}

/// The known word that is most like `word`, if one is like it at all.
pub(crate) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let (distance, near) = known.map(|other| (distance(word, other), other)).min()?;
    let longer = word.chars().count().max(near.chars().count());
    (distance * 3 <= longer.max(3)).then_some(near)
}

/// Levenshtein's.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let change = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
