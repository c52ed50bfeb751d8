//! A configuration cut into parts, each for a worker: which stage runs where, and what joins the parts.

use std::collections::{BTreeMap, BTreeSet};

use pipeline::graph::Graph;
use pipeline::link::bridge::{Arrivals, Departures, Ferry};
use pipeline::runtime::Part;
use toml::Value;

use crate::protocol::Place;

/// Types of stage that must never wait for others' work; those that end in a dot stand for all that begin so.
const EARS: [&str; 7] = [
    "capture.audio",
    "capture.microphone",
    "vad.",
    "turn.",
    "sink.speaker",
    "sink.wav",
    super::sink::VOICE,
];

/// Where stages of a type run. What has handles of an engine in its packets is with the engine.
pub fn place_of(type_name: &str) -> Place {
    let is_of = |kind: &&str| type_name == *kind || (kind.ends_with('.') && type_name.starts_with(*kind));
    if EARS.iter().any(is_of) {
        Place::Ears
    } else if type_name.starts_with("tts.") {
        Place::Voice
    } else {
        Place::Engine
    }
}

/// The places that a text's stages run in. A text with faults has those of the stages that can be read.
pub fn places(text: &str) -> BTreeSet<Place> {
    let document = text.parse::<toml::Table>().unwrap_or_default();
    let stages = document.get("stage").and_then(Value::as_table);
    let types = stages.into_iter().flat_map(|stages| stages.values());
    let types = types.filter_map(|stage| stage.get("type")?.as_str());
    types.map(place_of).collect()
}

/// What joins a part to the others.
pub struct Bridges {
    pub departures: Departures,
    pub arrivals: Arrivals,
    /// Where the other end of a link is, by the link's index; of those that cross.
    pub across: BTreeMap<usize, Place>,
}

/// The part of a graph that runs in `place`, and its bridges.
pub fn cut(graph: &Graph, place: Place) -> (Part, Bridges) {
    let place_at = |index: usize| place_of(&graph.stages()[index].type_name);
    let across = graph.links().iter().enumerate().filter_map(|(index, link)| {
        let (from, to) = (place_at(link.from), place_at(link.to));
        match (from == place, to == place) {
            (true, false) => Some((index, to)),
            (false, true) => Some((index, from)),
            _ => None,
        }
    });
    let here = graph.stages().iter().filter(|stage| place_of(&stage.type_name) == place);
    let (ferry, departures, arrivals) = Ferry::new(graph.links().len());
    let part = Part {
        stages: here.map(|stage| stage.name.clone()).collect(),
        ferry,
    };
    let bridges = Bridges {
        departures,
        arrivals,
        across: across.collect(),
    };
    (part, bridges)
}

#[cfg(test)]
mod tests {
    use pipeline::packet::PacketKind;

    use super::*;
    use crate::run::prepared::check;

    #[test]
    fn what_has_handles_does_not_cross_and_long_work_is_by_itself() {
        let configs = [
            (include_str!("../../../../configs/narrate.toml"), vec![Place::Engine]),
            (
                include_str!("../../../../configs/captions.toml"),
                vec![Place::Engine, Place::Ears],
            ),
            (include_str!("../../../../configs/talk.toml"), Place::ALL.to_vec()),
        ];
        for (text, expected) in configs {
            assert_eq!(places(text), expected.iter().copied().collect(), "{text}");
            let graph = check(text).unwrap_or_else(|error| panic!("{error}"));
            let cuts: Vec<(Part, Bridges)> = expected.iter().map(|place| cut(&graph, *place)).collect();
            let n_stages: usize = cuts.iter().map(|(part, _)| part.stages.len()).sum();
            assert_eq!(n_stages, graph.stages().len(), "every stage is somewhere");
            for (_, bridges) in cuts {
                for link in bridges.across.keys().map(|index| &graph.links()[*index]) {
                    let kinds = &link.kinds;
                    let has_handles = [PacketKind::Features, PacketKind::Prompt, PacketKind::Tokens];
                    assert!(!kinds.iter().any(|kind| has_handles.contains(kind)), "{kinds:?} cross");
                }
            }
        }
        assert_eq!(places("[stage"), BTreeSet::new());
    }
}
