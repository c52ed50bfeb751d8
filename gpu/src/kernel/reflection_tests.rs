//! Every kernel's Rust struct against its shader as naga reflects it: bindings by name, group, index and access, the size
//! of `Params`, and overrides.

#[path = "reflection_speech.rs"]
mod speech;

use std::collections::{BTreeMap, BTreeSet};

use naga::{AddressSpace, StorageAccess};

use super::attention::{Attention, Heads, Keys};
use super::attention_coop::AttentionCoop;
use super::attention_direct::AttentionDirect;
use super::attn_decode::AttnDecode;
use super::linear::{Linear, WeightRows};
use super::*;
use crate::recording::{GeluForm, RawDType};
use crate::tensor::DType;
use crate::weights::Format;

const FORMATS: [Format; 4] = [Format::F32, Format::F16, Format::Q8, Format::Q4];

pub(super) fn operand(id: u64) -> Operand {
    Operand {
        memory: Memory::Tensor(TensorId(id)),
        size_bytes: 64,
    }
}

pub(super) fn rows(format: Format) -> WeightRows {
    WeightRows {
        format,
        packed: operand(90),
        scales: format.has_scales().then(|| operand(91)),
        first_row: 0,
        n_rows: 4,
        k_padded: 32,
    }
}

fn linear(format: Format, k: usize) -> Linear {
    Linear {
        weight: rows(format),
        x: operand(1),
        bias: Some(operand(2)),
        addend: Some(operand(3)),
        gelu: Some(GeluForm::Erf),
        y: operand(4),
        t: 3,
        n: 4,
        k,
    }
}

fn heads(keys: Keys) -> Heads {
    Heads {
        q: operand(1),
        keys,
        y: operand(2),
        t: 3,
        s: 3,
        heads: 2,
        kv_heads: 1,
        e: 72,
        scale: 1.0,
    }
}

