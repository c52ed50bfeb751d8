//! Loading models, one at a time.

use std::sync::Arc;

use async_channel::Sender;

use super::work::Loaded;
use super::{GpuActor, is_lost};
use crate::engine::Engine;
use crate::error::Result;
use crate::kv_cache::KvCache;
use crate::model::qwen3_vl::load;
use crate::model::qwen3_vl::runner::{BLOCK, Runner};
use crate::protocol::{LoadOptions, LoadProgress, ModelId, ModelInfo};
use crate::weights::source::Source;

/// A load that waits.
pub(super) struct Loading {
    pub(super) source: Arc<dyn Source>,
    pub(super) options: LoadOptions,
    pub(super) progress: Option<Sender<LoadProgress>>,
    pub(super) reply: Sender<Result<ModelInfo>>,
}

impl<E: Engine> GpuActor<E> {
    /// Does the loads that are due. One that a lost device ends stays, and begins anew.
    pub(super) async fn load_round(&mut self) -> Result<()> {
        while let Some(loading) = self.work.loads.pop_front() {
            let loaded = self.load(&loading).await;
            match self.diagnosed(loaded).await {
                Err(error) if is_lost(&error) => {
                    self.work.loads.push_front(loading);
                    return Err(error);
                }
                result => drop(loading.reply.try_send(result)),
            }
        }
        Ok(())
    }

    async fn load(&mut self, loading: &Loading) -> Result<ModelInfo> {
        let started = self.work.timing.now();
        let (source, options) = (loading.source.clone(), loading.options.clone());
        let runner = put_on(&mut self.engine, source.clone(), &options, loading.progress.as_ref()).await?;
        let id = ModelId(self.work.models.len() as u64 + 1);
        let info = runner.info(id);
        let cache = KvCache::new(runner.memory.n_blocks, BLOCK, id.0 << 32);
        self.work.models.insert(
            id,
            Loaded {
                runner,
                cache,
                info: info.clone(),
                source,
                options,
            },
        );
        self.work.fruitless = 0;
        self.work
            .timing
            .record("gpu.load", started, &[("size_bytes", info.weight_bytes as f64)]);
        tracing::info!(model = info.name, size_bytes = info.weight_bytes, "model loaded");
        Ok(info)
    }
}

/// A model's weights and memory on an engine. If that fails, nothing of it stays there.
pub(super) async fn put_on<E: Engine>(
    engine: &mut E,
    source: Arc<dyn Source>,
    options: &LoadOptions,
    progress: Option<&Sender<LoadProgress>>,
) -> Result<Runner> {
    let model = load::load(engine, source, options, progress).await?;
    Runner::new(engine, model, options, false)
}
