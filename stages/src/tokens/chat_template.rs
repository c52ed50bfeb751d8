//! Renders a conversation with a checkpoint's own chat template (Jinja), or with one of two built-in ones.
//!
//! The template is data of a checkpoint: it runs with bounded fuel and sees nothing but the messages.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Rest, Serde};
use minijinja::{Environment, ErrorKind, Output, State, Value, context};
use pipeline::packet::{Message, Part, Role};
use serde_json::{Map, Value as Json, json};

use crate::error::{Error, Result};
use crate::tokens::date::strftime;
use crate::tokens::python_json::python_json;
use crate::tokens::rendered::{Guard, Rendered};

/// Steps that a template may take: some hundred times what the published ones need for a long conversation.
const FUEL: u64 = 20_000_000;
const NAME: &str = "chat";

/// The built-in templates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edition {
    /// No thinking logic: `<think>` is text.
    Instruct,
    /// Answers start inside a thought.
    Thinking,
}

/// A template that is ready to render.
#[derive(Debug)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    origin: &'static str,
}

/// What a template is asked for besides the messages.
#[derive(Clone, Debug)]
pub struct ChatOptions {
    /// End with the beginning of the assistant's turn.
    pub add_generation_prompt: bool,
    /// Number pictures and videos: `Picture 1: `.
    pub add_vision_id: bool,
    /// Tools as JSON schemas; empty for none.
    pub tools: Vec<Json>,
    /// Seconds since 1970 for templates that write the date.
    pub now_unix_s: u64,
}

impl Default for ChatOptions {
    fn default() -> Self {
        Self {
            add_generation_prompt: true,
            add_vision_id: false,
            tools: Vec::new(),
            now_unix_s: 0,
        }
    }
}

/// The files of a checkpoint that may hold a template, as far as they exist.
#[derive(Clone, Copy, Debug, Default)]
pub struct TemplateFiles<'a> {
    /// `chat_template.jinja`
    pub jinja: Option<&'a str>,
    /// `chat_template.json`
    pub json: Option<&'a str>,
    /// `tokenizer_config.json`
    pub tokenizer_config: Option<&'a str>,
}

impl ChatTemplate {
    /// The checkpoint's template from the first file that has one, else the built-in one of `edition`.
    ///
    /// Errors: [`Error::Template`] if a file is no JSON, or the template has a syntax error.
    pub fn from_files(files: TemplateFiles<'_>, edition: Edition) -> Result<Self> {
        let tokens = files
            .tokenizer_config
            .map(|text| parse("tokenizer_config.json", text))
            .transpose()?;
        let found = if let Some(text) = files.jinja {
            Some(("chat_template.jinja", text.to_owned()))
        } else if let Some(text) = files.json {
            template_of(&parse("chat_template.json", text)?).map(|text| ("chat_template.json", text))
        } else {
            tokens
                .as_ref()
                .and_then(template_of)
                .map(|text| ("tokenizer_config.json", text))
        };
        let mut template = match found {
            Some((origin, text)) => Self::new(origin, text)?,
            None => Self::builtin(edition)?,
        };
        for key in ["bos_token", "eos_token", "pad_token", "unk_token"] {
            let token = tokens.as_ref().and_then(|tokens| tokens.get(key));
            // Either the token or `{"content": token, …}`.
            if let Some(token) = token.and_then(|t| t.as_str().or_else(|| t.get("content")?.as_str())) {
                template.environment.add_global(key, token.to_owned());
            }
        }
        Ok(template)
    }

    /// A template that comes with the program.
    pub fn builtin(edition: Edition) -> Result<Self> {
        match edition {
            Edition::Instruct => Self::new("built-in instruct", include_str!("instruct.jinja").to_owned()),
            Edition::Thinking => Self::new("built-in thinking", include_str!("thinking.jinja").to_owned()),
        }
    }

    fn new(origin: &'static str, source: String) -> Result<Self> {
        let mut environment = Environment::new();
        let fail = |error: minijinja::Error| template_error(origin, &error);
        let syntax = SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build()
            .map_err(fail)?;
        environment.set_syntax(syntax);
        environment.set_fuel(Some(FUEL));
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.set_formatter(python_str);
        environment.add_filter("tojson", to_json);
        environment.add_function("raise_exception", raise_exception);
        environment.add_template_owned(NAME, source).map_err(fail)?;
        Ok(Self { environment, origin })
    }

    /// Which file the template came from.
    pub fn origin(&self) -> &'static str {
        self.origin
    }

    /// Renders messages in the layout that `transformers` gives to templates (see [`json_from_messages`]).
    ///
    /// `starts`: the characters that added tokens begin with; what users, tools and the system say is guarded after them.
    /// Errors: [`Error::Template`] with the template's own words if it refuses the messages.
    pub fn render(&self, messages: &[Json], options: &ChatOptions, starts: Vec<char>) -> Result<Rendered> {
        let everything = Json::from(vec![Json::from(messages), Json::from(options.tools.as_slice())]);
        let guard = Guard::new(starts, |c| contains(&everything, c));
        let messages: Vec<Json> = messages.iter().map(|message| guard_message(message, &guard)).collect();
        let tools: Vec<Json> = options.tools.iter().map(|tool| guard_json(tool, &guard, &[])).collect();
        let now_unix_s = options.now_unix_s;
        let values = context! {
            messages => Value::from(Serde(messages)),
            tools => if tools.is_empty() { Value::from(()) } else { Value::from(Serde(tools)) },
            add_generation_prompt => options.add_generation_prompt,
            add_vision_id => options.add_vision_id,
            strftime_now => Value::from_function(move |format: &str| strftime(format, now_unix_s)),
        };
        let template = self
            .environment
            .get_template(NAME)
            .map_err(|error| template_error(self.origin, &error))?;
        let text = template.render(values).map_err(|error| template_error(self.origin, &error))?;
        Ok(Rendered::new(text, guard))
    }
}

