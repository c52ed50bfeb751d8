//! The kernels of speech against their twins, over odd shapes and lengths.

use bytemuck::bytes_of;
use gpu::recording::speech::{Activation, Length, RING_WORDS, SpeechOp, TdtState, TdtStep};
use gpu::recording::{Buffer, Op};
use gpu::tensor::{DType, Shape};
use tests::close;
use tests::twin::{Build, Numbers};

use super::hold;

fn push(b: &mut Build<'_>, op: SpeechOp) {
    b.rec.ops.push(Op::Speech(op));
}

fn input(b: &mut Build<'_>, numbers: &mut Numbers, shape: impl Into<Shape>) -> Buffer {
    let shape = shape.into();
    b.floats(&numbers.values(shape.n()), shape)
}

fn length(b: &mut Build<'_>, n: usize, level: usize) -> Length {
    let mut lengths = [u32::MAX; 4];
    lengths[level] = n as u32;
    Length {
        lengths: b.words(&lengths, [4]),
        level,
    }
}

#[test]
fn activations_and_glu_match_their_twins() {
    hold(close::POINTWISE, [(1, 1), (3, 5), (7, 64), (65, 33), (0, 4)], |&(t, d), b| {
        let mut numbers = Numbers::new((t * 100 + d) as u64);
        let wide: Vec<f32> = numbers.values(2 * t * d).iter().map(|x| 30.0 * x).collect();
        let x = b.floats(&wide, [t, 2 * d]);
        for (name, form) in [("relu", Activation::Relu), ("silu", Activation::Silu)] {
            let y = b.rec.temp([t, 2 * d]);
            push(b, SpeechOp::Activate { x, form, y });
            b.out(name, y);
        }
        let y = b.rec.temp([t, d]);
        push(b, SpeechOp::Glu { x, y });
        b.out("glu", y);
        let (a, scale) = (input(b, &mut numbers, [t, d]), 0.5);
        let sum = b.rec.temp([t, d]);
        push(b, SpeechOp::AddScaled { a, b: y, scale, y: sum });
        b.out("sum", sum);
    });
}

#[test]
fn convolutions_match_their_twins_and_stop_at_the_length() {
    // t, f, channels of x, channels, rows that count
    let cases = [
        (1, 1, 1, 1, 1),
        (5, 7, 1, 3, 5),
        (64, 128, 1, 8, 63),
        (9, 6, 5, 5, 4),
        (16, 64, 33, 33, 0),
        (3, 2, 256, 256, 9),
    ];
    hold(close::LINEAR, cases, |&(t, f, m, c, n), b| {
        let mut numbers = Numbers::new((t * 31 + f * 7 + c) as u64);
        let x = input(b, &mut numbers, [t, f, m]);
        let (weight, bias) = (input(b, &mut numbers, [9, c]), input(b, &mut numbers, [c]));
        let length = length(b, n, t % 4);
        for relu in [false, true] {
            let y = b.rec.temp([t.div_ceil(2), f.div_ceil(2), c]);
            push(
                b,
                SpeechOp::ConvDown {
                    x,
                    relu,
                    length,
                    weight,
                    bias,
                    y,
                },
            );
            b.out(&format!("down {relu}"), y);
        }
        let y = b.rec.temp([t, m, f]);
        push(b, SpeechOp::SwapRelu { x, length, y });
        b.out("swapped", y);
        let x = b.rec.view(x, [t, f * m]).expect("the same memory");
        for k in [1, 9] {
            let (weight, bias) = (input(b, &mut numbers, [k, f * m]), input(b, &mut numbers, [f * m]));
            let y = b.rec.temp([t, f * m]);
            push(
                b,
                SpeechOp::DepthwiseConv {
                    x,
                    length,
                    weight,
                    bias,
                    y,
                },
            );
            b.out(&format!("along {k}"), y);
        }
    });
}

#[test]
fn relative_attention_matches_its_twin() {
    // rows, heads, head size, keys that count
    let cases = [
        (1, 1, 4, 1),
        (7, 4, 8, 7),
        (16, 2, 128, 16),
        (17, 1, 72, 3),
        (50, 4, 8, 48),
        (113, 3, 64, 97),
        (130, 8, 128, 130),
        (20, 2, 16, 0),
    ];
    hold(close::ATTENTION, cases, |&(t, h, e, n), b| {
        let mut numbers = Numbers::new((t * 31 + h * 7 + e) as u64);
        let [q, k, values] = [0; 3].map(|_| input(b, &mut numbers, [t, h, e]));
        let r = input(b, &mut numbers, [2 * t - 1, h, e]);
        let [u, v] = [0; 2].map(|_| input(b, &mut numbers, [h, e]));
        let length = length(b, n, 3);
        let y = b.rec.temp([t, h, e]);
        push(
            b,
            SpeechOp::RelAttention {
                q,
                k,
                values,
                r,
                u,
                v,
                length,
                scale: 2.0 / (e as f32).sqrt(),
                y,
            },
        );
        b.out("y", y);
    });
}

#[test]
fn a_transducers_steps_match_their_twins() {
    // tokens with blank, width, token that wins or none, duration that wins, frame, end, run, done
    let cases = [
        (1, 1, None, 0, 0, 1, 0, 0),
        (129, 32, Some(128), 0, 3, 5, 0, 0),
        (129, 32, Some(7), 0, 3, 5, 2, 0),
        (1025, 640, Some(1000), 4, 3, 5, 0, 0),
        (300, 20, None, 2, 9, 8, 0, 0),
        (300, 20, None, 2, 2, 8, 0, 1),
    ];
    hold(
        close::LOG_PROBABILITY,
        cases,
        |&(n, d, token, duration, frame, end, run, done), b| {
            let mut numbers = Numbers::new((n * 31 + d) as u64);
            let state = TdtState {
                frame,
                end,
                fed: 1,
                step: 6,
                run,
                run_frame: 3,
                done,
                last_id: 5,
            };
            let state = b.changed("state", bytes_of(&state), DType::U32, [8]);
            let (enc, g) = (input(b, &mut numbers, [4, d]), input(b, &mut numbers, [1, d]));
            let y = b.rec.temp([1, d]);
            push(b, SpeechOp::TdtHidden { enc, g, state, y });
            b.out("hidden", y);
            let mut values = numbers.values(n + 5);
            values[n + duration] = 3.0;
            if let Some(token) = token {
                values[token] = 3.0;
            }
            let logits = b.floats(&values, [1, n + 5]);
            let durations = b.words(&[0, 1, 2, 3, 7], [5]);
            let ids = b.changed("ids", &[9, 0, 0, 0], DType::U32, [1]);
            let ring = b.raw(&[0; 4 * 4 * RING_WORDS], DType::U32, [4, RING_WORDS]);
            let step = TdtStep {
                logits,
                durations,
                max_symbols: 3,
                state,
                ids,
                ring,
            };
            push(b, SpeechOp::TdtStep(step));
            let gates: Vec<f32> = numbers.values(4 * d).iter().map(|x| 8.0 * x).collect();
            let gates = b.floats(&gates, [1, 4 * d]);
            let [h, c] = [0; 2].map(|_| input(b, &mut numbers, [1, d]));
            push(b, SpeechOp::LstmCell { gates, state, h, c });
            b.out("h", h);
            b.out("c", c);
            // As floats its integers are next to nothing beside the log-probability; `state` has them.
            b.out("ring", ring);
        },
    );
}
