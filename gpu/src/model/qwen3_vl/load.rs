//! From a checkpoint's tensors to [`Qwen3Vl`], under the checkpoint's own names.
//! Source: qwen3-vl.md §2 of the reference.

use std::sync::Arc;

use async_channel::Sender;

use super::Qwen3Vl;
use super::config::{Config, TextConfig, VisionConfig, stop_ids};
use super::made::Made;
use super::mrope;
use super::text::{Layer, Text};
use super::vision::{Block, Merger, Vision};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::model::ops::{Linear, Norm, RopeTable};
use crate::protocol::{LoadOptions, LoadProgress, Quant};
use crate::tensor::TensorId;
use crate::weights::source::Source;
use crate::weights::{Checkpoint, Format, Loader, Weight};

/// Epsilon of the vision tower's layer norms; not in the config.
const LAYER_NORM_EPS: f32 = 1e-6;
/// Patches a side that the vision tower's rotary table covers: more than any picture within the processor's limits has.
const MAX_GRID_SIDE: usize = 4096;

impl Quant {
    /// The format of the checkpoint's matrix `name`. Embeddings and the output layer stay 8-bit in [`Quant::Q4`]: their
    /// errors show in every word. The patch embedding is small and first in line.
    pub fn format_of(self, name: &str) -> Format {
        let text_layer = name.contains("language_model.layers.");
        match self {
            Quant::DenseF32 => Format::F32,
            Quant::DenseF16 => Format::F16,
            _ if name.contains("patch_embed") => Format::F16,
            Quant::Q4 if text_layer => Format::Q4,
            Quant::Q8 | Quant::Q4 => Format::Q8,
        }
    }
}

/// Reads, checks and uploads a checkpoint, a tensor at a time.
///
/// Errors: those of the source and of the headers; [`Error::Unsupported`] for another architecture;
/// [`Error::MissingTensor`], [`Error::Tensor`]; those of the engine. Nothing stays on the engine then.
pub async fn load<E: Engine>(
    engine: &mut E,
    source: Arc<dyn Source>,
    options: &LoadOptions,
    progress: Option<&Sender<LoadProgress>>,
) -> Result<Qwen3Vl> {
    let checkpoint = Checkpoint::open(source).await?;
    let Some(json) = checkpoint.text("config.json").await? else {
        return Err(Error::File {
            file: "config.json".into(),
            message: format!("is missing in {}", checkpoint.name()),
        });
    };
    let config = Config::from_json(&json)?;
    let stop_ids = stop_ids(checkpoint.text("generation_config.json").await?.as_deref(), &json)?;
    let (read, weight_bytes, made) = {
        let mut reader = Reader {
            loader: Loader::new(&mut *engine, &checkpoint, progress.cloned()),
            quant: options.quant,
            weight_bytes: 0,
            made: Made::default(),
        };
        let read = reader.model(&config, options).await;
        (read, reader.weight_bytes, reader.made)
    };
    match read {
        Ok((vision, text)) => Ok(Qwen3Vl {
            name: checkpoint.name().to_owned(),
            config,
            vision,
            text,
            stop_ids,
            weight_bytes,
            made,
        }),
        Err(error) => {
            made.free(engine);
            Err(error)
        }
    }
}

struct Reader<'a, E: Engine> {
    loader: Loader<'a, E>,
    quant: Quant,
    weight_bytes: u64,
    /// All that was loaded so far.
    made: Made,
}

