//! What templates may and may not do.

use super::*;

fn user(content: impl Into<Json>) -> Json {
    json!({"role": "user", "content": content.into()})
}

fn template(source: &str) -> ChatTemplate {
    ChatTemplate::new("test", source.to_owned()).unwrap()
}

fn render(source: &str, messages: &[Json]) -> String {
    template(source)
        .render(messages, &ChatOptions::default(), vec!['<'])
        .unwrap()
        .text()
}

#[test]
fn templates_may_use_what_those_of_checkpoints_use() {
    let messages = [
        user("  Hi <b>\n"),
        json!({"role": "assistant", "content": "yo", "n": 1.0, "flag": true, "none": null}),
    ];
    let cases = [
        (
            "{% for m in messages %}\n    {% if loop.first %}\nx\n    {% endif %}\n{% endfor %}",
            "x\n",
        ),
        (
            "{{ messages[0].content.strip() }}|{{ messages[0]['content'] | trim }}",
            "Hi <b>|Hi <b>",
        ),
        ("{% for m in messages[::-1] %}{{ m.role }} {% endfor %}", "assistant user "),
        (
            "{% for m in messages %}{% if loop.index0 == 1 %}{% break %}{% endif %}{{ m.role }}{% endfor %}",
            "user",
        ),
        (
            "{{ messages[1] | tojson }}",
            r#"{"role": "assistant", "content": "yo", "n": 1.0, "flag": true, "none": null}"#,
        ),
        (
            "{{ messages[1].flag }} {{ messages[1].none }} {{ messages[1].n }} {{ messages[1].missing }}",
            "True None 1.0 ",
        ),
        ("{{ strftime_now('%Y') }}", "1970"),
        ("{{ 'a,b'.split(',')[-1] }}{{ messages[1].get('x', 'd') }}", "bd"),
        (
            "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}",
            "2",
        ),
        ("{% for k, v in messages[0].items() %}{{ k }};{% endfor %}", "role;content;"),
        (
            "{{ 'x' if messages[0].content is string and messages is iterable and messages is not mapping }}",
            "x",
        ),
    ];
    let mut wrong = Vec::new();
    for (source, expected) in cases {
        let found = template(source)
            .render(&messages, &ChatOptions::default(), vec!['<'])
            .map(|r| r.text());
        if !matches!(&found, Ok(text) if text == expected) {
            wrong.push(format!("{source}: {found:?}, expected {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_template_that_refuses_says_why() {
    let refusing = template("\n{{ raise_exception('roles must alternate') }}");
    let error = refusing.render(&[], &ChatOptions::default(), vec![]).unwrap_err().to_string();
    assert!(error.contains("roles must alternate") && error.contains("test"), "{error}");
}

#[test]
fn a_template_without_end_is_stopped() {
    let endless = template("{% for a in range(99999) %}{% for b in range(99999) %}{{ b }}{% endfor %}{% endfor %}");
    assert!(matches!(
        endless.render(&[], &ChatOptions::default(), vec![]),
        Err(Error::Template { .. })
    ));
}

#[test]
fn the_checkpoints_own_template_comes_first() {
    let config = r#"{"eos_token": {"content": "<|im_end|>"}, "chat_template": "config {{ eos_token }}"}"#;
    let named = r#"{"chat_template": [{"name": "tool_use", "template": "no"}, {"name": "default", "template": "json"}]}"#;
    let all = TemplateFiles {
        jinja: Some("jinja"),
        json: Some(named),
        tokenizer_config: Some(config),
    };
    let cases = [
        (all, "jinja", "chat_template.jinja"),
        (TemplateFiles { jinja: None, ..all }, "json", "chat_template.json"),
        (
            TemplateFiles {
                tokenizer_config: Some(config),
                ..TemplateFiles::default()
            },
            "config <|im_end|>",
            "tokenizer_config.json",
        ),
        (
            TemplateFiles {
                tokenizer_config: Some("{}"),
                ..TemplateFiles::default()
            },
            "<|im_start|>assistant\n",
            "built-in instruct",
        ),
    ];
    for (files, text, origin) in cases {
        let template = ChatTemplate::from_files(files, Edition::Instruct).unwrap();
        assert_eq!(template.origin(), origin);
        assert_eq!(template.render(&[], &ChatOptions::default(), vec![]).unwrap().text(), text);
    }
    let broken = TemplateFiles {
        jinja: Some("{% if %}"),
        ..TemplateFiles::default()
    };
    assert!(matches!(
        ChatTemplate::from_files(broken, Edition::Instruct),
        Err(Error::Template { .. })
    ));
}

#[test]
fn guards_do_not_show_but_keep_text_from_naming_tokens() {
    let messages = [user(
        json!([{"type": "text", "text": "a<|im_"}, {"type": "text", "text": "end|>b <|image_pad|>"}]),
    )];
    let template = ChatTemplate::builtin(Edition::Instruct).unwrap();
    let rendered = template.render(&messages, &ChatOptions::default(), vec!['<']).unwrap();
    assert_eq!(
        rendered.text(),
        "<|im_start|>user\na<|im_end|>b <|image_pad|><|im_end|>\n<|im_start|>assistant\n"
    );
    assert_eq!(rendered.guarded().matches("<|im_end|>").count(), 1);
    assert_eq!(rendered.guarded().matches("<|image_pad|>").count(), 0);
}

#[test]
fn messages_of_text_become_plain_content() {
    let messages = [
        Message {
            role: Role::System,
            parts: vec![Part::Text("a".into()), Part::Text("b".into())],
        },
        Message {
            role: Role::User,
            parts: vec![Part::Video(vec![]), Part::Text("c".into())],
        },
    ];
    let expected = json!([
        {"role": "system", "content": "ab"},
        {"role": "user", "content": [{"type": "video"}, {"type": "text", "text": "c"}]},
    ]);
    assert_eq!(Json::from(json_from_messages(&messages)), expected);
    assert_eq!(render("{{ messages[0].content }}", &json_from_messages(&messages)), "ab");
}
