//! Requests to an engine and its replies as bytes, for recordings of runs (`docs/recording.md`). What a request carries is kept
//! as fields with names: enough to know it again, and to say what another one differs in.

mod speech;

use std::time::Duration;

use pipeline::error::Error as Bytes;
use pipeline::record::{In, Out, fingerprint, kind};
use pipeline::time::Timestamp;

use crate::engine::Adapter;
use crate::error::{Error, Result};
use crate::protocol::speech::{SpeechInfo, Transcription};
use crate::protocol::{
    EncodeRequest, EngineStats, FinishReason, GenerateEvent, GenerateRequest, GenerateStats, LoadOptions, ModelId, ModelInfo,
    SequenceId,
};

/// A request: which engine, its number there, when, and what.
pub(super) const ASKED: u8 = kind::FIRST_OF_ENGINES;
/// A reply: which engine, the request's number, how long after the request, and what.
pub(super) const REPLIED: u8 = kind::FIRST_OF_ENGINES + 1;

/// A request as a recording knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// `load`, `encode`, `generate` …
    pub what: String,
    /// Names and values.
    pub fields: Vec<(String, String)>,
}

/// What came back.
#[derive(Clone, Debug)]
pub(super) enum Reply {
    Loaded(ModelInfo),
    Encoded {
        grid_thw: [u32; 3],
        n_tokens: usize,
    },
    Event(GenerateEvent),
    Sequence(SequenceId),
    Done,
    Stats(EngineStats),
    LoadedSpeech(SpeechInfo),
    Heard(Transcription),
    /// The error's words.
    Failed(String),
    /// Nobody waited any longer.
    Gone,
}

impl Asked {
    fn new<const N: usize>(what: &str, fields: [(&str, String); N]) -> Self {
        Self {
            what: what.to_owned(),
            fields: fields.map(|(name, value)| (name.to_owned(), value)).to_vec(),
        }
    }

    /// The checkpoint's name is left out: a model may have moved, and if it is another one its prompts say so.
    pub fn load(options: &LoadOptions) -> Self {
        let LoadOptions {
            quant,
            context_tokens,
            kv_f16,
        } = options;
        Self::new(
            "load",
            [
                ("quant", format!("{quant:?}")),
                ("context_tokens", context_tokens.to_string()),
                ("kv_f16", kv_f16.to_string()),
            ],
        )
    }

    pub fn encode(request: &EncodeRequest) -> Self {
        Self::new(
            "encode",
            [
                ("model", request.model.0.to_string()),
                ("n_frames", request.n_frames.to_string()),
                ("size", format!("{}×{}", request.width, request.height)),
                ("pixels", format!("{:016x}", fingerprint(&request.frames))),
            ],
        )
    }

    /// `picture` gives what a feature handle was made of: see [`Asked::digest`].
    pub fn generate(request: &GenerateRequest, picture: impl Fn(u64) -> u64) -> Self {
        let tokens: Vec<u8> = request.tokens.iter().flat_map(|id| id.to_le_bytes()).collect();
        let media = request.media.iter();
        let media: Vec<String> = media
            .map(|(at, handle)| format!("{:016x} at {at}", picture(handle.key.id)))
            .collect();
        let number = |sequence: SequenceId| sequence.0.to_string();
        let thinking = request
            .thinking
            .map(|budget| format!("{} to {}", budget.max_tokens, budget.end_id));
        let none = || "none".to_owned();
        Self::new(
            "generate",
            [
                ("model", request.model.0.to_string()),
                ("sequence", request.sequence.map_or_else(none, number)),
                (
                    "tokens",
                    format!("{} ids, {:016x}", request.tokens.len(), fingerprint(&tokens)),
                ),
                ("pictures", format!("[{}]", media.join(", "))),
                ("sampling", format!("{:?}", request.sampling)),
                ("max_new_tokens", request.max_new_tokens.to_string()),
                ("stop_ids", format!("{:?}", request.stop_ids)),
                ("thinking", thinking.unwrap_or_else(none)),
            ],
        )
    }

    pub fn open(model: ModelId) -> Self {
        Self::new("open", [("model", model.0.to_string())])
    }

    pub fn fork(sequence: SequenceId) -> Self {
        Self::new("fork", [("sequence", sequence.0.to_string())])
    }

    pub fn truncate(sequence: SequenceId, n_tokens: usize) -> Self {
        Self::new(
            "truncate",
            [("sequence", sequence.0.to_string()), ("n_tokens", n_tokens.to_string())],
        )
    }

    pub fn stats() -> Self {
        Self::new("stats", [])
    }

    /// 64 bits for all of it.
    pub fn digest(&self) -> u64 {
        let mut out = Out::new();
        self.write(&mut out);
        fingerprint(&out.0)
    }

