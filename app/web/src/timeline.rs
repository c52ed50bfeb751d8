//! A decode step as three lines of blocks over time, and in words: what the simulator's screen draws. Plain Rust with no view in it;
//! the numbers are `sim`'s.

use sim::hybrid::{Dispatched, Step};

use crate::protocol::{GpuRow, Likeness, MeasuredBy, StepTold};

/// Units that a line is wide.
pub const WIDTH: f64 = 1000.0;
/// About how many marks an axis has.
const MARKS: f64 = 4.0;

/// What a dispatch is for, as it is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Reads weights.
    Weights,
    /// Looks back at the tokens before.
    Attention,
    /// Chooses the token.
    Choice,
    /// Norms, rotations, what else goes value by value.
    Rest,
    /// The step as a whole.
    Whole,
}

impl Family {
    /// Those that a legend names.
    pub const LEGEND: [Self; 4] = [Self::Weights, Self::Attention, Self::Rest, Self::Choice];

    fn of(class: &str) -> Self {
        match class {
            "matvec" | "matmul" => Self::Weights,
            "decoding" | "attention" => Self::Attention,
            "sampling" => Self::Choice,
            _ => Self::Rest,
        }
    }

    /// As a class of the style sheet.
    pub fn class(self) -> &'static str {
        match self {
            Self::Weights => "weights",
            Self::Attention => "attention",
            Self::Choice => "choice",
            Self::Rest => "rest",
            Self::Whole => "whole",
        }
    }

    pub fn words(self) -> &'static str {
        match self {
            Self::Weights => "reads weights",
            Self::Attention => "looks back (attention)",
            Self::Choice => "chooses the token",
            Self::Rest => "norms and the like",
            Self::Whole => "the step as a whole",
        }
    }
}

/// A line: one of the three.
#[derive(Clone, Debug, PartialEq)]
pub struct Lane {
    pub name: &'static str,
    /// None: it was not measured.
    pub total_s: Option<f64>,
    /// The time that [`WIDTH`] stands for.
    pub scale_s: f64,
    pub blocks: Vec<Block>,
}

/// A dispatch on a line, or a step whose dispatches are not known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Block {
    /// Which dispatch, from 0.
    pub dispatch: Option<usize>,
    pub family: Family,
    /// In units of [`WIDTH`].
    pub x: f64,
    pub width: f64,
}

/// What the lines are as wide as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// The longest of the three.
    Same,
    /// Each itself.
    Own,
}

/// The lines, real first.
pub fn lanes(step: &Step, scale: Scale) -> [Lane; 3] {
    let totals = [step.measured_s, Some(step.modelled_s()), Some(step.impossible_s())];
    let longest_s = totals.iter().flatten().copied().fold(f64::MIN_POSITIVE, f64::max);
    let scale_of = |total_s: Option<f64>| match (scale, total_s) {
        (Scale::Own, Some(total_s)) if total_s > 0.0 => total_s,
        _ => longest_s,
    };
    let [real_s, modelled_s, impossible_s] = totals.map(scale_of);
    let lane = |name, index: usize, scale_s, blocks| Lane {
        name,
        total_s: totals[index],
        scale_s,
        blocks,
    };
    [
        lane("Real", 0, real_s, real(step, real_s)),
        lane(
            "Modelled",
            1,
            modelled_s,
            in_a_row(step, modelled_s, |dispatch| dispatch.modelled_s),
        ),
        lane(
            "Impossible",
            2,
            impossible_s,
            in_a_row(step, impossible_s, |dispatch| dispatch.impossible_s),
        ),
    ]
}

fn real(step: &Step, scale_s: f64) -> Vec<Block> {
    let Some(total_s) = step.measured_s else { return Vec::new() };
    if !step.has_spans() {
        let (family, width) = (Family::Whole, total_s / scale_s * WIDTH);
        return vec![Block {
            dispatch: None,
            family,
            x: 0.0,
            width,
        }];
    }
    let block = |(index, dispatch): (usize, &Dispatched)| {
        let span = dispatch.span?;
        Some(Block {
            dispatch: Some(index),
            family: Family::of(&dispatch.class),
            x: span.begin_s / scale_s * WIDTH,
            width: span.taken_s / scale_s * WIDTH,
        })
    };
    step.dispatches.iter().enumerate().filter_map(block).collect()
}

