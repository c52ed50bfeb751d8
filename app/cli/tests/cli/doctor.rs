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
}
