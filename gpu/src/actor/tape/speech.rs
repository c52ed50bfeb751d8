//! The part of a recording that is about speech: what an engine is asked, and what it says.

use std::sync::Arc;

use pipeline::error::Error as Bytes;
use pipeline::record::{In, Out, fingerprint};

use super::Asked;
use crate::protocol::speech::{
    FrontEnd, Prediction, SpeechInfo, SpeechModelId, SpeechOptions, Step, TranscribeRequest, Transcription,
};

impl Asked {
    pub fn load_speech(options: &SpeechOptions) -> Self {
        let SpeechOptions { quant, max_mel } = options;
        Self::new(
            "load_speech",
            [("quant", format!("{quant:?}")), ("max_mel", max_mel.to_string())],
        )
    }

    /// Sound and what was heard before are kept as digests.
    pub fn transcribe(request: &TranscribeRequest) -> Self {
        let sound: &[u8] = bytemuck::cast_slice(&request.features);
        let after = request.after.as_ref();
        Self::new(
            "transcribe",
            [
                ("model", request.model.0.to_string()),
                (
                    "sound",
                    format!("{} values, {:016x}", request.features.len(), fingerprint(sound)),
                ),
                ("frames", format!("{} to {}", request.first, request.end)),
                (
                    "after",
                    after.map_or("nothing".to_owned(), |after| format!("{:016x}", fingerprint(&after.values))),
                ),
            ],
        )
    }
}

fn write_values(out: &mut Out, values: Option<&Vec<f32>>) {
    out.option(values, |out, values| {
        out.list(values.iter(), |out, value| {
            out.f32(*value);
        });
    });
}

fn read_values(bytes: &mut In<'_>) -> Result<Option<Vec<f32>>, Bytes> {
    bytes.option(|bytes| bytes.list(4, In::f32))
}

pub(super) fn write_info(out: &mut Out, info: &SpeechInfo) {
    out.number(info.id.0).text(&info.name);
    out.number(info.n_mels as u64).number(info.max_mel as u64);
    out.number(info.blank_id.into()).list(info.vocabulary.iter(), |out, piece| {
        out.text(piece);
    });
    write_values(out, info.front_end.window.as_ref());
    write_values(out, info.front_end.filters.as_ref());
    out.number(info.weight_bytes);
}

pub(super) fn read_info(bytes: &mut In<'_>) -> Result<SpeechInfo, Bytes> {
    Ok(SpeechInfo {
        id: SpeechModelId(bytes.number()?),
        name: bytes.string()?,
        n_mels: bytes.small()?,
        max_mel: bytes.small()?,
        blank_id: bytes.small()?,
        vocabulary: bytes.list(1, In::string)?,
        front_end: FrontEnd {
            window: read_values(bytes)?,
            filters: read_values(bytes)?,
        },
        weight_bytes: bytes.number()?,
    })
}

pub(super) fn write_heard(out: &mut Out, heard: &Transcription) {
    out.list(heard.steps.iter(), |out, step| {
        for n in [step.id, step.frame, step.duration, step.next_frame] {
            out.number(n.into());
        }
        out.f32(step.log_probability);
    });
    out.bytes(&heard.prediction.values);
}

pub(super) fn read_heard(bytes: &mut In<'_>) -> Result<Transcription, Bytes> {
    let step = |bytes: &mut In<'_>| {
        Ok(Step {
            id: bytes.small()?,
            frame: bytes.small()?,
            duration: bytes.small()?,
            next_frame: bytes.small()?,
            log_probability: bytes.f32()?,
        })
    };
    let steps = bytes.list(8, step)?;
    let values = bytes.bytes()?.to_vec();
    Ok(Transcription {
        steps,
        prediction: Arc::new(Prediction { values }),
    })
}
