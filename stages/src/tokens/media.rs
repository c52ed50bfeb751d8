//! Makes room in a prompt for the embeddings of pictures and videos.
//!
//! `<|image_pad|>` becomes as many copies as the picture has merged patches; `<|vision_start|><|video_pad|><|vision_end|>`
//! becomes, as a whole, `<T seconds><|vision_start|>` + pads + `<|vision_end|>` for each pair of frames.
//! Source: `transformers` 4.57 `Qwen3VLProcessor`, the form that the checkpoints came out with.

use crate::error::{Error, Result};
use crate::tokens::bpe::Bpe;
use crate::tokens::rendered::Rendered;
use crate::vision::video::timestamp_text;

const IMAGE_PAD: &str = "<|image_pad|>";
const VIDEO_PAD: &str = "<|video_pad|>";
const VIDEO: &str = "<|vision_start|><|video_pad|><|vision_end|>";

/// What the messages hold, in the order of the template's placeholders.
#[derive(Clone, Debug, PartialEq)]
pub enum Medium {
    /// Merged patches of a picture: `grid_h · grid_w / 4`.
    Image { n_tokens: usize },
    /// Pairs of frames: time in seconds, merged patches.
    Video { pairs: Vec<(f64, usize)> },
}

impl Medium {
    fn kind(&self) -> &'static str {
        match self {
            Self::Image { .. } => "a picture",
            Self::Video { .. } => "a video",
        }
    }
}

/// A prompt in ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expanded {
    pub ids: Vec<u32>,
    /// For each picture and each pair of frames, in order: where in `ids` its first pad is.
    pub first_pads: Vec<usize>,
}

/// Expands the placeholders of a rendered conversation.
///
/// Errors: [`Error::MediaCount`] and [`Error::MediaKind`] if the template placed other media than `media`;
/// [`Error::MissingToken`] if there are media and the tokenizer has no pads.
pub fn expand(rendered: &Rendered, media: &[Medium], bpe: &Bpe) -> Result<Expanded> {
    let spread = spread_videos(rendered, media)?;
    let ids = bpe.ids_from_rendered(&spread)?;
    let (image_pad, video_pad) = (bpe.id(IMAGE_PAD), bpe.id(VIDEO_PAD));
    let image_count = |medium: &Medium| match medium {
        Medium::Image { n_tokens } => vec![(image_pad, *n_tokens)],
        Medium::Video { pairs } => pairs.iter().map(|&(_, n)| (video_pad, n)).collect(),
    };
    let mut wanted = media.iter().flat_map(image_count);
    let (mut out, mut first_pads) = (Vec::with_capacity(ids.len()), Vec::new());
    for &id in &ids {
        if Some(id) != image_pad && Some(id) != video_pad {
            out.push(id);
            continue;
        }
        match wanted.next() {
            Some((pad, n)) if pad == Some(id) => {
                first_pads.push(out.len());
                out.extend(std::iter::repeat_n(id, n));
            }
            // `spread_videos` saw the same placeholders, so only stray pads of a template get here.
            _ => {
                return Err(Error::MediaCount {
                    found: first_pads.len() + 1,
                    expected: first_pads.len(),
                });
            }
        }
    }
    if wanted.next().is_some() {
        return Err(Error::MissingToken {
            token: if image_pad.is_none() { IMAGE_PAD } else { VIDEO_PAD },
        });
    }
    Ok(Expanded { ids: out, first_pads })
}

/// Replaces each video's placeholder by its pairs with one pad each, and checks placeholders against `media`.
fn spread_videos(rendered: &Rendered, media: &[Medium]) -> Result<Rendered> {
    let (mut rest, mut out) = (rendered.guarded(), String::new());
    let mut index = 0;
    loop {
        let (image, video) = (rest.find(IMAGE_PAD), rest.find(VIDEO));
        let (at, is_video) = match (image, video) {
            (Some(i), Some(v)) if v < i => (v, true),
            (Some(i), _) => (i, false),
            (None, Some(v)) => (v, true),
            (None, None) => break,
        };
        out.push_str(&rest[..at]);
        match (media.get(index), is_video) {
            (Some(Medium::Image { .. }), false) => out.push_str(IMAGE_PAD),
            (Some(Medium::Video { pairs }), true) => {
                for &(time_s, _) in pairs {
                    out.push_str(&timestamp_text(time_s));
                    out.push_str(VIDEO);
                }
            }
            (Some(other), _) => {
                let found = if is_video { "a video" } else { "a picture" };
                return Err(Error::MediaKind {
                    index,
                    found,
                    expected: other.kind(),
                });
            }
            (None, _) => {
                return Err(Error::MediaCount {
                    found: index + 1,
                    expected: media.len(),
                });
            }
        }
        rest = &rest[at + if is_video { VIDEO.len() } else { IMAGE_PAD.len() }..];
        index += 1;
    }
    if index != media.len() {
        return Err(Error::MediaCount {
            found: index,
            expected: media.len(),
        });
    }
    out.push_str(rest);
    Ok(rendered.with_text(out))
}
