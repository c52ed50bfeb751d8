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
