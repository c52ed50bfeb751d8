//! A voice's ONNX file as far as it has to be understood before it runs: what it takes and gives, how long its tables are,
//! where its noise comes from. `rewritten` makes of it the graph that runs.
//!
//! In the graph that runs the two draws of noise are inputs (so that a seed decides them on every machine), durations and
//! their logarithms are outputs too, and weights that are stored in fewer bits (`dense`) are f32 again.

use std::borrow::Cow;

use super::dense::{SCALE_SUFFIX, dense};
use super::wire::{self, Value, Writer, all_fields};

/// Inputs that `rewritten` adds.
pub const NOISE_DURATION: &str = "qwglm.noise_dp";
pub const NOISE_LATENT: &str = "qwglm.noise_z";

pub const FLOAT: u64 = 1;
pub const INT8: u64 = 3;
pub const INT16: u64 = 5;
pub const FLOAT16: u64 = 10;

const GRAPH: u64 = 7;
mod field {
    pub const NODE: u64 = 1;
    pub const INITIALIZER: u64 = 5;
    pub const INPUT: u64 = 11;
    pub const OUTPUT: u64 = 12;
    pub const VALUE_INFO: u64 = 13;
}

/// What is known of a file.
pub struct Graph<'a> {
    model: &'a [u8],
    graph: &'a [u8],
    nodes: Vec<Node<'a>>,
    tensors: Vec<Tensor<'a>>,
    pub inputs: Vec<&'a str>,
    pub outputs: Vec<&'a str>,
}

struct Node<'a> {
    kind: &'a str,
    inputs: Vec<&'a str>,
    outputs: Vec<&'a str>,
    attributes: Vec<&'a [u8]>,
}

/// A constant.
pub struct Tensor<'a> {
    pub name: Cow<'a, str>,
    pub dims: Vec<u64>,
    pub kind: u64,
    /// Its numbers, little-endian.
    pub data: Cow<'a, [u8]>,
}

/// Names of values inside the graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taps {
    noises: [String; 2],
    /// `[1, 1, ids]`: the logarithm of each id's frames, before the length scale.
    pub log_durations: String,
    /// `[1, 1, ids]`: each id's frames, whole numbers.
    pub durations: String,
}

impl<'a> Graph<'a> {
    /// Reads a file. `Err` says what is wrong with it.
    pub fn read(model: &'a [u8]) -> Result<Self, &'static str> {
        let broken = "is no ONNX file, or a truncated one";
        let fields = all_fields(model).ok_or(broken)?;
        let graph = fields
            .iter()
            .find(|(number, _)| *number == GRAPH)
            .and_then(|(_, value)| value.bytes());
        let graph = graph.ok_or("is no ONNX file: it has no graph")?;
        let mut found = Self {
            model,
            graph,
            nodes: Vec::new(),
            tensors: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
        };
        for (number, value) in all_fields(graph).ok_or(broken)? {
            match number {
                field::NODE => found.nodes.push(node(value).ok_or(broken)?),
                field::INITIALIZER => found
                    .tensors
                    .push(tensor(value).ok_or("keeps weights in a way that is not read")?),
                field::INPUT => found.inputs.push(name(value).ok_or(broken)?),
                field::OUTPUT => found.outputs.push(name(value).ok_or(broken)?),
                _ => {}
            }
        }
        let is_constant = |name: &&str| found.tensors.iter().any(|tensor| tensor.name == *name);
        found.inputs.retain(|name| !is_constant(name));
        Ok(found)
    }

    fn tensor(&self, name: &str) -> Option<&Tensor<'a>> {
        self.tensors.iter().find(|tensor| tensor.name == name)
    }

    /// Rows of the table that input `input` looks up.
    pub fn n_rows(&self, input: &str) -> Option<u64> {
        let looks_up = |node: &&Node<'_>| node.kind == "Gather" && node.inputs.get(1) == Some(&input);
        let table = self.nodes.iter().find(looks_up)?.inputs.first()?;
        self.tensor(table)?.dims.first().copied()
    }

