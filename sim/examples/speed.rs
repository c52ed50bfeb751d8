//! How long the pocket model takes on this machine's CPU: an image through its vision tower, and decoding steps.
//! `cargo run --release -p sim --example speed`. Random weights: speed does not depend on the values.

use std::sync::Arc;
use std::time::Instant;

use gpu::Result;
use gpu::engine::{Engine, State};
use gpu::recording::{Buffer, GeluForm, KvLayer, Op, Recording};
use gpu::tensor::DType;
use gpu::weights::{Format, Weight, WeightPart, quant};
use sim::SimEngine;

struct Maker {
    engine: SimEngine,
    rec: Recording,
    format: Format,
}

impl Maker {
    fn new(name: &str, format: Format) -> Self {
        Self {
            engine: SimEngine::default(),
            rec: Recording::new(name),
            format,
        }
    }

    fn values(n: usize) -> Vec<f32> {
        (0..n as u32)
            .map(|i| gpu::sampler::pcg(i) as f32 / 2f32.powi(32) * 0.2 - 0.1)
            .collect()
    }

    fn bound(&mut self, dtype: DType, shape: &[usize], bytes: &[u8]) -> Result<Buffer> {
        let id = self.engine.create("bound", bytes.len() as u64)?;
        self.engine.write(id, 0, bytes)?;
        Ok(self.rec.bind(id, dtype, gpu::tensor::Shape(shape.to_vec())))
    }

    fn vector(&mut self, n: usize) -> Result<Buffer> {
        self.bound(DType::F32, &[n], bytemuck::cast_slice(&Self::values(n)))
    }

    fn weight(&mut self, n: usize, k: usize) -> Result<Arc<Weight>> {
        let rows = quant::pack(self.format, &Self::values(n * k), n, k);
        let mut tensor = |words: &[u32]| -> Result<_> {
            let id = self.engine.create("weight", words.len() as u64 * 4)?;
            self.engine.write(id, 0, bytemuck::cast_slice(words))?;
            Ok(id)
        };
        let part = WeightPart {
            first_row: 0,
            n_rows: n,
            packed: tensor(&rows.packed)?,
            scales: if self.format.has_scales() {
                Some(tensor(&rows.scales)?)
            } else {
                None
            },
        };
        Ok(Arc::new(Weight {
            name: "w".to_owned(),
            format: self.format,
            n,
            k,
            parts: vec![part],
        }))
    }

    fn linear(&mut self, x: Buffer, n: usize) -> Result<Buffer> {
        let shape = self.rec.shape(x).clone();
        let weight = self.weight(n, shape.last())?;
        let y = self.rec.temp([shape.rows(), n]);
        let bias = None;
        self.rec.ops.push(Op::Linear { x, weight, bias, y });
        Ok(y)
    }

    fn like(&mut self, x: Buffer, op: impl FnOnce(Buffer) -> Op) -> Buffer {
        let shape = self.rec.shape(x).clone();
        let y = self.rec.temp(shape);
        self.rec.ops.push(op(y));
        y
    }

    /// A rotation by nothing, of one axis, which costs what any costs.
    fn rope(&mut self, x: Buffer) -> Result<Buffer> {
        let (n_rows, head) = (self.rec.shape(x).0[0], self.rec.shape(x).last());
        let table = self.bound(
            DType::F32,
            &[1, head / 2, 2],
            bytemuck::cast_slice(&[1f32, 0.0].repeat(head / 2)),
        )?;
        let map: Vec<u32> = (0..head as u32 / 2).collect();
        let map = self.bound(DType::U32, &[head / 2], bytemuck::cast_slice(&map))?;
        let pos = self.bound(DType::U32, &[1, n_rows], &vec![0; n_rows * 4])?;
        Ok(self.like(x, |y| Op::Rope { x, table, map, pos, y }))
    }

    fn run(mut self, repeats: u32) -> Result<()> {
        let name = self.rec.name.clone();
        let prepared = self.engine.prepare(self.rec)?;
        self.engine.play(prepared)?;
        let start = Instant::now();
        for _ in 0..repeats {
            self.engine.play(prepared)?;
        }
        let each = start.elapsed() / repeats;
        let held = self.engine.memory_bytes() >> 20;
        println!("{name}, {:?}: {each:?}, {held} MiB held", self.format);
        Ok(())
    }
}

