//! `qwglm bench`: what it tells is whole and adds up. How fast this machine is, no test says.

use super::*;

#[test]
fn the_pipeline_is_measured_and_told_as_json() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["bench", "pipeline", "--json", "--packets", "2000", "--runs", "3"];
    let lines = qwglm(folder.path(), &args).expect(0).json_lines();
    let [measured] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!((&measured["bench"], &measured["stages"]), (&"pipeline".into(), &5.into()));
    assert_eq!(measured["ns_per_hop_runs"].as_array().unwrap().len(), 3);
    let number = |key: &str| {
        measured[key]
            .as_f64()
            .unwrap_or_else(|| panic!("{key} is missing: {measured}"))
    };
    assert!(number("ns_per_hop") > 0.0);
    // A stage of 10 ms cannot be passed sooner; how much later depends on what else the machine does.
    assert!(number("interval_ms") >= 10.0, "{measured}");
    assert!(
        number("shutdown_ms") > 0.0 && number("shutdown_deadline_ms") > 0.0,
        "{measured}"
    );
}

#[test]
fn the_table_names_each_measure() {
    let folder = tempfile::tempdir().unwrap();
    let ran = qwglm(folder.path(), &["bench", "pipeline", "--packets", "500", "--runs", "1"]).expect(0);
    for words in [
        "a packet a hop",
        "memory over 500 packets",
        "3 stages of 10 ms",
        "stop of a full graph",
    ] {
        assert!(ran.stdout.contains(words), "\"{words}\" is not in\n{}", ran.stdout);
    }
}

/// A measure of a GPU: on a machine without one, a program that plays one is installed by `cargo xtask test`.
#[test]
fn each_kernel_of_a_models_plans_is_timed() {
    let folder = tempfile::tempdir().unwrap();
    let args = [
        "bench",
        "kernels",
        "--shape",
        tiny(),
        "--contexts",
        "0,40",
        "--prefill",
        "20",
        "--images",
        "64x64",
        "--runs",
        "3",
        "--json",
    ];
    let lines = qwglm(folder.path(), &args).expect(0).json_lines();
    let [measured] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!((&measured["bench"], &measured["layers"]), (&"kernels".into(), &4.into()));
    let phases = measured["phases"].as_array().unwrap();
    let names: Vec<_> = phases.iter().map(|phase| phase["phase"].as_str().unwrap()).collect();
    assert_eq!(names, ["decode", "decode", "prefill", "image"]);
    for phase in phases {
        let kernels = phase["kernels"].as_array().unwrap();
        let number = |kernel: &serde_json::Value, key: &str| kernel[key].as_f64().unwrap();
        let sum = |of: &dyn Fn(&serde_json::Value) -> f64| kernels.iter().map(of).sum::<f64>();
        assert_eq!(sum(&|kernel| number(kernel, "n")), phase["dispatches"].as_f64().unwrap());
        assert!((sum(&|kernel| number(kernel, "share")) - 1.0).abs() < 1e-6, "{phase}");
        assert!(kernels.iter().all(|kernel| number(kernel, "median_us") > 0.0), "{phase}");
        assert!(phase["step_us"].as_f64().unwrap() > 0.0, "{phase}");
    }
    let kernel = |phase: usize, what: &str| {
        let found = phases[phase]["kernels"].as_array().unwrap().iter();
        found
            .filter(|kernel| kernel["what"].as_str().unwrap().contains(what))
            .map(|kernel| kernel["bytes"].as_u64().unwrap())
            .sum::<u64>()
    };
    assert!(
        kernel(1, "attention") > kernel(0, "attention"),
        "more keys are read where more are cached"
    );
    assert!(phases[0]["dispatches_a_layer"].as_u64().unwrap() > 0);
}

