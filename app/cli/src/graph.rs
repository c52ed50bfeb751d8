//! `qwglm graph`: a configuration as a picture. Loads nothing.

use anyhow::{Context, Result};

use crate::args::GraphArgs;
use crate::failure::usage;
use crate::graph_text::GraphText;
use crate::print;
use crate::setup::{Models, registry_for_checks};

/// Writes the picture.
///
/// Errors: the configuration's faults; a file that is no picture or cannot be written.
pub fn graph(args: &GraphArgs) -> Result<()> {
    let text = GraphText::from_args(&args.config)?;
    let graph = text.check(&registry_for_checks(&text.base, Models::Named))?;
    let Some(path) = &args.output else {
        return print(&graph.to_mermaid());
    };
    let ending = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    let picture = match ending.as_str() {
        "svg" => graph.to_svg(),
        "mmd" => graph.to_mermaid(),
        _ => return Err(usage(format!("{} is neither .svg nor .mmd", path.display()))),
    };
    std::fs::write(path, picture).with_context(|| format!("{} cannot be written", path.display()))
}
