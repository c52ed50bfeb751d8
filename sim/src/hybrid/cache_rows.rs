//! Which bytes of a KV cache an operation on the simulated GPU touches: the rows of its tokens, found as the operation finds
//! them, through state and block table.

use std::ops::Range;

use gpu::Result;
use gpu::engine::State;

use super::split::CacheUse;
use crate::SimEngine;

/// The rows of the tokens that are fed, or of all that are seen, in keys as in values. State and table are on the simulated
/// side by now. What the table does not reach is left out: the operation says so itself.
///
/// Errors: a tensor that was released.
pub fn rows(sim: &SimEngine, cache: &CacheUse) -> Result<Vec<Range<u64>>> {
    let state: State =
        bytemuck::pod_read_unaligned(bytemuck::cast_slice(sim.words(cache.state, 0, size_of::<State>() as u64)?));
    let table = sim.words(cache.table.tensor, 0, cache.table.size_bytes)?;
    let (before, fed) = (u64::from(state.kv_len), u64::from(state.n_tokens).min(cache.max_rows));
    let tokens = if cache.appends {
        before..before + fed
    } else {
        0..before + fed
    };
    let block = cache.block.max(1);
    let mut rows: Vec<Range<u64>> = Vec::new();
    for (i, &number) in (0..).zip(table) {
        let (start, end) = (tokens.start.max(i * block), tokens.end.min((i + 1) * block));
        if start >= end {
            continue;
        }
        let row_of = |token: u64| (u64::from(number) * block + token - i * block) * cache.row_bytes;
        rows.push(row_of(start)..row_of(end));
    }
    Ok(rows)
}

/// The whole words that a range lies in.
pub fn words(range: &Range<u64>) -> Range<u64> {
    range.start / 4 * 4..range.end.next_multiple_of(4)
}

/// Must the row be there before? Not if it is written as a whole and shares no word with another.
pub fn is_needed(cache: &CacheUse, row: &Range<u64>) -> bool {
    !cache.appends || words(row) != *row
}

#[cfg(test)]
mod tests {
    use gpu::engine::Engine;
    use gpu::tensor::TensorId;

    use super::super::split::Touch;
    use super::*;
    use crate::Kernels;

    #[test]
    fn rows_are_found_through_the_table() -> Result<()> {
        let mut sim = SimEngine::new(Kernels::Plain);
        let (state, table) = (sim.create("state", 48)?, sim.create("table", 16)?);
        sim.write(table, 0, bytemuck::cast_slice(&[7u32, 2, 5, 0]))?;
        // 5 tokens before, 4 fed; blocks of 4.
        sim.write(state, 0, bytemuck::cast_slice(&[5u32, 4]))?;
        let mut cache = CacheUse {
            tensors: [TensorId(0); 2],
            table: Touch {
                tensor: table,
                size_bytes: 16,
            },
            state,
            block: 4,
            row_bytes: 6,
            max_rows: 9,
            appends: true,
        };
        assert_eq!(
            rows(&sim, &cache)?,
            [(2 * 4 + 1) * 6..(2 * 4 + 4) * 6, 5 * 4 * 6..(5 * 4 + 1) * 6]
        );
        assert_eq!(words(&(54..72)), 52..72);
        assert!(is_needed(&cache, &(54..72)) && !is_needed(&cache, &(120..128)));
        cache.appends = false;
        assert_eq!(rows(&sim, &cache)?[0], 7 * 4 * 6..8 * 4 * 6);
        cache.max_rows = 1;
        assert_eq!(rows(&sim, &cache)?.len(), 2);
        Ok(())
    }
}