fn in_a_row(step: &Step, scale_s: f64, taken_s: fn(&Dispatched) -> f64) -> Vec<Block> {
    let mut at_s = 0.0;
    let block = |(index, dispatch): (usize, &Dispatched)| {
        let x = at_s / scale_s * WIDTH;
        at_s += taken_s(dispatch);
        Block {
            dispatch: Some(index),
            family: Family::of(&dispatch.class),
            x,
            width: taken_s(dispatch) / scale_s * WIDTH,
        }
    };
    step.dispatches.iter().enumerate().map(block).collect()
}

impl Lane {
    /// Where an axis has marks, as shares of the width, and what stands there.
    pub fn marks(&self) -> Vec<(f64, String)> {
        let rough_s = self.scale_s / MARKS;
        let power = 10f64.powf(rough_s.log10().floor());
        let apart_s = [1.0, 2.0, 5.0, 10.0]
            .into_iter()
            .map(|factor| factor * power)
            .find(|apart_s| *apart_s >= rough_s)
            .unwrap_or(rough_s);
        let n = (self.scale_s / apart_s + 1e-9) as usize;
        (0..=n)
            .map(|i| i as f64 * apart_s)
            .map(|s| (s / self.scale_s, time(s)))
            .collect()
    }
}

/// `840 µs`, `12.3 ms`, `1.20 s`: three digits.
pub fn time(seconds: f64) -> String {
    let (value, unit) = match seconds {
        s if s <= 0.0 => return "0".to_owned(),
        s if s < 0.9995e-3 => (s * 1e6, "µs"),
        s if s < 0.9995 => (s * 1e3, "ms"),
        s => (s, "s"),
    };
    match value {
        value if value < 9.995 => format!("{value:.2} {unit}"),
        value if value < 99.95 => format!("{value:.1} {unit}"),
        value => format!("{value:.0} {unit}"),
    }
}

/// `9.4`, `120`: how many times.
pub fn times(ratio: f64) -> String {
    match ratio {
        ratio if ratio < 9.95 => format!("{ratio:.1}"),
        ratio => format!("{ratio:.0}"),
    }
}

/// What is compared with what, in words.
pub fn heading(told: &StepTold) -> String {
    let step = &told.step;
    let n = step.dispatches.len();
    let what = format!(
        "One token of {}: {n} dispatches, {} tokens before it.",
        told.model, step.n_cached
    );
    let real = match (&told.adapter, told.by) {
        (None, _) => "Nothing is loaded, so nothing is measured yet.".to_owned(),
        (Some(adapter), MeasuredBy::Nothing) => format!("It lies on {}, not measured yet.", known(adapter)),
        (Some(adapter), MeasuredBy::Stamps) => format!(
            "Real is {}, by time stamps around each dispatch, the mean of {} steps.",
            known(adapter),
            step.count
        ),
        (Some(adapter), MeasuredBy::Clock) => format!(
            "Real is {}, the mean of {} steps by the clock: it has no time stamps, so its dispatches cannot be told apart.",
            known(adapter),
            step.count
        ),
    };
    let modelled = match told.likeness {
        Likeness::ByName | Likeness::Chosen => format!("Modelled is {}.", told.profile_name),
        Likeness::OfItsKind => format!(
            "Modelled is {}, since nothing nearer is known: choose what is like yours.",
            told.profile_name
        ),
    };
    format!("{what} {real} {modelled} Impossible is the same with {}.", told.switches)
}

/// A browser may keep an adapter's name to itself.
fn known(adapter: &str) -> &str {
    match adapter.trim() {
        "" => "this machine's GPU",
        adapter => adapter,
    }
}

/// The three lines, for who does not see them.
pub fn alternative(told: &StepTold) -> String {
    let step = &told.step;
    let (modelled_s, impossible_s) = (step.modelled_s(), step.impossible_s());
    let ratio = |a: f64, b: f64| times(a / b.max(f64::MIN_POSITIVE));
    let both = format!("modelled {}, impossible {}", time(modelled_s), time(impossible_s));
    let Some(real_s) = step.measured_s else {
        let survives = ratio(modelled_s, impossible_s);
        return format!("Not measured; {both}: the impossible GPU is {survives} times as fast as the modelled one.");
    };
    let compared = format!(
        "Real {}, {both}: real takes {} times what is modelled and {} times the impossible.",
        time(real_s),
        ratio(real_s, modelled_s),
        ratio(real_s, impossible_s)
    );
    let taken_s: f64 = step
        .dispatches
        .iter()
        .filter_map(|dispatch| dispatch.span)
        .map(|span| span.taken_s)
        .sum();
    match step.has_spans() {
        true => format!(
            "{compared} {:.0} % of it lies between the dispatches.",
            (1.0 - taken_s / real_s).max(0.0) * 100.0
        ),
        false => compared,
    }
}

