//! A dispatch of every kernel of speech, for the test that holds structs to shaders.

use super::super::*;
use super::operand;
use crate::recording::speech::Activation;

pub fn dispatches() -> Vec<Result<Dispatch>> {
    let (a, b, c, d, e) = (operand(1), operand(2), operand(3), operand(4), operand(5));
    let workgroup = 64;
    vec![
        Dispatch::new(
            &activate::Activate {
                x: a,
                form: Activation::Relu,
                y: b,
                n: 4,
                workgroup,
            },
            0,
        ),
        Dispatch::new(
            &add_scaled::AddScaled {
                a,
                b,
                y: c,
                scale: 0.5,
                n: 4,
                workgroup,
            },
            0,
        ),
        Dispatch::new(
            &glu::Glu {
                x: a,
                y: b,
                t: 1,
                d: 4,
                workgroup,
            },
            0,
        ),
        Dispatch::new(
            &conv_down::ConvDown {
                x: a,
                lengths: b,
                weight: c,
                bias: d,
                y: e,
                extents: [2, 2, 4],
                shared: true,
                level: 0,
                relu: true,
                workgroup,
            },
            0,
        ),
        Dispatch::new(
            &swap_relu::SwapRelu {
                x: a,
                lengths: b,
                y: c,
                extents: [1, 2, 2],
                level: 3,
                workgroup,
            },
            0,
        ),
        Dispatch::new(
            &depthwise_conv::DepthwiseConv {
                x: a,
                lengths: b,
                weight: c,
                bias: d,
                y: e,
                t: 1,
                d: 4,
                k: 3,
                level: 3,
                workgroup,
            },
            0,
        ),
        Dispatch::new(
            &rel_attention::RelAttention {
                q: a,
                k: b,
                values: c,
                r: d,
                u: e,
                v: operand(6),
                lengths: operand(7),
                y: operand(8),
                t: 1,
                heads: 1,
                e: 4,
                level: 3,
                scale: 1.0,
            },
            0,
        ),
        Dispatch::new(
            &tdt_hidden::TdtHidden {
                enc: a,
                g: b,
                state: c,
                y: d,
                t: 1,
                d: 4,
                workgroup,
            },
            0,
        ),
        Dispatch::new(
            &tdt_step::TdtStep {
                logits: a,
                durations: b,
                state: c,
                ids: d,
                ring: e,
                n_tokens: 3,
                n_durations: 1,
                max_symbols: 10,
                ring_len: 1,
                workgroup,
            },
            0,
        ),
        Dispatch::new(
            &lstm_cell::LstmCell {
                gates: a,
                state: b,
                h: c,
                c: d,
                d: 1,
                workgroup,
            },
            0,
        ),
    ]
}
