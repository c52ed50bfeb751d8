//! A plan as an SVG chart: a row a GPU; what its memory is for, how many tokens a second, how long until the first.

use std::fmt::Write;

use sim::timing::predict::{MemoryUse, Prediction};

use super::Report;
use super::table::{bits, count, short};

/// Follows the reader's light or dark theme.
const STYLE: &str = "
  svg { --ink: #1c2430; --soft: #5b6675; --grid: #dfe5ec; --paper: #ffffff; --row: #f5f8fb; --bad: #c4372c;
    --a: #2f6db5; --b: #77a9dc; --c: #8e7cc3; --d: #e39b2d; --e: #aab4bf; --f: #2a9d78; font-family: system-ui, sans-serif }
  @media (prefers-color-scheme: dark) { svg { --ink: #e8edf3; --soft: #a3afbd; --grid: #2c3948; --paper: #141a22; --row: #1a222c;
    --bad: #ff8074; --a: #5b9bea; --b: #8fbdf0; --c: #b3a3e6; --d: #f0b45c; --e: #6f7c8a; --f: #57c9a4 } }
  .paper { fill: var(--paper) } .row { fill: var(--row) } .grid { stroke: var(--grid) } .full { stroke: var(--soft); stroke-dasharray: 3 3 }
  .title { fill: var(--ink); font-size: 20px; font-weight: 700 } .head { fill: var(--ink); font-size: 13px; font-weight: 600 }
  .name { fill: var(--ink); font-size: 13px; font-weight: 600 } .small { fill: var(--soft); font-size: 11px } .bad { fill: var(--bad) }
  .mid { text-anchor: middle } .end { text-anchor: end } .span { stroke: var(--grid); stroke-width: 5; stroke-linecap: round }
  .a { fill: var(--a) } .b { fill: var(--b) } .c { fill: var(--c) } .d { fill: var(--d) } .e { fill: var(--e) } .f { fill: var(--f) }
";

const WIDTH: f64 = 1160.0;
const TOP: f64 = 128.0;
const ROW: f64 = 46.0;
const GIB: f64 = (1u64 << 30) as f64;
/// Colours of the dots of a row, in order.
const DOTS: [&str; 5] = ["a", "b", "d", "f", "c"];

/// Where a panel lies, and what its axis shows.
struct Panel {
    left: f64,
    right: f64,
    least: f64,
    most: f64,
}

impl Panel {
    /// Whole decades around the values.
    fn of(left: f64, right: f64, values: impl Iterator<Item = f64> + Clone) -> Self {
        let least = values.clone().fold(f64::INFINITY, f64::min);
        let most = values.fold(f64::NEG_INFINITY, f64::max);
        let (least, most) = match least.is_finite() && least > 0.0 {
            true => (10f64.powf(least.log10().floor()), 10f64.powf(most.log10().ceil())),
            false => (1.0, 10.0),
        };
        Self {
            left,
            right,
            least,
            most: most.max(least * 10.0),
        }
    }

    /// On the logarithmic axis.
    fn x(&self, value: f64) -> f64 {
        let share = (value / self.least).log10() / (self.most / self.least).log10();
        self.left + (self.right - self.left) * share.clamp(0.0, 1.0)
    }

    fn axis(&self, svg: &mut String, bottom: f64, unit: &str) {
        let mut decade = self.least;
        while decade <= self.most * 1.001 {
            let x = self.x(decade);
            let _ = writeln!(
                svg,
                "<path class=\"grid\" d=\"M{x:.1} {:.1}V{bottom:.1}\"/><text class=\"small mid\" x=\"{x:.1}\" y=\"{:.1}\">{}{unit}</text>",
                TOP - 4.0,
                TOP - 10.0,
                plain(decade)
            );
            decade *= 10.0;
        }
    }

    /// Values of a row as dots on a line; the first and the last are told.
    fn dots(&self, svg: &mut String, y: f64, values: &[f64]) {
        let xs = values.iter().map(|&value| self.x(value));
        let (least, most) = xs.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), x| (a.min(x), b.max(x)));
        if !least.is_finite() {
            return;
        }
        let _ = writeln!(svg, "<path class=\"span\" d=\"M{least:.1} {y:.1}H{most:.1}\"/>");
        for (&value, colour) in values.iter().zip(DOTS).rev() {
            let _ = writeln!(
                svg,
                "<circle class=\"{colour}\" cx=\"{:.1}\" cy=\"{y:.1}\" r=\"5.5\"/>",
                self.x(value)
            );
        }
        let smallest = values.iter().copied().fold(f64::INFINITY, f64::min);
        let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let below = format!(
            "<text class=\"small end\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            least - 10.0,
            y + 4.0,
            short(smallest)
        );
        let above = format!(
            "<text class=\"small\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            most + 10.0,
            y + 4.0,
            short(largest)
        );
        let _ = writeln!(svg, "{below}{above}");
    }
}

/// The report as a picture.
pub fn svg(report: &Report) -> String {
    let planned: Vec<&Prediction> = report.gpus.iter().filter(|gpu| gpu.problem.is_none()).collect();
    let bottom = TOP + ROW * report.gpus.len() as f64;
    let height = bottom + 78.0;
    let rates = planned.iter().flat_map(|gpu| rates_of(gpu));
    let waits = planned.iter().flat_map(|gpu| waits_of(gpu));
    let speed = Panel::of(520.0, 790.0, rates);
    let wait = Panel::of(870.0, 1110.0, waits);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" role=\"img\">\n\
         <title>{0} on {1} GPUs</title>\n<style>{STYLE}</style>\n<rect class=\"paper\" width=\"100%\" height=\"100%\"/>\n\
         <text class=\"title\" x=\"24\" y=\"38\">{0}, {2}</text>\n\
         <text class=\"small\" x=\"24\" y=\"60\">{3:.2} billion parameters · a KV cache of {4} tokens · modelled from each kernel launch, not measured</text>\n",
        escaped(&report.model),
        report.gpus.len(),
        bits(report.quant),
        report.parameters as f64 / 1e9,
        report.context_tokens
    );
    for (x, head) in [
        (210.0, "Memory"),
        (speed.left, "Tokens a second"),
        (wait.left, "Seconds to the first token"),
    ] {
        let _ = writeln!(svg, "<text class=\"head\" x=\"{x}\" y=\"94\">{head}</text>");
    }
    for (i, _) in report.gpus.iter().enumerate().step_by(2) {
        let y = TOP + ROW * i as f64;
        let _ = writeln!(
            svg,
            "<rect class=\"row\" x=\"12\" y=\"{y}\" width=\"{}\" height=\"{ROW}\" rx=\"6\"/>",
            WIDTH - 24.0
        );
    }
    speed.axis(&mut svg, bottom, "");
    wait.axis(&mut svg, bottom, " s");
    memory_axis(&mut svg, bottom);
    for (i, gpu) in report.gpus.iter().enumerate() {
        let middle = TOP + ROW * (i as f64 + 0.5);
        let _ = writeln!(
            svg,
            "<text class=\"name\" x=\"24\" y=\"{:.1}\">{}</text>",
            middle - 1.0,
            escaped(&gpu.gpu)
        );
        if let Some(problem) = &gpu.problem {
            let _ = writeln!(
                svg,
                "<text class=\"small bad\" x=\"210\" y=\"{:.1}\">{}</text>",
                middle + 4.0,
                escaped(problem)
            );
            continue;
        }
        memory_bar(&mut svg, middle, gpu);
        speed.dots(&mut svg, middle, &rates_of(gpu));
        wait.dots(&mut svg, middle, &waits_of(gpu));
        let too_large = gpu.pictures.iter().filter(|row| row.first_token_s().is_none());
        let sizes: Vec<String> = too_large.map(|row| format!("{}×{}", row.width, row.height)).collect();
        if !sizes.is_empty() {
            let _ = writeln!(
                svg,
                "<text class=\"small bad end\" x=\"{}\" y=\"{:.1}\">{} is too large for a binding</text>",
                WIDTH - 24.0,
                middle + 18.0,
                sizes.join(", ")
            );
        }
    }
    legends(
        &mut svg,
        bottom,
        planned.first().copied(),
        [speed.left + 5.0, wait.left + 5.0],
    );
    svg.push_str("</svg>\n");
    svg
}

