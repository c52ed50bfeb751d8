//! Packs a model for the tree: `pack FROM_FOLDER PLAN TO_FOLDER` writes `model.safetensors` and copies the texts that a
//! model needs. See `gpu::weights::pack` for what a plan says.

use std::path::Path;
use std::sync::Arc;

use futures::executor::block_on;
use gpu::weights::Checkpoint;
use gpu::weights::pack::{Plan, pack};
use gpu::weights::source::Folder;

const TEXTS: [&str; 7] = [
    "config.json",
    "generation_config.json",
    "preprocessor_config.json",
    "video_preprocessor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [from, plan, to] = args.as_slice() else {
        return Err("usage: pack FROM_FOLDER PLAN TO_FOLDER".into());
    };
    let plan: Plan = std::fs::read_to_string(plan)?.parse()?;
    let source = Arc::new(Folder::open(from)?);
    let checkpoint = block_on(Checkpoint::open(source))?;
    let file = block_on(pack(&checkpoint, &plan))?;
    std::fs::create_dir_all(to)?;
    std::fs::write(Path::new(to).join("model.safetensors"), &file)?;
    let mut total_bytes = file.len() as u64;
    for name in TEXTS {
        let path = Path::new(from).join(name);
        if path.is_file() {
            let text = std::fs::read(path)?;
            total_bytes += text.len() as u64;
            std::fs::write(Path::new(to).join(name), text)?;
        }
    }
    println!("model.safetensors {} bytes, with texts {total_bytes}", file.len());
    Ok(())
}
