//! A checked graph: its names resolve, its kinds match, nothing in it can wait for itself. `Graph::from_toml` makes it, and
//! nothing else can. Not how it runs (`runtime.rs`).

mod check;
mod cycles;
mod inputs;
mod picture;
mod restart;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::config::Raw;
use crate::error::Error;
use crate::link::Bound;
use crate::packet::PacketKind;
use crate::registry::Registry;
use crate::runtime::RestartPolicy;

#[derive(Clone, Debug)]
pub struct Graph {
    name: String,
    models: BTreeMap<String, toml::Table>,
    engines: BTreeMap<String, toml::Table>,
    stages: Vec<StageSpec>,
    links: Vec<LinkSpec>,
}

/// A stage as the configuration describes it.
#[derive(Clone, Debug)]
pub struct StageSpec {
    pub name: String,
    /// Its `type`.
    pub type_name: String,
    /// The name of its `model`, if its type takes one: a key of [`Graph::models`].
    pub model: Option<String>,
    /// The name of its `engine`, if its type takes one: a key of [`Graph::engines`].
    pub engine: Option<String>,
    /// What follows when it ends or fails.
    pub restart: RestartPolicy,
    /// `deadline_ms`: with this long on a packet without progress it hangs, and that is a failure. Progress is being woken: by a
    /// reply, a timer. Waiting for room on a link is no hang; a stage without a packet in hand is not watched.
    pub deadline: Option<Duration>,
    /// The keys of its own, without those that mean the same for every type.
    pub table: toml::Table,
    /// Where its section begins in the text.
    pub line: usize,
}

/// A link between two stages.
#[derive(Clone, Debug, serde::Serialize)]
pub struct LinkSpec {
    /// Indices into [`Graph::stages`].
    pub from: usize,
    pub to: usize,
    /// The index of the input in the factory's ports, and its name.
    pub port: usize,
    pub port_name: String,
    pub bound: Bound,
    /// What both ends have in common; other kinds do not travel over it.
    pub kinds: Vec<PacketKind>,
    /// It closes a cycle, so that the reader does not wait for its end.
    pub feedback: bool,
}

impl Graph {
    /// Reads and checks a graph.
    ///
    /// Errors: [`Error::Config`] with every fault that there is.
    pub fn from_toml(text: &str, registry: &Registry) -> Result<Self, Error> {
        let _span = tracing::info_span!("graph.check").entered();
        check::graph_from_raw(Raw::from_toml(text), registry)
    }

    /// `[pipeline] name`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The sections `[model.NAME]`.
    pub fn models(&self) -> &BTreeMap<String, toml::Table> {
        &self.models
    }

    /// The sections `[engine.NAME]`.
    pub fn engines(&self) -> &BTreeMap<String, toml::Table> {
        &self.engines
    }

    /// In the order of the text.
    pub fn stages(&self) -> &[StageSpec] {
        &self.stages
    }

    pub fn links(&self) -> &[LinkSpec] {
        &self.links
    }

    /// The name of a link in reports and metrics: `screen -> changes`, `a -> b.words` where the input is not the first.
    pub fn link_name(&self, link: &LinkSpec) -> String {
        let (from, to) = (&self.stages[link.from].name, &self.stages[link.to].name);
        if link.port == 0 {
            format!("{from} -> {to}")
        } else {
            format!("{from} -> {to}.{}", link.port_name)
        }
    }
}
