//! For tests: checkpoints made in memory, and an engine that only creates, copies and packs.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use ::safetensors::Dtype;
use ::safetensors::tensor::TensorView;
use half::bf16;

use super::quant;
use super::source::Memory;
use crate::engine::{Adapter, Engine, PreparedId, ReadFuture};
use crate::error::{Error, Result};
use crate::recording::{Buffer, Op, Place, Recording};
use crate::tensor::TensorId;

/// A tensor for [`safetensors_file`].
pub struct Tensor {
    pub name: String,
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    pub bytes: Vec<u8>,
}

impl Tensor {
    pub fn f32(name: &str, shape: &[usize], values: &[f32]) -> Self {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        Self {
            name: name.into(),
            dtype: Dtype::F32,
            shape: shape.to_vec(),
            bytes,
        }
    }

    pub fn bf16(name: &str, shape: &[usize], values: &[f32]) -> Self {
        let bytes = values.iter().flat_map(|&v| bf16::from_f32(v).to_le_bytes()).collect();
        Self {
            name: name.into(),
            dtype: Dtype::BF16,
            shape: shape.to_vec(),
            bytes,
        }
    }
}

/// A safetensors file as the reference crate writes it.
pub fn safetensors_file(tensors: &[Tensor], metadata: &[(&str, &str)]) -> Vec<u8> {
    let views = tensors.iter().map(|t| {
        (
            &t.name,
            TensorView::new(t.dtype, t.shape.clone(), &t.bytes).expect("shape fits bytes"),
        )
    });
    let metadata = metadata.iter().map(|&(k, v)| (k.to_owned(), v.to_owned())).collect();
    ::safetensors::serialize(views, Some(metadata)).expect("serialises")
}

pub fn memory(files: &[(&str, Vec<u8>)]) -> Arc<Memory> {
    let files = files
        .iter()
        .map(|(name, bytes)| ((*name).to_owned(), Cow::Owned(bytes.clone())));
    Arc::new(Memory::new("fixture", files))
}

/// Some values in −1 .. 1.
pub fn values(n: usize) -> Vec<f32> {
    (0..n as u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 8) as f32 / 8_388_608.0 - 1.0)
        .collect()
}

/// Tensors are byte vectors; recordings may hold `Quantize` only.
pub struct FakeEngine {
    adapter: Adapter,
    next_id: u64,
    pub tensors: BTreeMap<TensorId, Vec<u8>>,
    pub prepared: BTreeMap<PreparedId, Recording>,
    pub n_prepared: usize,
    pub n_reads: usize,
    /// Creating more bytes than this fails.
    pub memory_limit: u64,
}

impl FakeEngine {
    pub fn new(max_binding_bytes: u64) -> Self {
        Self {
            adapter: Adapter {
                name: "fake".into(),
                driver: String::new(),
                backend: "sim".into(),
                software: true,
                max_binding_bytes,
                max_buffer_bytes: max_binding_bytes * 2,
                max_workgroups: 65535,
                max_invocations: 256,
                workgroup_memory_bytes: 16384,
                storage_buffers: 8,
                shader_f16: false,
                subgroups: None,
                ..Adapter::plain("fake")
            },
            next_id: 0,
            tensors: BTreeMap::new(),
            prepared: BTreeMap::new(),
            n_prepared: 0,
            n_reads: 0,
            memory_limit: u64::MAX,
        }
    }

    fn fresh(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    fn store(&mut self, rec: &Recording, buffer: Buffer, words: &[u32]) {
        let Place::Bound(tensor) = rec.info(buffer).place else {
            panic!("only bound buffers")
        };
        let bytes: &[u8] = bytemuck::cast_slice(words);
        assert_eq!(rec.info(buffer).dtype.size_bytes(rec.shape(buffer).n()), bytes.len() as u64);
        self.tensors.get_mut(&tensor).expect("exists")[..bytes.len()].copy_from_slice(bytes);
    }
}

impl Engine for FakeEngine {
    fn adapter(&self) -> &Adapter {
        &self.adapter
    }

    fn create(&mut self, name: &str, size_bytes: u64) -> Result<TensorId> {
        if self.memory_bytes() + size_bytes > self.memory_limit {
            return Err(Error::OutOfMemory {
                what: name.into(),
                size_bytes,
            });
        }
        let id = TensorId(self.fresh());
        self.tensors
            .insert(id, vec![0; size_bytes.next_multiple_of(4).max(4) as usize]);
        Ok(id)
    }

    fn release(&mut self, tensor: TensorId) {
        self.tensors.remove(&tensor);
    }

    fn write(&mut self, tensor: TensorId, offset: u64, bytes: &[u8]) -> Result<()> {
        assert!(
            offset.is_multiple_of(4) && bytes.len().is_multiple_of(4),
            "writes are whole words"
        );
        self.tensors.get_mut(&tensor).expect("exists")[offset as usize..][..bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    fn copy(&mut self, from: TensorId, from_offset: u64, to: TensorId, to_offset: u64, size_bytes: u64) -> Result<()> {
        assert!(
            from_offset.is_multiple_of(4) && to_offset.is_multiple_of(4) && size_bytes.is_multiple_of(4),
            "copies are whole words"
        );
        let bytes = self.tensors[&from][from_offset as usize..][..size_bytes as usize].to_vec();
        self.write(to, to_offset, &bytes)
    }

    fn read(&mut self, tensor: TensorId, offset: u64, size_bytes: u64) -> ReadFuture {
        self.n_reads += 1;
        let bytes = self.tensors[&tensor][offset as usize..][..size_bytes as usize].to_vec();
        Box::pin(async move { Ok(bytes) })
    }

    fn prepare(&mut self, recording: Recording) -> Result<PreparedId> {
        let id = PreparedId(self.fresh());
        self.n_prepared += 1;
        self.prepared.insert(id, recording);
        Ok(id)
    }

    fn discard(&mut self, prepared: PreparedId) {
        self.prepared.remove(&prepared);
    }

    fn n_slices(&self, _prepared: PreparedId) -> usize {
        1
    }

    fn play_slice(&mut self, prepared: PreparedId, _slice: usize) -> Result<()> {
        let rec = self.prepared[&prepared].clone();
        for op in &rec.ops {
            let Op::Quantize {
                src,
                src_dtype,
                n_rows,
                k,
                format,
                packed,
                scales,
            } = op
            else {
                panic!("only Quantize")
            };
            let Place::Bound(raw) = rec.info(*src).place else {
                panic!("only bound buffers")
            };
            let raw_bytes = n_rows * k * src_dtype.size_bytes();
            let values = quant::f32_from_raw(*src_dtype, &self.tensors[&raw][..raw_bytes]);
            let rows = quant::pack(*format, &values, *n_rows, *k);
            self.store(&rec, *packed, &rows.packed);
            if let Some(scales) = scales {
                self.store(&rec, *scales, &rows.scales);
            }
        }
        Ok(())
    }

    fn read_tap(&mut self, _prepared: PreparedId, _name: &str) -> ReadFuture {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn describe(&self, _prepared: PreparedId) -> String {
        String::new()
    }

    fn memory_bytes(&self) -> u64 {
        self.tensors.values().map(|t| t.len() as u64).sum()
    }
}
