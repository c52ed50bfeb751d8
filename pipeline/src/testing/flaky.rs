//! A stage that fails when it is told to, and remembers over its restarts how often it was asked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use crate::actor::{Context, Stage};
use crate::error::StageError;
use crate::packet::PacketKind;
use crate::registry::{Factory, Registry};

/// What becomes of a packet that was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fate {
    Pass,
    Fail,
    Panic,
    Hang,
    /// It is sent, and then the stage fails.
    FailAfter,
}

#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct FlakyConfig {
    /// Of the packets in the order in which they are received, over all restarts; later ones pass.
    fates: Vec<Fate>,
    /// How many builds after the first one fail.
    bad_builds: u64,
}

/// How often each stage was built, and how many packets it has received.
type Counts = Arc<Mutex<BTreeMap<String, (u64, usize)>>>;

struct Flaky {
    config: FlakyConfig,
    counts: Counts,
}

impl Stage for Flaky {
    async fn run(self, ctx: Context) -> Result<(), StageError> {
        while let Some(packet) = ctx.recv().await {
            let n_before = {
                let mut counts = self.counts.lock().unwrap();
                let (_, n_received) = counts.entry(ctx.name().to_owned()).or_default();
                *n_received += 1;
                *n_received - 1
            };
            let stamp = packet.stamp();
            match self.config.fates.get(n_before).copied().unwrap_or(Fate::Pass) {
                Fate::Pass => ctx.send(packet.body, stamp).await?,
                Fate::Fail => return Err(StageError::new("disk full")),
                Fate::Panic => panic!("index 7 of 3"),
                Fate::Hang => std::future::pending().await,
                Fate::FailAfter => {
                    ctx.send(packet.body, stamp).await?;
                    return Err(StageError::new("disk full"));
                }
            }
        }
        Ok(())
    }
}

pub(super) fn register(registry: &mut Registry) {
    let all = Counts::default();
    let build = move |config: FlakyConfig, context: &crate::registry::BuildContext<'_>| {
        let counts = all.clone();
        let mut locked = all.lock().unwrap();
        let (n_built, _) = locked.entry(context.spec.name.clone()).or_default();
        *n_built += 1;
        match *n_built > 1 && *n_built <= 1 + config.bad_builds {
            true => Err(StageError::new("no such device")),
            false => Ok(Flaky { config, counts }),
        }
    };
    let text = &[PacketKind::Text];
    registry.add("test.flaky", Factory::new(build).input("in", text).gives(text));
}
