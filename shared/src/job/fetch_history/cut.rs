//! How a large fetch is cut into parts.

use crate::interval::{Interval, PAGE_BUCKETS};
use crate::range::TimeRange;

/// Cuts `missing` (whole buckets of `interval`) into parts of at most `candles` each, larger ones where there would be more
/// than `most` parts. Parts of a page or more begin and end where pages do, so that no page is fetched for two of them.
#[must_use]
pub fn cut(missing: &[TimeRange], interval: Interval, candles: u64, most: u64) -> Vec<TimeRange> {
    let all: u64 = missing.iter().map(|range| interval.count(*range)).sum();
    // The first and the last part of every missing range may be short ones.
    let full = most.saturating_sub(2 * missing.len() as u64).max(1);
    let page = u64::from(PAGE_BUCKETS);
    let step = candles.max(all.div_ceil(full)).max(1);
    let step = if step < page { step } else { step.next_multiple_of(page) };
    let step = i64::try_from(step).unwrap_or(i64::MAX);
    let mut parts = Vec::new();
    for range in missing {
        let mut start = range.start;
        while start < range.end {
            let end = interval.advance(start, step);
            let on_grid = interval.block_start(end, PAGE_BUCKETS);
            let end = if on_grid > start && step >= i64::from(PAGE_BUCKETS) { on_grid } else { end }.min(range.end);
            parts.push(TimeRange::new(start, end));
            start = end;
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::range::normalise;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn parts_are_the_whole(given in prop::collection::vec((0i64..5_000, 1i64..900), 1..8), candles in 1u64..500) {
            let minutes = |(start, length): (i64, i64)| TimeRange::new(start * 60_000, (start + length) * 60_000);
            let missing = normalise(given.into_iter().map(minutes).collect());
            let parts = cut(&missing, Interval::Minute1, candles, 64);
            prop_assert_eq!(normalise(parts.clone()), missing);
            prop_assert!(parts.len() <= 64);
            prop_assert!(parts.windows(2).all(|pair| pair[0].end <= pair[1].start), "no candle is in two parts");
        }
    }
}
