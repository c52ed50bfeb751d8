//! A dry run against a real one, and its plans against each other.

use std::sync::Arc;

use futures::executor::block_on;
use gpu::kernel::cost::Class;
use gpu::model::qwen3_vl::load::load;
use gpu::model::qwen3_vl::published;
use gpu::model::qwen3_vl::random::RandomWeights;
use gpu::protocol::Quant;

use super::super::bundled;
use super::super::profile::Profile;
use super::*;

const SMALL: &str = r#"{"model_type": "qwen3_vl", "image_token_id": 7, "video_token_id": 8, "tie_word_embeddings": false,
    "text_config": {"vocab_size": 4480, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 4, "num_attention_heads": 4,
        "num_key_value_heads": 2, "head_dim": 32, "rope_theta": 5000000, "eos_token_id": 3,
        "rope_scaling": {"mrope_interleaved": true, "mrope_section": [6, 5, 5], "rope_type": "default"}},
    "vision_config": {"depth": 4, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2, "out_hidden_size": 64,
        "num_position_embeddings": 100, "deepstack_visual_indexes": [0, 2], "model_type": "qwen3_vl"}}"#;

fn options(quant: Quant) -> LoadOptions {
    LoadOptions {
        quant,
        context_tokens: 2048,
        ..LoadOptions::default()
    }
}

