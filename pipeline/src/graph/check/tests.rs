//! Text with every kind of fault, and what the checker says of it.

use crate::link::WhenFull;
use crate::testing::{TestBench, faults, graph};

const OUT: &str = "[stage.out]\ntype = \"test.collect\"\ninput = \"in\"\n";

/// The faults of a text as lines.
fn lines_of_faults(text: &str) -> Vec<String> {
    faults(text).iter().map(ToString::to_string).collect()
}

#[test]
fn a_good_graph_is_accepted_with_its_defaults() {
    let text = "[pipeline]\nname = \"x\"\n[model.eyes]\nsource = \"pocket-vl\"\n[engine.main]\ntype = \"sim\"\n\
                [stage.in]\ntype = \"test.frames\"\n[stage.out]\ntype = \"test.collect\"\ninput = \"in\"\n\
                [stage.t]\ntype = \"test.count\"\n\
                [stage.k]\ntype = \"test.thinks\"\ninput = \"t\"\nmodel = \"eyes\"\nengine = \"main\"\n\
                [stage.file]\ntype = \"test.file\"\npath = \"a.txt\"\ninput = { from = \"k\" }\n";
    let graph = graph(text, &TestBench::new());
    assert_eq!(graph.name(), "x");
    let names: Vec<_> = graph.stages().iter().map(|stage| stage.name.as_str()).collect();
    assert_eq!(names, ["in", "out", "t", "k", "file"], "in the order of the text");
    let thinks = &graph.stages()[3];
    assert_eq!(
        (thinks.model.as_deref(), thinks.engine.as_deref(), thinks.line),
        (Some("eyes"), Some("main"), 14)
    );
    let links: Vec<_> = graph
        .links()
        .iter()
        .map(|l| (graph.link_name(l), l.bound.size.get(), l.bound.when_full.name()))
        .collect();
    let expected = [
        ("in -> out", 2, "drop_oldest"),
        ("t -> k", 8, "wait"),
        ("k -> file", 8, "wait"),
    ];
    assert_eq!(links, expected.map(|(name, size, policy)| (name.to_owned(), size, policy)));
}

#[test]
fn all_faults_are_reported_at_once_with_line_and_what_would_do() {
    let text = r#"[pipeline]
nam = "x"
[models.eyes]
source = "pocket-vl"
[model.eyes]
[engine.main]
type = "cuda"
[stage.in]
type = "test.count"
m = 3
n = "three"
[stage.mid]
type = "test.pas"
input = "in"
[stage.join]
type = "test.join"
input = { from = "inn", size = 0, when_full = "drop", wen = 1 }
inputs.less = "in"
[stage.thinks]
type = "test.thinks"
input = "in"
engine = "mian"
[stage.a]
type = "test.file"
path = "out/../words.txt"
input = "thinks"
[stage.b]
type = "test.file"
path = "./words.txt"
input = ["thinks", 5]
[stage.c]
type = "test.file"
input = "pics"
[stage.pics]
type = "test.frames"
input = "in"
[stage.unread]
type = "test.count"
"#;
    let expected = [
        "line 2: pipeline.nam: is no key of [pipeline]; accepted: name, restart, deadline_ms",
        "line 3: models: is no section; accepted: [pipeline], [model.NAME], [engine.NAME], [stage.NAME]",
        "line 5: model.eyes.source: is missing; accepted: a folder",
        "line 7: engine.main.type: is no type of engine; accepted: sim, wgpu",
        "line 10: stage.in.m: is no key here, did you mean \"n\"?; accepted: n, every_ms",
        "line 11: stage.in.n: invalid type: string \"three\"; accepted: u64",
        "line 13: stage.mid.type: no stage is of type \"test.pas\"; accepted: \"test.pass\" is the nearest",
        "line 15: stage.join: nobody reads its text; accepted: a stage with input = \"join\"",
        "line 17: stage.join.input: there is no [stage.inn]; accepted: \"in\" is the nearest",
        "line 17: stage.join.input.size: is 0; accepted: a whole number from 1 to 65536",
        "line 17: stage.join.input.wen: is no key of an input; accepted: from, size, when_full",
        "line 17: stage.join.input.when_full: is \"drop\"; accepted: wait, drop_oldest, drop_newest, latest",
        "line 18: stage.join.inputs.less: is no input of this type of stage; accepted: in, more",
        "line 19: stage.thinks.model: is missing; accepted: \"eyes\"",
        "line 22: stage.thinks.engine: there is no [engine.mian]; accepted: \"main\"",
        "line 27: stage.b: writes ./words.txt, and so does stage a; accepted: a file of its own for each stage",
        "line 30: stage.b.input[1]: is no input; accepted: \"stage\", { from = \"stage\", size = 2, when_full = \"drop_oldest\" }, or a list of these",
        "line 31: stage.c.path: is empty; accepted: a file",
        "line 33: stage.c.input: pics gives frame; accepted: text",
        "line 36: stage.pics.input: this type of stage takes no input",
        "line 37: stage.unread: nobody reads its text; accepted: a stage with input = \"unread\"",
    ];
    let mut found = lines_of_faults(text);
    found.sort_by_key(|line| line.split(':').next().and_then(|n| n[5..].parse::<usize>().ok()));
    let mut missing: Vec<_> = expected.iter().filter(|line| !found.contains(&(**line).to_owned())).collect();
    let surplus: Vec<_> = found.iter().filter(|line| !expected.contains(&line.as_str())).collect();
    missing.sort();
    assert!(
        missing.is_empty() && surplus.is_empty(),
        "missing {missing:#?}\nsurplus {surplus:#?}"
    );
}

