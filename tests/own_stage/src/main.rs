//! `own_stage GRAPH`: runs a graph in which `vision.brightness` is one more type of stage.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use pipeline::graph::Graph;
use pipeline::registry::Registry;
use pipeline::runtime::{Run, RunOptions};
use stages::Env;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let path: PathBuf = std::env::args_os().nth(1).ok_or("usage: own_stage GRAPH")?.into();
    let base = path.parent().unwrap_or(&path).to_owned();
    let mut registry = Registry::new();
    stages::register(&mut registry, &Arc::new(Env { base, ..Env::default() }));
    own_stage::register(&mut registry);
    let graph = Graph::from_toml(&std::fs::read_to_string(&path)?, &registry)?;
    let report = Run::start(&graph, &registry, RunOptions::default())?.join().await?;
    for stage in &report.stages {
        eprintln!(
            "{}: {} in, {} out, busy {:?}",
            stage.name, stage.received, stage.sent, stage.busy
        );
    }
    Ok(())
}
