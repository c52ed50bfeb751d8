//! The latency waterfall of an answer, from a run's trace: what passed between the moment a picture entered the graph and the
//! moment its last word was written. The parts follow one another without a gap, so they add up to the whole.

use pipeline::graph::Graph;
use serde::Deserialize;

/// The moments after the first one (the picture is captured), each the end of a part:
/// its embeddings are there; the model takes its prompt up (the wait for earlier answers included); the prompt is read; the
/// first token is on its way to words; the last one is sampled; all sinks are through with it.
const MOMENTS: [&str; 6] = ["encoded", "prompt", "prefill", "first_token", "last_token", "written"];

/// The parts of one answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Waterfall {
    /// The time of the picture in its source.
    pub pts_ms: f64,
    /// As [`MOMENTS`]: how long after the one before.
    pub parts_ms: [f64; 6],
    pub whole_ms: f64,
}

#[derive(Deserialize)]
struct Trace {
    #[serde(rename = "traceEvents")]
    events: Vec<Event>,
}

#[derive(Deserialize)]
struct Event {
    ph: String,
    name: String,
    #[serde(default)]
    ts: f64,
    #[serde(default)]
    dur: f64,
    args: Args,
}

#[derive(Default, Deserialize)]
struct Args {
    stage: Option<String>,
    pts_ms: Option<f64>,
    turn: Option<u64>,
}

impl Event {
    fn end(&self) -> f64 {
        self.ts + self.dur
    }

    /// The packet that a stage's slice is about: those of one picture share time and turn.
    fn key(&self) -> Option<(u64, u64)> {
        Some((self.args.turn?, self.args.pts_ms?.to_bits()))
    }
}

/// What the checker knows of the stages, by name.
struct Kinds<'a>(&'a Graph);

impl Kinds<'_> {
    fn is(&self, event: &Event, type_name: &str) -> bool {
        let stages = self.0.stages();
        stages
            .iter()
            .any(|stage| Some(&stage.name) == event.args.stage.as_ref() && stage.type_name == type_name)
    }

    fn is_sink(&self, event: &Event) -> bool {
        let index = self
            .0
            .stages()
            .iter()
            .position(|stage| Some(&stage.name) == event.args.stage.as_ref());
        index.is_some_and(|index| !self.0.links().iter().any(|link| link.from == index))
    }
}

/// A waterfall for each answer of a run, in order; none if the trace was off or is not one of this program.
pub fn waterfalls_from_trace(json: &str, graph: &Graph) -> Vec<Waterfall> {
    let Ok(trace) = serde_json::from_str::<Trace>(json) else {
        return Vec::new();
    };
    let mut slices: Vec<Event> = trace.events.into_iter().filter(|event| event.ph == "X").collect();
    slices.sort_by(|a, b| a.ts.total_cmp(&b.ts));
    let kinds = Kinds(graph);
    let asked = slices.iter().filter(|slice| kinds.is(slice, "llm.generate"));
    asked.filter_map(|answer| waterfall(answer, &slices, &kinds)).collect()
}

/// `answer` is a packet's stay in `llm.generate`; `slices` are sorted by their start.
fn waterfall(answer: &Event, slices: &[Event], kinds: &Kinds<'_>) -> Option<Waterfall> {
    let key = answer.key()?;
    let same = || slices.iter().filter(|slice| slice.key() == Some(key));
    // The same picture may be asked about again.
    let again = same().find(|slice| kinds.is(slice, "llm.generate") && slice.ts > answer.ts);
    let until = again.map_or(f64::INFINITY, |slice| slice.ts);
    let during = |outer: &Event, name: &str| {
        let inside = |slice: &&Event| slice.name == name && slice.end() > outer.ts && slice.end() <= outer.end();
        slices.iter().filter(inside).map(Event::end).reduce(f64::max)
    };
    let captured = same().next()?.ts;
    let encode = same().rfind(|slice| kinds.is(slice, "vision.encode") && slice.ts <= answer.ts);
    let encoded = encode.map(|slice| during(slice, "gpu.encode").unwrap_or(slice.end()));
    let after = |slice: &&Event| slice.ts >= answer.ts && slice.ts < until;
    let first_token = same()
        .filter(after)
        .find(|slice| kinds.is(slice, "tokens.decode"))
        .map(|slice| slice.ts);
    let last_token = during(answer, "gpu.decode").unwrap_or(answer.end());
    let written = same()
        .filter(after)
        .filter(|slice| kinds.is_sink(slice))
        .map(Event::end)
        .reduce(f64::max)?;
    // A stage that sends is not through with its packet until it asks for the next, so neighbours may overlap a little: a moment
    // is never before the one ahead of it, nor after the end.
    let moments = [
        encoded,
        Some(answer.ts),
        during(answer, "gpu.prefill"),
        first_token,
        Some(last_token),
        Some(written),
    ];
    let mut before = captured;
    let parts_ms = moments.map(|moment| {
        let moment = moment.unwrap_or(before).clamp(before, written.max(before));
        (moment - std::mem::replace(&mut before, moment)) / 1e3
    });
    Some(Waterfall {
        pts_ms: f64::from_bits(key.1),
        parts_ms,
        whole_ms: (written - captured) / 1e3,
    })
}