/// A plan's text with its tensors numbered in the order in which they turn up.
fn numbered(plan: &Plan) -> String {
    let mut known: Vec<String> = Vec::new();
    let word = |word: &str| match word.split_once("=tensor") {
        None => word.to_owned(),
        Some((name, id)) => {
            let (id, bytes) = id.split_once(':').unwrap_or((id, ""));
            let number = known.iter().position(|other| other == id).unwrap_or_else(|| {
                known.push(id.to_owned());
                known.len() - 1
            });
            format!("{name}=tensor{number}:{bytes}")
        }
    };
    plan.to_string().split(' ').map(word).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_dry_model_is_the_one_that_is_loaded() {
    for quant in [Quant::Q4, Quant::Q8, Quant::DenseF16, Quant::DenseF32] {
        let adapter = Adapter {
            // Small enough that the embeddings are cut into parts.
            max_binding_bytes: 200 << 10,
            ..Adapter::plain("small")
        };
        let options = LoadOptions {
            context_tokens: 512,
            ..options(quant)
        };
        let source = Arc::new(RandomWeights::new("small", SMALL, quant, 1).unwrap());
        let engine = &mut DryEngine::new(adapter.clone());
        let loaded = block_on(load(engine, source, &options, None)).unwrap();
        let bytes = loaded.weight_bytes;
        let runner = Runner::new(engine, loaded, &options, false).unwrap();
        let (head, step) = runner.prepared_steps();
        let config = Config::from_json(SMALL).unwrap();
        let plans = Plans::make(
            DryEngine::new(adapter),
            &config,
            &options,
            &[(100, false)],
            &[Grid { rows: 4, columns: 6 }],
        )
        .unwrap();
        assert!(plans.step.plan.dispatches.len() > 4 * 6);
        for (prepared, dry) in [(head, &plans.head), (step, &plans.step)] {
            let real = engine.take_plan(prepared).unwrap();
            assert_eq!(numbered(&real.plan), numbered(&dry.plan), "{quant:?}");
        }
        let weights = [Use::Layers, Use::Words, Use::Vision].map(|of| plans.held_bytes[&of]);
        let (sum, small) = (weights.iter().sum::<u64>() as f64, bytes as f64);
        assert!(
            (small..small * 1.2).contains(&sum),
            "{quant:?}: {sum} of {small} with norms and biases"
        );
    }
}

fn plans(profile: &Profile, quant: Quant) -> Plans {
    let config = published::config("qwen3-vl-8b").unwrap().unwrap();
    let grids = [Grid { rows: 22, columns: 40 }, Grid { rows: 64, columns: 64 }];
    Plans::make(
        DryEngine::of(profile),
        &config,
        &options(quant),
        &[(1000, false), (1000, true)],
        &grids,
    )
    .unwrap()
}

fn all(plans: &Plans) -> impl Iterator<Item = &Costed> {
    [&plans.step, &plans.head]
        .into_iter()
        .chain(plans.chunks.values())
        .chain(plans.towers.values())
}

#[test]
fn every_kernel_of_a_pass_says_what_it_costs() {
    for profile in bundled::profiles() {
        for quant in [Quant::Q4, Quant::Q8, Quant::DenseF16, Quant::DenseF32] {
            let plans = plans(profile, quant);
            for dispatch in all(&plans).flat_map(|costed| &costed.plan.dispatches) {
                let cost = &dispatch.cost;
                assert_ne!(cost.class, Class::Unstated, "{}: {dispatch}", profile.key);
                assert_eq!(cost.touched.len(), dispatch.bindings.len(), "{dispatch}");
                for (touched, binding) in cost.touched.iter().zip(&dispatch.bindings) {
                    let most = binding.operand.bound_bytes();
                    assert!(touched.at(0) <= most, "{dispatch} touches {touched:?} of {}", binding.name);
                    assert!(touched.at(1000) <= most, "{dispatch} touches {touched:?} of {}", binding.name);
                }
            }
        }
    }
}

/// The weights of a step are read once, whatever the kernels, and the products of a layer are all there.
#[test]
fn a_decode_step_reads_the_weights_once_and_the_cache_as_far_as_it_is_filled() {
    for key in ["h100", "adreno-740", "lavapipe"] {
        let plans = plans(bundled::find(key).unwrap(), Quant::Q4);
        let read = |n_cached: usize| -> u64 {
            let dispatches = &plans.step.plan.dispatches;
            dispatches.iter().map(|dispatch| dispatch.cost.touched_bytes(n_cached)).sum()
        };
        let weights = plans.held_bytes[&Use::Layers] + plans.held_bytes[&Use::Words] / 2;
        let share = read(0) as f64 / weights as f64;
        assert!((0.98..1.03).contains(&share), "{key}: {share} of the weights");
        let a_token = 36 * 2 * 8 * 128 * 2;
        let grown = (read(1500) - read(500)) as f64 / 1000.0;
        assert!(
            (grown / f64::from(a_token) - 1.0).abs() < 0.01,
            "{key}: {grown} bytes a cached token"
        );
    }
}

#[test]
fn more_work_takes_longer_and_a_better_device_less() {
    let (phone, laptop, card) = ("adreno-740", "iris-xe", "rtx-4090");
    let [phone, laptop, card] = [phone, laptop, card].map(|key| {
        let profile = bundled::find(key).unwrap();
        (Device::new(profile.clone()), plans(profile, Quant::Q4))
    });
    for (device, plans) in [&phone, &laptop, &card] {
        let step = |n| plans.step.total_s(device, n);
        assert!(step(0) < step(500) && step(500) < step(2000));
        let by_size: Vec<f64> = plans.towers.values().map(|tower| tower.total_s(device, 0)).collect();
        assert!(by_size[0] < by_size[1], "{by_size:?}");
    }
    assert!(card.1.step.total_s(&card.0, 0) * 5.0 < laptop.1.step.total_s(&laptop.0, 0));
}

/// Three profiles side by side: their plans differ where their adapters do, and only there.
#[test]
fn plans_differ_where_adapters_do() {
    let step = |key: &str| plans(bundled::find(key).unwrap(), Quant::Q4).step.plan;
    let chunk = |key: &str| {
        plans(bundled::find(key).unwrap(), Quant::Q4).chunks[&(512, false)]
            .plan
            .clone()
    };
    let kernels = |plan: &Plan| -> Vec<&'static str> { plan.dispatches.iter().map(|dispatch| dispatch.kernel).collect() };
    let head = |plan: &Plan| {
        plan.dispatches
            .iter()
            .filter(|dispatch| dispatch.op_idx + 2 >= last_op(plan))
            .count()
    };
    // A phone binds 128 MiB at once: the output layer of 594 MiB is cut into five.
    assert_eq!(head(&step("adreno-740")) - head(&step("h100")), 4);
    // Adapters that are alike get the same plan.
    assert_eq!(numbered(&step("h100")), numbered(&step("rtx-4090")));
    // What draws on the CPU takes kernels without workgroup memory.
    let (cpu, gpu) = (kernels(&chunk("lavapipe")), kernels(&chunk("h100")));
    assert!(
        cpu.contains(&"matmul_direct") && !gpu.contains(&"matmul_direct"),
        "{cpu:?} {gpu:?}"
    );
}

fn last_op(plan: &Plan) -> usize {
    plan.dispatches.iter().map(|dispatch| dispatch.op_idx).max().unwrap_or(0)
}
