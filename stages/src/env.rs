//! What a graph's stages are given by the program that runs them: engines, models, a base folder, channels.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_channel::{Receiver, Sender};
use gpu::protocol::{GpuHandle, ModelInfo};
use pipeline::packet::Packet;
use pipeline::registry::BuildContext;

use crate::error::{Error, Result};
use crate::model::ModelText;
use crate::stt::recognise::Ear;
use crate::tts::voices::Voices;

/// The surroundings of a graph. The program fills it before it starts the run.
#[derive(Default)]
pub struct Env {
    /// By the name of the section `[engine.NAME]`.
    pub engines: BTreeMap<String, GpuHandle>,
    /// By the name of the section `[model.NAME]`.
    pub models: BTreeMap<String, Model>,
    /// Models of speech, by the names of their section and of the engine that they are loaded on.
    pub ears: BTreeMap<(String, String), Ear>,
    /// What relative paths to read start from: the configuration's folder. Empty: the working directory.
    pub base: PathBuf,
    /// What prompts call now, in seconds since 1970; so a recorded run says the same whenever it is replayed. None: now.
    pub now_unix_s: Option<u64>,
    /// Voices that `tts.piper` may name; files beside them are found from `base`.
    pub voices: Voices,
    /// See [`Env::open_channel`].
    pub channels: Channels,
}

/// The sending sides of channels by name; of one that a stage has taken only the name.
#[derive(Default)]
pub struct Channels(Mutex<BTreeMap<String, Option<Sender<Packet>>>>);

impl Channels {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Option<Sender<Packet>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A model as the stages know it.
#[derive(Clone)]
pub struct Model {
    pub text: Arc<ModelText>,
    /// What it is called on each engine that it is loaded on, by the engine's name.
    pub loaded: BTreeMap<String, ModelInfo>,
}

/// A model on an engine.
#[derive(Clone)]
pub struct OnEngine {
    pub engine: GpuHandle,
    pub info: ModelInfo,
    pub text: Arc<ModelText>,
}

impl Env {
    /// Opens the channel that `sink.channel` stages of that name send to; the packets come out here, `size` wait at most.
    pub fn open_channel(&self, name: impl Into<String>, size: usize) -> Receiver<Packet> {
        let (sender, receiver) = async_channel::bounded(size.max(1));
        self.channels.lock().insert(name.into(), Some(sender));
        receiver
    }

    /// Takes the sending side of a channel, so that it closes when the stage ends.
    ///
    /// Errors: [`Error::NoChannel`].
    pub(crate) fn take_channel(&self, name: &str) -> Result<Sender<Packet>> {
        let mut channels = self.channels.lock();
        let taken = channels.get_mut(name).and_then(Option::take);
        taken.ok_or_else(|| Error::NoChannel { name: name.to_owned() })
    }

    /// Whether that channel was opened.
    ///
    /// Errors: [`Error::NoChannel`].
    pub(crate) fn check_channel(&self, name: &str) -> Result<()> {
        match self.channels.lock().contains_key(name) {
            true => Ok(()),
            false => Err(Error::NoChannel { name: name.to_owned() }),
        }
    }

    /// A path to read, from where the configuration lies.
    pub fn path(&self, path: &Path) -> PathBuf {
        self.base.join(path)
    }

    /// The model of a stage.
    ///
    /// Errors: [`Error::NotSetUp`].
    pub(crate) fn model(&self, context: &BuildContext<'_>) -> Result<&Model> {
        let name = context.spec.model.as_deref().unwrap_or_default();
        self.models.get(name).ok_or_else(|| Error::NotSetUp {
            kind: "model",
            name: name.to_owned(),
        })
    }

    /// The model of speech of a stage, on the stage's engine.
    ///
    /// Errors: [`Error::NotSetUp`].
    pub(crate) fn ear(&self, context: &BuildContext<'_>) -> Result<Ear> {
        let name = |name: &Option<String>| name.clone().unwrap_or_default();
        let key = (name(&context.spec.model), name(&context.spec.engine));
        self.ears.get(&key).cloned().ok_or(Error::NotSetUp {
            kind: "model",
            name: key.0,
        })
    }

    /// The model of a stage on the stage's engine.
    ///
    /// Errors: [`Error::NotSetUp`], [`Error::NotLoaded`].
    pub(crate) fn on_engine(&self, context: &BuildContext<'_>) -> Result<OnEngine> {
        let model = self.model(context)?;
        let name = context.spec.engine.as_deref().unwrap_or_default();
        let not_set_up = || Error::NotSetUp {
            kind: "engine",
            name: name.to_owned(),
        };
        let engine = self.engines.get(name).ok_or_else(not_set_up)?.clone();
        let not_loaded = || Error::NotLoaded {
            model: model.text.name.clone(),
            engine: name.to_owned(),
        };
        let info = model.loaded.get(name).ok_or_else(not_loaded)?.clone();
        Ok(OnEngine {
            engine,
            info,
            text: model.text.clone(),
        })
    }
}
