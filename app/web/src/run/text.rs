//! What the page changes in a configuration's text before it plays it: the same that flags of the program change.

use toml::{Table, Value};

/// Types of stage through which pictures and what is asked about them go, one at a time.
const HOPS: [&str; 4] = ["vision.", "chat.", "tokens.encode", "llm.generate"];

/// Of a screen that is only looked at when it is asked about.
const PICTURES_FPS: f64 = 0.5;

/// The text as it is for what is shared live: the newest frame is worth more than those that wait, so links of frames and of
/// prompts hold one packet and drop the oldest. A text that is no TOML is kept for its check to say so.
///
/// A conversation's text stays: it has each picture only when it is asked about it.
pub fn live(text: &str) -> String {
    edit(text, |document| {
        let is_talk = |stage: &mut Table| type_of(stage) == "chat.talk";
        if sections(document, "stage").any(is_talk) {
            return;
        }
        for stage in sections(document, "stage") {
            let kind = type_of(stage);
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

/// The text with `model` of a hub for the one that answers: four bits a weight.
pub fn answered_by(text: &str, model: &str) -> String {
    edit(text, |document| {
        let is_answering = |stage: &&mut Table| type_of(stage) == "llm.generate";
        let mut stages = sections(document, "stage");
        let name = stages
            .find(is_answering)
            .and_then(|stage| stage.get("model")?.as_str().map(str::to_owned));
        drop(stages);
        let models = document.get_mut("model").and_then(Value::as_table_mut);
        let answering = models.and_then(|models| models.get_mut(&name?)?.as_table_mut());
        if let Some(section) = answering {
            section.insert("source".into(), model.into());
            section.insert("quant".into(), 4.into());
        }
    })
}

/// The text of a conversation with what the page needs to show it: what is heard, who speaks. Of a screen that is looked at it
/// wants a picture every two seconds, of which most are never asked about. Of any other text, the same in the order in which all
/// changes of this file leave it.
pub fn tapped(text: &str) -> String {
    edit(text, |document| {
        let Some(stages) = document.get_mut("stage").and_then(Value::as_table_mut) else {
            return;
        };
        let named = |kind: &str| {
            let mut found = stages.iter().filter_map(|(name, stage)| Some((name, stage.as_table()?)));
            found
                .find(|(_, stage)| type_of(stage).starts_with(kind))
                .map(|(name, _)| name.clone())
        };
        let is_talk = named("chat.talk").is_some();
        let taps = [
            ("page_heard", super::sink::HEARD, "stt."),
            ("page_voice", super::sink::VOICE, "vad."),
        ];
        let taps = taps.map(|(name, kind, of)| (name, kind, named(of)));
        for (name, kind, from) in taps {
            if let (Some(from), true) = (from, is_talk) {
                let tap = [("type", kind.into()), ("input", from.into()), ("deadline_ms", "none".into())];
                let tap = tap.map(|(key, value): (&str, Value)| (key.to_owned(), value));
                stages.insert(name.to_owned(), Value::Table(tap.into_iter().collect()));
            }
        }
        for stage in stages.iter_mut().filter_map(|(_, stage)| stage.as_table_mut()) {
            if is_talk && super::source::TYPES.contains(&type_of(stage)) {
                stage.insert("fps".into(), PICTURES_FPS.into());
            }
        }
    })
}

fn type_of(stage: &Table) -> &str {
    stage.get("type").and_then(Value::as_str).unwrap_or_default()
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
    fn a_conversation_is_tapped_and_nothing_else_of_it_changes() {
        const TALK: &str = include_str!("../../../../configs/talk.toml");
        let mut table: Table = tapped(TALK).parse().unwrap();
        let original: Table = TALK.parse().unwrap();
        let stages = table["stage"].as_table_mut().unwrap();
        assert_eq!(stages["page_heard"]["input"].as_str(), Some("stt"));
        assert_eq!(stages["page_voice"]["input"].as_str(), Some("vad"));
        assert_eq!(stages["screen"]["fps"].as_float(), Some(PICTURES_FPS));
        stages.remove("page_heard");
        stages.remove("page_voice");
        stages["screen"].as_table_mut().unwrap().remove("fps");
        assert_eq!(table, original);
        assert_eq!(tapped(NARRATE).parse::<Table>(), NARRATE.parse::<Table>());
        assert_eq!(live(TALK).parse::<Table>(), TALK.parse::<Table>());
    }

    #[test]
    fn a_simulated_text_has_no_other_engine() {
        let table: Table = simulated(NARRATE).parse().unwrap();
        assert_eq!(table["engine"]["main"]["type"].as_str(), Some("sim"));
        let table: Table = answered_by(NARRATE, "Qwen/Qwen3-VL-2B-Instruct").parse().unwrap();
        assert_eq!(table["model"]["eyes"]["source"].as_str(), Some("Qwen/Qwen3-VL-2B-Instruct"));
        assert_eq!(table["model"]["eyes"]["quant"].as_integer(), Some(4));
        let table: Table = prompted(NARRATE, "What failed?").parse().unwrap();
        assert_eq!(table["stage"]["narrator"]["prompt"].as_str(), Some("What failed?"));
    }
}
