//! The words that models are written in: each function records one operation, checks its shapes and returns its result.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::recording::{Buffer, GeluForm, KvLayer, Op, Recording};
use crate::tensor::{DType, Shape, TensorId};
use crate::weights::Weight;

/// A matrix and perhaps a bias.
#[derive(Clone, Debug)]
pub struct Linear {
    pub weight: Arc<Weight>,    // [n, k]
    pub bias: Option<TensorId>, // [n] f32
}

/// The vectors of a norm.
#[derive(Clone, Copy, Debug)]
pub struct Norm {
    pub weight: TensorId,       // [D] f32
    pub bias: Option<TensorId>, // [D] f32: a layer norm
    pub eps: f32,
}

/// cos and sin of every position and frequency, and which axis and frequency each pair of a head uses.
#[derive(Clone, Copy, Debug)]
pub struct RopeTable {
    pub table: TensorId, // [n_positions, n_frequencies, 2] f32
    pub map: TensorId,   // [E/2] u32: axis << 16 | frequency
    pub n_positions: usize,
    pub n_frequencies: usize,
    pub head_dim: usize,
}

/// `W x (+ b)`; `x [T, k]` → `[T, n]`.
pub fn linear(rec: &mut Recording, x: Buffer, layer: &Linear) -> Result<Buffer> {
    let y = rec.temp([rec.shape(x).rows(), layer.weight.n]);
    linear_into(rec, x, layer, y)?;
    Ok(y)
}

/// [`linear`] into a given buffer, `y [T, n]`: how a result leaves a recording.
pub fn linear_into(rec: &mut Recording, x: Buffer, layer: &Linear, y: Buffer) -> Result<()> {
    let (rows, k, n) = (rec.shape(x).rows(), rec.shape(x).last(), layer.weight.n);
    expect("linear", "x", k == layer.weight.k, || {
        (
            format!("[…, {k}] for {}", layer.weight.name),
            format!("[…, {}]", layer.weight.k),
        )
    })?;
    same("linear", "y", rec.shape(y), &[rows, n].into())?;
    let bias = layer.bias.map(|bias| rec.bind(bias, DType::F32, [n]));
    rec.ops.push(Op::Linear {
        x,
        weight: layer.weight.clone(),
        bias,
        y,
    });
    Ok(())
}

/// RMS norm over the innermost extent if `norm` has no bias, else layer norm; keeps the shape.
pub fn norm(rec: &mut Recording, x: Buffer, norm: &Norm) -> Result<Buffer> {
    let shape = rec.shape(x).clone();
    let y = rec.temp(shape.clone());
    let weight = rec.bind(norm.weight, DType::F32, [shape.last()]);
    let op = match norm.bias {
        None => Op::RmsNorm {
            x,
            weight,
            eps: norm.eps,
            y,
        },
        Some(bias) => {
            let bias = rec.bind(bias, DType::F32, [shape.last()]);
            Op::LayerNorm {
                x,
                weight,
                bias,
                eps: norm.eps,
                y,
            }
        }
    };
    rec.ops.push(op);
    Ok(y)
}

/// `a + b`.
pub fn add(rec: &mut Recording, a: Buffer, b: Buffer) -> Result<Buffer> {
    same("add", "b", rec.shape(b), rec.shape(a))?;
    let y = rec.temp(rec.shape(a).clone());
    rec.ops.push(Op::Add { a, b, y });
    Ok(y)
}

pub fn gelu(rec: &mut Recording, x: Buffer, form: GeluForm) -> Buffer {
    let y = rec.temp(rec.shape(x).clone());
    rec.ops.push(Op::Gelu { x, form, y });
    y
}

/// `silu(gate) · up`.
pub fn swiglu(rec: &mut Recording, gate: Buffer, up: Buffer) -> Result<Buffer> {
    same("swiglu", "up", rec.shape(up), rec.shape(gate))?;
    let y = rec.temp(rec.shape(gate).clone());
    rec.ops.push(Op::SwiGlu { gate, up, y });
    Ok(y)
}