fn rates_of(gpu: &Prediction) -> Vec<f64> {
    gpu.decode.iter().map(|row| row.tokens_per_s).collect()
}

/// A prompt of text, then the pictures.
fn waits_of(gpu: &Prediction) -> Vec<f64> {
    let text = gpu.prefill.first().map(|row| row.first_token_s);
    text.into_iter()
        .chain(gpu.pictures.iter().filter_map(|row| row.first_token_s()))
        .collect()
}

/// What memory is for, in the order of the bar.
fn classes(memory: &MemoryUse) -> [(&'static str, &'static str, u64); 5] {
    let rest = memory.activations_bytes + memory.features_bytes + memory.rest_bytes;
    [
        ("a", "layers", memory.layers_bytes),
        ("b", "embeddings", memory.embeddings_bytes),
        ("c", "vision", memory.vision_bytes),
        ("d", "KV cache", memory.cache_bytes),
        ("e", "rest", rest),
    ]
}

const BAR: (f64, f64) = (210.0, 410.0);

fn memory_axis(svg: &mut String, bottom: f64) {
    for (share, label) in [(0.0, "0"), (0.5, "half"), (1.0, "all of it")] {
        let x = BAR.0 + (BAR.1 - BAR.0) * share;
        let class = if share == 1.0 { "full" } else { "grid" };
        let _ = writeln!(
            svg,
            "<path class=\"{class}\" d=\"M{x} {:.1}V{bottom:.1}\"/><text class=\"small mid\" x=\"{x}\" y=\"{:.1}\">{label}</text>",
            TOP - 4.0,
            TOP - 10.0
        );
    }
}

