//! A configuration's text and what the command line changes in it. Everything that runs is such a text: the flags of
//! `narrate` and `ask` are changes to the program's own configurations.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use pipeline::error::Error;
use pipeline::graph::Graph;
use pipeline::registry::Registry;
use toml_edit::{DocumentMut, InlineTable, Item, Table, Value};

use crate::args::{ConfigArgs, EngineArg, EngineType, ModelArgs, PrecisionArg, QuantArg};
use crate::failure::usage;

/// Text on its way to a [`Graph`].
pub struct GraphText {
    /// Where it comes from, for messages.
    pub origin: String,
    /// What relative paths in it start from.
    pub base: PathBuf,
    original: String,
    /// `None` if the text is no TOML: then it is not changed, and its check says what is wrong.
    document: Option<DocumentMut>,
}

impl GraphText {
    /// One of the program's own. Its paths start from the working directory.
    pub fn bundled(name: &str, text: &str) -> Self {
        Self::new(
            format!("these flags, on the program's own {name}"),
            PathBuf::new(),
            text.to_owned(),
        )
    }

    /// One that was recorded.
    pub fn recorded(origin: String, base: PathBuf, text: String) -> Self {
        Self::new(origin, base, text)
    }

    /// Errors: the file cannot be read.
    pub fn read(path: &Path) -> Result<Self> {
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(path).with_context(|| format!("the configuration {shown} cannot be read"));
        let base = path.parent().map(Path::to_owned).unwrap_or_default();
        Ok(Self::new(shown, base, text.map_err(|error| usage(format!("{error:#}")))?))
    }

    /// A configuration with the changes of the command line.
    ///
    /// Errors: as [`GraphText::read`]; bad usage if a change is none.
    pub fn from_args(args: &ConfigArgs) -> Result<Self> {
        let mut text = Self::read(&args.config)?;
        if let Some(kind) = args.engine_type {
            text.set_engine_type(kind);
        }
        for change in &args.set {
            text.set(change)?;
        }
        Ok(text)
    }

    fn new(origin: String, base: PathBuf, original: String) -> Self {
        let document = original.parse().ok();
        Self {
            origin,
            base,
            original,
            document,
        }
    }

    /// The text with its changes.
    pub fn text(&self) -> String {
        self.document
            .as_ref()
            .map_or_else(|| self.original.clone(), ToString::to_string)
    }

    /// Errors: every fault, with its line in the text as it was written; a fault of a change has none.
    pub fn check(&self, registry: &Registry) -> Result<Graph> {
        let text = self.text();
        let checked = Graph::from_toml(&text, registry).map_err(|error| match error {
            Error::Config { mut faults } if text != self.original => {
                let before = match Graph::from_toml(&self.original, registry) {
                    Err(Error::Config { faults }) => faults,
                    _ => Vec::new(),
                };
                for fault in &mut faults {
                    let same = before
                        .iter()
                        .find(|other| (&other.key, &other.message) == (&fault.key, &fault.message));
                    fault.line = same.map_or(0, |same| same.line);
                }
                Error::Config { faults }
            }
            error => error,
        });
        checked.with_context(|| self.origin.clone())
    }

    /// Makes a change `STAGE.KEY=VALUE`, or `SECTION.NAME.KEY=VALUE`. What is no TOML value is text.
    ///
    /// Errors: bad usage.
    pub fn set(&mut self, change: &str) -> Result<()> {
        let shape = || usage(format!("--set {change}: give it as STAGE.KEY=VALUE or model.NAME.KEY=VALUE"));
        let (path, value) = change.split_once('=').ok_or_else(shape)?;
        let mut path: Vec<&str> = path.trim().split('.').map(str::trim).collect();
        let n_whole = if path[0] == "pipeline" { 2 } else { 3 };
        if !(["pipeline", "model", "engine", "stage"].contains(&path[0]) && path.len() >= n_whole) {
            path.insert(0, "stage");
        }
        if path.len() < n_whole || path.iter().any(|part| part.is_empty()) {
            return Err(shape());
        }
        let value = value.trim();
        let value = value.parse::<Value>().unwrap_or_else(|_| Value::from(value));
        let Some(document) = &mut self.document else { return Ok(()) };
        let n_name = n_whole - 1;
        if item_at(document, &path[..n_name]).is_none() {
            return Err(usage(format!(
                "--set {change}: {} has no section [{}]",
                self.origin,
                path[..n_name].join(".")
            )));
        }
        let mut item = document.as_item_mut();
        for part in &path {
            let is_table = item.is_none() || item.is_table_like();
            if !is_table {
                return Err(usage(format!("--set {change}: what stands there has no keys")));
            }
            item = &mut item[*part];
        }
        *item = Item::Value(value);
        Ok(())
    }

    /// Sets the type of all engines.
    pub fn set_engine_type(&mut self, kind: EngineType) {
        for engine in self.sections("engine") {
            engine["type"] = toml_edit::value(kind.name());
        }
    }

