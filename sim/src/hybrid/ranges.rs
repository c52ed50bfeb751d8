//! [`Ranges`]: bytes of a tensor, as ranges that neither touch nor overlap. What one side of a hybrid engine lacks.

use std::ops::Range;

/// Ascending, apart from each other, none empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranges(Vec<Range<u64>>);

impl Ranges {
    /// Adds bytes; those that are there stay.
    pub fn add(&mut self, mut new: Range<u64>) {
        if new.is_empty() {
            return;
        }
        // Those that the new one touches become part of it.
        let first = self.0.partition_point(|range| range.end < new.start);
        let last = self.0.partition_point(|range| range.start <= new.end);
        if let Some(joined) = self.0.get(first..last).filter(|joined| !joined.is_empty()) {
            new.start = new.start.min(joined[0].start);
            new.end = new.end.max(joined[joined.len() - 1].end);
        }
        self.0.splice(first..last, [new]);
    }

    /// Takes bytes out; those that are not there are no error.
    pub fn remove(&mut self, gone: &Range<u64>) {
        if gone.is_empty() {
            return;
        }
        let kept = self.0.drain(..).flat_map(|range| {
            let before = range.start..range.end.min(gone.start);
            let behind = range.start.max(gone.end)..range.end;
            [before, behind]
        });
        self.0 = kept.filter(|range| !range.is_empty()).collect();
    }

    /// Those bytes of `of` that are there.
    pub fn within(&self, of: &Range<u64>) -> Vec<Range<u64>> {
        let cut = |range: &Range<u64>| range.start.max(of.start)..range.end.min(of.end);
        self.0.iter().map(cut).filter(|range| !range.is_empty()).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against a flag for each byte.
        #[test]
        fn ranges_are_as_a_flag_a_byte(steps in prop::collection::vec((any::<bool>(), 0u64..64, 0u64..20), 0..40)) {
            let (mut ranges, mut flags) = (Ranges::default(), [false; 96]);
            for (add, start, n) in steps {
                let range = start..start + n;
                if add {
                    ranges.add(range.clone());
                } else {
                    ranges.remove(&range);
                }
                range.for_each(|i| flags[i as usize] = add);
                let apart = ranges.0.windows(2).all(|pair| pair[0].end < pair[1].start);
                prop_assert!(apart && ranges.0.iter().all(|range| !range.is_empty()), "{ranges:?}");
                let bytes: Vec<u64> = ranges.within(&(3..90)).into_iter().flatten().collect();
                let expected: Vec<u64> = (3..90).filter(|&i| flags[i as usize]).collect();
                prop_assert_eq!(bytes, expected);
            }
        }
    }
}
