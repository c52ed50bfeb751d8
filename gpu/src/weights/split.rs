//! How a matrix is cut into runs of rows that fit the adapter's bindings.

use std::ops::Range;

use super::Format;
use crate::engine::Adapter;
use crate::error::{Error, Result};

/// Cuts `n` rows of `k` values into as few equal parts as fit one storage binding (and one buffer) each, of a multiple of
/// 32 rows but the last. `n = 0` gives one empty part.
///
/// Errors: [`Error::AdapterTooSmall`] if 32 rows do not fit.
pub fn split_rows(format: Format, n: usize, k: usize, adapter: &Adapter) -> Result<Vec<Range<usize>>> {
    let limit = adapter.max_binding_bytes.min(adapter.max_buffer_bytes);
    // A power of two, so that rows of a part begin at whole words of scales and at whole tiles of a matmul.
    const ALIGN: usize = 32;
    let fits = |rows: usize| format.packed_bytes(rows, k).max(format.scale_bytes(rows, k)) <= limit;
    if fits(n) {
        return Ok(std::iter::once(0..n).collect());
    }
    let align_bytes = format.packed_bytes(ALIGN, k);
    let most = (limit / align_bytes.max(1)) as usize * ALIGN;
    if most == 0 {
        return Err(Error::AdapterTooSmall {
            adapter: adapter.name.clone(),
            limit: "max_storage_buffer_binding_size",
            found: limit,
            needed: align_bytes,
        });
    }
    let n_parts = n.div_ceil(most);
    let rows = n.div_ceil(n_parts).next_multiple_of(ALIGN).min(most);
    Ok((0..n).step_by(rows).map(|first| first..n.min(first + rows)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adapter(max_binding_bytes: u64) -> Adapter {
        Adapter {
            name: "test".into(),
            driver: String::new(),
            backend: "sim".into(),
            software: true,
            max_binding_bytes,
            max_buffer_bytes: max_binding_bytes * 2,
            max_workgroups: 65535,
            max_invocations: 256,
            workgroup_memory_bytes: 16384,
            storage_buffers: 8,
            shader_f16: false,
            subgroups: None,
            ..Adapter::plain("test")
        }
    }

    #[test]
    fn the_output_layer_of_8b_splits_and_covers_all_rows() {
        let parts = split_rows(Format::Q8, 151_936, 4096, &adapter(128 << 20)).expect("fits");
        assert_eq!(parts.len(), 5);
        assert_eq!(parts[0].start, 0);
        assert_eq!(parts.last().map(|part| part.end), Some(151_936));
        for pair in parts.windows(2) {
            assert_eq!(pair[0].end, pair[1].start);
            assert_eq!(pair[1].start % 32, 0);
        }
        for part in &parts {
            assert!(Format::Q8.packed_bytes(part.len(), 4096) <= 128 << 20);
        }
    }

    #[test]
    fn small_matrices_are_one_part() {
        for n in [0, 1, 33] {
            assert_eq!(split_rows(Format::F32, n, 7, &adapter(1 << 20)).expect("fits"), vec![0..n]);
        }
    }

    #[test]
    fn an_adapter_that_holds_no_rows_is_named() {
        let error = split_rows(Format::F32, 1000, 4096, &adapter(1000)).expect_err("too small");
        assert!(error.to_string().contains("too small"), "{error}");
    }
}