/// The share of the GPU's memory that each class takes; what is beyond it ends at the panel's edge.
fn memory_bar(svg: &mut String, middle: f64, gpu: &Prediction) {
    let memory = &gpu.memory;
    let scale = (BAR.1 - BAR.0) / memory.available_bytes.max(1) as f64;
    let edge = BAR.1 + 22.0;
    let mut x = BAR.0;
    for (colour, _, bytes) in classes(memory) {
        let width = (bytes as f64 * scale).min(edge - x).max(0.0);
        let _ = writeln!(
            svg,
            "<rect class=\"{colour}\" x=\"{x:.2}\" y=\"{:.1}\" width=\"{width:.2}\" height=\"14\"/>",
            middle - 7.0
        );
        x += width;
    }
    let (class, word) = match gpu.fits {
        true => ("small", ""),
        false => ("small bad", " — does not fit"),
    };
    let needs = memory.total_bytes as f64 / GIB;
    let has = short(memory.available_bytes as f64 / GIB);
    let _ = writeln!(
        svg,
        "<text class=\"{class}\" x=\"24\" y=\"{:.1}\">{needs:.1} of {has} GiB{word}</text>",
        middle + 14.0
    );
}

fn legends(svg: &mut String, bottom: f64, shown: Option<&Prediction>, [speed, wait]: [f64; 2]) {
    let Some(gpu) = shown else {
        return;
    };
    let memory = classes(&gpu.memory).map(|(colour, name, _)| (colour, name.to_owned()));
    let contexts = gpu.decode.iter().map(|row| match row.context {
        0 => "at the start".to_owned(),
        n => format!("behind {}", count(n)),
    });
    let text = gpu.prefill.first().map(|row| format!("{} tokens of text", row.n_tokens));
    let pictures = gpu.pictures.iter().map(|row| format!("{}×{}", row.width, row.height));
    let waits: Vec<String> = text.into_iter().chain(pictures).collect();
    let dots = |names: Vec<String>| DOTS.into_iter().zip(names).collect::<Vec<_>>();
    for (x, entries, columns, step) in [
        (BAR.0 + 5.0, memory.to_vec(), 3, 88.0),
        (speed, dots(contexts.collect()), 3, 98.0),
        (wait, dots(waits), 2, 130.0),
    ] {
        for (i, (colour, name)) in entries.iter().enumerate() {
            let (cx, y) = (x + step * (i % columns) as f64, bottom + 26.0 + 20.0 * (i / columns) as f64);
            let _ = writeln!(
                svg,
                "<circle class=\"{colour}\" cx=\"{cx:.1}\" cy=\"{:.1}\" r=\"5\"/><text class=\"small\" x=\"{:.1}\" y=\"{y:.1}\">{name}</text>",
                y - 4.0,
                cx + 10.0
            );
        }
    }
}

/// A decade without an exponent.
fn plain(value: f64) -> String {
    let places = (-value.log10()).ceil().max(0.0) as usize;
    format!("{value:.places$}")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}
