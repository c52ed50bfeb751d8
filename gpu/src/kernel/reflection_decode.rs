//! Dispatches of the kernels of decoding, for `reflection_tests`.

use super::reflection_tests::{operand, rows};
use super::{
    Dispatch, attn_combine, attn_split, attn_step, dot, dot_matvec, dot_qkv, dot_quantize, dot_swiglu, gate, sample_scan,
};
use crate::error::Result;
use crate::tensor::DType;
use crate::weights::Format;

/// A dispatch of every variant of each.
pub fn dispatches() -> Vec<Dispatch> {
    let mut made = Vec::new();
    let mut add = |dispatch: Result<Dispatch>| made.push(dispatch.expect("the kernel takes these operands"));
    let (a, b, c, d, e) = (operand(1), operand(2), operand(3), operand(4), operand(5));
    let packs = 2;
    add(Dispatch::new(
        &dot_quantize::DotQuantize {
            x: a,
            weight: Some(b),
            acts: c,
            k: 40,
            order: 1,
            packs,
        },
        0,
    ));
    for out in [attn_combine::Out::F32(c), attn_combine::Out::Acts { acts: c, order: 0 }] {
        add(Dispatch::new(
            &attn_combine::AttnCombine {
                partial: a,
                state: b,
                out,
                heads: 2,
                e: 72,
                n_splits: 3,
                s: 64,
            },
            0,
        ));
    }
    add(Dispatch::new(
        &attn_step::AttnStep {
            turns: a,
            map: b,
            pos: c,
            state: d,
            step: e,
            e: 64,
            f: 32,
            s: 64,
            workgroup: 64,
        },
        0,
    ));
    add(Dispatch::new(
        &sample_scan::SampleScan {
            logits: a,
            sampling: b,
            state: c,
            seen: d,
            runs: e,
            v: 4,
            n_runs: 1,
            workgroup: 64,
        },
        0,
    ));
    add(Dispatch::new(
        &gate::Gate {
            planned: a,
            state: b,
            grids: c,
            n_dispatches: 2,
            workgroup: 64,
        },
        0,
    ));
    for subgroup in [false, true] {
        let team = dot::Team { lanes: 32, subgroup };
        let sharing = |share, turns| dot::Sharing {
            team,
            teams: 8,
            share,
            turns,
        };
        for format in [Format::Q8, Format::Q4] {
            let norm = dot_matvec::Then::Norm {
                weight: d,
                acts: e,
                order: 1,
            };
            for then in [dot_matvec::Then::Store, norm] {
                add(Dispatch::new(
                    &dot_matvec::DotMatvec {
                        weight: rows(format),
                        acts: a,
                        eps: Some(1e-6),
                        bias: Some(b),
                        addend: None,
                        gelu: None,
                        y: c,
                        then,
                        n: 4,
                        k: 32,
                        sharing: sharing(2, 4),
                    },
                    0,
                ));
            }
            add(Dispatch::new(
                &dot_swiglu::DotSwiGlu {
                    gate: rows(format),
                    up: rows(format),
                    acts: a,
                    eps: None,
                    h: b,
                    order: 0,
                    n: 4,
                    k: 32,
                    sharing: sharing(1, 4),
                },
                0,
            ));
        }
        for format in [Format::Q8, Format::Q4] {
            add(Dispatch::new(
                &dot_qkv::DotQkv {
                    q: rows(format),
                    k: rows(format),
                    v: rows(format),
                    acts: a,
                    eps: Some(1e-6),
                    y: b,
                    columns: 32,
                    sharing: sharing(2, 1),
                },
                0,
            ));
        }
        let raw = attn_split::Raw {
            q_norm: d,
            k_norm: e,
            step: operand(6),
            eps_q: 1e-6,
            eps_k: 1e-6,
        };
        for raw in [None, Some(raw)] {
            for dtype in [DType::F32, DType::F16] {
                let cache = attn_split::Cache {
                    k: operand(10),
                    v: operand(11),
                    table: operand(12),
                    state: operand(13),
                    dtype,
                    block: 16,
                    s: 64,
                };
                add(Dispatch::new(
                    &attn_split::AttnSplit {
                        q: a,
                        raw,
                        cache,
                        partial: operand(9),
                        heads: 2,
                        kv_heads: 1,
                        e: 72,
                        scale: 1.0,
                        n_splits: 3,
                        team,
                        teams: 4,
                    },
                    0,
                ));
            }
        }
    }
    made
}
