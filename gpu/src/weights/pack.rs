//! Packs a checkpoint into one smaller file: a mix of 8- and 4-bit matrices by a plan, for models that travel with the
//! program. The result opens as any checkpoint does; [`super::checkpoint`] says how packed matrices are stored.

use std::collections::BTreeMap;
use std::str::FromStr;

use ::safetensors::Dtype;
use half::f16;
use serde_json::json;

use super::Format;
use super::checkpoint::{Checkpoint, StoredMatrix, metadata_key, packed_name, scale_name};
use super::quant::{self, PackedRows};
use super::source::file_error;
use crate::error::{Error, Result};

/// Which tensors are packed, and how: a line a rule, `FORMAT PATTERN`, the first that matches a name counts.
///
/// FORMAT is `q4`, `q8` or `keep`; `*` in PATTERN stands for any characters; `#` begins a comment. A tensor that no rule
/// names is kept as it is, and so is what has less than two extents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    rules: Vec<(Option<Format>, String)>,
}

impl FromStr for Plan {
    type Err = Error;

    /// Errors: `File` naming the line.
    fn from_str(text: &str) -> Result<Self> {
        let mut rules = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let fail = || {
                let message = format!(
                    "line {}: {line:?} is not `q4 PATTERN`, `q8 PATTERN` or `keep PATTERN`",
                    number + 1
                );
                file_error("the packing plan", message)
            };
            let (format, pattern) = line.split_once(char::is_whitespace).ok_or_else(fail)?;
            let format = match format {
                "q4" => Some(Format::Q4),
                "q8" => Some(Format::Q8),
                "keep" => None,
                _ => return Err(fail()),
            };
            rules.push((format, pattern.trim().to_owned()));
        }
        Ok(Self { rules })
    }
}

impl Plan {
    /// The format for a tensor, `None` to keep it as it is.
    pub fn format_of(&self, name: &str) -> Option<Format> {
        let rule = self.rules.iter().find(|(_, pattern)| matches(pattern, name));
        rule.and_then(|(format, _)| *format)
    }
}

/// Whether `name` is `pattern` with something for each `*`.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, rest)) => name.strip_prefix(start).is_some_and(|tail| {
            let ends = tail.char_indices().map(|(at, _)| at).chain([tail.len()]);
            ends.into_iter().any(|at| matches(rest, &tail[at..]))
        }),
    }
}

