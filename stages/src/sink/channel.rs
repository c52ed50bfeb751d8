//! `sink.channel`: gives packets to the program that embeds the graph; see [`Env::open_channel`].

use std::sync::Arc;

use async_channel::Sender;
use pipeline::actor::{Context, Stage};
use pipeline::error::{Closed, StageError};
use pipeline::packet::{Packet, PacketKind};
use pipeline::registry::{BuildContext, Factory, Registry};
use serde::Deserialize;

use crate::env::Env;

/// The keys of `sink.channel`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChannelConfig {
    /// The channel's name. None: the stage's.
    pub name: Option<String>,
}

/// Hands packets on; waits while the program does not take them.
pub struct Channel {
    sender: Sender<Packet>,
}

impl Stage for Channel {
    async fn run(self, ctx: Context) -> Result<(), StageError> {
        while let Some(packet) = ctx.recv().await {
            self.sender.send(packet).await.map_err(|_| Closed)?;
        }
        Ok(())
    }
}

pub(super) fn register(registry: &mut Registry, env: &Arc<Env>) {
    const ANY: [PacketKind; 9] = [
        PacketKind::Frame,
        PacketKind::Features,
        PacketKind::Audio,
        PacketKind::Speech,
        PacketKind::Prompt,
        PacketKind::Tokens,
        PacketKind::Text,
        PacketKind::Event,
        PacketKind::Metric,
    ];
    let env = env.clone();
    let build = move |config: ChannelConfig, context: &BuildContext<'_>| {
        let name = config.name.unwrap_or_else(|| context.spec.name.clone());
        Ok(Channel {
            sender: env.take_channel(&name)?,
        })
    };
    registry.add("sink.channel", Factory::new(build).input("packets", &ANY));
}
