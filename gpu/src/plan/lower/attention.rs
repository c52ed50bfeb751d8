//! Lowering of attention and its cache.

use super::Lowering;
use crate::error::{Error, Result};
use crate::kernel::attention::{Attention, Heads, Keys};
use crate::kernel::attention_coop::AttentionCoop;
use crate::kernel::attention_direct::{self, AttentionDirect};
use crate::kernel::attn_decode::AttnDecode;
use crate::kernel::kv_append::KvAppend;
use crate::plan::Softmax;
use crate::recording::{Buffer, KvLayer};
use crate::tensor::DType;

impl Lowering<'_> {
    pub(super) fn attention(&mut self, q: Buffer, k: Buffer, v: Buffer, scale: f32, y: Buffer) -> Result<()> {
        let (&[t, heads, e], &[s, kv_heads, _]) = (self.extents(q), self.extents(k)) else {
            return Err(self.rank("attention", "q", q, "[T, H, E], and k [S, K, E]"));
        };
        self.expect("attention", "k", k, &[s, kv_heads, e])?;
        self.expect("attention", "v", v, &[s, kv_heads, e])?;
        let keys = Keys::Dense {
            k: self.operand(k),
            v: self.operand(v),
        };
        let heads = Heads {
            q: self.operand(q),
            keys,
            y: self.operand(y),
            t,
            s,
            heads,
            kv_heads,
            e,
            scale,
        };
        self.attend(heads, q, self.is_half(y), self.is_half(k))
    }

    pub(super) fn cached_attention(&mut self, q: Buffer, cache: &KvLayer, state: Buffer, scale: f32, y: Buffer) -> Result<()> {
        let (&[t, heads, e], &[_, block, kv_heads, cache_e]) = (self.extents(q), self.extents(cache.k)) else {
            return Err(self.rank("cached_attention", "cache", cache.k, "[n_blocks, block, K, E]"));
        };
        if block != cache.block || cache_e != e {
            return Err(self.rank("cached_attention", "cache", cache.k, "heads and blocks of the queries' size"));
        }
        let keys = Keys::Cache {
            k: self.operand(cache.k),
            v: self.operand(cache.v),
            table: self.operand(cache.table),
            state: self.operand(state),
            dtype: cache.dtype,
            block: cache.block,
        };
        let heads = Heads {
            q: self.operand(q),
            keys,
            y: self.operand(y),
            t,
            s: self.n(cache.table) * cache.block,
            heads,
            kv_heads,
            e,
            scale,
        };
        self.attend(heads, q, self.is_half(y), false)
    }

    fn attend(&mut self, mut heads: Heads, q: Buffer, half: bool, half_keys: bool) -> Result<()> {
        let n = heads.t * heads.heads * heads.e;
        let expected = if half { 2 * n as u64 } else { DType::F32.size_bytes(n) };
        if heads.y.size_bytes != expected {
            return Err(Error::Shape {
                op: "attention",
                operand: "y",
                found: format!("{} bytes", heads.y.size_bytes),
                expected: format!("{expected} bytes"),
            });
        }
        if heads.t * heads.heads * heads.e == 0 {
            return Ok(());
        }
        if half {
            heads.q = self.halved(q)?;
            return self.push(AttentionCoop { heads, half: half_keys });
        }
        if heads.t == 1 {
            let workgroup = self.tuning.decode.max((heads.e as u32 / 4).next_power_of_two());
            return self.push(AttnDecode { heads, workgroup });
        }
        if self.variants.attention == Softmax::Direct && heads.e <= attention_direct::MAX_E {
            let rows = attention_direct::rows(&heads);
            return self.push(AttentionDirect { heads, rows });
        }
        self.push(Attention { heads })
    }

    pub(super) fn kv_append(&mut self, k: Buffer, v: Buffer, cache: &KvLayer, state: Buffer) -> Result<()> {
        let (&[t, kv_heads, e], &[_, block, cache_heads, cache_e]) = (self.extents(k), self.extents(cache.k)) else {
            return Err(self.rank("kv_append", "k", k, "[T, K, E], and the cache [n_blocks, block, K, E]"));
        };
        if (block, cache_heads, cache_e) != (cache.block, kv_heads, e) {
            return Err(self.rank("kv_append", "cache", cache.k, "heads and blocks of the keys' size"));
        }
        self.expect("kv_append", "v", v, &[t, kv_heads, e])?;
        if t * kv_heads * e == 0 {
            return Ok(());
        }
        self.push(KvAppend {
            k: self.operand(k),
            v: self.operand(v),
            table: self.operand(cache.table),
            state: self.operand(state),
            k_cache: self.operand(cache.k),
            v_cache: self.operand(cache.v),
            dtype: cache.dtype,
            t,
            row: kv_heads * e,
            block: cache.block,
            n_table: self.n(cache.table),
            workgroup: self.tuning.lanes,
        })
    }
}
