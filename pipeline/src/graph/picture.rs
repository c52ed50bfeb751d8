//! A graph as a picture: Mermaid for documents, SVG for everything else. Not how it runs.

mod layout;

use std::fmt::Write;

use super::{Graph, LinkSpec, StageSpec};
use crate::link::WhenFull;
use crate::runtime::RestartWhen;
use layout::{Layout, NODE_HEIGHT, Size, layout};

/// The width of a letter of the two sizes, in pixels; generous, since fonts differ.
const NAME_LETTER: f64 = 8.6;
const SMALL_LETTER: f64 = 6.6;

/// `f0` to `f6` of [`STYLE`].
const N_FAMILY_COLOURS: usize = 7;

const STYLE: &str = "
  svg { --ink: #1c2430; --soft: #5b6675; --box: #f3f6fa; --line: #7b8794; --paper: #ffffff; font-family: system-ui, sans-serif }
  .f0 { fill: #2f6fde } .f1 { fill: #1c9a78 } .f2 { fill: #c2711a } .f3 { fill: #8a55d0 } .f4 { fill: #c9405f } .f5 { fill: #5f7d1e } .f6 { fill: #2189a8 }
  @media (prefers-color-scheme: dark) { svg { --ink: #e8edf3; --soft: #a3afbd; --box: #243040; --line: #7e8b9a; --paper: #141a22 } }
  .paper { fill: var(--paper) } .box { fill: var(--box); stroke: var(--line) } .arrow { fill: var(--line) }
  .link { fill: none; stroke: var(--line); stroke-width: 1.5 } .lossy { stroke-dasharray: 5 4 }
  .name { fill: var(--ink); font-size: 14px; font-weight: 600; text-anchor: middle }
  .small { fill: var(--soft); font-size: 11px; text-anchor: middle } .halo { paint-order: stroke; stroke: var(--paper); stroke-width: 6; stroke-linejoin: round }
";

impl Graph {
    /// The graph as a Mermaid flow chart; links that may drop are dotted.
    pub fn to_mermaid(&self) -> String {
        let mut text = "flowchart LR\n".to_owned();
        for (index, stage) in self.stages.iter().enumerate() {
            let (name, kind) = (
                escaped(&stage.name),
                escaped(&stage.type_name) + if comes_back(stage) { " ↻" } else { "" },
            );
            let _ = writeln!(text, "  s{index}[\"{name}<br/><small>{kind}</small>\"]");
        }
        for link in &self.links {
            let arrow = if link.bound.when_full == WhenFull::Wait {
                "-->"
            } else {
                "-.->"
            };
            let _ = writeln!(text, "  s{} {arrow}|\"{}\"| s{}", link.from, escaped(&label(link)), link.to);
        }
        text
    }

    /// The graph from left to right as an SVG that follows the reader's light or dark theme; links that may drop are dashed, a stage
    /// that comes back after a failure has a ↻.
    pub fn to_svg(&self) -> String {
        let sizes = self.stages.iter().map(|stage| {
            let name = stage.name.chars().count() as f64 * NAME_LETTER;
            let kind = stage.type_name.chars().count() as f64 * SMALL_LETTER;
            Size {
                width: (name.max(kind) + 28.0).max(90.0),
            }
        });
        let ends: Vec<_> = self.links.iter().map(|link| (link.from, link.to, link.feedback)).collect();
        let forward = self.links.iter().filter(|link| !link.feedback);
        let lengths = forward.map(|link| kinds(link).chars().count().max(bound(link).chars().count()));
        let widest = lengths.max().unwrap_or(0);
        let layout = layout(&sizes.collect::<Vec<_>>(), &ends, widest as f64 * SMALL_LETTER + 44.0);
        self.svg_from_layout(&layout)
    }

    fn svg_from_layout(&self, layout: &Layout) -> String {
        let (width, height) = (layout.width.ceil(), layout.height.ceil());
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\">\n"
        );
        let title = if self.name.is_empty() { "pipeline" } else { &self.name };
        let _ = writeln!(svg, "<title>{}</title>\n<style>{STYLE}</style>", escaped(title));
        svg.push_str("<defs><marker id=\"arrow\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" orient=\"auto\"><path class=\"arrow\" d=\"M0 0L8 4L0 8z\"/></marker></defs>\n");
        svg.push_str("<rect class=\"paper\" width=\"100%\" height=\"100%\"/>\n");
        for (link, route) in self.links.iter().zip(&layout.routes) {
            let lossy = if link.bound.when_full == WhenFull::Wait {
                ""
            } else {
                " lossy"
            };
            let _ = writeln!(
                svg,
                "<path class=\"link{lossy}\" marker-end=\"url(#arrow)\" d=\"{}\"/>",
                route.path
            );
        }
        let families = self.families();
        for ((stage, family), place) in self.stages.iter().zip(families).zip(&layout.nodes) {
            let (left, top) = (place.x - place.width / 2.0, place.y - NODE_HEIGHT / 2.0);
            let width = place.width;
            let _ = writeln!(
                svg,
                "<rect class=\"box\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{NODE_HEIGHT}\" rx=\"8\"/>"
            );
            let _ = writeln!(
                svg,
                "<rect class=\"f{family}\" x=\"{:.1}\" y=\"{:.1}\" width=\"3\" height=\"{}\" rx=\"1.5\"/>",
                left + 6.0,
                top + 8.0,
                NODE_HEIGHT - 16.0
            );
            let (x, y) = (place.x, place.y);
            let _ = writeln!(
                svg,
                "<text class=\"name\" x=\"{x:.1}\" y=\"{:.1}\">{}</text>",
                y - 2.0,
                escaped(&stage.name)
            );
            let _ = writeln!(
                svg,
                "<text class=\"small\" x=\"{x:.1}\" y=\"{:.1}\">{}</text>",
                y + 14.0,
                escaped(&stage.type_name)
            );
            if comes_back(stage) {
                let (x, y) = (left + width - 11.0, top + 14.0);
                let title = escaped(&survival(stage));
                let _ = writeln!(
                    svg,
                    "<text class=\"small\" x=\"{x:.1}\" y=\"{y:.1}\">↻<title>{title}</title></text>"
                );
            }
        }
        for (link, route) in self.links.iter().zip(&layout.routes) {
            // What passes above a straight link and its bound below; both on one that leads up or down.
            let (x, y) = (route.label_x, route.label_y);
            let texts = match route.is_straight {
                true => vec![(kinds(link), y - 7.0), (bound(link), y + 16.0)],
                false => vec![(label(link), y + 4.0)],
            };
            for (text, y) in texts {
                let text = escaped(&text);
                let _ = writeln!(svg, "<text class=\"small halo\" x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>");
            }
        }
        svg.push_str("</svg>\n");
        svg
    }

    /// The colour of each stage: of its type's first part (`capture.screen`: `capture`), in order of appearance.
    fn families(&self) -> Vec<usize> {
        let mut names: Vec<&str> = Vec::new();
        let mut colours = Vec::new();
        for stage in &self.stages {
            let name = stage.type_name.split('.').next().unwrap_or_default();
            let index = names.iter().position(|known| *known == name).unwrap_or_else(|| {
                names.push(name);
                names.len() - 1
            });
            colours.push(index % N_FAMILY_COLOURS);
        }
        colours
    }
}

fn comes_back(stage: &StageSpec) -> bool {
    stage.restart.policy != RestartWhen::Never
}

/// `restart always, the packet in hand again, hangs after 120 s`
fn survival(stage: &StageSpec) -> String {
    let when = match stage.restart.policy {
        RestartWhen::Never => "never",
        RestartWhen::OnFailure => "on-failure",
        RestartWhen::Always => "always",
    };
    let retry = if stage.restart.retry {
        ", the packet in hand again"
    } else {
        ""
    };
    let deadline = stage.deadline.map_or(String::new(), |deadline| {
        format!(", hangs after {} s", deadline.as_secs_f64())
    });
    format!("restart {when}{retry}{deadline}")
}

/// `words: text · 8 · wait`
fn label(link: &LinkSpec) -> String {
    format!("{} · {}", kinds(link), bound(link))
}

/// `words: text`; the input's name only where it is not the first.
fn kinds(link: &LinkSpec) -> String {
    let kinds = link.kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>().join("/");
    match link.port {
        0 => kinds,
        _ => format!("{}: {kinds}", link.port_name),
    }
}

/// `8 · wait`
fn bound(link: &LinkSpec) -> String {
    format!("{} · {}", link.bound.size, link.bound.when_full.name())
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use crate::testing::{TestBench, graph};

    const TEXT: &str = r#"
        [stage.in]
        type = "test.count"
        [stage.mid]
        type = "test.pass"
        input = { from = "in", size = 3, when_full = "drop_oldest" }
        [stage.out]
        type = "test.collect"
        input = ["mid", "in"]
    "#;

    #[test]
    fn mermaid_shows_stages_types_bounds_and_policies() {
        let text = graph(TEXT, &TestBench::new()).to_mermaid();
        assert!(text.starts_with("flowchart LR\n"), "{text}");
        assert!(text.contains("s1[\"mid<br/><small>test.pass</small>\"]"), "{text}");
        assert!(text.contains("s0 -.->|\"text · 3 · drop_oldest\"| s1"), "{text}");
        assert!(text.contains("s1 -->|\"text · 8 · wait\"| s2"), "{text}");
    }

    #[test]
    fn a_stage_that_comes_back_is_marked() {
        let keys = "type = \"test.pass\"\n        restart = { policy = \"always\", retry = true }\n        deadline_ms = 1500";
        let graph = graph(&TEXT.replace("type = \"test.pass\"", keys), &TestBench::new());
        let svg = graph.to_svg();
        assert_eq!(svg.matches('↻').count(), 1, "{svg}");
        assert!(
            svg.contains("<title>restart always, the packet in hand again, hangs after 1.5 s</title>"),
            "{svg}"
        );
        assert!(graph.to_mermaid().contains("test.pass ↻</small>"));
    }

    #[test]
    fn svg_places_every_stage_inside_and_apart() {
        let graph = graph(TEXT, &TestBench::new());
        let svg = graph.to_svg();
        for name in ["in", "mid", "out"] {
            assert_eq!(svg.matches(&format!(">{name}</text>")).count(), 1, "{svg}");
        }
        assert_eq!(svg.matches("<path class=\"link").count(), 3);
        assert_eq!(svg.matches("<path class=\"link lossy\"").count(), 1);
        assert_eq!(svg.matches("<rect class=\"f0\"").count(), 3, "one family, one colour");
        assert!(svg.contains("prefers-color-scheme: dark"));
    }
}
