//! What each switch is worth, as an SVG bar chart.

use std::fmt::Write;

use sim::tiny_gpu::ideal::Worth;

const STYLE: &str = "
  svg { --ink: #1c2430; --soft: #5b6675; --paper: #ffffff; --own: #2f6db5; --ideal: #e39b2d; font-family: system-ui, sans-serif }
  @media (prefers-color-scheme: dark) { svg { --ink: #e8edf3; --soft: #a3afbd; --paper: #141a22; --own: #5b9bea; --ideal: #f0b45c } }
  .paper { fill: var(--paper) } .title { fill: var(--ink); font-size: 17px; font-weight: 700 } .name { fill: var(--ink); font-size: 13px }
  .value { fill: var(--soft); font-size: 12px } .own { fill: var(--own) } .ideal { fill: var(--ideal) } .end { text-anchor: end }
";
const WIDTH: usize = 820;
const TOP: usize = 64;
const ROW: usize = 30;
const LEFT: usize = 190;
const RIGHT: usize = 150;
/// The rows from here on are what no hardware has.
const FIRST_IDEAL: &str = "perfect cache";

pub fn svg(heading: &str, rows: &[Worth]) -> String {
    let height = TOP + ROW * rows.len() + 24;
    let most = rows.iter().filter_map(|row| row.cycles).max().unwrap_or(1) as f64;
    let first_ideal = rows.iter().position(|row| row.name == FIRST_IDEAL).unwrap_or(rows.len());
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{heading}\">\n<style>{STYLE}</style>\n\
         <rect class=\"paper\" width=\"100%\" height=\"100%\"/>\n<text class=\"title\" x=\"24\" y=\"36\">{heading}</text>\n",
        heading = escaped(heading)
    );
    for (idx, row) in rows.iter().enumerate() {
        let y = TOP + ROW * idx;
        let text_y = y + 16;
        let _ = writeln!(
            svg,
            "<text class=\"name end\" x=\"{}\" y=\"{text_y}\">{}</text>",
            LEFT - 12,
            escaped(row.name)
        );
        let Some(cycles) = row.cycles else {
            let _ = writeln!(svg, "<text class=\"value\" x=\"{LEFT}\" y=\"{text_y}\">does not end</text>");
            continue;
        };
        let width = (WIDTH - LEFT - RIGHT) as f64 * cycles as f64 / most;
        let class = if idx < first_ideal { "own" } else { "ideal" };
        let _ = writeln!(
            svg,
            "<rect class=\"{class}\" x=\"{LEFT}\" y=\"{y}\" width=\"{width:.1}\" height=\"22\" rx=\"3\"/>"
        );
        let speedup = row.speedup.map_or(String::new(), |speedup| format!(" · {speedup:.2}×"));
        let _ = writeln!(
            svg,
            "<text class=\"value\" x=\"{:.1}\" y=\"{text_y}\">{cycles} cycles{speedup}</text>",
            LEFT as f64 + width + 8.0
        );
    }
    svg.push_str("</svg>\n");
    svg
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
