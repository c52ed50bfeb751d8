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

/// Hands packets on; waits while the program does not take them. A restart keeps the channel: the program gets each packet once.
pub struct Channel {
    env: Arc<Env>,
    name: String,
}

impl Stage for Channel {
    async fn run(self, ctx: Context) -> Result<(), StageError> {
        // It closes with the stage's end: nobody else has it then.
        let sender = match ctx.kept::<Sender<Packet>>() {
            Some(sender) => sender,
            None => self.env.take_channel(&self.name)?,
        };
        ctx.keep(sender.clone());
        while let Some(packet) = ctx.recv().await {
            ctx.waiting(sender.send(packet)).await.map_err(|_| Closed)?;
            ctx.done();
        }
        Ok(())
    }
}

pub(super) fn register(registry: &mut Registry, env: &Arc<Env>) {
    const ANY: [PacketKind; 10] = [
        PacketKind::Frame,
        PacketKind::Features,
        PacketKind::Audio,
        PacketKind::Speech,
        PacketKind::Prompt,
        PacketKind::Tokens,
        PacketKind::Text,
        PacketKind::Event,
        PacketKind::Metric,
        PacketKind::Played,
    ];
    let env = env.clone();
    let build = move |config: ChannelConfig, context: &BuildContext<'_>| {
        let name = config.name.unwrap_or_else(|| context.spec.name.clone());
        env.check_channel(&name)?;
        let env = env.clone();
        Ok(Channel { env, name })
    };
    registry.add("sink.channel", Factory::new(build).input("packets", &ANY));
}
