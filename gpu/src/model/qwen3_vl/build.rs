//! [`Qwen3Vl`]'s parts, tensor by tensor in the order of a checkpoint, whoever gives the tensors: a checkpoint's loader, or
//! nobody at all (`dry`). Source: qwen3-vl.md §2 of the reference.

use std::ops::Range;
use std::sync::Arc;

use super::config::{Config, TextConfig, VisionConfig};
use super::made::Made;
use super::mrope;
use super::text::{Layer, Text};
use super::vision::{Block, Merger, Vision};
use crate::error::{Error, Result};
use crate::model::ops::{Linear, Norm, RopeTable};
use crate::protocol::{LoadOptions, Quant};
use crate::tensor::TensorId;
use crate::weights::{Format, Weight};

/// Epsilon of the vision tower's layer norms; not in the config.
const LAYER_NORM_EPS: f32 = 1e-6;
/// Patches a side that the vision tower's rotary table covers: more than any picture within the processor's limits has.
const MAX_GRID_SIDE: usize = 4096;

/// Where tensors come from. What is returned lies on the engine, and is the caller's to free.
pub(super) trait Tensors {
    /// Rows `rows` of the matrix `name`, which is `extents` as a whole.
    async fn matrix(&mut self, name: &str, extents: [usize; 2], rows: Option<Range<usize>>, format: Format) -> Result<Weight>;

    /// Values `part` of the vector `name`, which has `len`; f32.
    async fn vector(&mut self, name: &str, len: usize, part: Option<Range<usize>>) -> Result<TensorId>;

    /// `len` values of whatever extents; f32.
    async fn table(&mut self, name: &str, len: usize) -> Result<TensorId>;

    /// The rotary table `[n_positions, frequencies, 2]` and its map.
    fn rotary(&mut self, n_positions: usize, frequencies: &[f64], map: &[u32]) -> [Result<TensorId>; 2];

    fn has(&self, name: &str) -> bool;
}

/// Asks for the tensors of a model.
pub(super) struct Builder<T> {
    tensors: T,
    quant: Quant,
    /// Of all matrices so far.
    weight_bytes: u64,
    /// All that was asked for so far.
    made: Made,
}

impl<T: Tensors> Builder<T> {
    pub(super) fn new(tensors: T, quant: Quant) -> Self {
        Self {
            tensors,
            quant,
            weight_bytes: 0,
            made: Made::default(),
        }
    }

    /// Bytes of all matrices, and all that was made so far, whether or not something failed.
    pub(super) fn end(self) -> (u64, Made) {
        (self.weight_bytes, self.made)
    }

    /// All of it.
    pub(super) async fn model(&mut self, config: &Config, options: &LoadOptions) -> Result<(Vision, Text)> {
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
        let untied = !config.tie_word_embeddings && self.tensors.has("lm_head.weight");
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
        let mut parts = Vec::with_capacity(3);
        for i in 0..3 {
            let rows = Some(i * d..(i + 1) * d);
            let matrix = self.rows(&weight, [3 * d, d], rows.clone()).await?;
            let bias = self.tensors.vector(&bias, 3 * d, rows).await?;
            parts.push(Linear {
                weight: matrix,
                bias: Some(self.made.note(bias)),
            });
        }
        parts.try_into().map_err(|_| Error::Engine {
            what: "qkv",
            message: format!("{weight} was not split in three"),
        })
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

    async fn matrix(&mut self, name: &str, extents: [usize; 2]) -> Result<Arc<Weight>> {
        self.rows(name, extents, None).await
    }

    async fn rows(&mut self, name: &str, extents: [usize; 2], rows: Option<Range<usize>>) -> Result<Arc<Weight>> {
        let format = self.quant.format_of(name);
        let weight = self.tensors.matrix(name, extents, rows, format).await?;
        self.weight_bytes += weight.size_bytes();
        self.made.note_weight(&weight);
        Ok(Arc::new(weight))
    }

    async fn vector(&mut self, name: &str, len: usize) -> Result<TensorId> {
        let tensor = self.tensors.vector(name, len, None).await?;
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
        let tensor = self.tensors.table(name, len).await?;
        Ok(self.made.note(tensor))
    }

    fn rope(&mut self, n_positions: usize, frequencies: &[f64], map: &[u32], head_dim: usize) -> Result<RopeTable> {
        let [table, map] = self.tensors.rotary(n_positions, frequencies, map);
        // Both are noted before either may fail.
        let [table, map] = [table, map].map(|tensor| tensor.map(|tensor| self.made.note(tensor)));
        Ok(RopeTable {
            table: table?,
            map: map?,
            n_positions,
            n_frequencies: frequencies.len(),
            head_dim,
        })
    }
}
