//! Both spellings give one configuration; what is not supported is named.

use super::*;

const YAML: &str = r#"
sample_rate: 16000
preprocessor: {sample_rate: 16000, normalize: per_feature, window_size: 0.025, window_stride: 0.01, window: hann,
  features: 128, n_fft: 512, dither: 1.0e-05}
encoder:
  feat_in: 128
  n_layers: 24
  d_model: 1024
  use_bias: false
  subsampling: dw_striding
  subsampling_factor: 8
  subsampling_conv_channels: 256
  ff_expansion_factor: 4
  self_attention_model: rel_pos
  n_heads: 8
  att_context_size:
  - -1
  - -1
  xscaling: false
  untie_biases: true
  conv_kernel_size: 9
decoder:
  normalization_mode: null
  vocab_size: 2
  prednet: {pred_hidden: 640, pred_rnn_layers: 2, t_max: null}
joint:
  num_extra_outputs: 5
  jointnet: {joint_hidden: 640, activation: relu}
  vocabulary: ["▁a", "b"]
decoding:
  model_type: tdt
  durations: [0, 1, 2, 3, 4]
  greedy: {max_symbols: 10}
"#;

const JSON: &str = r#"{"model_type": "parakeet_tdt", "vocab_size": 3, "blank_token_id": 2, "decoder_hidden_size": 640,
"num_decoder_layers": 2, "durations": [0, 1, 2, 3, 4], "max_symbols_per_step": 10, "hidden_act": "relu",
"encoder_config": {"num_mel_bins": 128, "hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 8,
"intermediate_size": 4096, "conv_kernel_size": 9, "subsampling_conv_channels": 256, "subsampling_conv_kernel_size": 3,
"subsampling_conv_stride": 2, "subsampling_factor": 8, "hidden_act": "silu", "attention_bias": false,
"convolution_bias": false, "scale_input": false}}"#;

#[test]
fn both_spellings_say_the_same() {
    let from_yaml = Config::from_yaml(YAML).expect("the YAML");
    let from_json = Config::from_json(JSON).expect("the JSON");
    assert_eq!(from_yaml.vocabulary, ["▁a", "b"]);
    let vocabulary = Vec::new();
    assert_eq!(Config { vocabulary, ..from_yaml }, from_json);
    assert_eq!(
        (from_json.blank_id(), from_json.head_dim(), from_json.max_symbols),
        (2, 128, 10)
    );
}

#[test]
fn what_is_not_supported_is_named() {
    let cases = [
        ("use_bias: false", "use_bias: true", "encoder.use_bias is true"),
        ("  use_bias: false\n", "", "encoder.use_bias is true"),
        ("xscaling: false", "xscaling: true", "encoder.xscaling"),
        ("rel_pos", "rel_pos_local_attn", "encoder.self_attention_model"),
        ("  - -1\n", "  - 128\n", "encoder.att_context_size"),
        ("tdt", "rnnt", "decoding.model_type is rnnt"),
        ("n_fft: 512", "n_fft: 1024", "preprocessor.n_fft"),
        ("features: 128", "features: 80", "preprocessor.features is 80; supported: 128"),
        ("0, 1, 2, 3, 4", "0, 1", "joint.num_extra_outputs is 5; supported: 2"),
        ("\"b\"", "\"b\", \"c\"", "vocabulary is 3 pieces"),
        ("n_heads: 8", "n_heads: 7", "1024 over 7 heads"),
        ("n_layers: 24", "n_layers: 99999999", "layers is 99999999"),
        ("d_model: 1024", "d_model: -1", "no configuration of NeMo"),
        (
            "conv_kernel_size: 9",
            "conv_kernel_size: 8",
            "convolution kernel is 8; supported: odd",
        ),
    ];
    for (from, to, expected) in cases {
        let error = Config::from_yaml(&YAML.replacen(from, to, 1))
            .err()
            .map(|error| error.to_string());
        assert!(
            error.as_ref().is_some_and(|error| error.contains(expected)),
            "{to}: {error:?}"
        );
    }
    for text in ["", "a: [", "{{{{", "- 1", "encoder: *x"] {
        assert!(Config::from_yaml(text).is_err(), "{text}");
        assert!(Config::from_json(text).is_err(), "{text}");
    }
    let error = Config::from_json(&JSON.replacen("\"vocab_size\": 3", "\"vocab_size\": 0", 1)).expect_err("nothing");
    assert!(error.to_string().contains("config.json"), "{error}");
    // Aliases that multiply.
    let lists = (1..30).map(|i| format!("a{i}: &a{i} [*a{0}, *a{0}, *a{0}, *a{0}]\n", i - 1));
    let bomb = format!("a0: &a0 [x, x, x, x]\n{}", lists.collect::<String>());
    assert!(Config::from_yaml(&bomb).is_err());
}
