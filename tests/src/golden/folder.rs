//! Reading a golden folder's files.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use safetensors::{Dtype, SafeTensors};

/// A safetensors file by kind of value.
#[derive(Debug, Default)]
pub struct Tensors {
    pub floats: BTreeMap<String, Vec<f32>>,
    pub ints: BTreeMap<String, Vec<i64>>,
    pub bytes: BTreeMap<String, Vec<u8>>,
    pub shapes: BTreeMap<String, Vec<usize>>,
}

impl Tensors {
    pub fn read(path: &Path) -> Result<Self> {
        let file = std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
        let read = SafeTensors::deserialize(&file).with_context(|| format!("{} is no safetensors file", path.display()))?;
        let mut tensors = Self::default();
        for (name, view) in read.tensors() {
            tensors.shapes.insert(name.clone(), view.shape().to_vec());
            let data = view.data();
            match view.dtype() {
                Dtype::F32 => {
                    tensors
                        .floats
                        .insert(name, data.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect());
                }
                Dtype::I64 => {
                    tensors
                        .ints
                        .insert(name, data.as_chunks().0.iter().map(|&b| i64::from_le_bytes(b)).collect());
                }
                Dtype::I16 => {
                    let values = data.as_chunks().0.iter();
                    tensors
                        .ints
                        .insert(name, values.map(|&b| i16::from_le_bytes(b).into()).collect());
                }
                Dtype::U8 => {
                    tensors.bytes.insert(name, data.to_vec());
                }
                other => bail!("{}: tensor {name} has type {other:?}", path.display()),
            }
        }
        Ok(tensors)
    }

    pub fn ints(&self, name: &str) -> Result<&Vec<i64>> {
        self.ints
            .get(name)
            .with_context(|| format!("integer tensor {name} is missing"))
    }

    pub fn floats(&self, name: &str) -> Result<&Vec<f32>> {
        self.floats
            .get(name)
            .with_context(|| format!("float tensor {name} is missing"))
    }

    pub fn bytes(&self, name: &str) -> Result<&Vec<u8>> {
        self.bytes.get(name).with_context(|| format!("byte tensor {name} is missing"))
    }

    /// Extents of a tensor.
    pub fn shape<const N: usize>(&self, name: &str) -> Result<[usize; N]> {
        let shape = self.shapes.get(name).with_context(|| format!("tensor {name} is missing"))?;
        shape
            .as_slice()
            .try_into()
            .ok()
            .with_context(|| format!("tensor {name} is {shape:?}, expected {N} extents"))
    }
}

/// A JSON file as values.
pub fn json(path: &Path) -> Result<serde_json::Value> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is no JSON", path.display()))
}
