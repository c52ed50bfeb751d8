//! The published checkpoints' shapes by name: enough to plan and to measure without a download. No weights.
//! Source: qwen3-vl.md §1 of the reference.

use super::config::Config;
use crate::error::Result;

/// The published shapes, the smallest first.
pub const NAMES: [&str; 3] = ["qwen3-vl-2b", "qwen3-vl-4b", "qwen3-vl-8b"];

/// The `config.json` of a published shape, in the spelling it was published in (what does not concern shapes is left out).
pub fn config_json(name: &str) -> Option<&'static str> {
    match name {
        "qwen3-vl-2b" => Some(include_str!("qwen3-vl-2b.json")),
        "qwen3-vl-4b" => Some(include_str!("qwen3-vl-4b.json")),
        "qwen3-vl-8b" => Some(include_str!("qwen3-vl-8b.json")),
        _ => None,
    }
}

/// Every tensor of such a checkpoint and its extents, under its published name, in the order of a pass.
/// Source: qwen3-vl.md §2 of the reference.
pub fn tensors(config: &Config) -> Vec<(String, Vec<usize>)> {
    let mut list = Tensors(Vec::new());
    list.vision(config);
    list.text(config);
    list.0
}

struct Tensors(Vec<(String, Vec<usize>)>);

impl Tensors {
    fn vision(&mut self, config: &Config) {
        let c = &config.vision;
        let (d, f) = (c.hidden_size, c.intermediate_size);
        let merged = d * c.spatial_merge_size * c.spatial_merge_size;
        let patch = [d, 3, c.temporal_patch_size, c.patch_size, c.patch_size];
        self.add("model.visual.patch_embed.proj.weight", &patch);
        self.add("model.visual.patch_embed.proj.bias", &[d]);
        self.add("model.visual.pos_embed.weight", &[c.position_side * c.position_side, d]);
        for i in 0..c.depth {
            let block = format!("model.visual.blocks.{i}");
            self.layer_norm(&format!("{block}.norm1"), d);
            self.linear(&format!("{block}.attn.qkv"), [3 * d, d]);
            self.linear(&format!("{block}.attn.proj"), [d, d]);
            self.layer_norm(&format!("{block}.norm2"), d);
            self.linear(&format!("{block}.mlp.linear_fc1"), [f, d]);
            self.linear(&format!("{block}.mlp.linear_fc2"), [d, f]);
        }
        self.merger("model.visual.merger", d, [c.out_hidden_size, merged]);
        for i in 0..c.deepstack_visual_indexes.len() {
            let name = format!("model.visual.deepstack_merger_list.{i}");
            self.merger(&name, merged, [c.out_hidden_size, merged]);
        }
    }

    fn text(&mut self, config: &Config) {
        let c = &config.text;
        let (d, e, f) = (c.hidden_size, c.head_dim, c.intermediate_size);
        let (q, kv) = (c.num_attention_heads * e, c.num_key_value_heads * e);
        self.add("model.language_model.embed_tokens.weight", &[c.vocab_size, d]);
        for i in 0..c.num_hidden_layers {
            let layer = format!("model.language_model.layers.{i}");
            let matrices = [
                ("self_attn.q_proj", [q, d]),
                ("self_attn.k_proj", [kv, d]),
                ("self_attn.v_proj", [kv, d]),
                ("self_attn.o_proj", [d, q]),
                ("mlp.gate_proj", [f, d]),
                ("mlp.up_proj", [f, d]),
                ("mlp.down_proj", [d, f]),
            ];
            for (name, extents) in matrices {
                self.add(&format!("{layer}.{name}.weight"), &extents);
            }
            for (name, n) in [
                ("input_layernorm", d),
                ("post_attention_layernorm", d),
                ("self_attn.q_norm", e),
                ("self_attn.k_norm", e),
            ] {
                self.add(&format!("{layer}.{name}.weight"), &[n]);
            }
        }
        self.add("model.language_model.norm.weight", &[d]);
        if !config.tie_word_embeddings {
            self.add("lm_head.weight", &[c.vocab_size, d]);
        }
    }

    fn merger(&mut self, name: &str, normed: usize, [out, merged]: [usize; 2]) {
        self.layer_norm(&format!("{name}.norm"), normed);
        self.linear(&format!("{name}.linear_fc1"), [merged, merged]);
        self.linear(&format!("{name}.linear_fc2"), [out, merged]);
    }

    fn layer_norm(&mut self, name: &str, n: usize) {
        self.add(&format!("{name}.weight"), &[n]);
        self.add(&format!("{name}.bias"), &[n]);
    }

    fn linear(&mut self, name: &str, [n, k]: [usize; 2]) {
        self.add(&format!("{name}.weight"), &[n, k]);
        self.add(&format!("{name}.bias"), &[n]);
    }

    fn add(&mut self, name: &str, extents: &[usize]) {
        self.0.push((name.to_owned(), extents.to_vec()));
    }
}

/// The checked configuration of a published shape; `None` for another name.
///
/// Errors: none but for a bug: the files are this crate's own.
pub fn config(name: &str) -> Result<Option<Config>> {
    config_json(name).map(Config::from_json).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The totals that were counted with `transformers` (qwen3-vl.md §1 of the reference).
    #[test]
    fn shapes_have_the_published_numbers_of_tensors_and_parameters() -> Result<()> {
        let cases = [
            ("qwen3-vl-2b", 625, 2_127_532_032usize, 406_957_056usize),
            ("qwen3-vl-4b", 713, 4_437_815_808, 415_347_712),
            ("qwen3-vl-8b", 750, 8_767_123_696, 576_388_336),
        ];
        for (name, n_tensors, all, vision) in cases {
            let config = config(name)?.expect("a published name");
            let tensors = tensors(&config);
            let sum = |of: &str| -> usize {
                let found = tensors.iter().filter(|(name, _)| name.contains(of));
                found.map(|(_, extents)| extents.iter().product::<usize>()).sum()
            };
            assert_eq!((tensors.len(), sum(""), sum("visual")), (n_tensors, all, vision), "{name}");
        }
        assert_eq!(config("qwen3-vl-9b")?, None);
        Ok(())
    }
}
