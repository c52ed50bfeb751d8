//! `qwglm plan`.

use super::*;

fn json(args: &[&str]) -> serde_json::Value {
    let folder = tempfile::tempdir().unwrap();
    let ran = qwglm(folder.path(), args).expect(0);
    serde_json::from_str(&ran.stdout).unwrap()
}

#[test]
fn all_gpus_are_planned_for_without_any_file() {
    let plan = json(&["plan", "qwen3-vl-8b", "--gpu", "all", "--quant", "4", "--json"]);
    assert_eq!(plan["parameters"], 8_767_123_696u64);
    let gpus = plan["gpus"].as_array().unwrap();
    assert!(gpus.len() >= 9);
    let gpu = |key: &str| gpus.iter().find(|gpu| gpu["gpu"] == key).unwrap();
    for gpu in gpus {
        let memory = &gpu["memory"];
        let bytes = |class: &str| memory[format!("{class}_bytes")].as_u64().unwrap();
        let classes = ["layers", "embeddings", "vision", "cache", "activations", "features", "rest"];
        assert_eq!(classes.map(bytes).iter().sum::<u64>(), bytes("total"), "{gpu}");
        assert_eq!(gpu["fits"], bytes("total") <= bytes("available"), "{gpu}");
        let rate = |i: usize| gpu["decode"][i]["tokens_per_s"].as_f64().unwrap();
        assert_eq!(gpu["decode"].as_array().unwrap().len(), 3, "{gpu}");
        assert!(rate(0) > rate(1) && rate(1) > rate(2) && rate(2) > 0.0, "{gpu}");
        assert_eq!(gpu["pictures"].as_array().unwrap().len(), 3, "{gpu}");
    }
    // Six billion weights of half a byte and a scale; 36 layers of 8 heads of 128 in f16.
    let memory = &gpu("rtx-4090")["memory"];
    assert!((3.8e9..4.0e9).contains(&memory["layers_bytes"].as_f64().unwrap()), "{memory}");
    assert_eq!(memory["cache_bytes"], 2u64 * 36 * 8 * 128 * 2 * 16_384);
    assert!(gpu("h200")["fits"].as_bool().unwrap() && !gpu("adreno-740")["fits"].as_bool().unwrap());
    // What a phone cannot bind is said, and the rest is planned all the same.
    let too_large = gpu("adreno-740")["pictures"][2]["problem"].as_str().unwrap();
    assert!(too_large.contains("storage binding size"), "{too_large}");
    assert!(gpu("adreno-740")["pictures"][1]["first_token_s"].as_f64().unwrap() > 0.0);
}

#[test]
fn bits_and_context_are_counted() {
    let memory = |args: &[&str]| {
        json(&[&["plan", "qwen3-vl-2b", "--gpu", "rtx-3060", "--json"], args].concat())["gpus"][0]["memory"].clone()
    };
    let (four, eight) = (memory(&["--quant", "4"]), memory(&["--quant", "8"]));
    let ratio = eight["layers_bytes"].as_f64().unwrap() / four["layers_bytes"].as_f64().unwrap();
    assert!((1.85..1.95).contains(&ratio), "{ratio}");
    let short = memory(&["--context", "4096"]);
    assert_eq!(
        short["cache_bytes"].as_u64().unwrap() * 4,
        eight["cache_bytes"].as_u64().unwrap()
    );
}

#[test]
fn a_pocket_model_a_folder_and_a_hub_id_are_planned() {
    let mut models = vec![tiny(), "Qwen/Qwen3-VL-4B-Instruct"];
    if cfg!(feature = "embed") {
        models.push("pocket-vl");
    }
    for model in models {
        let plan = json(&["plan", model, "--gpu", "apple-m1", "--json"]);
        assert!(
            plan["gpus"][0]["decode"][0]["tokens_per_s"].as_f64().unwrap() > 1.0,
            "{model}"
        );
    }
}

