//! `qwglm ask`: the answers alone, each a line.

use super::*;

#[test]
fn one_question_is_one_line() {
    let folder = tempfile::tempdir().unwrap();
    picture(folder.path(), "a.png", 0);
    let ran = qwglm(folder.path(), &cheap(&["ask", "a.png", "What is it?"])).expect(0);
    assert_eq!(ran.stdout.lines().count(), 1, "{}", ran.stdout);
    assert_eq!(ran.stderr, "", "nothing is said that was not asked");
}

#[test]
fn answers_come_in_the_order_of_the_questions_and_do_not_depend_on_each_other() {
    let folder = tempfile::tempdir().unwrap();
    picture(folder.path(), "a.png", 0);
    let questions = ["What is it?", "Is there an error?", "What is it?", "Name the buttons."];
    let mut args = vec!["ask", "a.png"];
    args.extend(questions);
    let together = qwglm(folder.path(), &cheap(&args)).expect(0);
    let alone: String = questions
        .map(|question| qwglm(folder.path(), &cheap(&["ask", "a.png", question])).expect(0).stdout)
        .concat();
    assert_eq!(together.stdout, alone);
}

#[cfg(feature = "embed")]
#[test]
fn the_pocket_model_needs_no_file() {
    let folder = tempfile::tempdir().unwrap();
    picture(folder.path(), "a.png", 0);
    let ran = qwglm(
        folder.path(),
        &["ask", "a.png", "Is there an error on the screen?", "--engine", "sim"],
    )
    .expect(0);
    assert_eq!(ran.stdout.lines().count(), 1, "{}", ran.stdout);
    assert!(ran.stdout.trim().ends_with('.'), "a sentence: {}", ran.stdout);
}