/// Six layers of 256, four heads of 64, over the 3,520 patches of a 1280×704 frame.
fn vision(format: Format) -> Result<()> {
    let (n_patches, width, n_heads) = (3520, 256, 4);
    let mut m = Maker::new("vision tower, 3520 patches", format);
    let mut x = m.bound(
        DType::F32,
        &[n_patches, width],
        bytemuck::cast_slice(&Maker::values(n_patches * width)),
    )?;
    let [weight, bias] = [m.vector(width)?, m.vector(width)?];
    for _ in 0..6 {
        let norm = |x| {
            move |y| Op::LayerNorm {
                x,
                weight,
                bias,
                eps: 1e-6,
                y,
            }
        };
        let h = m.like(x, norm(x));
        let [q, k, v] = [(); 3].map(|()| m.linear(h, width));
        let heads = [n_patches, n_heads, width / n_heads];
        let (q, k, v) = (m.rec.view(q?, heads)?, m.rec.view(k?, heads)?, m.rec.view(v?, heads)?);
        let (q, k) = (m.rope(q)?, m.rope(k)?);
        let scale = 0.125;
        let attended = m.like(q, |y| Op::Attention { q, k, v, scale, y });
        let attended = m.rec.view(attended, [n_patches, width])?;
        let o = m.linear(attended, width)?;
        let mid = m.like(x, |y| Op::Add { a: x, b: o, y });
        let h = m.like(mid, norm(mid));
        let up = m.linear(h, 4 * width)?;
        let form = GeluForm::Tanh;
        let active = m.like(up, |y| Op::Gelu { x: up, form, y });
        let down = m.linear(active, width)?;
        x = m.like(mid, |y| Op::Add { a: mid, b: down, y });
    }
    m.run(3)
}

/// One decoding step of 5.8 M parameters: six layers of 256, feed-forward 768, at 1,200 tokens of context.
fn decode(format: Format) -> Result<()> {
    let (width, n_heads, n_kv_heads, head, inner, context, n_ids) = (256, 4, 2, 64, 768, 1200, 4096);
    let mut m = Maker::new("decoding step, 5.8 M parameters", format);
    let state = State {
        kv_len: context as u32,
        n_tokens: 1,
        ..bytemuck::Zeroable::zeroed()
    };
    let state = m.bound(DType::U32, &[12], bytemuck::bytes_of(&state))?;
    let n_blocks = context / 16 + 1;
    let table: Vec<u32> = (0..n_blocks as u32).collect();
    let table = m.bound(DType::U32, &[n_blocks], bytemuck::cast_slice(&table))?;
    let mut x = m.bound(DType::F32, &[1, width], bytemuck::cast_slice(&Maker::values(width)))?;
    let [weight, head_weight] = [m.vector(width)?, m.vector(head)?];
    let eps = 1e-6;
    for _ in 0..6 {
        let h = m.like(x, |y| Op::RmsNorm { x, weight, eps, y });
        let q = m.linear(h, n_heads * head)?;
        let (k, v) = (m.linear(h, n_kv_heads * head)?, m.linear(h, n_kv_heads * head)?);
        let q = m.rec.view(q, [1, n_heads, head])?;
        let (k, v) = (m.rec.view(k, [1, n_kv_heads, head])?, m.rec.view(v, [1, n_kv_heads, head])?);
        let norm = |x| {
            move |y| Op::RmsNorm {
                x,
                weight: head_weight,
                eps,
                y,
            }
        };
        let (q, k) = (m.like(q, norm(q)), m.like(k, norm(k)));
        let (q, k) = (m.rope(q)?, m.rope(k)?);
        let n_words = n_blocks * 16 * n_kv_heads * head;
        let shape = [n_blocks, 16, n_kv_heads, head];
        let cache = KvLayer {
            k: m.bound(DType::F16, &shape, &vec![0; n_words * 2])?,
            v: m.bound(DType::F16, &shape, &vec![0; n_words * 2])?,
            table,
            block: 16,
            dtype: DType::F16,
        };
        m.rec.ops.push(Op::KvAppend { k, v, cache, state });
        let scale = 0.125;
        let attended = m.like(q, |y| Op::CachedAttention {
            q,
            cache,
            state,
            scale,
            y,
        });
        let attended = m.rec.view(attended, [1, n_heads * head])?;
        let o = m.linear(attended, width)?;
        let mid = m.like(x, |y| Op::Add { a: x, b: o, y });
        let h = m.like(mid, |y| Op::RmsNorm { x: mid, weight, eps, y });
        let (gate, up) = (m.linear(h, inner)?, m.linear(h, inner)?);
        let active = m.like(gate, |y| Op::SwiGlu { gate, up, y });
        let down = m.linear(active, width)?;
        x = m.like(mid, |y| Op::Add { a: mid, b: down, y });
    }
    m.linear(x, n_ids)?;
    m.run(100)
}

fn main() -> Result<()> {
    for format in [Format::F32, Format::F16, Format::Q8, Format::Q4] {
        vision(format)?;
        decode(format)?;
    }
    Ok(())
}
