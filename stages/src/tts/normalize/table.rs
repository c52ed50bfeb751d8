//! What the normaliser knows by heart: `table.tsv`, read once. A line teaches it an abbreviation, a unit, an ending …

use std::collections::HashMap;
use std::sync::OnceLock;

const TEXT: &str = include_str!("table.tsv");

/// What stands behind a written form: how it is said, and what else its line says.
pub type Row = (&'static str, Vec<&'static str>);

/// The lines of the table by kind and written form.
pub struct Table {
    kinds: HashMap<&'static str, HashMap<&'static str, Row>>,
}

impl Table {
    /// The one table.
    pub fn get() -> &'static Self {
        static TABLE: OnceLock<Table> = OnceLock::new();
        TABLE.get_or_init(|| Self::read(TEXT))
    }

    fn read(text: &'static str) -> Self {
        let mut kinds: HashMap<_, HashMap<_, _>> = HashMap::new();
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with("# "));
        for line in lines {
            let mut fields = line.split('\t');
            if let (Some(kind), Some(written)) = (fields.next(), fields.next()) {
                let said = fields.next().unwrap_or(written);
                kinds
                    .entry(kind)
                    .or_default()
                    .entry(written)
                    .or_insert((said, fields.collect()));
            }
        }
        Self { kinds }
    }

    pub fn row(&self, kind: &str, written: &str) -> Option<&Row> {
        self.kinds.get(kind)?.get(written)
    }

    /// How it is said.
    pub fn said(&self, kind: &str, written: &str) -> Option<&'static str> {
        self.row(kind, written).map(|(said, _)| *said)
    }

    pub fn has(&self, kind: &str, written: &str) -> bool {
        self.row(kind, written).is_some()
    }

    /// The longest written form of `kind` that `text` starts with, and its row.
    pub fn longest(&self, kind: &str, text: &str) -> Option<(&'static str, &Row)> {
        let known = self.kinds.get(kind)?;
        let ends = text.char_indices().map(|(at, c)| at + c.len_utf8()).take(8);
        let found = ends.filter_map(|end| known.get_key_value(text.get(..end)?)).last();
        found.map(|(written, row)| (*written, row))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_complete_and_of_a_known_kind() {
        const KINDS: [(&str, usize); 17] = [
            ("abbr", 3),
            ("plain", 3),
            ("word", 3),
            ("letters", 2),
            ("caps", 2),
            ("unit", 4),
            ("touching", 2),
            ("money", 6),
            ("scale", 3),
            ("op", 3),
            ("key", 3),
            ("ext", 3),
            ("tld", 2),
            ("roman", 3),
            ("month", 3),
            ("greek", 3),
            ("emoji", 3),
        ];
        let mut seen = std::collections::HashSet::new();
        for line in TEXT.lines().filter(|line| !line.is_empty() && !line.starts_with("# ")) {
            let fields: Vec<&str> = line.split('\t').collect();
            let known = KINDS.iter().find(|(kind, _)| *kind == fields[0]);
            let (_, n_fields) = known.unwrap_or_else(|| panic!("no kind {}: {line}", fields[0]));
            assert!(fields.len() >= *n_fields, "{line}");
            assert!(seen.insert((fields[0], fields[1])), "twice: {line}");
        }
    }

    #[test]
    fn the_longest_form_wins() {
        let table = Table::get();
        assert_eq!(table.longest("money", "US$5").map(|(written, _)| written), Some("US$"));
        assert_eq!(table.said("ext", "rs"), Some("r.s"));
        assert_eq!(table.longest("money", "5"), None);
    }
}