    /// What `asked` has otherwise than this, which was recorded.
    pub fn differences(&self, asked: &Asked) -> String {
        let recorded = |name: &String| self.fields.iter().find(|(other, _)| other == name);
        let other = asked.fields.iter().filter_map(|(name, value)| match recorded(name) {
            Some((_, recorded)) if recorded == value => None,
            Some((_, recorded)) => Some(format!("{name} is {value}, recorded {recorded}")),
            None => Some(format!("{name} is {value}, recorded nothing")),
        });
        other.collect::<Vec<_>>().join("; ")
    }

    fn write(&self, out: &mut Out) {
        out.text(&self.what).list(self.fields.iter(), |out, (name, value)| {
            out.text(name).text(value);
        });
    }

    fn read(bytes: &mut In<'_>) -> Result<Self, Bytes> {
        Ok(Self {
            what: bytes.string()?,
            fields: bytes.list(2, |bytes| Ok((bytes.string()?, bytes.string()?)))?,
        })
    }
}

/// The payload of a chunk [`ASKED`].
pub(super) fn asked_to_bytes(engine: &str, number: u64, now: Timestamp, asked: &Asked) -> Vec<u8> {
    let mut out = Out::new();
    out.text(engine).number(number).time(now);
    asked.write(&mut out);
    out.0
}

/// Engine, number, time and request.
pub(super) fn asked_from_bytes(payload: &[u8]) -> Result<(String, u64, Timestamp, Asked), Bytes> {
    let mut bytes = In::new(payload);
    let asked = (bytes.string()?, bytes.number()?, bytes.time()?, Asked::read(&mut bytes)?);
    bytes.end()?;
    Ok(asked)
}

/// The payload of a chunk [`REPLIED`].
pub(super) fn reply_to_bytes(engine: &str, number: u64, after: Duration, reply: &Reply) -> Vec<u8> {
    let mut out = Out::new();
    out.text(engine).number(number).duration(after);
    write_reply(&mut out, reply);
    out.0
}

/// Engine, the request's number, how long after it, and the reply.
pub(super) fn reply_from_bytes(payload: &[u8]) -> Result<(String, u64, Duration, Reply), Bytes> {
    let mut bytes = In::new(payload);
    let reply = (bytes.string()?, bytes.number()?, bytes.duration()?, read_reply(&mut bytes)?);
    bytes.end()?;
    Ok(reply)
}

fn write_reply(out: &mut Out, reply: &Reply) {
    match reply {
        Reply::Loaded(info) => write_info(out.u8(0), info),
        Reply::Encoded { grid_thw, n_tokens } => {
            out.u8(1);
            grid_thw.iter().for_each(|n| {
                out.number((*n).into());
            });
            out.number(*n_tokens as u64);
        }
        Reply::Event(GenerateEvent::Prefill { done, reused, total }) => {
            out.u8(2).number(*done as u64).number(*reused as u64).number(*total as u64);
        }
        Reply::Event(GenerateEvent::Tokens { ids, logprobs }) => {
            out.u8(3).list(ids.iter(), |out, id| {
                out.number((*id).into());
            });
            out.list(logprobs.iter(), |out, logprob| {
                out.f32(*logprob);
            });
        }
        Reply::Event(GenerateEvent::Finished { reason, stats }) => {
            out.u8(4).u8(match reason {
                FinishReason::Stop => 0,
                FinishReason::Length => 1,
                FinishReason::Cancelled => 2,
            });
            out.number(stats.prompt_tokens as u64)
                .number(stats.reused_tokens as u64)
                .number(stats.new_tokens as u64)
                .f64(stats.prefill_s)
                .f64(stats.decode_s);
        }
        Reply::Sequence(sequence) => {
            out.u8(5).number(sequence.0);
        }
        Reply::Done => {
            out.u8(6);
        }
        Reply::Stats(stats) => write_stats(out.u8(7), stats),
        Reply::Failed(message) => {
            out.u8(8).text(message);
        }
        Reply::Gone => {
            out.u8(9);
        }
        Reply::LoadedSpeech(info) => speech::write_info(out.u8(10), info),
        Reply::Heard(heard) => speech::write_heard(out.u8(11), heard),
    }
}

