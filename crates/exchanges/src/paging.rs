//! Cuts ranges into pages.

use candlemill_shared::{Interval, TimeRange};

/// 1970: no exchange is older.
const FIRST_MS: i64 = 0;
/// The year 10000; keeps calendar arithmetic inside its own bounds.
const LAST_MS: i64 = 253_402_300_800_000;

/// The pages of a range, made one at a time: the range may be of any length.
#[derive(Debug, Clone)]
pub struct Pages {
    interval: Interval,
    rest: TimeRange,
    per_page: u32,
}

/// Cuts the buckets that open inside `range` into windows of `per_page` buckets, the last one shorter where they do not
/// divide. Windows are half-open, lie on the interval's grid, ascend and touch. Times before 1970 and after the year
/// 9999 hold nothing. `per_page` of 0 counts as 1.
#[must_use]
pub fn pages(interval: Interval, range: TimeRange, per_page: u32) -> Pages {
    Pages { interval, rest: interval.align(bounded(range)), per_page: per_page.max(1) }
}

/// Number of pages that [`pages`] cuts, without cutting them.
#[must_use]
pub fn page_count(interval: Interval, range: TimeRange, per_page: u32) -> u64 {
    interval.count(bounded(range)).div_ceil(u64::from(per_page.max(1)))
}

fn bounded(range: TimeRange) -> TimeRange {
    TimeRange::new(range.start.clamp(FIRST_MS, LAST_MS), range.end.clamp(FIRST_MS, LAST_MS))
}

impl Iterator for Pages {
    type Item = TimeRange;

    fn next(&mut self) -> Option<TimeRange> {
        if self.rest.is_empty() {
            return None;
        }
        let end = self.interval.advance(self.rest.start, i64::from(self.per_page)).min(self.rest.end);
        let page = TimeRange::new(self.rest.start, end);
        self.rest.start = end;
        Some(page)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = usize::try_from(page_count(self.interval, self.rest, self.per_page));
        (left.unwrap_or(usize::MAX), left.ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(interval: Interval, range: (i64, i64), per_page: u32, expected: &[(i64, i64)]) {
        let range = TimeRange::new(range.0, range.1);
        let expected: Vec<_> = expected.iter().map(|&(start, end)| TimeRange::new(start, end)).collect();
        assert_eq!(pages(interval, range, per_page).collect::<Vec<_>>(), expected, "{interval} {range} by {per_page}");
        assert_eq!(page_count(interval, range, per_page), expected.len() as u64);
    }

    #[test]
    fn cuts() {
        let minute = Interval::Minute1;
        check(minute, (0, 300_000), 2, &[(0, 120_000), (120_000, 240_000), (240_000, 300_000)]);
        check(minute, (1, 60_001), 5, &[(60_000, 120_000)]);
        check(minute, (1, 60_000), 5, &[]);
        check(minute, (60_000, 0), 5, &[]);
        check(minute, (0, 120_000), 0, &[(0, 60_000), (60_000, 120_000)]);
        // January and February of 1970, then March.
        check(Interval::Month1, (0, 7_776_000_000), 2, &[(0, 5_097_600_000), (5_097_600_000, 7_776_000_000)]);
    }

    #[test]
    fn the_whole_of_time_is_no_problem() {
        for interval in Interval::ALL {
            let all = TimeRange::new(i64::MIN, i64::MAX);
            assert!(page_count(interval, all, 1_000) > 95);
            assert_eq!(pages(interval, all, 1_000).take(3).count(), 3);
        }
    }

    proptest! {
        #[test]
        fn pages_tile_the_aligned_range(
            index in 0usize..16, start in 0i64..2_000_000_000_000, buckets in 0i64..3_000, odd in -5i64..5, per_page in 1u32..1_500
        ) {
            let interval = Interval::ALL[index];
            let range = TimeRange::new(start, interval.advance(interval.bucket_start(start), buckets) + odd);
            let aligned = interval.align(range);
            let cut: Vec<_> = pages(interval, range, per_page).collect();
            prop_assert_eq!(cut.len() as u64, page_count(interval, range, per_page));
            prop_assert_eq!(pages(interval, range, per_page).size_hint(), (cut.len(), Some(cut.len())));
            if let (Some(first), Some(last)) = (cut.first(), cut.last()) {
                prop_assert_eq!(TimeRange::new(first.start, last.end), aligned);
            } else {
                prop_assert!(aligned.is_empty());
            }
            prop_assert!(cut.windows(2).all(|pair| pair[0].end == pair[1].start));
            for (number, page) in cut.iter().enumerate() {
                let count = interval.count(*page);
                prop_assert!(count >= 1 && count <= u64::from(per_page));
                prop_assert!(count == u64::from(per_page) || number + 1 == cut.len());
            }
        }
    }
}
