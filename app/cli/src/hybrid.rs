//! Hybrid engines of a run: how they are started, and what they tell while they work and at the end.

use anyhow::Result;
use app_sections::Hybrid;
use gpu::actor::{self, Timing};
use gpu::engine::wgpu::AdapterChoice;
use gpu::protocol::GpuHandle;
use serde_json::{Value, json};
use sim::Kernels;
use sim::hybrid::{Mixed, Shadow, ShadowHandle, TrafficHandle};

use crate::choice::{self, Recall};

/// Kernels that the view shows.
const SHOWN: usize = 8;

/// What a hybrid engine has done so far.
#[derive(Clone, Debug)]
pub enum Watched {
    Shadow(ShadowHandle),
    Mixed(TrafficHandle),
}

/// Starts one on a real adapter.
///
/// Errors: those of the real engine.
pub async fn start(name: &str, timing: Timing, adapter: AdapterChoice, hybrid: Hybrid) -> Result<(GpuHandle, Watched)> {
    let open = move || {
        let adapter = adapter.clone();
        async move { choice::open(adapter, Recall::Remembered).await.map(|(engine, _)| engine) }
    };
    Ok(match hybrid {
        Hybrid::Shadow(beside) => {
            let handle = ShadowHandle::default();
            let watched = Watched::Shadow(handle.clone());
            let make = move || {
                let (engine, beside, handle) = (open(), beside.clone(), handle.clone());
                async move { Ok(Shadow::new(engine.await?, &beside, handle)) }
            };
            (actor::start(name, timing, make).await?, watched)
        }
        Hybrid::Mixed { simulate_below } => {
            let traffic = TrafficHandle::default();
            let watched = Watched::Mixed(traffic.clone());
            let make = move || {
                let (engine, traffic) = (open(), traffic.clone());
                async move { Ok(Mixed::new(engine.await?, Kernels::Fast, simulate_below, traffic)) }
            };
            (actor::start(name, timing, make).await?, watched)
        }
    })
}

impl Watched {
    /// For the view: some lines, the first of them a head.
    pub fn lines(&self) -> Vec<String> {
        match self {
            Watched::Shadow(handle) => {
                let table = handle.table();
                match table.is_empty() {
                    true => Vec::new(),
                    false => table.lines(SHOWN),
                }
            }
            Watched::Mixed(traffic) => vec![traffic.now().line()],
        }
    }

    /// All of it, for the end.
    pub fn text(&self) -> String {
        match self {
            Watched::Shadow(handle) => handle.table().to_string(),
            Watched::Mixed(traffic) => traffic.now().line() + "\n",
        }
    }

    pub fn json(&self) -> Value {
        match self {
            Watched::Shadow(handle) => json!({ "mode": "shadow", "table": handle.table() }),
            Watched::Mixed(traffic) => json!({ "mode": "mixed", "traffic": traffic.now() }),
        }
    }
}
