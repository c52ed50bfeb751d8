//! The keys `restart` and `deadline_ms` of a stage. Not what they do (`runtime/policy.rs`).

use std::time::Duration;

use crate::config::{Section, config_from_table, faults_of_table};
use crate::error::Fault;
use crate::runtime::RestartPolicy;

const FORMS: &str = "\"never\", \"on-failure\", \"always\", or { policy = \"on-failure\", limit = 5, window_ms = 60000 }";

/// What follows a stage's failure, and when it hangs.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Survival {
    pub restart: RestartPolicy,
    pub deadline: Option<Duration>,
}

impl Survival {
    /// What a section says; what it does not say is as here.
    pub fn of_section(self, section: &Section, faults: &mut Vec<Fault>) -> Self {
        Self {
            restart: restart_of_section(section, faults).unwrap_or(self.restart),
            deadline: deadline_of_section(section, faults).unwrap_or(self.deadline),
        }
    }
}

/// Reads `restart`.
fn restart_of_section(section: &Section, faults: &mut Vec<Fault>) -> Option<RestartPolicy> {
    let (table, in_table) = match section.table.get("restart")? {
        toml::Value::Table(table) => (table.clone(), true),
        word @ toml::Value::String(_) => (std::iter::once(("policy".to_owned(), word.clone())).collect(), false),
        _ => {
            faults.push(section.fault("restart", "is no policy", FORMS));
            return None;
        }
    };
    let (policy, found) = match config_from_table::<RestartPolicy>(&table) {
        Ok(policy) => (policy, policy.faults()),
        Err(_) => (RestartPolicy::default(), faults_of_table::<RestartPolicy>(&table)),
    };
    for fault in found {
        let key = match in_table {
            true => format!("restart.{}", fault.key),
            false => "restart".to_owned(),
        };
        faults.push(section.place(Fault { key, ..fault }));
    }
    if in_table && !table.contains_key("policy") {
        faults.push(section.fault("restart", "does not say when", "policy = \"on-failure\" or \"always\""));
    }
    Some(policy)
}

/// Reads `deadline_ms`; `none` is no deadline, where `[pipeline]` has one.
fn deadline_of_section(section: &Section, faults: &mut Vec<Fault>) -> Option<Option<Duration>> {
    let value = section.table.get("deadline_ms")?;
    if value.as_str() == Some("none") {
        return Some(None);
    }
    let ms = value.as_integer().and_then(|ms| u64::try_from(ms).ok()).filter(|ms| *ms > 0);
    if ms.is_none() {
        faults.push(section.fault("deadline_ms", format!("is {value}"), "a whole number from 1, or \"none\""));
    }
    ms.map(Duration::from_millis).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Graph;
    use crate::runtime::RestartWhen;
    use crate::testing::{TestBench, faults, graph};

    fn with(keys: &str) -> String {
        format!("[stage.in]\ntype = \"test.count\"\n{keys}\n[stage.out]\ntype = \"test.collect\"\ninput = \"in\"\n")
    }

    fn read(keys: &str) -> Graph {
        graph(&with(keys), &TestBench::new())
    }

    #[test]
    fn a_word_or_a_table_says_when_a_stage_is_restarted() {
        let never = read("");
        assert_eq!(
            (never.stages()[0].restart, never.stages()[0].deadline),
            (RestartPolicy::default(), None)
        );
        let word = read("restart = \"on-failure\"\ndeadline_ms = 250");
        assert_eq!(word.stages()[0].restart.policy, RestartWhen::OnFailure);
        assert_eq!(word.stages()[0].deadline, Some(Duration::from_millis(250)));
        let table = read("restart = { policy = \"always\", backoff_ms = 5, factor = 1.5, limit = 9, retry = true }");
        let expected = RestartPolicy {
            policy: RestartWhen::Always,
            backoff_ms: 5,
            factor: 1.5,
            limit: 9,
            retry: true,
            ..RestartPolicy::default()
        };
        assert_eq!(table.stages()[0].restart, expected);
    }

    #[test]
    fn the_pipeline_says_it_for_all_stages_and_a_stage_for_itself() {
        let text = "[pipeline]\nrestart = { policy = \"on-failure\", retry = true }\ndeadline_ms = 70\n".to_owned()
            + &with("restart = \"never\"\ndeadline_ms = \"none\"");
        let graph = graph(&text, &TestBench::new());
        let stages = graph.stages();
        assert_eq!(
            (stages[0].restart.policy, stages[0].deadline),
            (RestartWhen::Never, None),
            "its own"
        );
        let restart = stages[1].restart;
        assert_eq!((restart.policy, restart.retry), (RestartWhen::OnFailure, true));
        assert_eq!(stages[1].deadline, Some(Duration::from_millis(70)));
        let wrong = faults(&format!(
            "[pipeline]\nrestart = {{ policy = \"always\", limit = 0 }}\n{}",
            with("")
        ));
        let wrong: Vec<String> = wrong.iter().map(ToString::to_string).collect();
        let expected = "line 2: pipeline.restart.limit: is 0; accepted: a whole number from 1";
        assert_eq!(wrong, [expected], "once, not for each stage");
    }

    #[test]
    fn what_is_wrong_with_a_policy_is_said_with_its_key() {
        let found = |keys: &str| faults(&with(keys)).iter().map(ToString::to_string).collect::<Vec<_>>();
        let cases = [
            (
                "restart = \"onfailure\"",
                "stage.in.restart: unknown variant `onfailure`; accepted: never, on-failure, always",
            ),
            ("restart = 3", "stage.in.restart: is no policy; accepted: \"never\""),
            ("restart.limit = 3", "stage.in.restart: does not say when"),
            (
                "restart = { policy = \"always\", factor = 0.5 }",
                "stage.in.restart.factor: is 0.5; accepted: a number from 1",
            ),
            (
                "restart = { policy = \"always\", backoff_ms = 6000 }",
                "stage.in.restart.backoff_ms: is 6000, above max_backoff_ms; accepted: at most 5000",
            ),
            (
                "restart = { policy = \"always\", limit = 0 }",
                "stage.in.restart.limit: is 0; accepted: a whole number from 1",
            ),
            (
                "restart = { policy = \"always\", retrys = 1 }",
                "stage.in.restart.retrys: is no key here, did you mean \"retry\"?",
            ),
            (
                "deadline_ms = 0",
                "stage.in.deadline_ms: is 0; accepted: a whole number from 1, or \"none\"",
            ),
            ("deadline_ms = \"soon\"", "stage.in.deadline_ms: is \"soon\""),
        ];
        for (keys, expected) in cases {
            let found = found(keys);
            let is_there = found.len() == 1 && found[0].starts_with(&format!("line 3: {expected}"));
            assert!(is_there, "{keys}: {found:?}, not {expected}");
        }
    }
}
