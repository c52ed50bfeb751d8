//! Tensor names: the spellings that converters and fine-tunes use for one tensor, and the closest names for a message.

/// Spellings of a published name to try, the name itself first.
///
/// Old converters drop the `model.` prefix, put `visual.` first, or keep a text model's `model.layers…`
/// (reference: qwen3-vl.md §2).
pub fn spellings(name: &str) -> Vec<String> {
    let mut found = vec![name.to_owned()];
    let mut push = |spelling: String| {
        if !found.contains(&spelling) {
            found.push(spelling);
        }
    };
    let stem = name.strip_prefix("model.").unwrap_or(name);
    push(stem.to_owned());
    push(format!("model.{stem}"));
    if let Some(rest) = stem.strip_prefix("language_model.") {
        push(format!("model.{rest}"));
        push(format!("language_model.model.{rest}"));
        push(rest.to_owned());
    }
    if stem.starts_with("lm_head.") {
        push(format!("language_model.{stem}"));
        push(format!("model.language_model.{stem}"));
    }
    found
}

/// Up to three of `names` that are closest to `name` by edit distance, as the end of a message; empty if none is close.
pub fn hint<'a>(name: &str, names: impl IntoIterator<Item = &'a String>) -> String {
    let limit = (name.len() / 3).max(4);
    let mut close: Vec<(usize, &String)> = names
        .into_iter()
        .filter(|other| other.len().abs_diff(name.len()) <= limit)
        .map(|other| (distance(name.as_bytes(), other.as_bytes()), other))
        .filter(|&(steps, _)| steps <= limit)
        .collect();
    close.sort();
    close.truncate(3);
    if close.is_empty() {
        return String::new();
    }
    let names: Vec<&str> = close.iter().map(|(_, other)| other.as_str()).collect();
    format!("; the closest names are {}", names.join(", "))
}

/// Insertions, deletions and replacements that turn `a` into `b` (Levenshtein), one row of the table at a time.
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, &x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_converters_are_covered() {
        let cases = [
            ("model.visual.pos_embed.weight", "visual.pos_embed.weight"),
            ("model.language_model.norm.weight", "language_model.norm.weight"),
            ("model.language_model.norm.weight", "model.norm.weight"),
            ("model.language_model.norm.weight", "language_model.model.norm.weight"),
            (
                "model.language_model.layers.0.mlp.up_proj.weight",
                "layers.0.mlp.up_proj.weight",
            ),
            ("lm_head.weight", "model.lm_head.weight"),
            ("lm_head.weight", "language_model.lm_head.weight"),
        ];
        for (name, spelling) in cases {
            let found = spellings(name);
            assert_eq!(found[0], name);
            assert!(found.iter().any(|found| found == spelling), "{name} as {spelling}");
        }
    }

    #[test]
    fn hints_name_the_closest() {
        let names = ["a.norm1.weight", "a.norm2.weight", "b.other"].map(String::from);
        assert_eq!(
            hint("a.norm3.weight", &names),
            "; the closest names are a.norm1.weight, a.norm2.weight"
        );
        assert_eq!(hint("nothing.like.it.at.all", &names), "");
        assert_eq!(distance(b"kitten", b"sitting"), 3);
        assert_eq!(distance(b"", b"abc"), 3);
    }
}
