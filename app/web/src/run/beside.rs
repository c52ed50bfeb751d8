//! The parts of a configuration that run in workers without an engine: ears and voice.

use async_channel::Sender;
use pipeline::graph::Graph;
use pipeline::registry::Registry;
use pipeline::runtime::{Part, RunHandle, RunOptions};
use pipeline::time::Clock;
use stages::tts::voices::VoiceFiles;

use super::devices::Devices;
use super::error::Result;
use super::parts::{Bridges, cut};
use super::play::run;
use super::prepared::{env_for_checks, registry};
use super::source::Shots;
use super::voice::env_with;
use crate::protocol::{Place, ToPage};

/// A part that is ready to run, and what joins it to the others.
pub struct Ready {
    graph: Graph,
    registry: Registry,
    part: Part,
    bridges: Bridges,
}

/// Checks a configuration for the part of it that runs in `place`; `voice` are the files of the voice, where it is there.
///
/// Errors: all faults of the text.
pub fn part(config: &str, place: Place, voice: Option<VoiceFiles>, devices: &Devices, page: &Sender<ToPage>) -> Result<Ready> {
    let env = voice.map_or_else(env_for_checks, env_with);
    let registry = registry(env, &Shots::nothing(), devices, page);
    let graph = Graph::from_toml(config, &registry)?;
    Ok(Ready::new(graph, registry, place))
}

impl Ready {
    /// The part of a graph that runs in `place`.
    pub fn new(graph: Graph, registry: Registry, place: Place) -> Self {
        let (part, bridges) = cut(&graph, place);
        Self {
            graph,
            registry,
            part,
            bridges,
        }
    }

    /// Runs to the end, or until the run is stopped through the handle that `started` is given. `serve` gets the bridges first.
    ///
    /// Errors: a stage that cannot be built; the first failure of a stage, after the others ended.
    pub async fn run(
        self,
        clock: Clock,
        page: &Sender<ToPage>,
        serve: impl FnOnce(Bridges),
        started: impl FnOnce(RunHandle),
    ) -> Result<()> {
        serve(self.bridges);
        let options = RunOptions {
            clock,
            part: Some(self.part),
            ..RunOptions::default()
        };
        run(&self.graph, &self.registry, options, page, started).await
    }
}