/// A dispatch of every variant of every kernel.
fn dispatches() -> Vec<Dispatch> {
    let mut made = Vec::new();
    let (a, b, c, d, e) = (operand(1), operand(2), operand(3), operand(4), operand(5));
    let workgroup = 64;
    let mut add = |dispatch: Result<Dispatch>| made.push(dispatch.expect("the kernel takes these operands"));
    for format in FORMATS {
        for k in [3, 8] {
            let linear = linear(format, k);
            add(Dispatch::new(&matvec::Matvec { linear, workgroup }, 0));
            for wide in [false, true] {
                add(Dispatch::new(&matmul::Matmul { linear, wide }, 0));
            }
            add(Dispatch::new(&matmul_direct::MatmulDirect { linear, workgroup }, 0));
        }
        for tile in matmul_coop::Tile::ALL {
            for half in [false, true] {
                let linear = Linear {
                    bias: None,
                    addend: None,
                    gelu: None,
                    ..linear(format, 8)
                };
                let up = half.then(|| rows(format));
                let made = matmul_coop::MatmulCoop { linear, up, half, tile };
                match format {
                    Format::F32 => assert!(made.check().is_err()),
                    _ => add(Dispatch::new(&made, 0)),
                }
            }
        }
        let weight = rows(format);
        add(Dispatch::new(
            &embed::Embed {
                weight,
                ids: a,
                y: b,
                t: 1,
                d: 4,
                fill: true,
                workgroup,
            },
            0,
        ));
        for src_dtype in [RawDType::F32, RawDType::F16, RawDType::Bf16] {
            let scales = format.has_scales().then_some(c);
            add(Dispatch::new(
                &quantize::Quantize {
                    src: a,
                    src_dtype,
                    n_rows: 1,
                    k: 4,
                    format,
                    packed: b,
                    scales,
                    workgroup,
                },
                0,
            ));
        }
    }
    let cache = |dtype| Keys::Cache {
        k: a,
        v: b,
        table: c,
        state: d,
        dtype,
        block: 16,
    };
    for keys in [Keys::Dense { k: a, v: b }, cache(DType::F32), cache(DType::F16)] {
        let heads = heads(keys);
        add(Dispatch::new(&Attention { heads }, 0));
        for e in [72, 128] {
            let heads = Heads { e, ..heads };
            for half in [false, true] {
                if !half || matches!(keys, Keys::Dense { .. }) {
                    add(Dispatch::new(&AttentionCoop { heads, half }, 0));
                }
            }
        }
        add(Dispatch::new(&AttnDecode { heads, workgroup }, 0));
        for rows in [2, 4] {
            add(Dispatch::new(&AttentionDirect { heads, rows }, 0));
        }
    }
    for dtype in [DType::F32, DType::F16] {
        add(Dispatch::new(
            &kv_append::KvAppend {
                k: a,
                v: b,
                table: c,
                state: d,
                k_cache: e,
                v_cache: operand(6),
                dtype,
                t: 1,
                row: 4,
                block: 16,
                n_table: 1,
                workgroup,
            },
            0,
        ));
    }
    add(Dispatch::new(
        &self::add::Add {
            a,
            b,
            y: c,
            n: 4,
            workgroup,
        },
        0,
    ));
    add(Dispatch::new(
        &gelu::Gelu {
            x: a,
            form: GeluForm::Tanh,
            y: b,
            n: 4,
            workgroup,
        },
        0,
    ));
    add(Dispatch::new(
        &swiglu::SwiGlu {
            gate: a,
            up: b,
            y: c,
            n: 4,
            workgroup,
        },
        0,
    ));
    add(Dispatch::new(
        &rms_norm::RmsNorm {
            x: a,
            weight: b,
            y: c,
            n_rows: 1,
            d: 4,
            eps: 1e-6,
            workgroup,
        },
        0,
    ));
    add(Dispatch::new(
        &halve::Halve {
            x: a,
            y: b,
            n: 4,
            workgroup,
        },
        0,
    ));
    for (half, bias) in [(false, None), (true, Some(c))] {
        add(Dispatch::new(
            &norm_four::NormFour {
                x: a,
                weight: b,
                bias,
                y: d,
                half,
                n_rows: 1,
                d: 4,
                eps: 1e-6,
                workgroup,
            },
            0,
        ));
    }
    add(Dispatch::new(
        &layer_norm::LayerNorm {
            x: a,
            weight: b,
            bias: c,
            y: d,
            n_rows: 1,
            d: 4,
            eps: 1e-6,
            workgroup,
        },
        0,
    ));
    let turned = |half| rope::Rope {
        x: a,
        table: b,
        map: c,
        pos: d,
        y: e,
        t: 1,
        h: 1,
        half,
        f: 2,
        workgroup,
    };
    add(Dispatch::new(&turned(2), 0));
    for from_f16 in [false, true] {
        let rope = turned(4);
        add(Dispatch::new(&rope::RopeFour { rope, from_f16 }, 0));
    }
    add(Dispatch::new(
        &overlay::Overlay {
            x: a,
            rows: b,
            mask: c,
            y: d,
            t: 1,
            d: 4,
            workgroup,
        },
        0,
    ));
    add(Dispatch::new(
        &masked_add::MaskedAdd {
            x: a,
            rows: b,
            mask: c,
            y: d,
            t: 1,
            d: 4,
            workgroup,
        },
        0,
    ));
    add(Dispatch::new(
        &take_last::TakeLast {
            x: a,
            state: b,
            y: c,
            t: 1,
            d: 4,
            workgroup,
        },
        0,
    ));
    add(Dispatch::new(
        &gather_mix::GatherMix {
            table: a,
            index: b,
            mix: c,
            y: d,
            t: 1,
            d: 4,
            workgroup,
        },
        0,
    ));
    add(Dispatch::new(
        &patchify::Patchify {
            frames: a,
            n_frames: 1,
            height: 4,
            width: 4,
            side: 2,
            y: b,
            workgroup,
        },
        0,
    ));
    add(Dispatch::new(
        &sample::Sample {
            logits: a,
            sampling: b,
            runs: operand(8),
            state: c,
            seen: d,
            ids: e,
            pos: operand(6),
            ring: operand(7),
            v: 4,
            ring_len: 1,
            n_runs: 1,
            workgroup,
        },
        0,
    ));
    speech::dispatches().into_iter().for_each(add);
    made.extend(super::reflection_decode::dispatches());
    made
}

