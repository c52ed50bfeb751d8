//! The session by what it is told.

use super::*;
use crate::protocol::StageCounters;

fn words(frame: u64, text: &str, is_finished: bool) -> ToPage {
    ToPage::Text(Words {
        is_heard: false,
        turn: 0,
        pts_ms: frame * 500,
        frame: Some((frame, format!("{frame:03}"))),
        text: text.to_owned(),
        is_thought: false,
        is_finished,
    })
}

#[test]
fn an_answer_grows_in_its_place_and_is_announced_once_whole() {
    let mut session = Session::default();
    session.hear(ToPage::Began { links: Vec::new() }, 0.0);
    session.hear(words(0, "A", false), 1.0);
    session.hear(words(0, "A window", false), 2.0);
    assert_eq!((session.entries.len(), session.announced()), (1, ""));
    session.hear(words(0, "A window.", true), 3.0);
    session.hear(words(1, "It", false), 4.0);
    assert_eq!(session.announced(), "A window.");
    let texts: Vec<_> = session.entries.iter().map(|entry| entry.words.text.as_str()).collect();
    assert_eq!(texts, ["A window.", "It"]);
}

#[test]
fn a_screen_reader_is_not_flooded_and_hears_the_newest() {
    let mut session = Session::default();
    let long = "x".repeat(160);
    session.hear(words(0, &long, true), 0.0);
    session.hear(words(1, "second", true), 100.0);
    session.hear(words(2, "third", true), 200.0);
    assert_eq!(session.announced(), long);
    session.tick(9_000.0);
    assert!(session.has_waiting());
    session.tick(10_000.0);
    assert_eq!((session.announced(), session.has_waiting()), ("third", false));
}

fn heard(text: &str, is_finished: bool) -> ToPage {
    ToPage::Text(Words {
        is_heard: true,
        turn: u64::MAX,
        text: text.into(),
        is_finished,
        ..Words::default()
    })
}

#[test]
fn a_conversation_is_told_in_order_and_what_was_no_speech_is_forgotten() {
    let mut session = Session::default();
    assert_eq!(session.floor(), Floor::Listening);
    session.hear(ToPage::Voice { on: true }, 0.0);
    session.hear(heard("What", false), 1.0);
    assert_eq!(session.floor(), Floor::Person);
    session.hear(ToPage::Voice { on: false }, 2.0);
    session.hear(heard("What is open?", true), 3.0);
    assert_eq!(
        (session.floor(), session.announced()),
        (Floor::Thinking, "You: What is open?")
    );
    session.hear(words(1, "A term", false), 4.0);
    // A cough while the answer comes.
    session.hear(heard("Hm", false), 5.0);
    session.hear(words(1, "A terminal.", true), 6.0);
    session.hear(heard("", true), 7.0);
    session.hear(ToPage::Speaking { on: true }, 8.0);
    assert_eq!(session.floor(), Floor::Program);
    session.hear(ToPage::Speaking { on: false }, 9.0);
    assert_eq!(session.floor(), Floor::Listening);
    let told: Vec<_> = session
        .entries
        .iter()
        .map(|entry| (entry.words.is_heard, entry.words.text.as_str()))
        .collect();
    assert_eq!(told, [(true, "What is open?"), (false, "A terminal.")]);
}

#[test]
fn counters_of_all_parts_are_one() {
    let mut session = Session::default();
    let of = |name: &str| Counters {
        stages: vec![StageCounters {
            name: name.into(),
            ..StageCounters::default()
        }],
        ..Counters::default()
    };
    session.hear_beside(0, of("vad"));
    session.hear_beside(1, of("voice"));
    session.hear(ToPage::Counters(of("generate")), 0.0);
    let names: Vec<_> = session.counters.stages.iter().map(|stage| stage.name.as_str()).collect();
    assert_eq!(names, ["generate", "vad", "voice"]);
}

#[test]
fn progress_gives_a_rate_and_what_is_left() {
    let mut session = Session::default();
    session.load();
    for (now_ms, done_bytes) in [(0.0, 0), (1000.0, 250), (2000.0, 500)] {
        let progress = Progress {
            step: Step::Fetch,
            done_bytes,
            total_bytes: 1000,
        };
        session.hear(ToPage::Progress(progress), now_ms);
    }
    let loading = &session.loading;
    assert_eq!(
        (loading.share(), loading.rate(), loading.left_s()),
        (0.5, Some(250.0), Some(2.0))
    );
}

