//! Sizes, resampling and frame choice against the reference implementation's numbers.

use crate::common;

use safetensors::SafeTensors;
use stages::vision::resize::{PixelLimits, Size, image_size, resize_rgb, video_size};
use stages::vision::video::{Sampling, pair_times_s, sample_frames, timestamp_text};

/// A u8 tensor `[…, height, width, 3]` as frames.
fn frames<'a>(tensors: &SafeTensors<'a>, name: &str) -> (Size, Vec<&'a [u8]>) {
    let tensor = tensors.tensor(name).unwrap_or_else(|e| panic!("{name}: {e}"));
    let shape = tensor.shape();
    let [height, width] = [shape[shape.len() - 3], shape[shape.len() - 2]];
    let size = Size {
        height: height as u32,
        width: width as u32,
    };
    (size, tensor.data().chunks_exact(height * width * 3).collect())
}

fn limits(folder: &std::path::Path, file: &str) -> PixelLimits {
    let size = &common::json(folder.join(file))["size"];
    PixelLimits {
        min_pixels: size["shortest_edge"].as_u64().unwrap(),
        max_pixels: size["longest_edge"].as_u64().unwrap(),
    }
}

#[test]
fn resize_is_bit_equal_to_the_reference() {
    for folder in common::folders("qwen3-vl") {
        let bytes = common::bytes(folder.join("media.safetensors"));
        let media = SafeTensors::deserialize(&bytes).unwrap();
        for name in ["img_a", "img_b", "img_max", "img_min"] {
            let (from, raw) = frames(&media, &format!("{name}.raw_u8"));
            let (to, expected) = frames(&media, &format!("{name}.resized_u8"));
            assert_eq!(
                image_size(from, limits(&folder, "preprocessor_config.json")).unwrap(),
                to,
                "{name}"
            );
            assert!(
                resize_rgb(raw[0], from, to).unwrap() == expected[0],
                "{name} of {}",
                folder.display()
            );
            let grid = common::ints(&media, &format!("{name}.grid_thw"));
            assert_eq!(grid, [1, i64::from(to.height / 16), i64::from(to.width / 16)], "{name}");
        }
        let (from, raw) = frames(&media, "vid_a.raw_u8");
        let (to, expected) = frames(&media, "vid_a.resized_u8");
        let sampled = sample_frames(raw.len(), 4.0, Sampling::default());
        let wanted: Vec<usize> = common::ints(&media, "vid_a.sampled_frames")
            .iter()
            .map(|&i| i as usize)
            .collect();
        assert_eq!(sampled, wanted);
        let video_limits = limits(&folder, "video_preprocessor_config.json");
        assert_eq!(video_size(from, sampled.len() as u32, video_limits).unwrap(), to);
        let pairs = stages::vision::video::pairs(&sampled);
        let flat: Vec<usize> = pairs.into_iter().flatten().collect();
        assert_eq!(flat.len(), expected.len());
        for (frame, expected) in flat.iter().zip(expected) {
            assert!(
                resize_rgb(raw[*frame], from, to).unwrap() == expected,
                "frame {frame} of {}",
                folder.display()
            );
        }
    }
}

fn uint(value: &serde_json::Value) -> u32 {
    value.as_u64().unwrap() as u32
}

#[test]
fn sizes_equal_the_table() {
    let table = common::json(common::golden("qwen-text-s1").join("preproc.json"));
    let mut wrong = Vec::new();
    for kind in ["image", "video"] {
        for row in table[kind].as_array().unwrap() {
            let from = Size {
                height: uint(&row["h"]),
                width: uint(&row["w"]),
            };
            let limits = PixelLimits {
                min_pixels: row["min"].as_u64().unwrap(),
                max_pixels: row["max"].as_u64().unwrap(),
            };
            let found = match kind {
                "image" => image_size(from, limits),
                _ => video_size(from, uint(&row["t"]), limits),
            };
            let found = found.map(|s| (s.height, s.width)).unwrap();
            if found != (uint(&row["out"][0]), uint(&row["out"][1])) {
                wrong.push(format!("{kind} {row}: {found:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn frames_and_times_equal_the_table() {
    let table = common::json(common::golden("qwen-text-s1").join("preproc.json"));
    let indices = |value: &serde_json::Value| -> Vec<usize> {
        value
            .as_array()
            .unwrap()
            .iter()
            .map(|i| i.as_u64().unwrap() as usize)
            .collect()
    };
    for row in table["sampling"].as_array().unwrap() {
        let sampling = Sampling {
            fps: row["sample_fps"].as_f64().unwrap(),
            min_frames: uint(&row["min_frames"]) as usize,
            max_frames: uint(&row["max_frames"]) as usize,
        };
        let found = sample_frames(uint(&row["total"]) as usize, row["fps"].as_f64().unwrap(), sampling);
        assert_eq!(found.len(), uint(&row["count"]) as usize, "{row}");
        let (first, last) = (indices(&row["first"]), indices(&row["last"]));
        assert!(found.starts_with(&first) && found.ends_with(&last), "{row}");
        if !row["indices"].is_null() {
            assert_eq!(found, indices(&row["indices"]), "{row}");
        }
    }
    for row in table["timestamps"].as_array().unwrap() {
        let times = pair_times_s(&indices(&row["indices"]), row["fps"].as_f64().unwrap());
        let texts: Vec<String> = times.into_iter().map(timestamp_text).collect();
        let expected: Vec<&str> = row["strings"]
            .as_array()
            .unwrap()
            .iter()
            .map(|s| s.as_str().unwrap())
            .collect();
        assert_eq!(texts, expected, "{row}");
    }
}
