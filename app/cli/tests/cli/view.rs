//! `--view` where it cannot be: said before any work is done.

use super::*;

#[test]
fn a_view_without_a_terminal_is_bad_usage() {
    let folder = tempfile::tempdir().unwrap();
    picture(folder.path(), "a.png", 0);
    let config = Path::new(CONFIGS).join("simulated.toml").display().to_string();
    for args in [
        &["run", &config, "--view"][..],
        &["narrate", "a.png", "--engine", "sim", "--view"],
    ] {
        let ran = qwglm(folder.path(), args).expect(2).says(&["--view draws on a terminal"]);
        assert_eq!(ran.stdout, "", "{args:?}: nothing was drawn");
    }
}

#[test]
fn a_view_has_the_standard_output_alone() {
    let folder = tempfile::tempdir().unwrap();
    picture(folder.path(), "a.png", 0);
    qwglm(folder.path(), &["narrate", "a.png", "--view", "--json"]).expect(2);
    let both = ["narrate", "a.png", "--engine", "sim", "--view", "--tsv", "-"];
    qwglm(folder.path(), &both).expect(2).says(&["only one of"]);
}
