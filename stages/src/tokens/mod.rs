//! From conversations to ids and back: the tokenizer, chat templates, room for pictures, thoughts.

pub mod bpe;
pub mod chat_template;
pub mod date;
pub mod media;
pub mod python_json;
pub mod rendered;
pub mod thinking;