/// Rotates heads; `x [T, H·E]` → `[T, H, E]`; `pos [A, T]` u32.
pub fn rope(rec: &mut Recording, x: Buffer, rope: &RopeTable, pos: Buffer) -> Result<Buffer> {
    let head = rope.head_dim;
    let (rows, width) = (rec.shape(pos).last(), rec.shape(x).n());
    expect("rope", "x", rows * head != 0 && width.is_multiple_of(rows * head), || {
        (rec.shape(x).to_string(), format!("[{rows}, heads, {head}]"))
    })?;
    let shape: Shape = [rows, width / (rows * head), head].into();
    let x = rec.view(x, shape.clone())?;
    let table = rec.bind(rope.table, DType::F32, [rope.n_positions, rope.n_frequencies, 2]);
    let map = rec.bind(rope.map, DType::U32, [head / 2]);
    let y = rec.temp(shape);
    rec.ops.push(Op::Rope { x, table, map, pos, y });
    Ok(y)
}

/// Every query sees every key; `q [T, H, E]`, `k`, `v [S, K, E]` → `[T, H·E]`.
pub fn attention(rec: &mut Recording, q: Buffer, k: Buffer, v: Buffer, scale: f32) -> Result<Buffer> {
    same("attention", "v", rec.shape(v), rec.shape(k))?;
    let y = rec.temp(rec.shape(q).clone());
    rec.ops.push(Op::Attention { q, k, v, scale, y });
    flat(rec, y)
}

/// Appends `k`, `v [T, K, E]` and attends causally over the cache; `q [T, H, E]` → `[T, H·E]`.
pub fn cached_attention(
    rec: &mut Recording,
    q: Buffer,
    k: Buffer,
    v: Buffer,
    cache: KvLayer,
    state: Buffer,
    scale: f32,
) -> Result<Buffer> {
    same("cached_attention", "v", rec.shape(v), rec.shape(k))?;
    rec.ops.push(Op::KvAppend { k, v, cache, state });
    let y = rec.temp(rec.shape(q).clone());
    rec.ops.push(Op::CachedAttention {
        q,
        cache,
        state,
        scale,
        y,
    });
    flat(rec, y)
}

/// Rows of an embedding; `ids [T]` u32 → `[T, D]`.
pub fn embed(rec: &mut Recording, table: &Arc<Weight>, ids: Buffer) -> Buffer {
    let y = rec.temp([rec.shape(ids).n(), table.k]);
    rec.ops.push(Op::Embed {
        table: table.clone(),
        ids,
        y,
    });
    y
}

/// `rows` where `mask` is set, `x` elsewhere; all `[T, D]`, mask `[T]` u32.
pub fn overlay(rec: &mut Recording, x: Buffer, rows: Buffer, mask: Buffer) -> Result<Buffer> {
    same("overlay", "rows", rec.shape(rows), rec.shape(x))?;
    let y = rec.temp(rec.shape(x).clone());
    rec.ops.push(Op::Overlay { x, rows, mask, y });
    Ok(y)
}

/// `x + rows` where `mask` is set, `x` elsewhere.
pub fn masked_add(rec: &mut Recording, x: Buffer, rows: Buffer, mask: Buffer) -> Result<Buffer> {
    same("masked_add", "rows", rec.shape(rows), rec.shape(x))?;
    let y = rec.temp(rec.shape(x).clone());
    rec.ops.push(Op::MaskedAdd { x, rows, mask, y });
    Ok(y)
}

/// The last row that counts; `x [T, D]` → `y [1, D]`.
pub fn take_last(rec: &mut Recording, x: Buffer, state: Buffer, y: Buffer) -> Result<()> {
    same("take_last", "y", rec.shape(y), &[1, rec.shape(x).last()].into())?;
    rec.ops.push(Op::TakeLast { x, state, y });
    Ok(())
}

/// `[T, H, E]` as `[T, H·E]`.
fn flat(rec: &mut Recording, x: Buffer) -> Result<Buffer> {
    let (rows, n) = (rec.shape(x).0[0], rec.shape(x).n());
    rec.view(x, [rows, n.checked_div(rows).unwrap_or(0)])
}

fn same(op: &'static str, operand: &'static str, found: &Shape, expected: &Shape) -> Result<()> {
    expect(op, operand, found == expected, || (found.to_string(), expected.to_string()))
}

fn expect(op: &'static str, operand: &'static str, holds: bool, say: impl FnOnce() -> (String, String)) -> Result<()> {
    if holds {
        return Ok(());
    }
    let (found, expected) = say();
    Err(Error::Shape {
        op,
        operand,
        found,
        expected,
    })
}
