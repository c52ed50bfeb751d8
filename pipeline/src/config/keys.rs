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
        let missing = text.strip_prefix("missing field `").and_then(|rest| rest.split('`').next());
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
            accepted
                .trim_start_matches("one of ")
                .replace("` or `", ", ")
                .replace('`', ""),
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
        let accepted = if message == text { "no keys".to_owned() } else { accepted };
        let known: Vec<&str> = accepted.split(", ").collect();
        return Fault::new(path, format!("is no key here{}", hint(unknown, &known)), accepted);
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

/// How many letters to change, add, leave out or swap with their neighbour (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<usize>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let change = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = change.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, serde::Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Keys {
        fps: f32,
        size: Size,
        policy: Policy,
    }

    #[derive(Debug, Default, serde::Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Size {
        width: u32,
    }

    #[derive(Debug, Default, serde::Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Policy {
        #[default]
        All,
        Changed,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read by serde")]
    struct Needs {
        path: String,
        n: u32,
    }

    fn faults<C: StageConfig>(text: &str) -> Vec<String> {
        let table: toml::Table = text.parse().expect("TOML");
        faults_of_table::<C>(&table).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_bad_key_is_a_fault_of_its_own() {
        let found = faults::<Keys>("fpss = 1\nfps = \"fast\"\nsize.widht = 3\nsize.width = 4\npolicy = \"none\"");
        let expected = [
            "fps: invalid type: string \"fast\"; accepted: f32",
            "fpss: is no key here, did you mean \"fps\"?; accepted: fps, size, policy",
            "policy: unknown variant `none`; accepted: all, changed",
            "size.widht: is no key here, did you mean \"width\"?; accepted: width",
        ];
        let mut found_sorted = found.clone();
        found_sorted.sort();
        assert_eq!(found_sorted, expected);
    }

    #[test]
    fn what_is_missing_is_only_said_of_what_is_missing() {
        assert_eq!(faults::<Needs>("n = 1"), ["path: is missing"]);
        assert_eq!(
            faults::<Needs>("n = \"x\"\npath = \"a\""),
            ["n: invalid type: string \"x\"; accepted: u32"]
        );
        assert!(faults::<Needs>("n = 1\npath = \"a\"").is_empty());
    }

    #[test]
    fn nearest_is_near() {
        assert_eq!(
            nearest("vision.chnages", ["vision.changes", "vision.encode"].into_iter()),
            Some("vision.changes")
        );
        assert_eq!(nearest("tts", ["vision.changes", "llm.generate"].into_iter()), None);
    }
}
