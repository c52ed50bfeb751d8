//! A checkpoint whose matrices hold what a quantised one computes with: packed and unpacked again on the CPU, stored as
//! f32. The f32 forward over it is what a quantised engine is held to.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use gpu::protocol::Quant;
use gpu::recording::RawDType;
use gpu::weights::quant;
use gpu::weights::source::Memory;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors, serialize};

/// The checkpoint in `folder` after a round trip through `quant`'s formats.
pub fn checkpoint(folder: &Path, quant: Quant) -> Result<Memory> {
    let bytes = std::fs::read(folder.join("model.safetensors"))?;
    let mut values = BTreeMap::new();
    for (name, view) in SafeTensors::deserialize(&bytes)?.tensors() {
        let dtype = match view.dtype() {
            Dtype::F32 => RawDType::F32,
            Dtype::F16 => RawDType::F16,
            Dtype::BF16 => RawDType::Bf16,
            other => anyhow::bail!("tensor {name} has type {other:?}"),
        };
        let raw = quant::f32_from_raw(dtype, view.data());
        let is_matrix = view.shape().len() > 1 && !name.contains("pos_embed");
        let rounded = if is_matrix {
            round_trip(&name, &raw, view.shape(), quant)
        } else {
            raw
        };
        values.insert(
            name,
            (view.shape().to_vec(), bytemuck::cast_slice::<f32, u8>(&rounded).to_vec()),
        );
    }
    let views = values
        .iter()
        .map(|(name, (shape, data))| Ok((name, TensorView::new(Dtype::F32, shape.clone(), data)?)));
    let model = serialize(views.collect::<Result<Vec<_>>>()?, None)?;
    let mut files = vec![("model.safetensors".to_owned(), Cow::from(model))];
    for file in ["config.json", "generation_config.json"] {
        let text = std::fs::read(folder.join(file)).with_context(|| format!("{file} cannot be read"))?;
        files.push((file.to_owned(), Cow::from(text)));
    }
    Ok(Memory::new("dequantised", files))
}

fn round_trip(name: &str, values: &[f32], shape: &[usize], quant: Quant) -> Vec<f32> {
    let (n, k) = (shape[0], shape[1..].iter().product());
    let format = quant.format_of(name);
    let packed = quant::pack(format, values, n, k);
    quant::dequantize(
        format,
        bytemuck::cast_slice(&packed.packed),
        bytemuck::cast_slice(&packed.scales),
        n,
        k,
    )
}
