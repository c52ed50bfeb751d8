//! The keys `input` and `inputs` of a stage: which stages it reads, over links of which bound. Not whether those exist.

use std::num::NonZeroUsize;

use crate::config::Section;
use crate::error::Fault;
use crate::link::WhenFull;
use crate::registry::Signature;

/// A link as it is written.
pub(super) struct RawLink {
    /// Where it is written, relative to the section: `input`, `inputs.words`.
    pub key: String,
    /// The index of the input, if it is known.
    pub port: Option<usize>,
    pub from: String,
    pub size: Option<NonZeroUsize>,
    pub when_full: Option<WhenFull>,
}

const FORMS: &str = "\"stage\", { from = \"stage\", size = 2, when_full = \"drop_oldest\" }, or a list of these";

/// Reads both keys. `signature` is `None` if the stage's type is unknown.
pub(super) fn inputs_of_section(section: &Section, signature: Option<&Signature>, faults: &mut Vec<Fault>) -> Vec<RawLink> {
    let mut reader = Reader {
        section,
        faults,
        links: Vec::new(),
    };
    let n_ports = signature.map(|signature| signature.inputs.len());
    if let Some(value) = section.table.get("input") {
        if n_ports == Some(0) {
            reader.fault("input", "this type of stage takes no input", "");
        }
        reader.read("input", (n_ports != Some(0)).then_some(0), value);
    }
    match section.table.get("inputs") {
        None => {}
        Some(toml::Value::Table(named)) => {
            for (name, value) in named {
                let key = format!("inputs.{name}");
                let port = signature.and_then(|signature| signature.inputs.iter().position(|port| port.name == *name));
                if let (Some(signature), None) = (signature, port) {
                    let names: Vec<_> = signature.inputs.iter().map(|port| port.name.as_str()).collect();
                    reader.fault(&key, "is no input of this type of stage", names.join(", "));
                }
                reader.read(&key, port, value);
            }
        }
        Some(_) => reader.fault("inputs", "is no table", "inputs.NAME = \"stage\""),
    }
    reader.links
}

struct Reader<'a> {
    section: &'a Section,
    faults: &'a mut Vec<Fault>,
    links: Vec<RawLink>,
}

impl Reader<'_> {
    fn fault(&mut self, key: &str, message: impl Into<String>, accepted: impl Into<String>) {
        self.faults.push(self.section.fault(key, message, accepted));
    }

    fn read(&mut self, key: &str, port: Option<usize>, value: &toml::Value) {
        match value {
            toml::Value::Array(list) => {
                if list.is_empty() {
                    self.fault(key, "is an empty list", FORMS);
                }
                for (index, value) in list.iter().enumerate() {
                    self.read_one(&format!("{key}[{index}]"), port, value);
                }
            }
            value => self.read_one(key, port, value),
        }
    }

    fn read_one(&mut self, key: &str, port: Option<usize>, value: &toml::Value) {
        let table = match value {
            toml::Value::String(from) => {
                let from = from.clone();
                self.links.push(RawLink {
                    key: key.to_owned(),
                    port,
                    from,
                    size: None,
                    when_full: None,
                });
                return;
            }
            toml::Value::Table(table) => table,
            _ => return self.fault(key, "is no input", FORMS),
        };
        let mut link = RawLink {
            key: key.to_owned(),
            port,
            from: String::new(),
            size: None,
            when_full: None,
        };
        for (name, value) in table {
            let key = format!("{key}.{name}");
            match name.as_str() {
                "from" => match value.as_str() {
                    Some(from) => from.clone_into(&mut link.from),
                    None => self.fault(&key, "is no text", "the name of a stage"),
                },
                "size" => {
                    let size = value.as_integer().and_then(|size| usize::try_from(size).ok());
                    link.size = size.and_then(NonZeroUsize::new);
                    if link.size.is_none_or(|size| size.get() > MAX_SIZE) {
                        self.fault(&key, format!("is {value}"), format!("a whole number from 1 to {MAX_SIZE}"));
                    }
                }
                "when_full" => {
                    let mut policies = WhenFull::ALL.into_iter();
                    link.when_full = policies.find(|policy| value.as_str() == Some(policy.name()));
                    if link.when_full.is_none() {
                        self.fault(&key, format!("is {value}"), WhenFull::ALL.map(WhenFull::name).join(", "));
                    }
                }
                _ => self.fault(&key, "is no key of an input", "from, size, when_full"),
            }
        }
        if link.when_full == Some(WhenFull::Latest) && link.size.is_some_and(|size| size.get() > 1) {
            let message = format!("is {}, and a latest link has one slot", table["size"]);
            self.fault(&format!("{key}.size"), message, "1, or no size");
        }
        if !table.contains_key("from") {
            self.fault(key, "does not say which stage it reads", FORMS);
        } else if !link.from.is_empty() {
            self.links.push(link);
        } else if table["from"].as_str() == Some("") {
            self.fault(&format!("{key}.from"), "is empty", "the name of a stage");
        }
    }
}

/// A link that holds more is no bound any more.
const MAX_SIZE: usize = 65_536;
