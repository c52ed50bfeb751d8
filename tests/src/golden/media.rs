//! The pictures and videos of a folder, prepared by our own code and held against the reference's, bit for bit.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use stages::vision::resize::{PixelLimits, Size, image_size, resize_rgb, video_size};
use stages::vision::video::{Sampling, pair_times_s, pairs, sample_frames};

use super::folder::{Tensors, json};
use super::table::Row;

/// A picture, or a video as pairs of frames, ready for the vision tower.
#[derive(Debug)]
pub struct Medium {
    pub is_video: bool,
    pub height: usize,
    pub width: usize,
    /// Each `[1 or 2, height, width, 3]` u8.
    pub passes: Vec<Vec<u8>>,
    /// Seconds of each pair.
    pub times_s: Vec<f64>,
    /// `[P, 1536]` of all passes, where the folder has them.
    pub pixel_values: Option<Vec<f32>>,
}

impl Medium {
    /// Patches: time, rows, columns.
    pub fn grid(&self) -> [i64; 3] {
        [self.passes.len() as i64, self.height as i64 / 16, self.width as i64 / 16]
    }

    /// Tokens of one picture or pair.
    pub fn pass_tokens(&self) -> usize {
        self.height * self.width / 1024
    }
}

/// All media of a folder, and the row that says whether they were prepared as the reference did.
pub fn prepare(folder: &Path, name: &str, source_fps: f64, sample_fps: f64) -> Result<(BTreeMap<String, Medium>, Row)> {
    let mut row = Row::new(name, "stages", "u8", "media");
    let tensors = Tensors::read(&folder.join("media.safetensors"))?;
    let image_limits = limits(folder, "preprocessor_config.json")?;
    let video_limits = limits(folder, "video_preprocessor_config.json")?;
    let mut media = BTreeMap::new();
    for key in tensors.bytes.keys().filter_map(|key| key.strip_suffix(".raw_u8")) {
        let medium = if tensors.shapes[&format!("{key}.raw_u8")].len() == 3 {
            image(&tensors, key, image_limits)?
        } else {
            video(&tensors, key, video_limits, source_fps, sample_fps, &mut row)?
        };
        row.equal(
            &format!("{key}.grid_thw"),
            &medium.grid().to_vec(),
            tensors.ints(&format!("{key}.grid_thw"))?,
        );
        row.equal(
            &format!("{key}.resized_u8"),
            &medium.passes.concat(),
            tensors.bytes(&format!("{key}.resized_u8"))?,
        );
        let expected = [medium.height, medium.width, 3];
        let shape = &tensors.shapes[&format!("{key}.resized_u8")];
        row.equal(
            &format!("{key}.resized_u8's shape"),
            &shape[shape.len() - 3..].to_vec(),
            &expected.to_vec(),
        );
        media.insert(key.to_owned(), medium);
    }
    Ok((media, row))
}

fn image(tensors: &Tensors, key: &str, limits: PixelLimits) -> Result<Medium> {
    let raw = tensors.bytes(&format!("{key}.raw_u8"))?;
    let [height, width, _] = tensors.shape(&format!("{key}.raw_u8"))?;
    let from = size(height, width)?;
    let to = image_size(from, limits)?;
    Ok(Medium {
        is_video: false,
        height: to.height as usize,
        width: to.width as usize,
        passes: vec![resize_rgb(raw, from, to)?],
        times_s: Vec::new(),
        pixel_values: tensors.floats.get(&format!("{key}.pixel_values")).cloned(),
    })
}

fn video(tensors: &Tensors, key: &str, limits: PixelLimits, source_fps: f64, sample_fps: f64, row: &mut Row) -> Result<Medium> {
    let raw = tensors.bytes(&format!("{key}.raw_u8"))?;
    let [n_total, height, width, _] = tensors.shape(&format!("{key}.raw_u8"))?;
    let indices = sample_frames(
        n_total,
        source_fps,
        Sampling {
            fps: sample_fps,
            ..Sampling::default()
        },
    );
    let expected: Vec<usize> = tensors
        .ints(&format!("{key}.sampled_frames"))?
        .iter()
        .map(|&i| i as usize)
        .collect();
    row.equal(&format!("{key}.sampled_frames"), &indices, &expected);
    let from = size(height, width)?;
    let to = video_size(from, indices.len() as u32, limits)?;
    let frame_bytes = height * width * 3;
    let passes = pairs(&indices)
        .into_iter()
        .map(|pair| {
            let frames: Vec<Vec<u8>> = pair
                .iter()
                .map(|&i| resize_rgb(&raw[i * frame_bytes..(i + 1) * frame_bytes], from, to))
                .collect::<Result<_, _>>()?;
            Ok(frames.concat())
        })
        .collect::<Result<_>>()?;
    Ok(Medium {
        is_video: true,
        height: to.height as usize,
        width: to.width as usize,
        passes,
        times_s: pair_times_s(&indices, source_fps),
        pixel_values: tensors.floats.get(&format!("{key}.pixel_values")).cloned(),
    })
}

fn limits(folder: &Path, file: &str) -> Result<PixelLimits> {
    let config = json(&folder.join(file))?;
    let edge = |key: &str| {
        config["size"][key]
            .as_u64()
            .with_context(|| format!("{file} has no size.{key}"))
    };
    Ok(PixelLimits {
        min_pixels: edge("shortest_edge")?,
        max_pixels: edge("longest_edge")?,
    })
}

fn size(height: usize, width: usize) -> Result<Size> {
    Ok(Size {
        height: height.try_into()?,
        width: width.try_into()?,
    })
}
