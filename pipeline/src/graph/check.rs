//! [`Raw`] → [`Graph`]: everything that can be wrong is looked for, and all of it reported.

use std::collections::{BTreeMap, HashSet};
use std::path::{Component, Path, PathBuf};

use super::inputs::{self, RawLink};
use super::restart::Survival;
use super::{Graph, LinkSpec, StageSpec, cycles};
use crate::config::{Raw, Section, nearest};
use crate::error::{Error, Fault};
use crate::link::{Bound, WhenFull};
use crate::packet::PacketKind;
use crate::registry::{CheckContext, Need, Registry, Signature};

/// The keys of a stage that mean the same for every type.
const COMMON_KEYS: [&str; 7] = ["type", "input", "inputs", "model", "engine", "restart", "deadline_ms"];

/// A stage on its way through the checks.
struct Node<'a> {
    section: &'a Section,
    spec: StageSpec,
    /// `None` if its type is unknown.
    signature: Option<&'a Signature>,
    inputs: Vec<RawLink>,
    writes: Vec<PathBuf>,
}

/// Makes a graph, or [`Error::Config`] with all faults in the order of the text.
pub(super) fn graph_from_raw(raw: Raw, registry: &Registry) -> Result<Graph, Error> {
    if raw.is_broken {
        // What a broken text seems to lack it may well have.
        return Err(Error::Config { faults: raw.faults });
    }
    let mut faults = raw.faults.clone();
    check_tables(&raw, registry, &mut faults);
    let survival = match &raw.pipeline {
        Some(section) => Survival::default().of_section(section, &mut faults),
        None => Survival::default(),
    };
    let nodes: Vec<Node<'_>> = raw
        .stages
        .iter()
        .map(|section| {
            let survival = survival.of_section(section, &mut faults);
            node_from_section(section, survival, &raw, registry, &mut faults)
        })
        .collect();
    if nodes.is_empty() {
        faults.push(Fault {
            line: 1,
            ..Fault::new("stage", "there is none", "at least a section [stage.NAME]")
        });
    }
    let mut links = links_of_nodes(&nodes, &mut faults);
    check_readers(&nodes, &mut faults);
    check_writers(&nodes, &mut faults);
    check_waiting_cycles(&nodes, &links, &mut faults);
    check_feeding(&nodes, &links, &mut faults);
    if !faults.is_empty() {
        faults.sort_by_key(|fault| fault.line);
        return Err(Error::Config { faults });
    }
    let sources: Vec<usize> = (0..nodes.len()).filter(|stage| is_source(&nodes[*stage])).collect();
    for link in cycles::feedback(nodes.len(), &ends(&links), &sources) {
        links[link].feedback = true;
    }
    let stages = nodes.into_iter().map(|node| node.spec).collect();
    let tables = |sections: &[Section]| -> BTreeMap<String, toml::Table> {
        sections
            .iter()
            .map(|section| (section.name.clone(), section.table.clone()))
            .collect()
    };
    let (models, engines) = (tables(&raw.models), tables(&raw.engines));
    Ok(Graph {
        name: raw.name.unwrap_or_default(),
        models,
        engines,
        stages,
        links,
    })
}

fn check_tables(raw: &Raw, registry: &Registry, faults: &mut Vec<Fault>) {
    for section in &raw.models {
        let found = registry.faults_of_model(&section.name, &section.table);
        faults.extend(found.into_iter().map(|fault| section.place(fault)));
    }
    for section in &raw.engines {
        let found = registry.faults_of_engine(&section.name, &section.table);
        faults.extend(found.into_iter().map(|fault| section.place(fault)));
    }
}

fn node_from_section<'a>(
    section: &'a Section,
    survival: Survival,
    raw: &Raw,
    registry: &'a Registry,
    faults: &mut Vec<Fault>,
) -> Node<'a> {
    let type_name = type_of(section, registry, faults);
    let factory = type_name.and_then(|name| registry.factory(name));
    let mut table = section.table.clone();
    table.retain(|key, _| !COMMON_KEYS.contains(&key));
    let mut spec = StageSpec {
        name: section.name.clone(),
        type_name: type_name.unwrap_or_default().to_owned(),
        model: None,
        engine: None,
        restart: survival.restart,
        deadline: survival.deadline,
        table,
        line: section.line,
    };
    let signature = factory.map(|factory| &factory.signature);
    let inputs = inputs::inputs_of_section(section, signature, faults);
    let mut writes = Vec::new();
    if let Some(factory) = factory {
        let mut resolve = |key, need, sections: &[Section]| resolve(section, key, need, sections, faults);
        spec.model = resolve("model", factory.signature.model, &raw.models);
        spec.engine = resolve("engine", factory.signature.engine, &raw.engines);
        let context = CheckContext {
            stage: &section.name,
            model: find_table(&raw.models, spec.model.as_deref()),
            engine: find_table(&raw.engines, spec.engine.as_deref()),
        };
        let checked = (factory.check)(&spec.table, &context);
        faults.extend(checked.faults.into_iter().map(|fault| section.place(fault)));
        writes = checked.writes;
    }
    Node {
        section,
        spec,
        signature,
        inputs,
        writes,
    }
}