#[test]
fn a_shape_is_measured_through_the_actor_on_a_gpu_and_on_the_simulator() {
    let folder = tempfile::tempdir().unwrap();
    for engine in ["wgpu", "sim"] {
        let args = [
            "bench",
            "--shape",
            tiny(),
            "--engine",
            engine,
            "--contexts",
            "0,40",
            "--prefill",
            "20",
            "--images",
            "64x64",
            "--runs",
            "2",
            "--tokens",
            "12",
            "--quant",
            "q4",
            "--cancel",
            "--json",
        ];
        let lines = qwglm(folder.path(), &args).expect(0).json_lines();
        let [measured] = &lines[..] else { panic!("{lines:?}") };
        let list = |key: &str| measured[key].as_array().unwrap().clone();
        let numbers = |rows: &[serde_json::Value], key: &str| -> Vec<f64> {
            let found = rows.iter().map(|row| row[key].as_f64());
            found
                .collect::<Option<_>>()
                .unwrap_or_else(|| panic!("{key} is missing: {measured}"))
        };
        assert_eq!((&measured["bench"], &measured["quant"]), (&"model".into(), &"4".into()));
        let decode = list("decode");
        assert_eq!(numbers(&decode, "context"), [0.0, 40.0]);
        assert_eq!(numbers(&decode, "made_in_loop"), [0.0, 0.0], "{engine}");
        for (rows, key) in [
            (&decode, "tokens_per_s"),
            (&decode, "encode_us_a_step"),
            (&list("prefill"), "tokens_per_s"),
            (&list("prefill"), "first_token_ms"),
            (&list("images"), "encode_ms"),
            (&list("images"), "first_token_ms"),
        ] {
            assert!(numbers(rows, key).iter().all(|&n| n > 0.0), "{engine} {key}: {measured}");
        }
        assert!(measured["cancel"]["next_answer_after_cancel_ms"].as_f64().unwrap() > 0.0);
        assert!(measured["memory_bytes"].as_u64().unwrap() > measured["weight_bytes"].as_u64().unwrap());
        if engine == "wgpu" {
            assert!(measured["dispatches_a_layer"].as_u64().unwrap() > 0);
            let bytes = numbers(&decode, "bytes_a_step");
            assert!(bytes[1] > bytes[0], "more keys are read where more are cached");
        }
    }
}

#[test]
fn a_shape_that_there_is_not_is_bad_usage() {
    let folder = tempfile::tempdir().unwrap();
    for command in [&["bench"][..], &["bench", "kernels"]] {
        let args = [command, &["--shape", "qwen3-vl-9b"]].concat();
        qwglm(folder.path(), &args).expect(2).says(&["qwen3-vl-8b", "config.json"]);
    }
    qwglm(folder.path(), &["bench", "--images", "100x100"])
        .expect(2)
        .says(&["multiples of 32"]);
}

#[test]
fn a_calibrated_profile_is_one_that_plan_takes() {
    let folder = tempfile::tempdir().unwrap();
    let lines = qwglm(folder.path(), &["bench", "--calibrate", "--output", "mine.toml", "--json"])
        .expect(0)
        .json_lines();
    let [measured] = &lines[..] else { panic!("{lines:?}") };
    for key in [
        "memory_gb_s",
        "f32",
        "int8",
        "dependent_launch_us",
        "upload_gb_s",
        "load_gb_s",
    ] {
        assert!(measured[key].as_f64().unwrap() > 0.0, "{key}: {measured}");
    }
    let args = ["plan", "qwen3-vl-2b", "--gpu", "mine.toml", "--json"];
    let plan = qwglm(folder.path(), &args).expect(0).stdout;
    assert!(plan.contains(measured["adapter"].as_str().unwrap()), "{plan}");
    qwglm(folder.path(), &["bench", "--output", "mine.toml"])
        .expect(2)
        .says(&["--calibrate"]);
}

/// The whole is at least each of its parts, and longer where a picture has to be read.
#[test]
fn what_a_conversation_waits_for_is_told_by_parts() {
    let folder = tempfile::tempdir().unwrap();
    let args = [
        "bench",
        "talk",
        "--shape",
        tiny(),
        "--engine",
        "sim",
        "--ears",
        "none",
        "--context",
        "16",
    ];
    let more = ["--images", "64x64", "--runs", "3", "--json"];
    let lines = qwglm(folder.path(), &[&args[..], &more[..]].concat()).expect(0).json_lines();
    let [measured] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!((&measured["bench"], &measured["context"]), (&"talk".into(), &16.into()));
    assert!(measured["first_audio_ms"].as_f64().unwrap() > 0.0, "{measured}");
    let questions = measured["questions"].as_array().unwrap();
    assert_eq!(questions.len(), 2);
    for question in questions {
        let number = |key: &str| {
            question[key]
                .as_f64()
                .unwrap_or_else(|| panic!("{key} is missing: {question}"))
        };
        let parts = ["silence", "hear", "endpoint", "first_token", "first_part", "voice", "block"];
        let parts: Vec<f64> = parts.iter().map(|part| number(&format!("{part}_ms"))).collect();
        assert_eq!(
            &parts[..3],
            [256.0, 0.0, 144.0],
            "nothing hears, so the silence is waited for"
        );
        assert!(parts[3] > 0.0 && parts[5] > 0.0, "{question}");
        let runs: Vec<f64> = question["whole_ms_runs"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|run| run.as_f64())
            .collect();
        assert_eq!(runs.len(), 3, "{question}");
        assert!(
            runs.iter().all(|run| *run > 420.0) && runs.contains(&number("whole_ms")),
            "{question}"
        );
    }
}
