//! What `prepare` refuses, and how it says so.

use std::sync::Arc;

use gpu::engine::Engine;
use gpu::recording::GeluForm;
use gpu::weights::{Format, WeightPart};

use super::*;
use crate::SimEngine;

/// A tensor of 1 KiB.
struct Fixture {
    engine: SimEngine,
    rec: Recording,
    id: TensorId,
}

impl Fixture {
    fn new() -> Result<Self> {
        let mut engine = SimEngine::default();
        let id = engine.create("t", 1024)?;
        let rec = Recording::new("bad");
        Ok(Self { engine, rec, id })
    }

    /// A buffer in a tensor of its own.
    fn bound(&mut self, dtype: DType, shape: impl Into<Shape>) -> Result<Buffer> {
        let id = self.engine.create("t", 1024)?;
        Ok(self.rec.bind(id, dtype, shape))
    }

    fn f32s(&mut self, shape: impl Into<Shape>) -> Result<Buffer> {
        self.bound(DType::F32, shape)
    }

    fn u32s(&mut self, shape: impl Into<Shape>) -> Result<Buffer> {
        self.bound(DType::U32, shape)
    }

    fn weight(&self, n: usize, k: usize, n_rows: usize) -> Arc<Weight> {
        let part = WeightPart {
            first_row: 0,
            n_rows,
            packed: self.id,
            scales: None,
        };
        Arc::new(Weight {
            name: "w".to_owned(),
            format: Format::F32,
            n,
            k,
            parts: vec![part],
        })
    }

    /// Why a recording of this one operation is refused.
    fn refusal(mut self, op: Op) -> String {
        self.rec.ops.push(op);
        match self.engine.prepare(self.rec) {
            Ok(_) => "accepted".to_owned(),
            Err(error) => error.to_string(),
        }
    }
}