    /// Applies the flags about the model.
    pub async fn set_model(&mut self, args: &ModelArgs) -> Result<()> {
        let source = args.model.as_deref().map(source_from_here);
        let quant = args.quant.or(args.precision.map(|_| QuantArg::Dense));
        for model in self.sections("model") {
            if let Some(source) = &source {
                model["source"] = toml_edit::value(source);
            }
            match quant {
                None => {}
                Some(QuantArg::Q4) => model["quant"] = toml_edit::value(4),
                Some(QuantArg::Q8) => model["quant"] = toml_edit::value(8),
                Some(QuantArg::Dense) => model["quant"] = toml_edit::value("dense"),
            }
            match args.precision {
                None => {}
                Some(PrecisionArg::F16) => model["precision"] = toml_edit::value("f16"),
                Some(PrecisionArg::F32) => model["precision"] = toml_edit::value("f32"),
            }
        }
        if let Some(n) = args.max_new_tokens {
            self.set_in_stages(&["chat."], "max_new_tokens", Value::from(i64::from(n)));
        }
        let kind = match args.engine {
            EngineArg::Wgpu => EngineType::Wgpu,
            EngineArg::Sim => EngineType::Sim,
            EngineArg::Hybrid => EngineType::Hybrid,
            EngineArg::Auto => crate::setup::best_engine().await,
        };
        self.set_engine_type(kind);
        Ok(())
    }

    /// Names and types of the stages, in the order of the text.
    pub fn stages(&self) -> Vec<(String, String)> {
        let table = self
            .document
            .as_ref()
            .and_then(|document| document.get("stage")?.as_table_like());
        let stage = |(name, item): (&str, &Item)| {
            let kind = item.get("type").and_then(Item::as_str).unwrap_or_default();
            (name.to_owned(), kind.to_owned())
        };
        table.map(|table| table.iter().map(stage).collect()).unwrap_or_default()
    }

    /// The names of the stages whose type starts with one of `types`.
    pub fn stages_of(&self, types: &[&str]) -> Vec<String> {
        let is_one = |(_, kind): &(String, String)| types.iter().any(|prefix| kind.starts_with(prefix));
        self.stages().into_iter().filter(is_one).map(|(name, _)| name).collect()
    }

    /// The only stage whose type starts with `prefix`.
    ///
    /// Errors: bad usage if there is none, or more than one.
    pub fn only_stage(&self, prefix: &str) -> Result<String> {
        let mut names = self.stages_of(&[prefix]);
        match names.len() {
            1 => Ok(names.remove(0)),
            n => Err(usage(format!(
                "{} has {n} stages of type {prefix}*; this command needs exactly one",
                self.origin
            ))),
        }
    }

    /// Where a model comes from.
    pub fn source_of(&self, model: &str) -> Option<String> {
        let source = self.document.as_ref()?.get("model")?.get(model)?.get("source")?;
        source.as_str().map(str::to_owned)
    }

    pub fn stage(&self, name: &str) -> Option<&Item> {
        self.document.as_ref()?.get("stage")?.get(name)
    }

    /// Whether a sink writes between what the program itself prints.
    pub fn writes_to_stdout(&self, name: &str) -> bool {
        let Some(stage) = self.stage(name) else { return false };
        match stage.get("type").and_then(Item::as_str).unwrap_or_default() {
            "sink.terminal" => true,
            "sink.text" | "sink.tsv" | "sink.jsonl" => stage.get("path").and_then(Item::as_str).is_none_or(|path| path == "-"),
            _ => false,
        }
    }

    /// The seed of each stage that draws, by its name.
    pub fn seeds(&self) -> Vec<(String, u64)> {
        let seed = |name: String| {
            let seed = self.stage(&name).and_then(|stage| stage.get("seed")?.as_integer());
            (name, seed.and_then(|seed| u64::try_from(seed).ok()).unwrap_or_default())
        };
        self.stages_of(&["llm.generate"]).into_iter().map(seed).collect()
    }

    /// Makes a stage one of another type, which has no keys of its own; of the old ones it has `kept`.
    pub fn replace_stage(&mut self, name: &str, kind: &str, kept: &[&str]) {
        let mut table = Table::new();
        table["type"] = toml_edit::value(kind);
        let old = self.stage(name);
        for key in kept {
            if let Some(item) = old.and_then(|stage| stage.get(key)) {
                table[*key] = item.clone();
            }
        }
        self.put_stage_item(name, Item::Table(table));
    }

