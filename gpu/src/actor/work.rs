//! What the actor knows and what it has to do. It outlives an engine: all that lies on one is named here in a way that
//! another engine can be given it again.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::Timing;
use super::encode::Encoding;
use super::generate::Generation;
use super::load::Loading;
use super::speech::Speech;
use crate::error::{Error, Result};
use crate::kv_cache::KvCache;
use crate::model::qwen3_vl::features::{DropQueue, FeatureKey, FeatureTensors};
use crate::model::qwen3_vl::runner::Runner;
use crate::protocol::{EncodeRequest, LoadOptions, ModelId, ModelInfo, SequenceId};
use crate::weights::source::Source;

/// A model, the bookkeeping of its cache, and where it came from.
pub(super) struct Loaded {
    pub(super) runner: Runner,
    pub(super) cache: KvCache,
    pub(super) info: ModelInfo,
    pub(super) source: Arc<dyn Source>,
    pub(super) options: LoadOptions,
}

/// Features that somebody holds.
pub(super) struct Encoded {
    /// The frames they are made of, as long as they live.
    pub(super) request: EncodeRequest,
    pub(super) held: Held,
}

/// Where features are.
pub(super) enum Held {
    OnEngine(FeatureTensors),
    /// Gone with a device, and not asked for since.
    Lost,
    /// Being encoded again.
    Due,
    /// They could not be encoded again.
    Failed(Error),
}

/// See the file's head.
pub(super) struct Work {
    pub(super) models: BTreeMap<ModelId, Loaded>,
    pub(super) features: BTreeMap<u64, Encoded>,
    last_features: u64,
    dropped: DropQueue,
    pub(super) loads: VecDeque<Loading>,
    pub(super) encodings: VecDeque<Encoding>,
    pub(super) generations: VecDeque<Generation>,
    /// Answers that are complete, whose receiver is behind.
    pub(super) closing: VecDeque<Generation>,
    /// Engines that were made, or tried, since something was last got done.
    pub(super) fruitless: u32,
    pub(super) speech: Speech,
    pub(super) timing: Timing,
    pub(super) shares: Shares,
    /// Only ever grows: what an answer's steps did not take of the time between two of its batches.
    pub(super) encoded_beside_answers: Duration,
}

/// The engine's time that encodings and answers have had since both are under way.
#[derive(Default)]
pub(super) struct Shares {
    pub(super) encode: Duration,
    pub(super) generate: Duration,
}

impl Work {
    pub(super) fn new(timing: Timing) -> Self {
        Self {
            models: BTreeMap::new(),
            features: BTreeMap::new(),
            last_features: 0,
            dropped: DropQueue::default(),
            loads: VecDeque::new(),
            encodings: VecDeque::new(),
            generations: VecDeque::new(),
            closing: VecDeque::new(),
            fruitless: 0,
            speech: Speech::default(),
            timing,
            shares: Shares::default(),
            encoded_beside_answers: Duration::ZERO,
        }
    }

    pub(super) fn is_due(&self) -> bool {
        !self.loads.is_empty() || !self.encodings.is_empty() || !self.generations.is_empty() || self.speech.is_due()
    }

    pub(super) fn loaded(&mut self, model: ModelId) -> Result<&mut Loaded> {
        self.models.get_mut(&model).ok_or(Error::UnknownModel { model: model.0 })
    }

    /// The model whose cache holds a sequence: its id stands in the upper half of the sequence's.
    pub(super) fn owner(&mut self, sequence: SequenceId) -> Result<&mut Loaded> {
        self.loaded(ModelId(sequence.0 >> 32))
    }

    /// Keeps new features until the key that is returned, and all its clones, are dropped.
    pub(super) fn keep(&mut self, request: EncodeRequest, tensors: FeatureTensors) -> Arc<FeatureKey> {
        self.last_features += 1;
        let key = FeatureKey {
            id: self.last_features,
            n_tokens: tensors.n_tokens,
            dropped: self.dropped.clone(),
        };
        let held = Held::OnEngine(tensors);
        self.features.insert(key.id, Encoded { request, held });
        Arc::new(key)
    }

    /// Whether the key was given out here.
    pub(super) fn keeps(&self, key: &FeatureKey) -> bool {
        key.dropped.is(&self.dropped)
    }

    /// Forgets features whose keys are gone; what is on the engine of them is returned, to be freed there.
    pub(super) fn take_dropped(&mut self) -> Vec<FeatureTensors> {
        let gone = self.dropped.drain();
        let encoded = gone.iter().filter_map(|id| self.features.remove(id));
        let on_engine = encoded.filter_map(|encoded| match encoded.held {
            Held::OnEngine(tensors) => Some(tensors),
            _ => None,
        });
        on_engine.collect()
    }

    /// The engine is gone: no tensor of it is named any more, what was under way begins anew, and caches are empty.
    /// Models' runners stay, and must be replaced before they are used.
    pub(super) fn forget_engine(&mut self) {
        self.models.values_mut().for_each(|loaded| loaded.cache.forget());
        self.features.values_mut().for_each(|encoded| encoded.held = Held::Lost);
        self.encodings.retain(|encoding| !encoding.is_repeated());
        self.encodings.iter_mut().for_each(Encoding::begin_anew);
        self.generations.iter_mut().for_each(Generation::begin_anew);
        self.speech.forget_engine();
    }
}

/// As [`Work::loaded`], when other fields are in use.
pub(super) fn find(models: &mut BTreeMap<ModelId, Loaded>, model: ModelId) -> Result<&mut Loaded> {
    models.get_mut(&model).ok_or(Error::UnknownModel { model: model.0 })
}