/// One dispatch in words; the index from 0.
pub fn described(step: &Step, index: usize) -> Option<String> {
    let dispatch = step.dispatches.get(index)?;
    let real = dispatch.span.map_or(String::new(), |span| {
        format!("Real {}, begun after {}. ", time(span.taken_s), time(span.begin_s))
    });
    Some(format!(
        "Dispatch {} of {}: {}, {}. {real}Modelled {}, most of it {}. Impossible {}, most of it {}.",
        index + 1,
        step.dispatches.len(),
        dispatch.kernel,
        Family::of(&dispatch.class).words(),
        time(dispatch.modelled_s),
        dispatch.waits_for,
        time(dispatch.impossible_s),
        dispatch.impossible_waits_for,
    ))
}

/// A step on every GPU that is known: the lines of a table, and what its bars lie between.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// Fastest first.
    pub rows: Vec<GpuRow>,
    /// Where it was measured here: real and impossible, in seconds.
    pub here: Option<[f64; 2]>,
    /// The shortest and the longest of all, in seconds.
    pub range_s: [f64; 2],
}

/// What came of the GPUs so far, beside what was measured here.
pub fn compared(gpus: &[GpuRow], told: Option<&StepTold>) -> Comparison {
    let mut rows = gpus.to_vec();
    rows.sort_by(|a, b| a.step_s.total_cmp(&b.step_s));
    let here = told.and_then(|told| Some([told.step.measured_s?, told.step.impossible_s()]));
    let pairs = rows.iter().map(|row| [row.step_s, row.impossible_s]).chain(here);
    let widen = |[shortest_s, longest_s]: [f64; 2], s: f64| [s.min(shortest_s), s.max(longest_s)];
    let range_s = pairs.flatten().fold([f64::INFINITY, 0.0], widen);
    Comparison { rows, here, range_s }
}