/// A tensor of the new file.
struct Entry {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

/// Packs a checkpoint by a plan and returns the safetensors file. The file is in memory, and one matrix as f32.
///
/// Errors: those of reading; `Tensor` for NaN, infinity, and a matrix that is packed already but not kept.
pub async fn pack(checkpoint: &Checkpoint, plan: &Plan) -> Result<Vec<u8>> {
    let mut entries = BTreeMap::new();
    let mut metadata = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
    for (name, info) in checkpoint.tensors() {
        let format = plan.format_of(name).filter(|_| info.shape.len() > 1);
        let Some(format) = format else {
            let bytes = checkpoint.read(info, 0, info.size as usize).await?;
            let entry = Entry {
                dtype: info.dtype,
                shape: info.shape.clone(),
                bytes,
            };
            entries.insert(name.clone(), entry);
            continue;
        };
        let StoredMatrix::Raw { n, k, .. } = checkpoint.matrix(name)? else {
            return Err(file_error(&info.file, format!("{name} is packed already")));
        };
        let values = checkpoint.read_f32(name).await?;
        let PackedRows { packed, scales } = quant::pack_with(format, &values, n, k, &fitted_scale);
        let words_a_row = packed.len() / n.max(1);
        let mut scale_bytes: Vec<u8> = bytemuck::cast_slice(&scales).to_vec();
        // Scales fill whole words on an engine; a file holds as many as there are.
        let groups_a_row = super::k_padded(k) / super::GROUP;
        scale_bytes.truncate(n * groups_a_row * 2);
        let bytes = bytemuck::cast_slice(&packed).to_vec();
        entries.insert(
            packed_name(name),
            Entry {
                dtype: Dtype::U32,
                shape: vec![n, words_a_row],
                bytes,
            },
        );
        let entry = Entry {
            dtype: Dtype::F16,
            shape: vec![n, groups_a_row],
            bytes: scale_bytes,
        };
        entries.insert(scale_name(name), entry);
        metadata.insert(metadata_key(name), format!("{} {k}", format.name()));
    }
    Ok(file_of(entries, metadata))
}

/// Writes a safetensors file: the widest types first, so that all are aligned; the same input gives the same bytes.
fn file_of(entries: BTreeMap<String, Entry>, metadata: BTreeMap<String, String>) -> Vec<u8> {
    let mut order: Vec<(&String, &Entry)> = entries.iter().collect();
    order.sort_by_key(|(_, entry)| std::cmp::Reverse(entry.dtype.bitsize()));
    let mut header = serde_json::Map::new();
    header.insert("__metadata__".to_owned(), json!(metadata));
    let mut at = 0;
    for (name, entry) in &order {
        let end = at + entry.bytes.len();
        let value = json!({ "dtype": entry.dtype, "shape": entry.shape, "data_offsets": [at, end] });
        header.insert((*name).clone(), value);
        at = end;
    }
    let mut json = serde_json::Value::Object(header).to_string().into_bytes();
    json.resize(json.len().next_multiple_of(8), b' ');
    let mut file = (json.len() as u64).to_le_bytes().to_vec();
    file.extend_from_slice(&json);
    for (_, entry) in order {
        file.extend_from_slice(&entry.bytes);
    }
    file
}

/// The scale with the least squared error of several candidates, for q4; the plain one for q8, which has error to spare.
///
/// Candidates put the largest magnitude at 1 to 5 or 5.5 to 9.5 steps on either side (beyond 8 it is clipped), then twice
/// the best scale for the codes that the best so far gives: Σ q·v / Σ q². Whole numbers of steps are among them, so values
/// that lie on a grid already (trained for it) keep it.
fn fitted_scale(format: Format, group: &[f32]) -> f16 {
    let plain = quant::scale_of(format, group);
    if format != Format::Q4 || plain == f16::ZERO {
        return plain;
    }
    let top = group
        .iter()
        .copied()
        .fold(0.0f32, |top, v| if v.abs() > top.abs() { v } else { top });
    let mut best = (squared_error(group, plain), plain);
    let mut offer = |scale: f16| {
        if scale != f16::ZERO && scale.is_finite() {
            let error = squared_error(group, scale);
            if error < best.0 {
                best = (error, scale);
            }
        }
        best.1
    };
    let mut scale = plain;
    let whole = (1..=5).map(|steps| steps as f32);
    for steps in whole.chain((0..=16).map(|i| 5.5 + 0.25 * i as f32)) {
        offer(f16::from_f32(top / steps));
        scale = offer(f16::from_f32(-top / steps));
    }
    for _ in 0..2 {
        let codes = group.iter().map(|&v| f64::from(quant::code_of(format, v, scale)) - 8.0);
        let (dot, norm) = group
            .iter()
            .zip(codes)
            .fold((0.0, 0.0), |(d, n), (&v, q)| (d + q * f64::from(v), n + q * q));
        if norm > 0.0 {
            scale = offer(f16::from_f64(dot / norm));
        }
    }
    scale
}

fn squared_error(group: &[f32], scale: f16) -> f64 {
    let error = |v: f32| f64::from(quant::value_of(Format::Q4, quant::code_of(Format::Q4, v, scale), scale) - v);
    group.iter().map(|&v| error(v) * error(v)).sum()
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;

    use super::super::checkpoint::SINGLE_FILE;
    use super::super::fixture::{Tensor, memory, safetensors_file, values};
    use super::*;

    fn open(file: Vec<u8>) -> Checkpoint {
        block_on(Checkpoint::open(memory(&[(SINGLE_FILE, file)]))).expect("opens")
    }

    #[test]
    fn a_packed_file_opens_with_the_formats_of_the_plan() {
        let tensors = [
            Tensor::bf16("a.mlp.weight", &[3, 40], &values(120)),
            Tensor::bf16("a.attn.weight", &[3, 40], &values(120)),
            Tensor::bf16("conv.weight", &[2, 3, 4, 5], &values(120)),
            Tensor::bf16("a.norm.weight", &[40], &values(40)),
            Tensor::f32("rest", &[2, 2], &values(4)),
        ];
        let source = open(safetensors_file(&tensors, &[]));
        let plan: Plan = "# a comment\nq8 *.attn.* # and another\nq4 a.*\n\nq4 conv.weight\nkeep *"
            .parse()
            .expect("parses");
        let file = block_on(pack(&source, &plan)).expect("packs");
        assert_eq!(
            file,
            block_on(pack(&source, &plan)).expect("packs"),
            "the same bytes each time"
        );
        ::safetensors::SafeTensors::deserialize(&file).expect("the reference crate reads it");
        let packed = open(file);
        for (name, format, bound) in [
            ("a.mlp.weight", Format::Q4, 0.13),
            ("a.attn.weight", Format::Q8, 0.005),
            ("conv.weight", Format::Q4, 0.13),
        ] {
            let stored = packed.matrix(name).expect("is there");
            assert!(
                matches!(stored, StoredMatrix::Packed { format: found, .. } if found == format),
                "{name}: {stored:?}"
            );
            assert_eq!(stored.extents(), source.matrix(name).expect("is there").extents());
            let (before, after) = (block_on(source.read_f32(name)), block_on(packed.read_f32(name)));
            for (a, b) in before.expect("values").iter().zip(after.expect("values")) {
                assert!((a - b).abs() <= bound, "{name}: {a} came back as {b}");
            }
        }
        assert_eq!(packed.info("rest").expect("kept").dtype, Dtype::F32);
        assert_eq!(
            block_on(packed.read_f32("a.norm.weight")).ok(),
            block_on(source.read_f32("a.norm.weight")).ok()
        );
    }

    #[test]
    fn bad_plans_and_weights_are_named() {
        let error = "q4 *\nq5 x".parse::<Plan>().expect_err("bad");
        assert!(error.to_string().contains("line 2"), "{error}");
        assert!("q4".parse::<Plan>().is_err());
        let source = open(safetensors_file(&[Tensor::f32("m", &[1, 2], &[0.0, f32::NAN])], &[]));
        let error = block_on(pack(&source, &"q8 *".parse().expect("parses"))).expect_err("NaN");
        assert!(error.to_string().contains("value [0, 1] is NaN"), "{error}");
    }

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, name, expected) in [
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "abcd", false),
            ("*.b.*", "a.b.c", true),
            ("*b*b", "abcb", true),
            ("a", "ab", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    proptest::proptest! {
        #[test]
        fn values_on_a_grid_keep_it(codes in proptest::collection::vec(0u32..16, 32), bits in 0x0400u16..0x6000, negative: bool) {
            let scale = f16::from_bits(bits | u16::from(negative) << 15);
            let group: Vec<f32> = codes.iter().map(|&code| quant::value_of(Format::Q4, code, scale)).collect();
            proptest::prop_assert_eq!(squared_error(&group, fitted_scale(Format::Q4, &group)), 0.0);
        }

        #[test]
        fn a_fitted_scale_is_never_worse(group in proptest::collection::vec(-1.0f32..1.0, 32), exponent in -20i32..4) {
            let group: Vec<f32> = group.into_iter().map(|v| v * 2f32.powi(exponent)).collect();
            let plain = squared_error(&group, quant::scale_of(Format::Q4, &group));
            proptest::prop_assert!(squared_error(&group, fitted_scale(Format::Q4, &group)) <= plain);
        }
    }
}
