//! What is known to be complete, and what is known to be absent.

use crate::interval::Interval;
use crate::range::TimeRange;
use serde::{Deserialize, Serialize};

/// Why a bucket of a verified range holds no candle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum GapReason {
    /// The exchange has later candles but none here: it was down, or printed none.
    Outage,
    /// The symbol did not trade yet.
    BeforeListing,
    /// The symbol is halted or delisted, and this lies after its last candle.
    Halted,
    /// The bucket closed so recently that the exchange may still print it. Not verified: the next backfill asks again.
    Unpublished,
    /// The exchange's row was unusable. Not verified: the next backfill asks again.
    FetchFailed,
}

impl GapReason {
    /// Whether the absence is settled, so that a later backfill need not ask again.
    #[must_use]
    pub const fn is_settled(self) -> bool {
        matches!(self, Self::Outage | Self::BeforeListing | Self::Halted)
    }
}

/// An absence counts as confirmed when the exchange was asked again at least this long after it was first seen, ms.
pub const CONFIRMED_AFTER_MS: i64 = 3_600_000;

/// Ages, in ms after it was first seen, at which an absence is asked again: an hour, a day, a month.
pub const RECHECK_AFTER_MS: [i64; 3] = [CONFIRMED_AFTER_MS, 86_400_000, 30 * 86_400_000];

/// A run of neighbouring buckets without a candle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Gap {
    /// From the open time of the first absent bucket to the open time of the bucket after the last, UTC ms.
    #[serde(flatten)]
    pub range: TimeRange,
    /// Number of absent buckets.
    pub buckets: u64,
    /// Why they are absent.
    pub reason: GapReason,
    /// When the exchange was first seen to lack them, UTC ms; absent in records of versions before 0.2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_at: Option<i64>,
    /// When the exchange last said so, UTC ms; at least `seen_at`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed_at: Option<i64>,
}

impl Gap {
    /// The gap over `range`, which lies on the interval's grid. When it was seen is not known.
    #[must_use]
    pub fn new(interval: Interval, range: TimeRange, reason: GapReason) -> Self {
        Self { range, buckets: interval.count(range), reason, seen_at: None, confirmed_at: None }
    }

    /// The same gap, seen for the first time at `at` (UTC ms).
    #[must_use]
    pub fn seen(self, at: i64) -> Self {
        Self { seen_at: Some(at), confirmed_at: Some(at), ..self }
    }

    /// The part of it that lies in `range`, with the same times.
    #[must_use]
    pub fn cut(self, interval: Interval, range: TimeRange) -> Self {
        let range = self.range.intersect(range);
        Self { range, buckets: interval.count(range), ..self }
    }

    /// Whether the exchange said so twice, at least [`CONFIRMED_AFTER_MS`] apart.
    #[must_use]
    pub fn is_confirmed(&self) -> bool {
        self.seen_at.zip(self.confirmed_at).is_some_and(|(seen, confirmed)| confirmed - seen >= CONFIRMED_AFTER_MS)
    }

    /// When the exchange is to be asked again by housekeeping, UTC ms; `None`: it was asked often enough.
    #[must_use]
    pub fn recheck_at(&self) -> Option<i64> {
        let Some((seen, confirmed)) = self.seen_at.zip(self.confirmed_at) else { return Some(0) };
        RECHECK_AFTER_MS.iter().map(|age| seen.saturating_add(*age)).find(|due| confirmed < *due)
    }
}

/// Joins neighbouring gaps of one reason. `gaps` is ascending and does not overlap. A joined gap is as young, and as long
/// unconfirmed, as any part of it.
#[must_use]
pub fn join_gaps(gaps: Vec<Gap>) -> Vec<Gap> {
    let mut joined: Vec<Gap> = Vec::with_capacity(gaps.len());
    for gap in gaps {
        match joined.last_mut() {
            Some(last) if last.range.end == gap.range.start && last.reason == gap.reason => {
                last.range.end = gap.range.end;
                last.buckets += gap.buckets;
                last.seen_at = last.seen_at.zip(gap.seen_at).map(|(one, other)| one.max(other));
                last.confirmed_at = last.confirmed_at.zip(gap.confirmed_at).map(|(one, other)| one.min(other));
            }
            _ => joined.push(gap),
        }
    }
    joined
}

/// The runs of buckets in `window` that hold none of `open_times` (ascending). A candle off the grid, as the exchange
/// printed them around outages of 2017 and 2018, fills the bucket that its open time lies in.
#[must_use]
pub fn absent_buckets(
    interval: Interval,
    window: TimeRange,
    open_times: impl IntoIterator<Item = i64>,
) -> Vec<TimeRange> {
    let aligned = interval.align(window);
    let mut absent = Vec::new();
    let mut expected = aligned.start;
    for open in open_times {
        let bucket = interval.bucket_start(open);
        if bucket >= aligned.end {
            break;
        }
        if bucket > expected {
            absent.push(TimeRange::new(expected, bucket));
        }
        expected = expected.max(interval.next_bucket(bucket));
    }
    if expected < aligned.end {
        absent.push(TimeRange::new(expected, aligned.end));
    }
    absent
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const MINUTE: i64 = 60_000;

    fn check(name: &str, opens: &[i64], expected: &[(i64, i64)]) {
        let window = TimeRange::new(0, 5 * MINUTE);
        let expected: Vec<_> = expected.iter().map(|&(s, e)| TimeRange::new(s * MINUTE, e * MINUTE)).collect();
        assert_eq!(absent_buckets(Interval::Minute1, window, opens.iter().copied()), expected, "{name}");
    }

    #[test]
    fn absences() {
        let minutes = |list: &[i64]| list.iter().map(|m| m * MINUTE).collect::<Vec<_>>();
        check("all there", &minutes(&[0, 1, 2, 3, 4]), &[]);
        check("none", &[], &[(0, 5)]);
        check("hole", &minutes(&[0, 3, 4]), &[(1, 3)]);
        check("head and tail", &minutes(&[1, 2]), &[(0, 1), (3, 5)]);
        check("off the grid", &[0, MINUTE + 17_000, 2 * MINUTE, 3 * MINUTE, 4 * MINUTE], &[]);
        check("beyond the window", &minutes(&[0, 1, 2, 3, 4, 5, 6]), &[]);
    }

    #[test]
    fn neighbours_of_one_reason_join() {
        let gap = |s: i64, e: i64, reason| Gap::new(Interval::Minute1, TimeRange::new(s * MINUTE, e * MINUTE), reason);
        let joined = join_gaps(vec![
            gap(0, 1, GapReason::Outage),
            gap(1, 3, GapReason::Outage),
            gap(3, 4, GapReason::Unpublished),
            gap(6, 7, GapReason::Unpublished),
        ]);
        assert_eq!(joined.iter().map(|g| g.buckets).collect::<Vec<_>>(), [3, 1, 1]);
    }

    proptest! {
        #[test]
        fn rows_and_absences_fill_the_window(present in prop::collection::btree_set(0i64..60, 0..60)) {
            let window = TimeRange::new(0, 60 * MINUTE);
            let absent = absent_buckets(Interval::Minute1, window, present.iter().map(|m| m * MINUTE));
            let missing: BTreeSet<i64> =
                (0..60).filter(|m| absent.iter().any(|range| range.contains(m * MINUTE))).collect();
            prop_assert_eq!(missing, (0..60).filter(|m| !present.contains(m)).collect::<BTreeSet<_>>());
        }
    }
}
