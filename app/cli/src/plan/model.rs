//! Which model is planned: its configuration by a name, a folder or a hub id, without a download; and the patches of a picture.

use std::path::Path;

use anyhow::{Context, Result};
use gpu::model::qwen3_vl::config::Config;
use gpu::model::qwen3_vl::published;
use gpu::weights::source::read_text;
use sim::timing::bundled::nearest;
use sim::timing::dry::Grid;
use stages::vision::resize::{PixelLimits, Size, image_size};

use crate::failure::usage;
use crate::models::{self, POCKET_ASR, Place, embedded_models};

/// A configuration, and what it is called.
pub struct PlannedModel {
    pub name: String,
    pub config: Config,
}

/// Pixels of a side of a patch.
const PATCH: usize = 16;

/// Finds the configuration.
///
/// Errors: usage, naming near names, if there is none; a configuration that is not supported.
pub async fn find(name: &str) -> Result<PlannedModel> {
    let lower = name.to_lowercase();
    // `OWNER/Qwen3-VL-8B-Instruct` and fine-tunes named after it have the published shape.
    let shape = published::NAMES.iter().rev().find(|shape| match lower.rsplit_once('/') {
        Some((owner, of_hub)) => !owner.contains('/') && of_hub.contains(*shape),
        None => lower == **shape,
    });
    let json = match models::find(name, Path::new(".")) {
        Ok(place @ (Place::Embedded(_) | Place::Folder(_))) => of_files(place).await?,
        _ => match shape.and_then(|shape| published::config_json(shape)) {
            Some(json) => json.to_owned(),
            None => return Err(unknown(name)),
        },
    };
    Ok(PlannedModel {
        name: name.to_owned(),
        config: Config::from_json(&json).with_context(|| name.to_owned())?,
    })
}

async fn of_files(place: Place) -> Result<String> {
    let (progress, _) = async_channel::bounded(1);
    let source = models::open(place, progress, false).await?;
    let json = read_text(&*source, "config.json").await?;
    json.with_context(|| format!("{} has no config.json", source.name()))
}

fn unknown(name: &str) -> anyhow::Error {
    let pocket = embedded_models().map(|(name, _)| name).filter(|name| *name != POCKET_ASR);
    let known: Vec<&str> = published::NAMES.into_iter().chain(pocket).collect();
    let of_hub = name.rsplit_once('/').map_or(name, |(_, of_hub)| of_hub);
    let near = nearest(of_hub, known.iter().copied());
    let hint = match near.is_empty() {
        true => known.join(", "),
        false => format!("{}?", near.join(" or ")),
    };
    usage(format!(
        "there is no shape called {name}; {hint} (or a folder with a config.json, or a hub id that names one of these)"
    ))
}

/// The patches of a picture once it is resized as the model wants it.
///
/// Errors: sides that no picture has.
pub fn grid([width, height]: [usize; 2]) -> Result<Grid> {
    let from = Size {
        width: width as u32,
        height: height as u32,
    };
    let size = image_size(from, PixelLimits::IMAGE)?;
    Ok(Grid {
        rows: size.height as usize / PATCH,
        columns: size.width as usize / PATCH,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_model_is_a_shape_a_hub_id_a_pocket_model_or_a_folder() {
        for name in [
            "qwen3-vl-8b",
            "Qwen3-VL-8B",
            "Qwen/Qwen3-VL-8B-Instruct",
            "DavidAU/Qwen3-VL-8B-GLM-4.7-Flash-Heretic-Uncensored-Thinking",
        ] {
            assert_eq!(find(name).await.unwrap().config.text.num_hidden_layers, 36, "{name}");
        }
        let folder = tempfile::tempdir().unwrap();
        let json = published::config_json("qwen3-vl-2b").unwrap();
        std::fs::write(folder.path().join("config.json"), json).unwrap();
        let found = find(&folder.path().display().to_string()).await.unwrap();
        assert_eq!(found.config.text.num_hidden_layers, 28);
        if cfg!(feature = "embed") {
            assert_eq!(find("pocket-vl").await.unwrap().config.text.head_dim, 64);
        }
    }

    #[tokio::test]
    async fn an_unknown_model_has_near_ones() {
        for (name, near) in [
            ("qwen3-vl-7b", "qwen3-vl-"),
            ("Qwen/Qwen3-VL-8X", "qwen3-vl-8b"),
            ("llama", "qwen3-vl-2b"),
        ] {
            let error = find(name).await.err().unwrap();
            assert_eq!(crate::failure::exit_code(&error), 2);
            assert!(error.to_string().contains(near), "{error}");
        }
    }

    #[test]
    fn screens_become_the_patches_that_the_model_sees() {
        let tokens = |size| grid(size).unwrap().n_tokens();
        assert_eq!([[640, 360], [1280, 720], [1920, 1080]].map(tokens), [220, 880, 2040]);
    }
}