fn find_table<'a>(sections: &'a [Section], name: Option<&str>) -> Option<&'a toml::Table> {
    let name = name?;
    sections
        .iter()
        .find(|section| section.name == name)
        .map(|section| &section.table)
}

/// The `type`, if it is one.
fn type_of<'a>(section: &'a Section, registry: &Registry, faults: &mut Vec<Fault>) -> Option<&'a str> {
    let all = || registry.types().map(|(name, _)| name);
    let Some(value) = section.table.get("type") else {
        faults.push(section.fault("type", "is missing", all().collect::<Vec<_>>().join(", ")));
        return None;
    };
    let Some(name) = value.as_str() else {
        faults.push(section.fault("type", "is no text", all().collect::<Vec<_>>().join(", ")));
        return None;
    };
    if registry.factory(name).is_none() {
        let accepted = match nearest(name, all()) {
            Some(near) => format!("\"{near}\" is the nearest"),
            None => all().collect::<Vec<_>>().join(", "),
        };
        faults.push(section.fault("type", format!("no stage is of type \"{name}\""), accepted));
        return None;
    }
    Some(name)
}

/// The name that `model` or `engine` refers to, if it exists.
fn resolve(section: &Section, key: &str, need: Need, all: &[Section], faults: &mut Vec<Fault>) -> Option<String> {
    let accepted = || match all {
        [] => format!("a section [{key}.NAME] and its name"),
        all => all
            .iter()
            .map(|section| format!("\"{}\"", section.name))
            .collect::<Vec<_>>()
            .join(", "),
    };
    let fault = match (section.table.get(key), need) {
        (None, Need::Required) => section.fault(key, "is missing", accepted()),
        (None, _) => return None,
        (Some(_), Need::No) => section.fault(key, "is no key of this type of stage", ""),
        (Some(value), _) => match value.as_str() {
            Some(name) if all.iter().any(|section| section.name == name) => {
                return Some(name.to_owned());
            }
            Some(name) => section.fault(key, format!("there is no [{key}.{name}]"), accepted()),
            None => section.fault(key, "is no name", accepted()),
        },
    };
    faults.push(fault);
    None
}

/// The links that both ends agree on; faults for the others.
fn links_of_nodes(nodes: &[Node<'_>], faults: &mut Vec<Fault>) -> Vec<LinkSpec> {
    let names = || nodes.iter().map(|node| node.spec.name.as_str());
    let mut links = Vec::new();
    let mut seen = HashSet::new();
    for (to, node) in nodes.iter().enumerate() {
        for raw in &node.inputs {
            let Some(from) = names().position(|name| name == raw.from) else {
                let accepted = match nearest(&raw.from, names()) {
                    Some(near) => format!("\"{near}\" is the nearest"),
                    None => names().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", "),
                };
                let message = format!("there is no [stage.{}]", raw.from);
                faults.push(node.section.fault(&raw.key, message, accepted));
                continue;
            };
            let (Some(gives), Some(signature)) = (nodes[from].signature, node.signature) else {
                continue;
            };
            let Some(port) = raw.port.and_then(|port| Some((port, signature.inputs.get(port)?))) else {
                continue;
            };
            let (port, takes) = port;
            let kinds: Vec<_> = gives
                .gives
                .iter()
                .copied()
                .filter(|kind| takes.kinds.contains(kind))
                .collect();
            if kinds.is_empty() {
                let message = format!("{} gives {}", raw.from, names_of_kinds(&gives.gives));
                faults.push(node.section.fault(&raw.key, message, names_of_kinds(&takes.kinds)));
                continue;
            }
            if !seen.insert((from, to, port)) {
                faults.push(
                    node.section
                        .fault(&raw.key, format!("{} is read twice", raw.from), "each stage once"),
                );
                continue;
            }
            let default = Bound::default_for(&kinds);
            let bound = Bound::new(raw.size.unwrap_or(default.size), raw.when_full.unwrap_or(default.when_full));
            let port_name = takes.name.clone();
            links.push(LinkSpec {
                from,
                to,
                port,
                port_name,
                bound,
                kinds,
                feedback: false,
            });
        }
    }
    links
}

