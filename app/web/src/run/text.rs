//! What the page changes in a configuration's text before it plays it: the same that flags of the program change.

use toml::{Table, Value};

/// Types of stage through which pictures and what is asked about them go, one at a time.
const HOPS: [&str; 4] = ["vision.", "chat.", "tokens.encode", "llm.generate"];

/// The text as it is for what is shared live: the newest frame is worth more than those that wait, so links of frames and of
/// prompts hold one packet and drop the oldest. A text that is no TOML is kept for its check to say so.
pub fn live(text: &str) -> String {
    edit(text, |document| {
        for stage in sections(document, "stage") {
            let kind = stage.get("type").and_then(Value::as_str).unwrap_or_default();
            if !HOPS.iter().any(|hop| kind.starts_with(hop)) {
                continue;
            }
            let from = match stage.get("input") {
                Some(Value::String(from)) => from.clone(),
                Some(Value::Table(input)) => match input.get("from") {
                    Some(Value::String(from)) => from.clone(),
                    _ => continue,
                },
                _ => continue,
            };
            let mut input = Table::new();
            input.insert("from".into(), from.into());
            input.insert("size".into(), 1.into());
            input.insert("when_full".into(), "drop_oldest".into());
            stage.insert("input".into(), Value::Table(input));
        }
    })
}

/// The text with every engine simulated.
pub fn simulated(text: &str) -> String {
    edit(text, |document| {
        for engine in sections(document, "engine") {
            engine.insert("type".into(), "sim".into());
        }
    })
}

/// The text with `prompt` (`question` of `chat.ask`) for what is asked about each picture.
pub fn prompted(text: &str, prompt: &str) -> String {
    edit(text, |document| {
        for stage in sections(document, "stage") {
            match stage.get("type").and_then(Value::as_str) {
                Some("chat.narrate") => {
                    stage.insert("prompt".into(), prompt.into());
                    stage.remove("change_prompt");
                }
                Some("chat.ask") => {
                    stage.insert("question".into(), prompt.into());
                }
                _ => {}
            }
        }
    })
}

fn edit(text: &str, change: impl FnOnce(&mut Table)) -> String {
    let Ok(mut document) = text.parse::<Table>() else {
        return text.to_owned();
    };
    change(&mut document);
    toml::to_string(&document).unwrap_or_else(|_| text.to_owned())
}

fn sections<'a>(document: &'a mut Table, kind: &str) -> impl Iterator<Item = &'a mut Table> {
    let sections = document.get_mut(kind).and_then(Value::as_table_mut);
    sections
        .into_iter()
        .flat_map(|table| table.iter_mut())
        .filter_map(|(_, value)| value.as_table_mut())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NARRATE: &str = include_str!("../../../../configs/narrate.toml");

    #[test]
    fn live_links_keep_the_newest() {
        let table: Table = live(NARRATE).parse().unwrap();
        for stage in ["changes", "encode", "narrator", "tokens", "generate"] {
            let input = &table["stage"][stage]["input"];
            assert_eq!(input["when_full"].as_str(), Some("drop_oldest"), "{stage}");
            assert_eq!(input["size"].as_integer(), Some(1), "{stage}");
        }
        assert_eq!(
            table["stage"]["words"]["input"].as_str(),
            Some("generate"),
            "no word is dropped"
        );
        assert_eq!(live("[stage"), "[stage");
    }

    #[test]
    fn a_simulated_text_has_no_other_engine() {
        let table: Table = simulated(NARRATE).parse().unwrap();
        assert_eq!(table["engine"]["main"]["type"].as_str(), Some("sim"));
        let table: Table = prompted(NARRATE, "What failed?").parse().unwrap();
        assert_eq!(table["stage"]["narrator"]["prompt"].as_str(), Some("What failed?"));
    }
}
