//! Prompts in pieces of few sizes, for each of which a recording is prepared.

/// Prompt tokens fed at once.
pub const MAX_CHUNK: usize = 512;
const MIN_CHUNK: usize = 16;
/// So few tokens are fed one by one: each costs no more than a step, and the smallest chunk as much as several.
const MAX_SINGLE: usize = 4;

/// How `n` tokens are cut into recordings: `(bucket, tokens)`. Few different buckets, and few of them, since each reads all weights
/// (on an H100 a chunk of 16 tokens of the 8B takes half of one of 512); but no more than a quarter of one is padding, which
/// slower adapters would have to compute.
pub fn buckets(n: usize) -> Vec<(usize, usize)> {
    let mut left = n;
    let mut cut = Vec::new();
    while left > 0 {
        let covering = left.next_power_of_two().clamp(MIN_CHUNK, MAX_CHUNK);
        let bucket = match left {
            ..=MAX_SINGLE => 1,
            _ if covering > MIN_CHUNK && 4 * left < 3 * covering => covering / 2,
            _ => covering,
        };
        let tokens = bucket.min(left);
        cut.push((bucket, tokens));
        left -= tokens;
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_cover_every_length_with_little_padding() {
        for n in 0..1500 {
            let cut = buckets(n);
            assert_eq!(cut.iter().map(|(_, tokens)| tokens).sum::<usize>(), n);
            let fits = |&(bucket, tokens): &(usize, usize)| (1..=bucket).contains(&tokens) && bucket <= MAX_CHUNK;
            assert!(cut.iter().all(fits), "{cut:?}");
            let padded = |&(bucket, tokens): &(usize, usize)| bucket == MIN_CHUNK || 4 * tokens >= 3 * bucket;
            assert!(cut.iter().all(padded), "{cut:?}");
            assert!(cut.iter().filter(|(bucket, _)| *bucket == 1).count() <= MAX_SINGLE);
        }
        assert_eq!(buckets(220), [(256, 220)], "a picture of 640 × 352");
        assert_eq!(buckets(1040), [(512, 512), (512, 512), (16, 16)]);
        assert_eq!(buckets(300), [(256, 256), (32, 32), (16, 12)]);
    }
}