    /// Puts a stage in place of the one of that name, or after the others.
    pub fn put_stage(&mut self, name: &str, keys: impl IntoIterator<Item = (&'static str, Value)>) {
        let mut table = Table::new();
        for (key, value) in keys {
            table[key] = Item::Value(value);
        }
        self.put_stage_item(name, Item::Table(table));
    }

    pub fn put_stage_item(&mut self, name: &str, item: Item) {
        if let Some(document) = &mut self.document {
            document["stage"][name] = item;
        }
    }

    pub fn remove_stage(&mut self, name: &str) {
        let stages = self
            .document
            .as_mut()
            .and_then(|document| document.get_mut("stage")?.as_table_like_mut());
        if let Some(stages) = stages {
            stages.remove(name);
        }
    }

    /// Sets a key of all stages whose type starts with one of `types`.
    pub fn set_in_stages(&mut self, types: &[&str], key: &str, value: Value) {
        for name in self.stages_of(types) {
            self.set_in_stage(&name, key, value.clone());
        }
    }

    pub fn set_in_stage(&mut self, name: &str, key: &str, value: Value) {
        if let Some(document) = &mut self.document {
            document["stage"][name][key] = Item::Value(value);
        }
    }

    pub fn remove_in_stages(&mut self, types: &[&str], key: &str) {
        for name in self.stages_of(types) {
            let stage = self
                .document
                .as_mut()
                .and_then(|document| document["stage"][&name].as_table_like_mut());
            stage.map(|stage| stage.remove(key));
        }
    }

    /// Sets the bound of the link into each stage whose type starts with one of `types`, where it has one plain `input`.
    pub fn bound_inputs(&mut self, types: &[&str], size: i64, when_full: &str) {
        for name in self.stages_of(types) {
            let from = self
                .stage(&name)
                .and_then(|stage| stage.get("input"))
                .and_then(|input| input.as_str().or_else(|| input.get("from")?.as_str()).map(str::to_owned));
            if let Some(from) = from {
                let bound = [
                    ("from", Value::from(from)),
                    ("size", Value::from(size)),
                    ("when_full", Value::from(when_full)),
                ];
                self.set_in_stage(&name, "input", Value::InlineTable(InlineTable::from_iter(bound)));
            }
        }
    }

    fn sections(&mut self, kind: &str) -> impl Iterator<Item = &mut Item> {
        let table = self
            .document
            .as_mut()
            .and_then(|document| document.get_mut(kind)?.as_table_like_mut());
        table
            .into_iter()
            .flat_map(|table| table.iter_mut())
            .map(|(_, item)| item)
            .filter(|item| item.is_table_like())
    }
}

fn item_at<'a>(document: &'a DocumentMut, path: &[&str]) -> Option<&'a Item> {
    path.iter().try_fold(document.as_item(), |item, part| item.get(part))
}

/// A model of the command line: a path there starts from the working directory wherever the configuration lies.
fn source_from_here(source: &str) -> String {
    let is_folder = Path::new(source).is_dir() && !source.is_empty();
    match std::path::absolute(source) {
        Ok(path) if is_folder => path.display().to_string(),
        _ => source.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# words\n[model.eyes]\nsource = \"m\"\n\n[engine.main]\ntype = \"wgpu\"\n\n[stage.files]\ntype = \"capture.file\"\npath = \"a.png\"\n\n[stage.encode]\ntype = \"vision.encode\"\ninput = \"files\"\n";

    fn set(changes: &[&str]) -> GraphText {
        let mut text = GraphText::bundled("test", TEXT);
        for change in changes {
            text.set(change).unwrap();
        }
        text
    }

    #[test]
    fn keys_are_set_by_their_stage_or_their_whole_path() {
        let text = set(&[
            "files.path=[\"b.png\"]",
            "model.eyes.quant=4",
            "stage.encode.max_pixels = 4096",
            "files.label=two words",
        ]);
        let table: toml::Table = text.text().parse().unwrap();
        let path = table["stage"]["files"]["path"].as_array().unwrap();
        assert_eq!(path[0].as_str(), Some("b.png"));
        assert_eq!(table["model"]["eyes"]["quant"].as_integer(), Some(4));
        assert_eq!(table["stage"]["encode"]["max_pixels"].as_integer(), Some(4096));
        assert_eq!(table["stage"]["files"]["label"].as_str(), Some("two words"));
        assert!(text.text().starts_with("# words\n"), "the rest stays as it is written");
    }

    #[test]
    fn what_is_no_change_is_bad_usage() {
        for change in [
            "files",
            "=1",
            "files=1",
            "nobody.path=1",
            "model.ears.quant=4",
            "files.path.deep=1",
            "files..path=1",
        ] {
            let error = GraphText::bundled("test", TEXT).set(change).unwrap_err();
            assert_eq!(crate::failure::exit_code(&error), 2, "{change}: {error}");
        }
    }

    #[test]
    fn stages_are_found_by_the_start_of_their_type_and_bounded() {
        let mut text = set(&[]);
        assert_eq!(text.stages_of(&["vision."]), ["encode"]);
        assert_eq!(text.only_stage("capture.").unwrap(), "files");
        assert!(text.only_stage("chat.").is_err());
        text.bound_inputs(&["vision."], 1, "wait");
        let table: toml::Table = text.text().parse().unwrap();
        assert_eq!(table["stage"]["encode"]["input"]["when_full"].as_str(), Some("wait"));
        assert_eq!(table["stage"]["encode"]["input"]["from"].as_str(), Some("files"));
    }

    #[test]
    fn a_broken_text_is_kept_for_its_check_to_say_so() {
        let mut text = GraphText::bundled("test", "[stage");
        text.set_engine_type(EngineType::Sim);
        text.set("a.b=1").unwrap();
        assert_eq!(text.text(), "[stage");
        let error = text.check(&Registry::new()).unwrap_err();
        assert_eq!(crate::failure::exit_code(&error), 2);
    }
}