#[test]
fn a_cancelled_download_is_no_failure_and_a_lost_device_is_forgotten_with_the_next_words() {
    let mut session = Session::default();
    session.load();
    session.hear(
        ToPage::Failed(Failure {
            kind: FailureKind::Cancelled,
            message: String::new(),
        }),
        0.0,
    );
    assert_eq!(session.phase, Phase::Start);
    session.hear(ToPage::Notice(Notice::DeviceLost), 1.0);
    assert!(session.notice.is_some() && session.announced().contains("lost"));
    session.hear(words(0, "A window.", true), 2.0);
    assert_eq!(session.notice, None);
}

#[test]
fn a_step_is_waited_for_until_it_is_told_or_cannot_be() {
    let mut session = Session::default();
    session.load();
    session.measure();
    session.rest();
    assert!(session.phase == Phase::Start && session.stepped.is_measuring);
    let mut told = crate::run::step::told(None, None).unwrap();
    session.hear(ToPage::Step(Box::new(told.clone())), 0.0);
    assert!(session.stepped.is_measuring, "what comes first was asked for before");
    told.by = MeasuredBy::Clock;
    session.hear(ToPage::Step(Box::new(told.clone())), 0.0);
    assert!(!session.stepped.is_measuring && session.stepped.told.as_ref() == Some(&told));
    session.measure();
    session.fail(FailureKind::Network, "no network");
    assert_eq!(
        (session.stepped.is_measuring, session.stepped.problem.as_deref()),
        (false, Some("no network"))
    );
    session.measure();
    assert_eq!(session.stepped.problem, None);
    session.hear(ToPage::NoStep { message: "none".into() }, 0.0);
    assert!(!session.stepped.is_measuring && session.stepped.told.is_some());
}

#[test]
fn a_stage_is_busy_for_its_share_of_the_last_second() {
    let mut session = Session::default();
    for (elapsed_ms, busy_ms) in [(0, 0), (500, 0), (1000, 0), (1500, 500), (2000, 750)] {
        let stage = StageCounters {
            name: "encode".into(),
            busy_ms,
            ..StageCounters::default()
        };
        session.hear(
            ToPage::Counters(Counters {
                elapsed_ms,
                links: Vec::new(),
                stages: vec![stage],
            }),
            0.0,
        );
    }
    assert_eq!(session.busy_share("encode"), 0.75);
}

#[test]
fn a_model_that_is_not_kept_is_said_and_still_true_while_it_answers() {
    let mut session = Session::default();
    session.load();
    let notice = Notice::NotKept { message: "full".into() };
    session.hear(ToPage::Notice(notice.clone()), 0.0);
    assert_eq!(session.announced(), NOT_KEPT);
    session.hear(ToPage::Began { links: Vec::new() }, 1.0);
    session.hear(words(0, "A window.", true), 2.0);
    assert_eq!(session.notice, Some(notice));
    session.load();
    assert_eq!(session.notice, None);
}

#[test]
fn a_model_that_is_planned_again_is_in_its_place() {
    let row = |gpu: &str, download_bytes| PlanRow {
        model: "owner/model".into(),
        gpu: gpu.into(),
        download_bytes,
        size_bytes: 2,
        fits: true,
        tokens_per_s: None,
        first_word_ms: None,
    };
    let mut session = Session::default();
    session.hear(
        ToPage::Planned {
            rows: vec![row("a", 1), row("b", 1)],
        },
        0.0,
    );
    session.hear(
        ToPage::NoPlan {
            message: "no network".into(),
        },
        0.0,
    );
    assert_eq!((session.plan.len(), session.no_plan.as_deref()), (2, Some("no network")));
    session.hear(
        ToPage::Planned {
            rows: vec![row("a", 3), row("b", 3)],
        },
        0.0,
    );
    assert_eq!((session.plan, session.no_plan), (vec![row("a", 3), row("b", 3)], None));
}