/// The mean of several: its parts add up as well.
pub fn mean(waterfalls: &[Waterfall]) -> Option<Waterfall> {
    let n = waterfalls.len() as f64;
    let first = waterfalls.first()?;
    let mut mean = Waterfall {
        parts_ms: [0.0; 6],
        whole_ms: 0.0,
        ..first.clone()
    };
    for waterfall in waterfalls {
        for (sum, part) in mean.parts_ms.iter_mut().zip(waterfall.parts_ms) {
            *sum += part / n;
        }
        mean.whole_ms += waterfall.whole_ms / n;
    }
    Some(mean)
}

impl Waterfall {
    /// `encoded 210 ms, prompt 3 ms, …; 975 ms in all`
    pub fn line(&self) -> String {
        let parts = MOMENTS.iter().zip(self.parts_ms);
        let parts: Vec<_> = parts
            .map(|(name, ms)| format!("{} {ms:.1} ms", name.replace('_', " ")))
            .collect();
        format!("{}; {:.1} ms in all", parts.join(", "), self.whole_ms)
    }

    /// `{"encoded": 210.0, …, "whole": 975.0}`, in milliseconds.
    pub fn json(&self) -> serde_json::Value {
        let parts = MOMENTS.iter().zip(self.parts_ms);
        let mut object: serde_json::Map<_, _> = parts.map(|(name, ms)| ((*name).to_owned(), ms.into())).collect();
        object.insert("whole".to_owned(), self.whole_ms.into());
        object.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph_text::GraphText;
    use crate::setup::{Models, registry_for_checks};

    fn graph() -> Graph {
        let text = GraphText::bundled("narrate.toml", include_str!("../../../configs/narrate.toml"));
        text.check(&registry_for_checks(std::path::Path::new("configs"), Models::Named))
            .unwrap()
    }

    /// `stage`, start and end in ms, and the picture's time.
    fn slice(name: &str, stage: &str, (start, end): (u32, u32), pts_ms: Option<f64>) -> serde_json::Value {
        let mut args = serde_json::json!({ "stage": stage });
        if let Some(pts_ms) = pts_ms {
            args["pts_ms"] = pts_ms.into();
            args["turn"] = 0.into();
        }
        serde_json::json!({ "ph": "X", "name": name, "ts": start * 1000, "dur": (end - start) * 1000, "args": args })
    }

    #[test]
    fn the_parts_of_an_answer_add_up_to_the_whole() {
        let of = |stage: &str, times| slice(stage, stage, times, Some(500.0));
        let events = vec![
            serde_json::json!({ "ph": "M", "name": "process_name", "args": { "name": "qwglm" } }),
            of("changes", (10, 12)),
            // The stage waits for room until 60; the engine was done at 40.
            of("encode", (12, 60)),
            slice("gpu.encode", "engine.main", (15, 40), None),
            of("tokens", (60, 61)),
            of("generate", (70, 200)),
            slice("gpu.prefill", "engine.main", (70, 100), None),
            slice("gpu.decode", "engine.main", (100, 190), None),
            of("words", (101, 102)),
            of("words", (199, 200)),
            of("terminal", (200, 205)),
            // Another picture's.
            slice("changes", "changes", (1, 2), Some(0.0)),
        ];
        let trace = serde_json::json!({ "traceEvents": events }).to_string();
        let waterfalls = waterfalls_from_trace(&trace, &graph());
        let [waterfall] = &waterfalls[..] else {
            panic!("{waterfalls:?}")
        };
        assert_eq!(waterfall.parts_ms, [30.0, 30.0, 30.0, 1.0, 89.0, 15.0]);
        assert_eq!(waterfall.whole_ms, 195.0);
        assert_eq!(waterfall.parts_ms.iter().sum::<f64>(), waterfall.whole_ms);
        let twice = [waterfall.clone(), waterfall.clone()];
        assert_eq!(mean(&twice).as_ref(), Some(waterfall));
    }

    #[test]
    fn no_trace_is_no_waterfall() {
        assert_eq!(waterfalls_from_trace("{", &graph()), []);
        assert_eq!(waterfalls_from_trace("{\"traceEvents\": []}", &graph()), []);
        assert_eq!(mean(&[]), None);
    }
}