#[test]
fn a_cycle_of_waiting_links_is_refused_and_named() {
    let text = "[stage.in]\ntype = \"test.count\"\n[stage.a]\ntype = \"test.join\"\ninput = \"in\"\ninputs.more = \"b\"\n\
                [stage.b]\ntype = \"test.pass\"\ninput = \"a\"\n[stage.out]\ntype = \"test.collect\"\ninput = \"b\"\n";
    let found = faults(text);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].message.contains("a -> b -> a"), "{found:?}");
    let dropping = text.replace(
        "inputs.more = \"b\"",
        "inputs.more = { from = \"b\", when_full = \"drop_newest\" }",
    );
    let accepted = graph(&dropping, &TestBench::new());
    let feedback: Vec<_> = accepted
        .links()
        .iter()
        .filter(|l| l.feedback)
        .map(|l| accepted.link_name(l))
        .collect();
    assert_eq!(feedback, ["b -> a.more"]);
}

#[test]
fn a_latest_link_has_one_slot_and_may_close_a_cycle() {
    let text = |keys: &str| {
        format!(
            "[stage.in]\ntype = \"test.count\"\n[stage.a]\ntype = \"test.join\"\ninput = \"in\"\n\
             inputs.more = {{ from = \"b\", when_full = \"latest\"{keys} }}\n\
             [stage.b]\ntype = \"test.pass\"\ninput = \"a\"\n[stage.out]\ntype = \"test.collect\"\ninput = \"b\"\n"
        )
    };
    let accepted = graph(&text(""), &TestBench::new());
    let link = accepted.links().iter().find(|link| link.feedback).expect("it is there");
    assert_eq!((link.bound.size.get(), link.bound.when_full), (1, WhenFull::Latest));
    assert_eq!(
        lines_of_faults(&text(", size = 3")),
        ["line 6: stage.a.inputs.more.size: is 3, and a latest link has one slot; accepted: 1, or no size"]
    );
}

#[test]
fn a_stage_that_reads_itself_is_a_cycle() {
    let text = format!("[stage.in]\ntype = \"test.count\"\n{OUT}[stage.a]\ntype = \"test.pass\"\ninput = [\"in\", \"a\"]\n");
    assert!(
        faults(&text).iter().any(|fault| fault.message.contains("a -> a")),
        "{:?}",
        faults(&text)
    );
}

#[test]
fn a_cycle_without_a_source_is_refused() {
    let text = format!(
        "[stage.in]\ntype = \"test.count\"\n{OUT}[stage.a]\ntype = \"test.pass\"\n\
         input = {{ from = \"b\", when_full = \"drop_oldest\" }}\n[stage.b]\ntype = \"test.pass\"\ninput = \"a\"\n"
    );
    let found = lines_of_faults(&text);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found.iter().all(|line| line.contains("no source stands before it")),
        "{found:?}"
    );
}

#[test]
fn a_text_that_is_no_toml_says_where() {
    let found = faults("[stage.in]\ntype = \"test.count\nn = 3\n");
    assert!(!found.is_empty());
    assert_eq!(found[0].line, 2, "{found:?}");
}

#[test]
fn an_empty_text_has_no_stage() {
    assert_eq!(
        lines_of_faults(""),
        ["line 1: stage: there is none; accepted: at least a section [stage.NAME]"]
    );
}

#[test]
fn every_input_that_must_be_there_is_asked_for() {
    let found = lines_of_faults("[stage.out]\ntype = \"test.collect\"\n");
    assert_eq!(
        found,
        ["line 1: stage.out.input: is missing; accepted: the name of a stage that gives text, frame"]
    );
}

proptest::proptest! {
    /// No text makes the checker panic.
    #[test]
    fn any_text_is_a_graph_or_has_faults(text in "(\\[(stage|model|engine|pipeline)?\\.?[a-c]?\\]\n|[a-z]{1,5}(\\.[a-z])? = (\"[a-c]\"|[0-9]|\\[\\]|\\{ from = \"a\" \\}|1e999|0x_)\n|[ -~]{0,9}\n){0,12}") {
        let _ = crate::graph::Graph::from_toml(&text, &TestBench::new().registry);
    }
}