#[test]
fn the_impossible_gpu_says_what_each_switch_is_worth() {
    let plan = json(&[
        "plan",
        "qwen3-vl-8b",
        "--gpu",
        "rtx-4090",
        "--quant",
        "4",
        "--impossible",
        "--json",
    ]);
    let works = plan["impossible"][0]["works"].as_array().unwrap();
    assert_eq!(works.len(), 3 + 2 + 3);
    for work in works {
        let together = work["together"].as_f64().unwrap();
        let alone: Vec<f64> = work["alone"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one[1].as_f64().unwrap())
            .collect();
        assert_eq!(alone.len(), 3);
        // None does harm, none alone is more than all, and bandwidths and launches keep all of it far below 500.
        assert!(alone.iter().all(|&one| (0.999..=together * 1.001).contains(&one)), "{work}");
        assert!((1.0..100.0).contains(&together), "{work}");
        let left: f64 = work["left"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one[1].as_f64().unwrap())
            .sum();
        assert!((0.95..1.001).contains(&left), "{work}");
    }
    let folder = tempfile::tempdir().unwrap();
    let ran = qwglm(folder.path(), &["plan", "qwen3-vl-8b", "--gpu", "rtx-4090", "--impossible"]).expect(0);
    for word in [
        "perfect cache",
        "0.1 ns latency",
        "500× arithmetic",
        "decode at 16384",
        "launches",
    ] {
        assert!(ran.stdout.contains(word), "{word} is not in\n{}", ran.stdout);
    }
}

#[test]
fn a_chart_is_drawn_of_every_gpu() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["plan", "qwen3-vl-8b", "--gpu", "all", "--quant", "4", "--svg", "plan.svg"];
    let ran = qwglm(folder.path(), &args).expect(0);
    let svg = std::fs::read_to_string(folder.path().join("plan.svg")).unwrap();
    assert!(svg.starts_with("<svg xmlns=") && svg.ends_with("</svg>\n"));
    for key in ["lavapipe", "adreno-740", "rtx-4090", "h200"] {
        assert!(svg.contains(&format!(">{key}</text>")) && ran.stdout.contains(key), "{key}");
    }
    assert!(!svg.contains("NaN") && !svg.contains("inf"));
}

#[test]
fn what_is_unknown_has_near_names() {
    let folder = tempfile::tempdir().unwrap();
    qwglm(folder.path(), &["plan", "qwen3-vl-7b", "--gpu", "h100"])
        .expect(2)
        .says(&["qwen3-vl-8b"]);
    qwglm(folder.path(), &["plan", "qwen3-vl-8b", "--gpu", "4090"])
        .expect(2)
        .says(&["rtx-4090?"]);
}

#[test]
fn a_plan_is_held_against_a_benchmark() {
    let folder = tempfile::tempdir().unwrap();
    let bench = r#"{"type": "bench", "bench": "model", "adapter": "some GPU", "shape": "qwen3-vl-8b", "quant": "8", "layers": 36,
        "decode": [{"context": 0, "step_us": 5000.0}, {"context": 16384, "step_us": 9000.0}],
        "prefill": [{"length": 2048, "ms": 400.0}], "images": [{"width": 1024, "height": 1024, "encode_ms": 80.0}]}"#;
    std::fs::write(folder.path().join("bench.json"), bench).unwrap();
    let args = ["plan", "qwen3-vl-8b", "--gpu", "h100", "--against", "bench.json"];
    let ran = qwglm(folder.path(), &args).expect(0);
    for word in [
        "a step at 16384",
        "a prompt of 2048",
        "a picture of 1024×1024",
        "median",
        "worst",
        "some GPU",
    ] {
        assert!(ran.stdout.contains(word), "{word} is not in\n{}", ran.stdout);
    }
    std::fs::write(folder.path().join("bench.json"), "{}").unwrap();
    qwglm(folder.path(), &args).expect(1).says(&["bench.json"]);
}