/// (group, index) → name and access, of the storage variables.
type Storage = BTreeMap<(u32, u32), (String, Access)>;

fn reflect(module: &naga::Module) -> (Storage, Option<u32>) {
    let mut storage = Storage::new();
    let mut params_bytes = None;
    for (_, variable) in module.global_variables.iter() {
        let Some(binding) = variable.binding else {
            continue;
        };
        let place = (binding.group, binding.binding);
        match variable.space {
            AddressSpace::Uniform => {
                assert_eq!(place, (0, 0), "Params is the first binding");
                params_bytes = Some(module.types[variable.ty].inner.size(module.to_ctx()));
            }
            AddressSpace::Storage { access } => {
                let access = match access.contains(StorageAccess::STORE) {
                    true => Access::ReadWrite,
                    false => Access::Read,
                };
                storage.insert(place, (variable.name.clone().unwrap_or_default(), access));
            }
            _ => {}
        }
    }
    (storage, params_bytes)
}

#[test]
fn shaders_and_structs_agree() {
    let mut faults = Vec::new();
    let mut walked = BTreeSet::new();
    for dispatch in dispatches() {
        walked.insert((dispatch.kernel, dispatch.parts.clone()));
        let variant = source(dispatch.kernel, &dispatch.parts).expect("Dispatch::new found it");
        let text = preamble::preamble(variant.needs, preamble::Compiler::Naga) + variant.source;
        let module = naga::front::wgsl::parse_str(&text).expect("build.rs validated it");
        let (expected, params_bytes) = reflect(&module);
        let found: Storage = dispatch
            .bindings
            .iter()
            .map(|binding| ((binding.group, binding.index), (binding.name.to_owned(), binding.access)))
            .collect();
        let name = format!("{} {:?}", dispatch.kernel, dispatch.parts);
        if found != expected || found.len() != dispatch.bindings.len() {
            faults.push(format!("{name}: binds {found:?}, the shader has {expected:?}"));
        }
        if params_bytes != Some(dispatch.params.len() as u32) {
            faults.push(format!(
                "{name}: Params has {} bytes, the shader's {params_bytes:?}",
                dispatch.params.len()
            ));
        }
        let overrides: BTreeSet<&str> = module
            .overrides
            .iter()
            .filter_map(|(_, value)| value.name.as_deref())
            .collect();
        faults.extend(
            dispatch
                .overrides
                .iter()
                .filter(|(given, _)| !overrides.contains(given))
                .map(|(given, _)| format!("{name}: the shader has no override {given}")),
        );
    }
    let all = SOURCES
        .iter()
        .flat_map(|kernel| kernel.variants.iter().map(|variant| (kernel.name, variant.parts.to_vec())));
    faults.extend(
        all.filter(|variant| !walked.contains(variant))
            .map(|variant| format!("{variant:?} is not walked")),
    );
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn grids_fold_above_the_limit_and_cover_everything() {
    assert_eq!(folded(1), [1, 1, 1]);
    assert_eq!(folded(65_535), [65_535, 1, 1]);
    assert_eq!(folded(65_536), [65_535, 2, 1]);
    let [x, y, _] = folded(151_936);
    assert!(u64::from(x) * u64::from(y) >= 151_936 && x <= FOLD);
    assert_eq!(lanes(65, 64), [2, 1, 1]);
}