/// Where a time stands between the shortest and the longest of all, by its logarithm: from a twentieth to 1.
pub fn log_share(seconds: f64, [shortest_s, longest_s]: [f64; 2]) -> f64 {
    let range = (longest_s / shortest_s).ln();
    match range.is_finite() && range > 0.0 {
        true => 0.05 + 0.95 * ((seconds / shortest_s).ln() / range).clamp(0.0, 1.0),
        false => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use sim::hybrid::Span;

    use super::*;

    fn told(spans: bool, measured_s: Option<f64>) -> StepTold {
        let dispatch = |(index, class): (usize, &str)| Dispatched {
            kernel: format!("{class}_{index}"),
            class: class.to_owned(),
            span: spans.then_some(Span {
                begin_s: index as f64 * 1e-3,
                taken_s: 0.8e-3,
            }),
            modelled_s: 0.2e-3,
            impossible_s: 0.05e-3,
            waits_for: "memory".into(),
            impossible_waits_for: "launches".into(),
        };
        let classes = ["rows", "matvec", "decoding", "sampling"];
        StepTold {
            model: "pocket-vl".into(),
            adapter: measured_s.map(|_| "Card".into()),
            by: match (measured_s, spans) {
                (None, _) => MeasuredBy::Nothing,
                (_, true) => MeasuredBy::Stamps,
                (_, false) => MeasuredBy::Clock,
            },
            profile: "h100".into(),
            profile_name: "NVIDIA H100".into(),
            likeness: Likeness::Chosen,
            switches: "perfect cache".into(),
            step: Step {
                recording: "decode".into(),
                n_cached: 108,
                count: 24,
                measured_s,
                dispatches: classes.into_iter().enumerate().map(dispatch).collect(),
            },
        }
    }

    #[test]
    fn lines_lie_on_one_scale_or_each_on_its_own() {
        let told = told(true, Some(4e-3));
        let [real, modelled, impossible] = lanes(&told.step, Scale::Same);
        assert_eq!([real.scale_s, modelled.scale_s, impossible.scale_s], [4e-3; 3]);
        let families = [Family::Rest, Family::Weights, Family::Attention, Family::Choice];
        assert!(real.blocks.iter().map(|block| block.family).eq(families));
        assert!((real.blocks[1].x - 250.0).abs() < 1e-9 && (real.blocks[1].width - 200.0).abs() < 1e-9);
        let end = |lane: &Lane| lane.blocks.last().map_or(0.0, |block| block.x + block.width);
        assert!((end(&modelled) - 200.0).abs() < 1e-9 && (end(&impossible) - 50.0).abs() < 1e-9);
        let own = lanes(&told.step, Scale::Own);
        assert!((end(&own[1]) - WIDTH).abs() < 1e-9 && (end(&own[2]) - WIDTH).abs() < 1e-9);
        assert!((own[2].scale_s - 0.2e-3).abs() < 1e-12);
        let marks = real.marks();
        assert_eq!(marks.len(), 5, "{marks:?}");
        assert!(marks[0] == (0.0, "0".to_owned()) && marks[4].1 == "4.00 ms", "{marks:?}");
    }

    #[test]
    fn what_was_not_measured_is_not_drawn_and_said() {
        let none = told(false, None);
        let [real, modelled, _] = lanes(&none.step, Scale::Same);
        assert!(real.blocks.is_empty() && real.total_s.is_none() && modelled.blocks.len() == 4);
        assert!(
            alternative(&none).starts_with("Not measured; modelled 800 µs, impossible 200 µs: the impossible GPU is 4.0 times")
        );
        assert!(heading(&none).contains("Nothing is loaded"), "{}", heading(&none));
        let whole = told(false, Some(4e-3));
        let [real, ..] = lanes(&whole.step, Scale::Same);
        assert_eq!(
            (real.blocks.len(), real.blocks[0].dispatch, real.blocks[0].width),
            (1, None, WIDTH)
        );
        assert!(heading(&whole).contains("no time stamps"), "{}", heading(&whole));
        assert!(!alternative(&whole).contains("between"), "{}", alternative(&whole));
    }

    #[test]
    fn everything_that_is_drawn_is_said() {
        let told = told(true, Some(4e-3));
        let said = alternative(&told);
        assert!(said.starts_with("Real 4.00 ms, modelled 800 µs, impossible 200 µs"), "{said}");
        assert!(
            said.contains("5.0 times what is modelled and 20 times") && said.ends_with("20 % of it lies between the dispatches."),
            "{said}"
        );
        let said = described(&told.step, 1).unwrap();
        assert_eq!(
            said,
            "Dispatch 2 of 4: matvec_1, reads weights. Real 800 µs, begun after 1.00 ms. Modelled 200 µs, most of it memory. \
             Impossible 50.0 µs, most of it launches."
        );
        assert_eq!(described(&told.step, 4), None);
        assert_eq!(
            [time(0.0), time(1.5e-6), time(0.9999e-3), time(2.0)],
            ["0", "1.50 µs", "1.00 ms", "2.00 s"]
        );
        assert_eq!(log_share(1e-3, [1e-4, 1e-2]), 0.05 + 0.95 * 0.5);
        assert_eq!(log_share(1.0, [1.0, 1.0]), 1.0);
    }

    #[test]
    fn gpus_are_compared_fastest_first_beside_what_was_measured() {
        let row = |key: &str, step_s: f64| GpuRow {
            key: key.to_owned(),
            name: key.to_owned(),
            step_s,
            waits_for: "launches".into(),
            impossible_s: step_s / 2.0,
            impossible_waits_for: "launches".into(),
        };
        let gpus = [row("slow", 3e-3), row("fast", 1e-3), row("as fast", 1e-3)];
        let names = |found: &Comparison| found.rows.iter().map(|row| row.key.clone()).collect::<Vec<_>>();
        let found = compared(&gpus, Some(&told(true, None)));
        assert_eq!(names(&found), ["fast", "as fast", "slow"]);
        assert_eq!((found.here, found.range_s), (None, [0.5e-3, 3e-3]));
        let found = compared(&gpus[..1], Some(&told(true, Some(4e-3))));
        assert_eq!(found.here.map(|[real_s, _]| real_s), Some(4e-3));
        assert_eq!(found.range_s, [0.2e-3, 4e-3]);
        // Of no GPU a bar is drawn.
        assert!(compared(&[], None).rows.is_empty());
    }
}