/// Required inputs are connected, and outputs are read.
fn check_readers(nodes: &[Node<'_>], faults: &mut Vec<Fault>) {
    for node in nodes {
        let Some(signature) = node.signature else {
            continue;
        };
        for (index, port) in signature.inputs.iter().enumerate() {
            // An input that could not be read has its fault already.
            if port.required && !node.inputs.iter().any(|link| link.port == Some(index)) {
                let (single, named) = ("input".to_owned(), format!("inputs.{}", port.name));
                let has_key = node.section.table.contains_key("input") || node.section.table.contains_key("inputs");
                if has_key && signature.inputs.len() == 1 {
                    continue;
                }
                let key = if index == 0 { single } else { named };
                let accepted = format!("the name of a stage that gives {}", names_of_kinds(&port.kinds));
                faults.push(node.section.fault(&key, "is missing", accepted));
            }
        }
        let is_read = nodes
            .iter()
            .any(|other| other.inputs.iter().any(|link| link.from == node.spec.name));
        if !is_read && !signature.is_sink() && !signature.may_be_unread {
            let message = format!("nobody reads its {}", names_of_kinds(&signature.gives));
            faults.push(
                node.section
                    .fault("", message, format!("a stage with input = \"{}\"", node.spec.name)),
            );
        }
    }
}

/// No file is written by two stages.
fn check_writers(nodes: &[Node<'_>], faults: &mut Vec<Fault>) {
    let mut writers: BTreeMap<PathBuf, &str> = BTreeMap::new();
    for node in nodes {
        for path in &node.writes {
            if let Some(other) = writers.insert(plain_path(path), &node.spec.name) {
                let message = format!("writes {}, and so does stage {other}", path.display());
                faults.push(node.section.fault("", message, "a file of its own for each stage"));
            }
        }
    }
}

/// A path without `.` and `a/..`, for comparing; nothing is read from the disk.
fn plain_path(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if matches!(plain.components().next_back(), Some(Component::Normal(_))) => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    plain
}

/// No cycle has only links that wait: once all of them were full, it would stand still for ever.
fn check_waiting_cycles(nodes: &[Node<'_>], links: &[LinkSpec], faults: &mut Vec<Fault>) {
    let waiting: Vec<_> = links.iter().filter(|link| link.bound.when_full == WhenFull::Wait).collect();
    let ends: Vec<_> = waiting.iter().map(|link| (link.from, link.to)).collect();
    for cycle in cycles::cycles(nodes.len(), &ends) {
        let mut names: Vec<_> = cycle.iter().map(|stage| nodes[*stage].spec.name.as_str()).collect();
        names.extend(names.first().copied());
        let message = format!("a cycle of links that wait: {}", names.join(" -> "));
        let section = nodes[cycle[0]].section;
        faults.push(section.fault(
            "input",
            message,
            "when_full = \"latest\", \"drop_oldest\" or \"drop_newest\" on one of them",
        ));
    }
}

/// A source stands before every stage.
fn check_feeding(nodes: &[Node<'_>], links: &[LinkSpec], faults: &mut Vec<Fault>) {
    // A stage whose inputs have faults may well be fed once they are gone.
    let n_good = |to: usize| links.iter().filter(|link| link.to == to).count();
    let starts: Vec<usize> = (0..nodes.len())
        .filter(|stage| {
            let node = &nodes[*stage];
            node.signature.is_none() || is_source(node) || node.inputs.is_empty() || n_good(*stage) < node.inputs.len()
        })
        .collect();
    let fed = cycles::reachable(nodes.len(), &ends(links), &starts);
    for (node, _) in nodes.iter().zip(&fed).filter(|(_, fed)| !**fed) {
        faults.push(node.section.fault(
            "input",
            "no source stands before it",
            "a way from a stage that needs no input",
        ));
    }
}

fn is_source(node: &Node<'_>) -> bool {
    node.signature.is_some_and(Signature::is_source)
}

fn ends(links: &[LinkSpec]) -> Vec<(usize, usize)> {
    links.iter().map(|link| (link.from, link.to)).collect()
}

fn names_of_kinds(kinds: &[PacketKind]) -> String {
    kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
