//! `qwglm doctor`.

use super::*;

#[test]
fn the_simulator_is_there_and_right() {
    let folder = tempfile::tempdir().unwrap();
    let json = qwglm(folder.path(), &["doctor", "--json"]).expect(0).stdout;
    let found: serde_json::Value = serde_json::from_str(&json).unwrap();
    let engines = found["engines"].as_array().unwrap();
    let simulator = engines.iter().find(|engine| engine["backend"] == "sim").unwrap();
    assert_eq!(simulator["self_test"]["result"], "right", "{json}");
    assert_eq!(found["features"]["embed"], cfg!(feature = "embed"));
    for engine in engines.iter().filter(|engine| engine["backend"] != "sim") {
        let roles: Vec<_> = engine["choice"]["names"]
            .as_array()
            .unwrap()
            .iter()
            .map(|name| &name[0])
            .collect();
        assert_eq!(roles, ["vector", "single", "team", "matmul", "attention"], "{json}");
        // What draws on the CPU is not timed.
        let is_tried = !engine["choice"]["tried"].as_array().unwrap().is_empty();
        assert_eq!(is_tried, engine["software"] == false, "{json}");
    }
}