fn read_reply(bytes: &mut In<'_>) -> Result<Reply, Bytes> {
    const UNKNOWN: Bytes = Bytes::Malformed {
        what: "a reply of an engine that is not known",
    };
    Ok(match bytes.u8()? {
        0 => Reply::Loaded(read_info(bytes)?),
        1 => Reply::Encoded {
            grid_thw: [bytes.small()?, bytes.small()?, bytes.small()?],
            n_tokens: bytes.small()?,
        },
        2 => Reply::Event(GenerateEvent::Prefill {
            done: bytes.small()?,
            reused: bytes.small()?,
            total: bytes.small()?,
        }),
        3 => Reply::Event(GenerateEvent::Tokens {
            ids: bytes.list(1, In::small)?,
            logprobs: bytes.list(4, In::f32)?,
        }),
        4 => Reply::Event(GenerateEvent::Finished {
            reason: match bytes.u8()? {
                0 => FinishReason::Stop,
                1 => FinishReason::Length,
                2 => FinishReason::Cancelled,
                _ => return Err(UNKNOWN),
            },
            stats: GenerateStats {
                prompt_tokens: bytes.small()?,
                reused_tokens: bytes.small()?,
                new_tokens: bytes.small()?,
                prefill_s: bytes.f64()?,
                decode_s: bytes.f64()?,
            },
        }),
        5 => Reply::Sequence(SequenceId(bytes.number()?)),
        6 => Reply::Done,
        7 => Reply::Stats(read_stats(bytes)?),
        8 => Reply::Failed(bytes.string()?),
        9 => Reply::Gone,
        10 => Reply::LoadedSpeech(speech::read_info(bytes)?),
        11 => Reply::Heard(speech::read_heard(bytes)?),
        _ => return Err(UNKNOWN),
    })
}

fn write_info(out: &mut Out, info: &ModelInfo) {
    out.number(info.id.0).text(&info.name);
    for n in [info.vocab_size, info.context_tokens, info.patch_size, info.merge_size] {
        out.number(n as u64);
    }
    out.number(info.image_token_id.into())
        .number(info.video_token_id.into())
        .list(info.stop_ids.iter(), |out, id| {
            out.number((*id).into());
        })
        .number(info.weight_bytes)
        .number(info.cache_bytes);
}

fn read_info(bytes: &mut In<'_>) -> Result<ModelInfo, Bytes> {
    Ok(ModelInfo {
        id: ModelId(bytes.number()?),
        name: bytes.string()?,
        vocab_size: bytes.small()?,
        context_tokens: bytes.small()?,
        patch_size: bytes.small()?,
        merge_size: bytes.small()?,
        image_token_id: bytes.small()?,
        video_token_id: bytes.small()?,
        stop_ids: bytes.list(1, In::small)?,
        weight_bytes: bytes.number()?,
        cache_bytes: bytes.number()?,
    })
}

fn write_stats(out: &mut Out, stats: &EngineStats) {
    let adapter = &stats.adapter;
    out.text(&adapter.name).text(&adapter.driver).text(&adapter.backend);
    out.bool(adapter.software)
        .number(adapter.max_binding_bytes)
        .number(adapter.max_buffer_bytes);
    let limits = [
        adapter.max_workgroups,
        adapter.max_invocations,
        adapter.workgroup_memory_bytes,
        adapter.storage_buffers,
    ];
    for n in limits {
        out.number(n.into());
    }
    out.bool(adapter.shader_f16)
        .option(adapter.subgroups, |out, (smallest, largest)| {
            out.number(smallest.into()).number(largest.into());
        })
        .bool(adapter.timestamps)
        .number(stats.memory_bytes);
    for n in [stats.sequences, stats.cache_tokens_used, stats.cache_tokens_total] {
        out.number(n as u64);
    }
}

fn read_stats(bytes: &mut In<'_>) -> Result<EngineStats, Bytes> {
    let adapter = Adapter {
        name: bytes.string()?,
        driver: bytes.string()?,
        backend: bytes.string()?,
        software: bytes.bool()?,
        max_binding_bytes: bytes.number()?,
        max_buffer_bytes: bytes.number()?,
        max_workgroups: bytes.small()?,
        max_invocations: bytes.small()?,
        workgroup_memory_bytes: bytes.small()?,
        storage_buffers: bytes.small()?,
        shader_f16: bytes.bool()?,
        subgroups: bytes.option(|bytes| Ok((bytes.small()?, bytes.small()?)))?,
        timestamps: bytes.bool()?,
        // Not kept: they matter only where plans are made, which a replay does not do.
        subgroup_barrier: false,
        timestamps_inside_passes: false,
        coop: Vec::new(),
    };
    Ok(EngineStats {
        adapter,
        memory_bytes: bytes.number()?,
        sequences: bytes.small()?,
        cache_tokens_used: bytes.small()?,
        cache_tokens_total: bytes.small()?,
    })
}

impl Reply {
    /// What an engine said, as it is kept.
    pub fn of<T>(result: &Result<T>, reply: impl FnOnce(&T) -> Reply) -> Self {
        match result {
            Ok(value) => reply(value),
            Err(error) => Self::Failed(error.to_string()),
        }
    }
}

/// The error that has these words.
pub(super) fn error_of(message: &str) -> Error {
    Error::Recorded {
        message: message.to_owned(),
    }
}

#[cfg(test)]
mod tests;
