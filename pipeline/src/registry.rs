//! Which types of stage there are, what each takes and gives, how its keys are checked and how it is built. Not the stages
//! themselves: crate `stages` registers them with whatever they need captured.

mod factory;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::actor::BoxStage;
use crate::error::{Fault, StageError};
use crate::graph::{Graph, StageSpec};
use crate::packet::PacketKind;
use crate::spawn::{MaybeSend, MaybeSync};
use crate::time::Clock;
use crate::trace::Trace;

pub(crate) use factory::DynFactory;
pub use factory::{Factory, StageConfig};

/// An input of a type of stage.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Port {
    pub name: String,
    /// The kinds that it takes.
    pub kinds: Vec<PacketKind>,
    pub required: bool,
}

/// Whether a type of stage takes a `model` or an `engine`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Need {
    /// The key is refused.
    #[default]
    No,
    Optional,
    Required,
}

/// What the checker and a UI know of a type of stage.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Signature {
    /// The key `input` means the first one.
    pub inputs: Vec<Port>,
    /// The kinds of packet that it gives; a stage without any is a sink.
    pub gives: Vec<PacketKind>,
    /// Nobody needs to read what it gives.
    pub may_be_unread: bool,
    pub model: Need,
    pub engine: Need,
}

impl Signature {
    /// It makes packets by itself and ends when the run stops: it needs no input.
    pub fn is_source(&self) -> bool {
        !self.inputs.iter().any(|port| port.required) && !self.gives.is_empty()
    }

    /// It gives nothing to other stages.
    pub fn is_sink(&self) -> bool {
        self.gives.is_empty()
    }
}

/// What a stage's check sees of the rest.
pub struct CheckContext<'a> {
    /// The stage's name.
    pub stage: &'a str,
    /// The table of the stage's model and engine, if they are named and exist.
    pub model: Option<&'a toml::Table>,
    pub engine: Option<&'a toml::Table>,
}

/// What a stage is built with, besides its own configuration.
pub struct BuildContext<'a> {
    pub graph: &'a Graph,
    pub spec: &'a StageSpec,
    pub clock: Clock,
    pub trace: &'a Trace,
}

impl BuildContext<'_> {
    /// The name and table of the stage's model.
    pub fn model(&self) -> Option<(&str, &toml::Table)> {
        let name = self.spec.model.as_deref()?;
        Some((name, self.graph.models().get(name)?))
    }

    /// The name and table of the stage's engine.
    pub fn engine(&self) -> Option<(&str, &toml::Table)> {
        let name = self.spec.engine.as_deref()?;
        Some((name, self.graph.engines().get(name)?))
    }
}

/// All that it takes to build a stage of a run anew.
pub(crate) struct Blueprint {
    pub graph: Arc<Graph>,
    /// Index into the graph's stages.
    pub stage: usize,
    pub build: Arc<dyn factory::Build>,
    pub clock: Clock,
    pub trace: Trace,
}

impl Blueprint {
    pub fn build(&self) -> Result<BoxStage, StageError> {
        self.build.build(&BuildContext {
            graph: &self.graph,
            spec: &self.graph.stages()[self.stage],
            clock: self.clock.clone(),
            trace: &self.trace,
        })
    }
}

type TableCheck = Box<dyn Fn(&str, &toml::Table) -> Vec<Fault> + Send + Sync>;

/// The types of stage of a program.
#[derive(Default)]
pub struct Registry {
    factories: BTreeMap<String, DynFactory>,
    model_check: Option<TableCheck>,
    engine_check: Option<TableCheck>,
}

impl Registry {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the type `type_name`; an earlier one of that name is replaced, so that tests and pages can put in theirs.
    pub fn add<C: factory::StageConfig>(&mut self, type_name: &str, factory: Factory<C>) -> &mut Self {
        self.factories.insert(type_name.to_owned(), factory.erase());
        self
    }

    /// Puts `wrap` around every stage that is built from here on, of the types that are there: so a test makes real stages
    /// fail. Checks, ports and keys stay.
    pub fn wrap(&mut self, wrap: impl Fn(BoxStage, &BuildContext<'_>) -> BoxStage + MaybeSend + MaybeSync + 'static) {
        let wrap = Arc::new(wrap);
        for factory in self.factories.values_mut() {
            let (inner, wrap) = (factory.build.clone(), wrap.clone());
            let build =
                move |context: &BuildContext<'_>| -> Result<BoxStage, StageError> { Ok(wrap(inner.build(context)?, context)) };
            factory.build = Arc::new(build);
        }
    }

    /// How a section `[model.NAME]` is checked, given its name and table. Keys of faults are relative to the section.
    pub fn model_check(&mut self, check: impl Fn(&str, &toml::Table) -> Vec<Fault> + Send + Sync + 'static) {
        self.model_check = Some(Box::new(check));
    }

    /// How a section `[engine.NAME]` is checked.
    pub fn engine_check(&mut self, check: impl Fn(&str, &toml::Table) -> Vec<Fault> + Send + Sync + 'static) {
        self.engine_check = Some(Box::new(check));
    }

    /// All types and what they take and give, by name.
    pub fn types(&self) -> impl Iterator<Item = (&str, &Signature)> {
        self.factories
            .iter()
            .map(|(name, factory)| (name.as_str(), &factory.signature))
    }

    pub(crate) fn factory(&self, type_name: &str) -> Option<&DynFactory> {
        self.factories.get(type_name)
    }

    pub(crate) fn faults_of_model(&self, name: &str, table: &toml::Table) -> Vec<Fault> {
        self.model_check.as_ref().map(|check| check(name, table)).unwrap_or_default()
    }

    pub(crate) fn faults_of_engine(&self, name: &str, table: &toml::Table) -> Vec<Fault> {
        self.engine_check.as_ref().map(|check| check(name, table)).unwrap_or_default()
    }

    /// Builds a stage of a checked graph.
    pub(crate) fn build(&self, context: &BuildContext<'_>) -> Result<BoxStage, StageError> {
        match self.factory(&context.spec.type_name) {
            Some(factory) => factory.build.build(context),
            None => Err(StageError::new(format!("no type {} is registered", context.spec.type_name))),
        }
    }
}
