//! Interleaved M-RoPE: positions of a prompt's tokens on three axes, and the tables of both rotations.
//! Source: arXiv:2511.21631 §2; `transformers` `get_rope_index`, `apply_interleaved_mrope`.

use super::config::{TextConfig, VisionConfig};
use crate::error::{Error, Result};

/// Positions on the axes time, row, column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Positions {
    /// One entry a token.
    pub axes: [Vec<u32>; 3],
    /// The position, on all axes, of the first token after the prompt.
    pub next: u32,
}

/// Positions of `n_tokens` tokens in which media stand, each `(index of its first pad, [1, rows, columns] in patches)`.
/// Text counts up; a picture's token (i, j) is (c, c + i, c + j), and the count goes on after the longer side.
///
/// Errors: [`Error::Prompt`] if media overlap, are out of order or do not fit.
pub fn positions(n_tokens: usize, media: &[(usize, [u32; 3])], merge: usize) -> Result<Positions> {
    let mut positions = Positions::default();
    let mut count = 0u32;
    let text_until = |positions: &mut Positions, until: usize, count: &mut u32| {
        while positions.axes[0].len() < until {
            positions.axes.iter_mut().for_each(|axis| axis.push(*count));
            *count += 1;
        }
    };
    for &(start, grid) in media {
        let (rows, columns) = (grid[1] / merge as u32, grid[2] / merge as u32);
        let end = start + (rows * columns) as usize;
        if grid[0] != 1 || start < positions.axes[0].len() || end > n_tokens || rows == 0 || columns == 0 {
            return Err(Error::Prompt {
                message: format!("a picture of {rows}×{columns} tokens at token {start} does not fit into {n_tokens} tokens"),
            });
        }
        text_until(&mut positions, start, &mut count);
        for row in 0..rows {
            for column in 0..columns {
                positions.axes[0].push(count);
                positions.axes[1].push(count + row);
                positions.axes[2].push(count + column);
            }
        }
        count += rows.max(columns);
    }
    text_until(&mut positions, n_tokens, &mut count);
    positions.next = count;
    Ok(positions)
}

/// cos and sin `[n_positions, n_frequencies, 2]` of position · frequency, computed in f64.
pub fn table(n_positions: usize, frequencies: &[f64]) -> Vec<f32> {
    let mut values = Vec::with_capacity(n_positions * frequencies.len() * 2);
    for position in 0..n_positions {
        for frequency in frequencies {
            let (sin, cos) = (position as f64 * frequency).sin_cos();
            values.extend([cos as f32, sin as f32]);
        }
    }
    values
}

/// `theta^(−2k / head_dim)`, k < head_dim / 2.
pub fn text_frequencies(config: &TextConfig) -> Vec<f64> {
    let half = config.head_dim / 2;
    (0..half).map(|k| config.rope_theta.powf(-(k as f64) / half as f64)).collect()
}

/// Which axis and frequency each pair of a head uses, `axis << 16 | frequency`: frequency k is of rows if k % 3 = 1 and
/// of columns if k % 3 = 2, as long as k < 3 · section; else of time.
pub fn text_map(config: &TextConfig) -> Vec<u32> {
    let [_, rows, columns] = config.mrope_section;
    let axis = |k: usize| match k % 3 {
        1 if k < 3 * rows => 1,
        2 if k < 3 * columns => 2,
        _ => 0,
    };
    (0..config.head_dim / 2).map(|k| (axis(k) << 16) | k as u32).collect()
}

/// `10000^(−2k / (d/2))`, k < d/4, for heads of size d.
pub fn vision_frequencies(config: &VisionConfig) -> Vec<f64> {
    let quarter = config.head_dim() / 4;
    (0..quarter).map(|k| 10_000f64.powf(-(k as f64) / quarter as f64)).collect()
}

/// The first half of the pairs turns with the row, the second with the column.
pub fn vision_map(config: &VisionConfig) -> Vec<u32> {
    let quarter = config.head_dim() / 4;
    (0..2 * quarter)
        .map(|j| (((j / quarter) << 16) | (j % quarter)) as u32)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_alone_counts_up_on_all_axes() -> Result<()> {
        let found = positions(3, &[], 2)?;
        assert_eq!(
            found,
            Positions {
                axes: [vec![0, 1, 2], vec![0, 1, 2], vec![0, 1, 2]],
                next: 3
            }
        );
        Ok(())
    }

    #[test]
    fn a_picture_spans_rows_and_columns_and_then_counts_from_its_longer_side() -> Result<()> {
        let found = positions(9, &[(2, [1, 4, 6])], 2)?; // 2 × 3 tokens
        assert_eq!(found.axes[0], [0, 1, 2, 2, 2, 2, 2, 2, 5]);
        assert_eq!(found.axes[1], [0, 1, 2, 2, 2, 3, 3, 3, 5]);
        assert_eq!(found.axes[2], [0, 1, 2, 3, 4, 2, 3, 4, 5]);
        assert_eq!(found.next, 6);
        Ok(())
    }

    #[test]
    fn media_that_do_not_fit_are_refused() {
        for media in [
            vec![(4, [1, 4, 6])],
            vec![(0, [1, 4, 4]), (3, [1, 2, 2])],
            vec![(0, [2, 4, 4])],
            vec![(0, [1, 0, 4])],
        ] {
            assert!(positions(9, &media, 2).is_err(), "{media:?}");
        }
    }

    #[test]
    fn frequencies_interleave_time_rows_and_columns() {
        let config = TextConfig {
            mrope_section: [24, 20, 20],
            head_dim: 128,
            ..test_config()
        };
        let axes: Vec<u32> = text_map(&config).iter().map(|entry| entry >> 16).collect();
        assert_eq!(axes[..6], [0, 1, 2, 0, 1, 2]);
        assert_eq!(axes[57..], [0, 1, 2, 0, 0, 0, 0]);
        assert_eq!(
            [0, 1, 2].map(|a| axes.iter().filter(|&&axis| axis == a).count()),
            [24, 20, 20]
        );
    }

    fn test_config() -> TextConfig {
        TextConfig {
            vocab_size: 8,
            hidden_size: 8,
            intermediate_size: 8,
            num_hidden_layers: 1,
            num_attention_heads: 1,
            num_key_value_heads: 1,
            head_dim: 8,
            rms_norm_eps: 1e-6,
            rope_theta: 1e4,
            mrope_section: [2, 1, 1],
            max_position_embeddings: 16,
        }
    }
}