#[test]
fn prepare_refuses_wrong_shapes_and_names_the_operand() -> Result<()> {
    type Make = fn(&mut Fixture) -> Result<Op>;
    let cases: &[(&str, Make)] = &[
        ("add: a is [3], expected 4 values", |f| {
            Ok(Op::Add {
                a: f.f32s([3])?,
                b: f.f32s([4])?,
                y: f.rec.temp([4]),
            })
        }),
        ("add: b is U32, expected F32", |f| {
            Ok(Op::Add {
                a: f.f32s([4])?,
                b: f.u32s([4])?,
                y: f.rec.temp([4]),
            })
        }),
        ("linear: x is [2, 4], expected [T, 3]", |f| {
            Ok(Op::Linear {
                x: f.f32s([2, 4])?,
                weight: f.weight(2, 3, 2),
                bias: None,
                y: f.rec.temp([2, 2]),
            })
        }),
        ("linear: y is [2, 3], expected [T, 2]", |f| {
            Ok(Op::Linear {
                x: f.f32s([2, 3])?,
                weight: f.weight(2, 3, 2),
                bias: None,
                y: f.rec.temp([2, 3]),
            })
        }),
        ("linear: y is [3, 2], expected [2, 2]", |f| {
            Ok(Op::Linear {
                x: f.f32s([2, 3])?,
                weight: f.weight(2, 3, 2),
                bias: None,
                y: f.rec.temp([3, 2]),
            })
        }),
        ("linear: bias is [3], expected 2 values", |f| {
            let bias = Some(f.f32s([3])?);
            Ok(Op::Linear {
                x: f.f32s([2, 3])?,
                weight: f.weight(2, 3, 2),
                bias,
                y: f.rec.temp([2, 2]),
            })
        }),
        ("engine: recording: linear: w lacks rows: 1 of 2", |f| {
            Ok(Op::Linear {
                x: f.f32s([2, 3])?,
                weight: f.weight(2, 3, 1),
                bias: None,
                y: f.rec.temp([2, 2]),
            })
        }),
        (
            "engine: tensor: 1152 bytes at 0 are not whole words of tensor 1, which has 1024 bytes",
            |f| {
                Ok(Op::Embed {
                    table: f.weight(9, 3, 9),
                    ids: f.u32s([2])?,
                    y: f.rec.temp([2, 3]),
                })
            },
        ),
        ("rms_norm: x is [2, 4], expected [T, 3]", |f| {
            Ok(Op::RmsNorm {
                x: f.f32s([2, 4])?,
                weight: f.f32s([3])?,
                eps: 0.1,
                y: f.rec.temp([2, 4]),
            })
        }),
        ("gelu: x is [2], expected 3 values", |f| {
            Ok(Op::Gelu {
                x: f.f32s([2])?,
                form: GeluForm::Erf,
                y: f.rec.temp([3]),
            })
        }),
        ("rope: x is [2, 1, 3], expected [T, H, even]", |f| {
            let (table, map, pos) = (f.f32s([4, 2, 2])?, f.u32s([1])?, f.u32s([3, 2])?);
            Ok(Op::Rope {
                x: f.f32s([2, 1, 3])?,
                table,
                map,
                pos,
                y: f.rec.temp([2, 1, 3]),
            })
        }),
        ("rope: pos is [3, 1], expected [T, 2]", |f| {
            let (table, map, pos) = (f.f32s([4, 2, 2])?, f.u32s([2])?, f.u32s([3, 1])?);
            Ok(Op::Rope {
                x: f.f32s([2, 1, 4])?,
                table,
                map,
                pos,
                y: f.rec.temp([2, 1, 4]),
            })
        }),
        ("attention: q is [2, 3, 4], expected [T, a multiple of 2, E]", |f| {
            let (k, v) = (f.f32s([5, 2, 4])?, f.f32s([5, 2, 4])?);
            Ok(Op::Attention {
                q: f.f32s([2, 3, 4])?,
                k,
                v,
                scale: 1.0,
                y: f.rec.temp([2, 3, 4]),
            })
        }),
        ("attention: q is [2, 12], expected of three extents", |f| {
            let (k, v) = (f.f32s([5, 2, 4])?, f.f32s([5, 2, 4])?);
            Ok(Op::Attention {
                q: f.f32s([2, 12])?,
                k,
                v,
                scale: 1.0,
                y: f.rec.temp([2, 12]),
            })
        }),
        (
            "cached_attention: cache.k is [2, 4, 1, 4], expected [n_blocks, 5, K, E]",
            |f| {
                let (k, v, table) = (f.f32s([2, 4, 1, 4])?, f.f32s([2, 4, 1, 4])?, f.u32s([2])?);
                let cache = KvLayer {
                    k,
                    v,
                    table,
                    block: 5,
                    dtype: DType::F32,
                };
                Ok(Op::CachedAttention {
                    q: f.f32s([2, 1, 4])?,
                    cache,
                    state: f.u32s([12])?,
                    scale: 1.0,
                    y: f.rec.temp([2, 1, 4]),
                })
            },
        ),
        ("kv_append: state is [11], expected 48 bytes", |f| {
            let (k, v, table) = (f.f32s([2, 4, 1, 4])?, f.f32s([2, 4, 1, 4])?, f.u32s([2])?);
            let cache = KvLayer {
                k,
                v,
                table,
                block: 4,
                dtype: DType::F32,
            };
            Ok(Op::KvAppend {
                k: f.f32s([2, 1, 4])?,
                v: f.f32s([2, 1, 4])?,
                cache,
                state: f.u32s([11])?,
            })
        }),
        ("overlay: y is [3, 2], expected [2, D]", |f| {
            Ok(Op::Overlay {
                x: f.f32s([3, 2])?,
                rows: f.f32s([3, 2])?,
                mask: f.u32s([2])?,
                y: f.rec.temp([3, 2]),
            })
        }),
        (
            "patchify: frames is [1, 4, 6, 3], expected [1 or 2, a multiple of 2 · patch, a multiple of 2 · patch, 3]",
            |f| {
                let frames = f.bound(DType::U8, [1, 4, 6, 3])?;
                Ok(Op::Patchify {
                    frames,
                    n_frames: 1,
                    height: 4,
                    width: 6,
                    patch: 2,
                    y: f.rec.temp([6, 24]),
                })
            },
        ),
        ("gather_mix: mix is [3, 4], expected [2, 4]", |f| {
            let (index, mix) = (f.u32s([2, 4])?, f.f32s([3, 4])?);
            Ok(Op::GatherMix {
                table: f.f32s([5, 6])?,
                index,
                mix,
                y: f.rec.temp([2, 6]),
            })
        }),
        ("engine: recording: add: temporary 0 is read first", |f| {
            let a = f.rec.temp([4]);
            Ok(Op::Add {
                a,
                b: a,
                y: f.rec.temp([4]),
            })
        }),
        ("engine: recording: add: buffer 0 is written over", |f| {
            let y = f.f32s([4])?;
            Ok(Op::Add { a: y, b: y, y })
        }),
        ("engine: recording: add: buffer 99 is not there", |f| {
            let a = f.f32s([4])?;
            Ok(Op::Add { a, b: a, y: Buffer(99) })
        }),
    ];
    let mut failures = Vec::new();
    for (expected, make) in cases {
        let mut fixture = Fixture::new()?;
        let op = make(&mut fixture)?;
        let found = fixture.refusal(op);
        if found != *expected {
            failures.push(format!("{found}, not: {expected}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    Ok(())
}

#[test]
fn prepare_accepts_rows_grouped_either_way() -> Result<()> {
    let mut f = Fixture::new()?;
    let op = Op::Linear {
        x: f.f32s([2, 1, 3])?,
        weight: f.weight(4, 3, 4),
        bias: None,
        y: f.rec.temp([2, 2, 2]),
    };
    assert_eq!(f.refusal(op), "accepted");
    Ok(())
}

#[test]
fn prepare_refuses_bad_tensors_cuts_and_second_writes() -> Result<()> {
    let mut f = Fixture::new()?;
    f.rec.bind(f.id, DType::F32, [257]);
    assert!(f.engine.prepare(f.rec).is_err(), "a tensor that is too small");

    let mut f = Fixture::new()?;
    f.engine.release(f.id);
    f.rec.bind(f.id, DType::F32, [1]);
    assert!(f.engine.prepare(f.rec).is_err(), "a tensor that is gone");

    let mut f = Fixture::new()?;
    f.rec.cuts = vec![0];
    assert!(f.engine.prepare(f.rec).is_err(), "a cut before everything");

    let mut f = Fixture::new()?;
    let (a, y) = (f.f32s([4])?, f.rec.temp([4]));
    f.rec.ops = vec![Op::Add { a, b: a, y }, Op::Add { a, b: a, y }];
    assert!(f.engine.prepare(f.rec).is_err(), "a temporary that is written twice");
    Ok(())
}
