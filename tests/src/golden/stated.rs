//! What a folder's JSON files state about its checkpoint, held to the checkpoint and the tokenizer.

use std::path::Path;

use anyhow::Result;
use serde_json::Value;
use stages::tokens::bpe::Bpe;

use super::folder::json;
use super::table::Row;

/// The shapes that meta.json states are the checkpoint's.
pub fn shapes(folder: &Path, meta: &Value, row: &mut Row) -> Result<()> {
    let bytes = std::fs::read(folder.join("model.safetensors"))?;
    let stored = safetensors::SafeTensors::deserialize(&bytes)?;
    for (name, view) in stored.tensors() {
        let stated: Vec<Option<u64>> = meta["tensors"][&name]
            .as_array()
            .map(|shape| shape.iter().map(Value::as_u64).collect())
            .unwrap_or_default();
        row.equal(
            &format!("shape of {name}"),
            &view.shape().iter().map(|&n| Some(n as u64)).collect(),
            &stated,
        );
    }
    row.equal(
        "tensors of meta.json",
        &meta["tensors"].as_object().map(serde_json::Map::len),
        &Some(stored.len()),
    );
    Ok(())
}

/// The ids that the configuration files name are the tokenizer's.
pub fn ids(folder: &Path, row: &mut Row) -> Result<()> {
    let bpe = Bpe::from_json(&std::fs::read(folder.join("tokenizer.json"))?)?;
    let (config, generation) = (
        json(&folder.join("config.json"))?,
        json(&folder.join("generation_config.json"))?,
    );
    let id = |token: &str| bpe.id(token).map(u64::from);
    let named = [
        ("image_token_id", &config["image_token_id"], "<|image_pad|>"),
        ("video_token_id", &config["video_token_id"], "<|video_pad|>"),
        ("vision_start_token_id", &config["vision_start_token_id"], "<|vision_start|>"),
        ("vision_end_token_id", &config["vision_end_token_id"], "<|vision_end|>"),
        (
            "text_config.bos_token_id",
            &config["text_config"]["bos_token_id"],
            "<|endoftext|>",
        ),
        (
            "text_config.eos_token_id",
            &config["text_config"]["eos_token_id"],
            "<|im_end|>",
        ),
        ("generation bos_token_id", &generation["bos_token_id"], "<|endoftext|>"),
        ("generation pad_token_id", &generation["pad_token_id"], "<|endoftext|>"),
        ("generation eos_token_id 0", &generation["eos_token_id"][0], "<|im_end|>"),
        ("generation eos_token_id 1", &generation["eos_token_id"][1], "<|endoftext|>"),
    ];
    for (name, stated, token) in named {
        row.equal(name, &stated.as_u64(), &id(token));
    }
    Ok(())
}
