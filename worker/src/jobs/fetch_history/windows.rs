//! The pages of what is lacking, on the grid that all tasks share.

use candlemill_shared::{Interval, TimeRange};

/// Candles per call: the exchange's most, and the grid of all tasks.
pub(crate) const PER_PAGE: u32 = candlemill_shared::PAGE_BUCKETS;

/// The lacking parts of one page of the grid, ascending; at least one.
pub(super) type Parts = Vec<TimeRange>;

/// For every page of the grid that holds something of `lacking` (ascending, whole buckets): its parts of it.
pub(super) fn windows(interval: Interval, lacking: Vec<TimeRange>) -> impl Iterator<Item = Parts> + Send {
    let mut parts = lacking.into_iter().flat_map(move |range| interval.blocks(range, PER_PAGE)).peekable();
    std::iter::from_fn(move || {
        let first = parts.next()?;
        let end = interval.block_end(first.start, PER_PAGE);
        let mut page = vec![first];
        while let Some(more) = parts.next_if(|part| part.start < end) {
            page.push(more);
        }
        Some(page)
    })
}

/// What one call asks for: from the first to the last lacking bucket of the page, so that a page never costs two calls.
pub(super) fn hull(parts: &Parts) -> TimeRange {
    let (first, last) = (parts.first(), parts.last());
    TimeRange::new(first.map_or(0, |part| part.start), last.map_or(0, |part| part.end))
}

#[cfg(test)]
mod tests {
    use super::*;

    const M: i64 = 60_000;

    fn check(name: &str, lacking: &[(i64, i64)], expected: &[(i64, i64)]) {
        let minutes =
            |ranges: &[(i64, i64)]| ranges.iter().map(|&(s, e)| TimeRange::new(s * M, e * M)).collect::<Vec<_>>();
        let got: Vec<_> = windows(Interval::Minute1, minutes(lacking)).map(|parts| hull(&parts)).collect();
        assert_eq!(got, minutes(expected), "{name}");
    }

    #[test]
    fn pages_lie_on_one_grid_and_none_comes_twice() {
        check("nothing", &[], &[]);
        check("from the middle of a page", &[(500, 2_500)], &[(500, 1_000), (1_000, 2_000), (2_000, 2_500)]);
        check("holes of one page", &[(10, 20), (30, 40), (990, 1_010)], &[(10, 1_000), (1_000, 1_010)]);
        check("exactly a page", &[(3_000, 4_000)], &[(3_000, 4_000)]);
    }
}