impl<E: Engine> Reader<'_, E> {
    async fn model(&mut self, config: &Config, options: &LoadOptions) -> Result<(Vision, Text)> {
        let vision = self.vision(&config.vision).await?;
        let text = self.text(config, options.context_tokens).await?;
        Ok((vision, text))
    }

    async fn vision(&mut self, c: &VisionConfig) -> Result<Vision> {
        let d = c.hidden_size;
        let merged = d * c.spatial_merge_size * c.spatial_merge_size;
        let patch_embed = self.linear("model.visual.patch_embed.proj", [d, c.patch_dim()], true).await?;
        let pos_embed = self
            .table("model.visual.pos_embed.weight", c.position_side * c.position_side * d)
            .await?;
        let mut blocks = Vec::with_capacity(c.depth);
        for i in 0..c.depth {
            let name = |part: &str| format!("model.visual.blocks.{i}.{part}");
            let [q, k, v] = self.qkv(&name("attn.qkv"), d).await?;
            blocks.push(Block {
                norm1: self.layer_norm(&name("norm1"), d).await?,
                q,
                k,
                v,
                proj: self.linear(&name("attn.proj"), [d, d], true).await?,
                norm2: self.layer_norm(&name("norm2"), d).await?,
                linear_fc1: self.linear(&name("mlp.linear_fc1"), [c.intermediate_size, d], true).await?,
                linear_fc2: self.linear(&name("mlp.linear_fc2"), [d, c.intermediate_size], true).await?,
            });
        }
        let merger = self.merger("model.visual.merger", [merged, c.out_hidden_size], d).await?;
        let mut deepstack_merger_list = Vec::new();
        for i in 0..c.deepstack_visual_indexes.len() {
            let name = format!("model.visual.deepstack_merger_list.{i}");
            deepstack_merger_list.push(self.merger(&name, [merged, c.out_hidden_size], merged).await?);
        }
        let rope = self.rope(
            MAX_GRID_SIDE,
            &mrope::vision_frequencies(c),
            &mrope::vision_map(c),
            c.head_dim(),
        )?;
        Ok(Vision {
            config: c.clone(),
            patch_embed,
            pos_embed,
            blocks,
            merger,
            deepstack_merger_list,
            rope,
        })
    }

    async fn text(&mut self, config: &Config, context_tokens: usize) -> Result<Text> {
        let c: &TextConfig = &config.text;
        let (d, e, f) = (c.hidden_size, c.head_dim, c.intermediate_size);
        let (q, kv) = (c.num_attention_heads * e, c.num_key_value_heads * e);
        let embed = self
            .matrix("model.language_model.embed_tokens.weight", [c.vocab_size, d])
            .await?;
        let mut layers = Vec::with_capacity(c.num_hidden_layers);
        for i in 0..c.num_hidden_layers {
            let name = |part: &str| format!("model.language_model.layers.{i}.{part}");
            layers.push(Layer {
                input_layernorm: self.rms_norm(&name("input_layernorm"), d, c).await?,
                q_proj: self.linear(&name("self_attn.q_proj"), [q, d], false).await?,
                k_proj: self.linear(&name("self_attn.k_proj"), [kv, d], false).await?,
                v_proj: self.linear(&name("self_attn.v_proj"), [kv, d], false).await?,
                q_norm: self.rms_norm(&name("self_attn.q_norm"), e, c).await?,
                k_norm: self.rms_norm(&name("self_attn.k_norm"), e, c).await?,
                o_proj: self.linear(&name("self_attn.o_proj"), [d, q], false).await?,
                post_attention_layernorm: self.rms_norm(&name("post_attention_layernorm"), d, c).await?,
                gate_proj: self.linear(&name("mlp.gate_proj"), [f, d], false).await?,
                up_proj: self.linear(&name("mlp.up_proj"), [f, d], false).await?,
                down_proj: self.linear(&name("mlp.down_proj"), [d, f], false).await?,
            });
        }
        let norm = self.rms_norm("model.language_model.norm", d, c).await?;
        let untied = !config.tie_word_embeddings && self.loader.checkpoint().find("lm_head.weight").is_some();
        let head = if untied {
            self.matrix("lm_head.weight", [c.vocab_size, d]).await?
        } else {
            embed.clone()
        };
        let lm_head = Linear {
            weight: head,
            bias: None,
        };
        let rope = self.rope(context_tokens.max(1), &mrope::text_frequencies(c), &mrope::text_map(c), e)?;
        Ok(Text {
            config: c.clone(),
            embed_tokens: embed,
            layers,
            norm,
            lm_head,
            rope,
        })
    }

    async fn merger(&mut self, name: &str, [merged, out]: [usize; 2], normed: usize) -> Result<Merger> {
        Ok(Merger {
            norm: self.layer_norm(&format!("{name}.norm"), normed).await?,
            norm_after_concat: normed == merged,
            linear_fc1: self.linear(&format!("{name}.linear_fc1"), [merged, merged], true).await?,
            linear_fc2: self.linear(&format!("{name}.linear_fc2"), [out, merged], true).await?,
        })
    }

    /// The rows of the fused projection are q, then k, then v.
    async fn qkv(&mut self, name: &str, d: usize) -> Result<[Linear; 3]> {
        let (weight, bias) = (format!("{name}.weight"), format!("{name}.bias"));
        self.expect(&weight, [3 * d, d])?;
        let values = self.loader.checkpoint().read_f32(&bias).await?;
        if values.len() != 3 * d {
            return Err(self.wrong(&bias, format!("has {} values, expected {}", values.len(), 3 * d)));
        }
        let mut parts = Vec::with_capacity(3);
        for i in 0..3 {
            let matrix = self
                .loader
                .matrix(&weight, self.quant.format_of(&weight), Some(i * d..(i + 1) * d))
                .await?;
            self.weight_bytes += matrix.size_bytes();
            self.made.note_weight(&matrix);
            let values = bytemuck::cast_slice(&values[i * d..(i + 1) * d]);
            let bias = self.made.upload(self.loader.engine(), &bias, values)?;
            parts.push(Linear {
                weight: Arc::new(matrix),
                bias: Some(bias),
            });
        }
        parts
            .try_into()
            .map_err(|_| self.wrong(&weight, "was not split in three".into()))
    }

    async fn linear(&mut self, name: &str, [n, k]: [usize; 2], bias: bool) -> Result<Linear> {
        let weight = self.matrix(&format!("{name}.weight"), [n, k]).await?;
        let bias = if bias {
            Some(self.vector(&format!("{name}.bias"), n).await?)
        } else {
            None
        };
        Ok(Linear { weight, bias })
    }

    async fn matrix(&mut self, name: &str, [n, k]: [usize; 2]) -> Result<Arc<Weight>> {
        self.expect(name, [n, k])?;
        let weight = self.loader.matrix(name, self.quant.format_of(name), None).await?;
        self.weight_bytes += weight.size_bytes();
        self.made.note_weight(&weight);
        Ok(Arc::new(weight))
    }

    async fn vector(&mut self, name: &str, len: usize) -> Result<TensorId> {
        let tensor = self.loader.vector(name, len).await?;
        Ok(self.made.note(tensor))
    }

    async fn rms_norm(&mut self, name: &str, d: usize, c: &TextConfig) -> Result<Norm> {
        let weight = self.vector(&format!("{name}.weight"), d).await?;
        Ok(Norm {
            weight,
            bias: None,
            eps: c.rms_norm_eps,
        })
    }

    async fn layer_norm(&mut self, name: &str, d: usize) -> Result<Norm> {
        let weight = self.vector(&format!("{name}.weight"), d).await?;
        let bias = self.vector(&format!("{name}.bias"), d).await?;
        Ok(Norm {
            weight,
            bias: Some(bias),
            eps: LAYER_NORM_EPS,
        })
    }

    async fn table(&mut self, name: &str, len: usize) -> Result<TensorId> {
        let (tensor, found) = self.loader.dense_f32(name).await?;
        self.made.note(tensor);
        if found == len {
            Ok(tensor)
        } else {
            Err(self.wrong(name, format!("has {found} values, expected {len}")))
        }
    }

    fn rope(&mut self, n_positions: usize, frequencies: &[f64], map: &[u32], head_dim: usize) -> Result<RopeTable> {
        let table = mrope::table(n_positions, frequencies);
        Ok(RopeTable {
            table: self
                .made
                .upload(self.loader.engine(), "rotary table", bytemuck::cast_slice(&table))?,
            map: self
                .made
                .upload(self.loader.engine(), "rotary map", bytemuck::cast_slice(map))?,
            n_positions,
            n_frequencies: frequencies.len(),
            head_dim,
        })
    }

    fn expect(&self, name: &str, shape: [usize; 2]) -> Result<()> {
        let (n, k) = self.loader.checkpoint().matrix(name)?.extents();
        if [n, k] == shape {
            Ok(())
        } else {
            Err(self.wrong(name, format!("is [{n}, {k}], expected {shape:?} by config.json")))
        }
    }

    fn wrong(&self, tensor: &str, message: String) -> Error {
        Error::Tensor {
            file: self.loader.checkpoint().name().to_owned(),
            tensor: tensor.to_owned(),
            message,
        }
    }
}