/// Messages of packets in the layout that templates expect.
pub fn json_from_messages(messages: &[Message]) -> Vec<Json> {
    messages.iter().map(json_from_message).collect()
}

fn json_from_message(message: &Message) -> Json {
    let role = match message.role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
    };
    let text_only = message.parts.iter().all(|part| matches!(part, Part::Text(_)));
    let parts = message.parts.iter();
    let content = if text_only {
        // Templates for text models know no parts.
        Json::from(
            parts
                .map(|part| if let Part::Text(text) = part { text.as_str() } else { "" })
                .collect::<String>(),
        )
    } else {
        let part = |part: &Part| match part {
            Part::Text(text) => json!({"type": "text", "text": text}),
            Part::Image(_) => json!({"type": "image"}),
            Part::Video(_) => json!({"type": "video"}),
        };
        Json::from(parts.map(part).collect::<Vec<_>>())
    };
    json!({"role": role, "content": content})
}

/// Everything in a message is guarded but its role; the assistant may have thought.
fn guard_message(message: &Json, guard: &Guard) -> Json {
    let Json::Object(fields) = message else {
        return guard_json(message, guard, &[]);
    };
    let is_assistant = fields.get("role").and_then(Json::as_str) == Some("assistant");
    let thought: &[&str] = if is_assistant { &["<think>", "</think>"] } else { &[] };
    let guarded = |(key, value): (&String, &Json)| {
        let value = if key == "role" {
            value.clone()
        } else {
            guard_json(value, guard, thought)
        };
        (key.clone(), value)
    };
    Json::Object(fields.iter().map(guarded).collect())
}

fn guard_json(value: &Json, guard: &Guard, allowed: &[&str]) -> Json {
    match value {
        Json::String(text) => Json::String(guard.apply(text, allowed)),
        Json::Array(items) => Json::Array(items.iter().map(|item| guard_json(item, guard, allowed)).collect()),
        Json::Object(fields) => {
            let guarded = fields
                .iter()
                .map(|(key, value)| (guard.apply(key, &[]), guard_json(value, guard, allowed)));
            Json::Object(guarded.collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}

fn contains(value: &Json, c: char) -> bool {
    match value {
        Json::String(text) => text.contains(c),
        Json::Array(items) => items.iter().any(|item| contains(item, c)),
        Json::Object(fields) => fields.iter().any(|(key, value)| key.contains(c) || contains(value, c)),
        _ => false,
    }
}

fn parse(file: &'static str, text: &str) -> Result<Json> {
    serde_json::from_str(text).map_err(|error| Error::Template {
        origin: file,
        message: error.to_string(),
    })
}

/// `chat_template` of a JSON file: a text, or a list of named ones of which `default` counts.
fn template_of(file: &Json) -> Option<String> {
    match file.get("chat_template")? {
        Json::String(text) => Some(text.clone()),
        Json::Array(named) => {
            let default = named
                .iter()
                .find(|t| t.get("name").and_then(Json::as_str) == Some("default"))?;
            default.get("template")?.as_str().map(str::to_owned)
        }
        _ => None,
    }
}

fn template_error(origin: &'static str, error: &minijinja::Error) -> Error {
    let line = error.line().map(|line| format!(" (line {line})")).unwrap_or_default();
    Error::Template {
        origin,
        message: format!("{error}{line}"),
    }
}

/// `json.dumps` as `transformers` binds it: no escapes for HTML.
fn to_json(value: &Value, arguments: Rest<Value>, options: Kwargs) -> Result<Value, minijinja::Error> {
    let indent = match arguments.first() {
        Some(indent) => indent.as_usize(),
        None => options.get::<Option<usize>>("indent")?,
    };
    let _: Option<bool> = options.get("ensure_ascii")?;
    options.assert_all_used()?;
    python_json(value, indent)
        .map(Value::from)
        .map_err(|error| minijinja::Error::new(ErrorKind::InvalidOperation, error.to_string()))
}

fn raise_exception(message: &str) -> Result<Value, minijinja::Error> {
    Err(minijinja::Error::new(ErrorKind::InvalidOperation, message.to_owned()))
}

/// Writes a value as Python's `str` does.
fn python_str(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), minijinja::Error> {
    if value.is_none() {
        return out.write_str("None").map_err(minijinja::Error::from);
    }
    match bool::try_from(value.clone()) {
        Ok(flag) if value.kind() == minijinja::value::ValueKind::Bool => out
            .write_str(if flag { "True" } else { "False" })
            .map_err(minijinja::Error::from),
        _ => minijinja::escape_formatter(out, state, value),
    }
}

#[cfg(test)]
mod tests;