    /// Channels of the latent frames: half of what the text encoder's last projection gives (means and deviations).
    pub fn n_channels(&self) -> Option<usize> {
        let rows = *self.tensor("enc_p.proj.weight")?.dims.first()?;
        usize::try_from(rows / 2).ok().filter(|rows| *rows > 0)
    }

    /// Samples a frame becomes: the strides of all transposed convolutions multiplied.
    pub fn hop(&self) -> u64 {
        let convolutions = self.nodes.iter().filter(|node| node.kind == "ConvTranspose");
        convolutions
            .map(|node| {
                ints(node, "strides")
                    .and_then(|strides| strides.first().copied())
                    .unwrap_or(1)
            })
            .product()
    }

    /// Where the noise comes in and the durations come out.
    pub fn taps(&self) -> Result<Taps, &'static str> {
        let is_noise = |node: &Node<'_>| node.kind == "RandomNormalLike";
        let noises: Vec<(usize, &Node<'_>)> = self.nodes.iter().enumerate().filter(|(_, node)| is_noise(node)).collect();
        let ceils: Vec<(usize, &Node<'_>)> = self
            .nodes
            .iter()
            .enumerate()
            .filter(|(_, node)| node.kind == "Ceil")
            .collect();
        let ([(first, a), (second, b)], [(ceil, durations)]) = (&noises[..], &ceils[..]) else {
            return Err("is no voice of Piper's: it should draw noise twice and round up once");
        };
        if !(first < ceil && ceil < second) {
            return Err("is no voice of Piper's: durations should stand between the two draws of noise");
        }
        let producer = |value: &str| self.nodes.iter().find(|node| node.outputs.contains(&value));
        // ceil(exp(logw) * mask * length_scale)
        let mut value = *durations.inputs.first().ok_or("has a node without input")?;
        for _ in 0..4 {
            let Some(node) = producer(value) else { break };
            match (node.kind, node.inputs.first()) {
                ("Exp", Some(log)) => {
                    return Ok(Taps {
                        noises: [a, b].map(|node| node.outputs.first().copied().unwrap_or_default().to_owned()),
                        log_durations: (*log).to_owned(),
                        durations: durations.outputs.first().copied().unwrap_or_default().to_owned(),
                    });
                }
                (_, Some(input)) => value = input,
                _ => break,
            }
        }
        Err("is no voice of Piper's: its durations are not exponentials")
    }

    /// The file that runs.
    pub fn rewritten(&self, taps: &Taps) -> Option<Vec<u8>> {
        let mut model = Writer(Vec::with_capacity(self.model.len()));
        for field in wire::fields(self.model) {
            let (number, _, raw) = field?;
            match number {
                GRAPH => {
                    let graph = self.graph_rewritten(taps)?;
                    model.bytes(GRAPH, &graph);
                }
                _ => model.0.extend_from_slice(raw),
            }
        }
        Some(model.0)
    }

    fn graph_rewritten(&self, taps: &Taps) -> Option<Vec<u8>> {
        let mut out = Writer(Vec::with_capacity(self.graph.len()));
        let noise_names = [NOISE_DURATION, NOISE_LATENT];
        let mut nodes = self.nodes.iter();
        for field in wire::fields(self.graph) {
            let (number, _, raw) = field?;
            match number {
                field::NODE => {
                    let node = nodes.next()?;
                    let noise = taps
                        .noises
                        .iter()
                        .position(|noise| node.outputs.first() == Some(&noise.as_str()));
                    match noise {
                        // Where a value was drawn, the input is passed on.
                        Some(index) => out.message(field::NODE, |inner| {
                            inner.bytes(1, noise_names[index].as_bytes());
                            inner.bytes(2, taps.noises[index].as_bytes());
                            inner.bytes(3, noise_names[index].as_bytes());
                            inner.bytes(4, b"Identity");
                        }),
                        None => out.0.extend_from_slice(raw),
                    }
                }
                field::INITIALIZER | field::VALUE_INFO => {}
                _ => out.0.extend_from_slice(raw),
            }
        }
        for tensor in self.tensors.iter().filter(|tensor| !tensor.name.ends_with(SCALE_SUFFIX)) {
            let scales = self.tensor(&format!("{}{SCALE_SUFFIX}", tensor.name));
            let dense = dense(tensor, scales)?;
            out.message(field::INITIALIZER, |inner| write_tensor(inner, &dense));
        }
        for name in noise_names {
            out.message(field::INPUT, |inner| declare(inner, name));
        }
        for name in [&taps.log_durations, &taps.durations] {
            out.message(field::OUTPUT, |inner| declare(inner, name));
        }
        Some(out.0)
    }
}

fn node(value: Value<'_>) -> Option<Node<'_>> {
    let mut node = Node {
        kind: "",
        inputs: Vec::new(),
        outputs: Vec::new(),
        attributes: Vec::new(),
    };
    for (number, value) in all_fields(value.bytes()?)? {
        match number {
            1 => node.inputs.push(value.text()?),
            2 => node.outputs.push(value.text()?),
            4 => node.kind = value.text()?,
            5 => node.attributes.push(value.bytes()?),
            _ => {}
        }
    }
    Some(node)
}

/// An attribute that is a list of whole numbers.
fn ints(node: &Node<'_>, name: &str) -> Option<Vec<u64>> {
    node.attributes.iter().find_map(|attribute| {
        let fields = all_fields(attribute)?;
        let is_it = fields
            .iter()
            .any(|(number, value)| *number == 1 && value.text() == Some(name));
        let values = fields
            .iter()
            .filter(|(number, _)| *number == 8)
            .map(|(_, value)| wire::numbers(*value));
        is_it
            .then(|| values.collect::<Option<Vec<_>>>())
            .flatten()
            .map(|values| values.concat())
    })
}

fn tensor(value: Value<'_>) -> Option<Tensor<'_>> {
    let mut tensor = Tensor {
        name: Cow::Borrowed(""),
        dims: Vec::new(),
        kind: 0,
        data: Cow::Borrowed(&[]),
    };
    for (number, value) in all_fields(value.bytes()?)? {
        match number {
            1 => tensor.dims.extend(wire::numbers(value)?),
            2 => tensor.kind = value.number()?,
            4 => match value {
                Value::Fixed32(one) => tensor.data.to_mut().extend(one),
                packed => tensor.data.to_mut().extend(packed.bytes()?),
            },
            7 => tensor
                .data
                .to_mut()
                .extend(wire::numbers(value)?.into_iter().flat_map(u64::to_le_bytes)),
            8 => tensor.name = Cow::Borrowed(value.text()?),
            9 => tensor.data = Cow::Borrowed(value.bytes()?),
            // Numbers in other fields or other files.
            5 | 6 | 10 | 11 | 13 => return None,
            14 if value.number()? != 0 => return None,
            _ => {}
        }
    }
    Some(tensor)
}

fn write_tensor(out: &mut Writer, tensor: &Tensor<'_>) {
    for dim in &tensor.dims {
        out.number(1, *dim);
    }
    out.number(2, tensor.kind);
    out.bytes(8, tensor.name.as_bytes());
    out.bytes(9, &tensor.data);
}

fn name(value: Value<'_>) -> Option<&str> {
    let fields = all_fields(value.bytes()?)?;
    fields
        .iter()
        .find(|(number, _)| *number == 1)
        .and_then(|(_, value)| value.text())
}

/// A value of f32 and any shape.
fn declare(out: &mut Writer, name: &str) {
    out.bytes(1, name.as_bytes());
    out.message(2, |kind| kind.message(1, |tensor| tensor.number(1, FLOAT)));
}
