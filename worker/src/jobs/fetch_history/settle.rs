//! Which part of a page is verified.

use candlemill_shared::TimeRange;
use candlemill_shared::coverage::Gap;

/// What a page adds to the ledger.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Settled {
    /// Ranges that are verified now. The first continues the segment that was open before.
    pub(super) verified: Vec<TimeRange>,
    /// Start of the segment that the next page continues.
    pub(super) segment: i64,
}

/// Verifies `window` up to `until`, except where a gap is not settled: there the segment breaks. `segment` is the start
/// of the segment that the pages before have verified up to the window's start.
pub(super) fn settle(segment: i64, window: TimeRange, until: i64, gaps: &[Gap]) -> Settled {
    let mut verified = Vec::new();
    let mut start = segment;
    for gap in gaps.iter().filter(|gap| !gap.reason.is_settled()) {
        if gap.range.start > start {
            verified.push(TimeRange::new(start, gap.range.start));
        }
        start = gap.range.end;
    }
    let until = until.min(window.end);
    if until > start {
        verified.push(TimeRange::new(start, until));
    }
    // What was open at the end is not verified, and nothing may pretend to continue over it.
    let segment = if until < window.end { start.max(window.end) } else { start };
    Settled { verified, segment }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candlemill_shared::Interval;
    use candlemill_shared::coverage::GapReason::{self, FetchFailed, Outage, Unpublished};

    const M: i64 = 60_000;

    fn check(name: &str, until: i64, gaps: &[(i64, i64, GapReason)], verified: &[(i64, i64)], segment: i64) {
        let gaps: Vec<Gap> = gaps
            .iter()
            .map(|&(s, e, reason)| Gap::new(Interval::Minute1, TimeRange::new(s * M, e * M), reason))
            .collect();
        let expected: Vec<_> = verified.iter().map(|&(s, e)| TimeRange::new(s * M, e * M)).collect();
        let settled = settle(0, TimeRange::new(10 * M, 20 * M), until * M, &gaps);
        assert_eq!((settled.verified, settled.segment), (expected, segment * M), "{name}");
    }

    #[test]
    fn pages() {
        check("whole", 20, &[], &[(0, 20)], 0);
        check("outage inside", 20, &[(12, 14, Outage)], &[(0, 20)], 0);
        check("bad row inside", 20, &[(12, 14, FetchFailed)], &[(0, 12), (14, 20)], 14);
        check("bad row first", 20, &[(10, 11, FetchFailed)], &[(0, 10), (11, 20)], 11);
        check("unpublished at the end", 20, &[(18, 20, Unpublished)], &[(0, 18)], 20);
        check("open buckets", 15, &[], &[(0, 15)], 20);
        check("nothing closed", 10, &[], &[(0, 10)], 20);
    }
}
