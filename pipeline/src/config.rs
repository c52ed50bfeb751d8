//! TOML text → [`Raw`]: sections, keys and the lines that they stand in. Not whether they fit together (`graph/check.rs`).

mod keys;

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::error::Fault;

pub(crate) use keys::{config_from_table, faults_of_table, nearest};

/// A configuration as it is written, and what is wrong with the writing.
#[derive(Debug, Default)]
pub(crate) struct Raw {
    pub name: Option<String>,
    /// `[pipeline]`: what it says for all stages.
    pub pipeline: Option<Section>,
    pub models: Vec<Section>,
    pub engines: Vec<Section>,
    pub stages: Vec<Section>,
    pub faults: Vec<Fault>,
    /// The text is no TOML, so that what was read may not be what was meant.
    pub is_broken: bool,
}

/// A section `[stage.NAME]`, `[model.NAME]`, `[engine.NAME]` or `[pipeline]`.
#[derive(Debug)]
pub(crate) struct Section {
    /// `stage.NAME`
    pub key: String,
    pub name: String,
    pub table: toml::Table,
    pub line: usize,
    /// The lines of keys relative to the section: `input`, `input.from`.
    lines: BTreeMap<String, usize>,
}

impl Section {
    /// The line of a key, or of the nearest thing around it.
    pub fn line_of(&self, key: &str) -> usize {
        let mut key = key;
        loop {
            if let Some(line) = self.lines.get(key) {
                return *line;
            }
            match key.rfind(['.', '[']) {
                Some(end) => key = &key[..end],
                None => return self.line,
            }
        }
    }

    /// A fault of this section, given relative to it, as the reader of the whole text needs it.
    pub fn place(&self, mut fault: Fault) -> Fault {
        fault.line = self.line_of(&fault.key);
        fault.key = if fault.key.is_empty() {
            self.key.clone()
        } else {
            format!("{}.{}", self.key, fault.key)
        };
        fault
    }

    pub fn fault(&self, key: &str, message: impl Into<String>, accepted: impl Into<String>) -> Fault {
        self.place(Fault::new(key, message, accepted))
    }
}

const SECTIONS: &str = "[pipeline], [model.NAME], [engine.NAME], [stage.NAME]";

impl Raw {
    /// Reads as much as can be read; `faults` has the rest.
    pub fn from_toml(text: &str) -> Self {
        let lines = Lines::new(text);
        let (document, errors) = DeTable::parse_recoverable(text);
        let mut raw = Self {
            is_broken: !errors.is_empty(),
            ..Self::default()
        };
        for error in errors {
            let mut fault = Fault::new("", error.message().trim().replace('\n', "; "), "");
            fault.line = error.span().map_or(1, |span| lines.line_of(span.start));
            raw.faults.push(fault);
        }
        let mut entries: Vec<_> = document.get_ref().iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        for (key, value) in entries {
            let line = lines.line_of(key.span().start);
            let key: &str = key.get_ref();
            let Some(table) = value.get_ref().as_table() else {
                raw.fault(line, key, "stands in no section", SECTIONS);
                continue;
            };
            match key {
                "pipeline" => raw.read_pipeline(line, table, &lines),
                "model" | "engine" | "stage" => {
                    let sections = raw.read_sections(key, table, &lines);
                    match key {
                        "model" => raw.models = sections,
                        "engine" => raw.engines = sections,
                        _ => raw.stages = sections,
                    }
                }
                _ => raw.fault(line, key, "is no section", SECTIONS),
            }
        }
        raw
    }

    fn fault(&mut self, line: usize, key: &str, message: &str, accepted: &str) {
        self.faults.push(Fault {
            line,
            ..Fault::new(key, message, accepted)
        });
    }

    fn read_pipeline(&mut self, line: usize, table: &DeTable<'_>, lines: &Lines) {
        let mut places = BTreeMap::new();
        lines_of_keys("", table, lines, &mut places);
        self.pipeline = Some(Section {
            key: "pipeline".to_owned(),
            name: "pipeline".to_owned(),
            table: table_from_de(table),
            line,
            lines: places,
        });
        for (key, value) in table {
            let line = lines.line_of(key.span().start);
            match (key.get_ref().as_ref(), value.get_ref().as_str()) {
                ("name", Some(name)) => self.name = Some(name.to_owned()),
                ("name", None) => self.fault(line, "pipeline.name", "is no text", "\"words\""),
                ("restart" | "deadline_ms", _) => {}
                (other, _) => {
                    let accepted = "name, restart, deadline_ms";
                    self.fault(line, &format!("pipeline.{other}"), "is no key of [pipeline]", accepted);
                }
            }
        }
    }

    fn read_sections(&mut self, kind: &str, table: &DeTable<'_>, lines: &Lines) -> Vec<Section> {
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        let mut sections = Vec::new();
        for (name, value) in entries {
            let key = format!("{kind}.{}", name.get_ref());
            let line = lines.line_of(name.span().start);
            let DeValue::Table(table) = value.get_ref() else {
                self.fault(line, &key, "is no section", &format!("[{kind}.NAME]"));
                continue;
            };
            let name = name.get_ref().to_string();
            // A dot would be read as a path in keys and names of links.
            if name.is_empty() || !name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-') {
                self.fault(line, &key, "is no name", "letters, digits, _ and -");
            }
            let mut places = BTreeMap::new();
            lines_of_keys("", table, lines, &mut places);
            sections.push(Section {
                key,
                name,
                table: table_from_de(table),
                line,
                lines: places,
            });
        }
        sections
    }
}

fn lines_of_keys(prefix: &str, table: &DeTable<'_>, lines: &Lines, places: &mut BTreeMap<String, usize>) {
    for (key, value) in table {
        let path = format!("{prefix}{}", key.get_ref());
        places.insert(path.clone(), lines.line_of(key.span().start));
        if let DeValue::Table(table) = value.get_ref() {
            lines_of_keys(&format!("{path}."), table, lines, places);
        }
    }
}

fn table_from_de(table: &DeTable<'_>) -> toml::Table {
    table
        .iter()
        .map(|(key, value)| (key.get_ref().to_string(), value_from_de(value)))
        .collect()
}

fn value_from_de(value: &Spanned<DeValue<'_>>) -> toml::Value {
    match value.get_ref() {
        DeValue::Table(table) => toml::Value::Table(table_from_de(table)),
        DeValue::Array(array) => toml::Value::Array(array.iter().map(value_from_de).collect()),
        DeValue::Boolean(value) => toml::Value::Boolean(*value),
        DeValue::Datetime(value) => toml::Value::Datetime(*value),
        DeValue::String(value) => toml::Value::String(value.to_string()),
        DeValue::Integer(value) => match i64::from_str_radix(value.as_str(), value.radix()) {
            Ok(value) => toml::Value::Integer(value),
            // Only a text survives unchanged; whoever wants a number refuses it.
            Err(_) => toml::Value::String(value.as_str().to_owned()),
        },
        DeValue::Float(value) => toml::Value::Float(value.as_str().parse().unwrap_or(f64::NAN)),
    }
}

/// Finds the line of a byte.
struct Lines {
    /// Where each line begins.
    starts: Vec<usize>,
}

impl Lines {
    fn new(text: &str) -> Self {
        let after = text
            .bytes()
            .enumerate()
            .filter(|(_, byte)| *byte == b'\n')
            .map(|(index, _)| index + 1);
        Self {
            starts: std::iter::once(0).chain(after).collect(),
        }
    }

    /// From 1.
    fn line_of(&self, byte: usize) -> usize {
        self.starts.partition_point(|start| *start <= byte)
    }
}
