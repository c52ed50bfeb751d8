//! Speech by packed weights, as `pocket-asr` has them: what is heard is what the same weights hear that were unpacked before.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result};
use futures::executor::block_on;
use gpu::protocol::speech::{SpeechOptions, Step, TranscribeRequest};
use gpu::protocol::{GpuHandle, Quant};
use gpu::weights::checkpoint::StoredMatrix;
use gpu::weights::pack::{Plan, pack};
use gpu::weights::source::{Folder, Memory, Source};
use gpu::weights::{Checkpoint, Format};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, serialize};
use stages::stt::mel::Mel;

/// What `models/pocket-asr/quant.py` packs, and how.
const PLAN: &str = "keep *.depthwise_conv.weight
keep encoder.subsampling.layers.*
q8 encoder.subsampling.linear.weight
q8 joint.head.weight
q8 decoder.embedding.weight
q8 encoder_projector.weight
q8 decoder.decoder_projector.weight
q4 encoder.layers.*.weight
q4 decoder.lstm.weight_*";

/// The golden checkpoint, packed; and that one with its matrices as f32.
fn both() -> Result<(Arc<dyn Source>, Arc<dyn Source>)> {
    let folder = goldens::folder("parakeet-tdt-s1")?;
    let checkpoint = block_on(Checkpoint::open(Arc::new(Folder::open(&folder)?)))?;
    let file = block_on(pack(&checkpoint, &PLAN.parse::<Plan>()?))?;
    let with = |model: Vec<u8>| -> Result<Arc<dyn Source>> {
        let mut files = vec![("model.safetensors".to_owned(), Cow::from(model))];
        for name in ["config.json", "tokenizer.model"] {
            files.push((name.to_owned(), Cow::from(std::fs::read(folder.join(name))?)));
        }
        Ok(Arc::new(Memory::new("packed", files)))
    };
    let packed = with(file)?;
    let dense = with(unpacked(&block_on(Checkpoint::open(packed.clone()))?)?)?;
    Ok((packed, dense))
}

/// A file with every tensor as f32.
fn unpacked(packed: &Checkpoint) -> Result<Vec<u8>> {
    let mut tensors = BTreeMap::new();
    let (mut n4, mut n8) = (0, 0);
    for name in packed.tensors().keys().filter(|name| !name.ends_with("_scale")) {
        let name = name.strip_suffix("_packed").unwrap_or(name);
        if packed.tensors().get(name).is_some_and(|info| info.shape.is_empty()) {
            continue;
        }
        let values = block_on(packed.read_f32(name))?;
        let shape = match packed.tensors().get(name) {
            Some(info) => info.shape.clone(),
            None => {
                let stored = packed.matrix(name)?;
                match stored {
                    StoredMatrix::Packed { format: Format::Q4, .. } => n4 += 1,
                    _ => n8 += 1,
                }
                let (n, k) = stored.extents();
                vec![n, k]
            }
        };
        tensors.insert(name.to_owned(), (shape, bytemuck::cast_slice::<f32, u8>(&values).to_vec()));
    }
    assert!(n4 > 20 && n8 == 5, "{n4} of 4 bits, {n8} of 8");
    let views = tensors
        .iter()
        .map(|(name, (shape, data))| Ok((name, TensorView::new(Dtype::F32, shape.clone(), data)?)));
    Ok(serialize(views.collect::<Result<Vec<_>>>()?, None)?)
}

/// The golden sound `long`, as normalised features.
fn features() -> Result<Vec<f32>> {
    let bytes = std::fs::read(goldens::folder("parakeet-tdt-s1")?.join("case_long.safetensors"))?;
    let file = safetensors::SafeTensors::deserialize(&bytes)?;
    let data = file.tensor("audio_i16")?.data().to_vec();
    let samples: Vec<f32> = data
        .as_chunks()
        .0
        .iter()
        .map(|&bytes| f32::from(i16::from_le_bytes(bytes)) / 32768.0)
        .collect();
    Ok(Arc::new(Mel::new(128, &Default::default())).features(&samples))
}

async fn steps(engine: &GpuHandle, source: Arc<dyn Source>, features: &[f32]) -> Result<Vec<Step>> {
    let options = SpeechOptions {
        quant: Quant::DenseF32,
        ..SpeechOptions::default()
    };
    let info = engine.load_speech(source, options, None).await?;
    let request = TranscribeRequest {
        model: info.id,
        features: features.into(),
        first: 0,
        end: (features.len() / info.n_mels).div_ceil(8) as u32,
        after: None,
    };
    Ok(engine.transcribe(request).await?.steps)
}

#[test]
fn packed_ears_hear_what_unpacked_ones_do() -> Result<()> {
    let features = features()?;
    let (packed, dense) = both()?;
    for (name, engine) in tests::actors()? {
        let packed = block_on(steps(&engine, packed.clone(), &features))?;
        let dense = block_on(steps(&engine, dense.clone(), &features))?;
        assert!(dense.len() > 20, "{name}: {}", dense.len());
        let places =
            |steps: &[Step]| -> Vec<(u32, u32, u32)> { steps.iter().map(|step| (step.id, step.frame, step.duration)).collect() };
        assert_eq!(places(&packed), places(&dense), "{name}");
        let off = packed
            .iter()
            .zip(&dense)
            .map(|(a, b)| (a.log_probability - b.log_probability).abs());
        let worst = off.reduce(f32::max).context("steps")?;
        println!("{name}: log-probabilities are off by {worst:.2e} at most");
        // Decoding as a GPU does rounds what is multiplied with packed weights to 8 bits.
        assert!(worst < if name.contains("decoding") { 0.2 } else { 1e-3 }, "{name}: {worst}");
    }
    Ok(())
}
