//! What the stages need of a checkpoint besides its weights: tokenizer, chat template, bounds of pictures.

use gpu::weights::source::{Source, read_text};
use serde_json::Value as Json;

use crate::error::{Error, Result};
use crate::tokens::bpe::Bpe;
use crate::tokens::chat_template::{ChatTemplate, Edition, TemplateFiles};
use crate::vision::resize::PixelLimits;

const IMAGES: &str = "preprocessor_config.json";
const VIDEOS: &str = "video_preprocessor_config.json";

/// The text side of a model, and how its pictures are prepared.
#[derive(Debug)]
pub struct ModelText {
    pub name: String,
    pub bpe: Bpe,
    pub template: ChatTemplate,
    pub image_limits: PixelLimits,
    pub video_limits: PixelLimits,
    /// `</think>`, if the tokenizer has it.
    pub think_end_id: Option<u32>,
}

impl ModelText {
    /// Reads the files of a checkpoint.
    ///
    /// Errors: [`Error::MissingFile`] without a `tokenizer.json`; [`Error::Unsupported`] if pictures are to be normalised
    /// in another way than the engine does; those of the source, the tokenizer and the template.
    pub async fn load(source: &dyn Source) -> Result<Self> {
        let name = source.name().to_owned();
        let Some(tokenizer) = read_text(source, "tokenizer.json").await? else {
            return Err(Error::MissingFile {
                model: name,
                file: "tokenizer.json",
            });
        };
        let bpe = Bpe::from_json(tokenizer.as_bytes())?;
        let jinja = read_text(source, "chat_template.jinja").await?;
        let json = read_text(source, "chat_template.json").await?;
        let tokenizer_config = read_text(source, "tokenizer_config.json").await?;
        let files = TemplateFiles {
            jinja: jinja.as_deref(),
            json: json.as_deref(),
            tokenizer_config: tokenizer_config.as_deref(),
        };
        let is_thinking = name.to_lowercase().contains("thinking");
        let template = ChatTemplate::from_files(files, if is_thinking { Edition::Thinking } else { Edition::Instruct })?;
        let images = read_text(source, IMAGES).await?;
        let videos = read_text(source, VIDEOS).await?;
        Ok(Self {
            image_limits: limits(&name, IMAGES, images.as_deref(), PixelLimits::IMAGE)?,
            video_limits: limits(&name, VIDEOS, videos.as_deref(), PixelLimits::VIDEO)?,
            think_end_id: bpe.id("</think>"),
            name,
            bpe,
            template,
        })
    }
}

/// The bounds in a preprocessor's configuration; the published ones if there is none.
fn limits(model: &str, file: &'static str, text: Option<&str>, published: PixelLimits) -> Result<PixelLimits> {
    let Some(text) = text else { return Ok(published) };
    let fail = |message: String| Error::ModelFile {
        model: model.to_owned(),
        file,
        message,
    };
    let config: Json = serde_json::from_str(text).map_err(|error| fail(error.to_string()))?;
    let check = |key: &'static str, ok: bool, supported| match ok {
        true => Ok(()),
        false => Err(Error::Unsupported {
            model: model.to_owned(),
            file,
            key,
            found: config[key].to_string(),
            supported,
        }),
    };
    for key in ["image_mean", "image_std"] {
        let is_half = |value: &Json| value.as_f64() == Some(0.5);
        let ok = config
            .get(key)
            .is_none_or(|v| v.as_array().is_some_and(|v| v.len() == 3 && v.iter().all(is_half)));
        check(key, ok, "[0.5, 0.5, 0.5]")?;
    }
    for (key, only, supported) in [
        ("patch_size", 16, "16"),
        ("temporal_patch_size", 2, "2"),
        ("merge_size", 2, "2"),
    ] {
        check(key, config.get(key).is_none_or(|v| v.as_u64() == Some(only)), supported)?;
    }
    // Pixel counts in spite of the names; older files spell them `min_pixels` and `max_pixels`.
    let count = |edge: &str, old: &str, default: u64| match config.get("size").and_then(|s| s.get(edge)).or(config.get(old)) {
        None | Some(Json::Null) => Ok(default),
        Some(value) => value
            .as_u64()
            .filter(|&n| n > 0)
            .ok_or_else(|| fail(format!("{edge} is {value}, no pixel count"))),
    };
    let limits = PixelLimits {
        min_pixels: count("shortest_edge", "min_pixels", published.min_pixels)?,
        max_pixels: count("longest_edge", "max_pixels", published.max_pixels)?,
    };
    if limits.min_pixels > limits.max_pixels {
        return Err(fail(format!(
            "at least {} and at most {} pixels",
            limits.min_pixels, limits.max_pixels
        )));
    }
    Ok(limits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_and_checked() {
        let read = |text: &str| limits("m", IMAGES, Some(text), PixelLimits::IMAGE);
        let expected = PixelLimits {
            min_pixels: 4096,
            max_pixels: 10_240,
        };
        assert_eq!(
            read(r#"{"size": {"shortest_edge": 4096, "longest_edge": 10240}}"#).unwrap(),
            expected
        );
        assert_eq!(read(r#"{"min_pixels": 4096, "max_pixels": 10240}"#).unwrap(), expected);
        assert_eq!(
            read(r#"{"image_mean": [0.5, 0.5, 0.5], "patch_size": 16}"#).unwrap(),
            PixelLimits::IMAGE
        );
        assert_eq!(limits("m", IMAGES, None, PixelLimits::IMAGE).unwrap(), PixelLimits::IMAGE);
        let unsupported = [
            r#"{"image_mean": [0.48, 0.45, 0.4]}"#,
            r#"{"image_std": [0.5, 0.5]}"#,
            r#"{"patch_size": 14}"#,
            r#"{"merge_size": "2"}"#,
        ];
        for text in unsupported {
            assert!(matches!(read(text), Err(Error::Unsupported { .. })), "{text}");
        }
        for text in [
            "{",
            r#"{"size": {"shortest_edge": -1}}"#,
            r#"{"min_pixels": 9, "max_pixels": 8}"#,
        ] {
            assert!(matches!(read(text), Err(Error::ModelFile { .. })), "{text}");
        }
    }
}
