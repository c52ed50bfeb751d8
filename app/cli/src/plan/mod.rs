//! `qwglm plan`: what a model would take on a GPU, before anything is downloaded. The times are modelled (`sim`, `timing`),
//! not measured.

mod against;
mod chart;
mod gpus;
mod model;
mod table;

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use gpu::protocol::{LoadOptions, Quant};
use serde::Serialize;
use sim::timing::Profile;
use sim::timing::impossible::{Survival, Switches, survival};
use sim::timing::predict::{Prediction, Question, predict};

use self::model::PlannedModel;
use crate::args::QuantArg;
use crate::print;

#[derive(Debug, Args)]
pub struct PlanArgs {
    /// A published shape, a pocket model's name, a folder with a config.json, or a hub id of a known shape
    pub model: String,
    /// Bundled profiles (a comma between), `all`, `here`, or a profile's file (.toml)
    #[arg(long, value_name = "NAME", default_value = "here")]
    pub gpu: String,
    /// Bits a weight
    #[arg(long, value_name = "BITS", default_value = "8")]
    pub quant: QuantArg,
    /// Tokens that the KV cache holds
    #[arg(long, value_name = "N", default_value_t = 16_384, value_parser = clap::value_parser!(u32).range(64..=1_048_576))]
    pub context: u32,
    /// What would be left if the cache always hit, memory answered in 0.1 ns, and arithmetic were 500 times as fast
    #[arg(long)]
    pub impossible: bool,
    /// Compare with what was measured: the JSON of `qwglm bench --shape`; its model and bits count
    #[arg(long, value_name = "FILE")]
    pub against: Option<PathBuf>,
    /// As one JSON object
    #[arg(long)]
    pub json: bool,
    /// Also draw it
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
}

pub const EXAMPLES: &str = "\
Nothing is downloaded and no weights are needed: times are computed from the plan of every kernel
launch and a profile of the GPU. docs/plan.md says how, and how far off it is.

Examples:
  qwglm plan qwen3-vl-8b --gpu all --quant 4
  qwglm plan qwen3-vl-4b --gpu rtx-3060,apple-m3 --context 32768
  qwglm plan Qwen/Qwen3-VL-2B-Instruct                  # on this machine
  qwglm plan qwen3-vl-8b --gpu all --quant 4 --svg plan.svg
  qwglm plan qwen3-vl-8b --gpu rtx-4090 --impossible
  qwglm plan qwen3-vl-8b --gpu here.toml --against bench.json";

/// Tokens in the cache for which a decode step is told.
const CONTEXTS: [usize; 3] = [0, 2048, 16_384];
/// Tokens of prompts of text.
const PROMPTS: [usize; 2] = [512, 2048];
/// Pictures as screens have them.
const PICTURES: [[usize; 2]; 3] = [[640, 360], [1280, 720], [1920, 1080]];
/// Tokens of the words around a picture: the template and a short question.
const WORDS: usize = 24;

/// All of it, as `--json` prints it.
#[derive(Debug, Serialize)]
struct Report {
    model: String,
    quant: &'static str,
    context_tokens: usize,
    parameters: u64,
    /// Of a checkpoint as published, in bf16.
    checkpoint_bytes: u64,
    gpus: Vec<Prediction>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    impossible: Vec<Impossible>,
}

/// What the impossible GPU's switches are worth over one base.
#[derive(Debug, Serialize)]
struct Impossible {
    base: String,
    name: String,
    works: Vec<Survival>,
}

/// Plans and tells.
///
/// Errors: usage, for a model or GPU that is not known, naming near ones; files that cannot be read or written.
pub async fn plan(args: PlanArgs) -> Result<()> {
    if let Some(bench) = &args.against {
        return against::against(&args, bench).await;
    }
    let model = model::find(&args.model).await?;
    let profiles = gpus::find(&args.gpu).await?;
    let report = report(&args, &model, &profiles)?;
    if let Some(path) = &args.svg {
        std::fs::write(path, chart::svg(&report)).with_context(|| format!("{} cannot be written", path.display()))?;
    }
    match args.json {
        true => print(&format!("{}\n", serde_json::to_string(&report)?)),
        false => print(&table::table(&report)),
    }
}

fn report(args: &PlanArgs, model: &PlannedModel, profiles: &[Profile]) -> Result<Report> {
    let question = question(model, quant(args.quant), args.context as usize)?;
    let impossible = match args.impossible {
        true => profiles
            .iter()
            .map(|base| impossible(&question, base))
            .collect::<Result<_>>()?,
        false => Vec::new(),
    };
    Ok(Report {
        model: model.name.clone(),
        quant: quant_name(args.quant),
        context_tokens: question.options.context_tokens,
        parameters: question.n_parameters(),
        checkpoint_bytes: question.checkpoint_bytes(),
        gpus: predict(&question, profiles),
        impossible,
    })
}

fn question(model: &PlannedModel, quant: Quant, context_tokens: usize) -> Result<Question> {
    Ok(Question {
        config: model.config.clone(),
        options: LoadOptions {
            quant,
            context_tokens,
            ..LoadOptions::default()
        },
        contexts: CONTEXTS.to_vec(),
        prompts: PROMPTS.to_vec(),
        pictures: PICTURES
            .iter()
            .map(|&size| Ok((size, model::grid(size)?)))
            .collect::<Result<_>>()?,
        n_words: WORDS,
    })
}

fn impossible(question: &Question, base: &Profile) -> Result<Impossible> {
    let plans = question.plans(base).with_context(|| base.name.clone())?;
    let works = question.works().into_iter();
    Ok(Impossible {
        base: base.key.clone(),
        name: base.name.clone(),
        works: works
            .filter(|&(_, work)| !plans.pieces(work).is_empty())
            .map(|(name, work)| survival(base, Switches::ON, &plans, &name, work))
            .collect(),
    })
}

fn quant(arg: QuantArg) -> Quant {
    match arg {
        QuantArg::Q4 => Quant::Q4,
        QuantArg::Q8 => Quant::Q8,
        QuantArg::Dense => Quant::DenseF16,
    }
}

fn quant_name(arg: QuantArg) -> &'static str {
    match arg {
        QuantArg::Q4 => "4",
        QuantArg::Q8 => "8",
        QuantArg::Dense => "dense",
    }
}
