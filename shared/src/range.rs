//! Half-open ranges of time and the arithmetic of sets of them.

use serde::{Deserialize, Serialize};
use std::fmt;

/// `[start, end)` in UTC milliseconds. Empty when `start >= end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TimeRange {
    /// First millisecond inside.
    pub start: i64,
    /// First millisecond after.
    pub end: i64,
}

impl TimeRange {
    /// The range `[start, end)`.
    #[must_use]
    pub const fn new(start: i64, end: i64) -> Self {
        Self { start, end }
    }

    /// Whether no time lies inside.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.start >= self.end
    }

    /// Length in milliseconds; 0 when empty.
    #[must_use]
    pub const fn length(self) -> i64 {
        if self.is_empty() { 0 } else { self.end.saturating_sub(self.start) }
    }

    /// Whether the instant `at` lies inside.
    #[must_use]
    pub const fn contains(self, at: i64) -> bool {
        self.start <= at && at < self.end
    }

    /// What both ranges share; empty when nothing.
    #[must_use]
    pub fn intersect(self, other: Self) -> Self {
        Self::new(self.start.max(other.start), self.end.min(other.end))
    }
}

impl fmt::Display for TimeRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}, {})", rfc3339(self.start), rfc3339(self.end))
    }
}

/// RFC 3339 in UTC with milliseconds only where there are any; times outside chrono's years stay numbers.
#[must_use]
pub fn rfc3339(ms: i64) -> String {
    chrono::DateTime::from_timestamp_millis(ms)
        .map_or_else(|| ms.to_string(), |at| at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true))
}

/// Sorts ranges and joins those that touch or overlap; empty ones vanish.
#[must_use]
pub fn normalise(mut ranges: Vec<TimeRange>) -> Vec<TimeRange> {
    ranges.retain(|range| !range.is_empty());
    ranges.sort_unstable();
    let mut joined: Vec<TimeRange> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    joined
}

/// What both sets of ranges hold, ascending and joined. Either may be in any order.
#[must_use]
pub fn intersection(one: &[TimeRange], other: &[TimeRange]) -> Vec<TimeRange> {
    normalise(one.iter().flat_map(|range| other.iter().map(|part| range.intersect(*part))).collect())
}

/// The parts of `wanted` that no range of `covered` holds, ascending. `covered` may be in any order.
#[must_use]
pub fn subtract(wanted: TimeRange, covered: &[TimeRange]) -> Vec<TimeRange> {
    let mut missing = Vec::new();
    let mut from = wanted.start;
    for range in normalise(covered.to_vec()) {
        if range.end <= from {
            continue;
        }
        if range.start >= wanted.end {
            break;
        }
        if range.start > from {
            missing.push(TimeRange::new(from, range.start));
        }
        from = range.end;
    }
    if from < wanted.end {
        missing.push(TimeRange::new(from, wanted.end));
    }
    missing
}

/// The range from the first start to the last end; `None` when all are empty.
#[must_use]
pub fn hull(ranges: impl Iterator<Item = TimeRange>) -> Option<TimeRange> {
    ranges
        .filter(|range| !range.is_empty())
        .reduce(|one, other| TimeRange::new(one.start.min(other.start), one.end.max(other.end)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ranges() -> impl Strategy<Value = Vec<TimeRange>> {
        prop::collection::vec((0i64..200, 0i64..30).prop_map(|(s, l)| TimeRange::new(s, s + l)), 0..12)
    }

    proptest! {
        #[test]
        fn subtract_and_covered_split_the_wanted_range(covered in ranges(), start in 0i64..200, length in 0i64..100) {
            let wanted = TimeRange::new(start, start + length);
            let missing = subtract(wanted, &covered);
            for at in start - 5..start + length + 5 {
                let expected = wanted.contains(at) && !covered.iter().any(|range| range.contains(at));
                prop_assert_eq!(missing.iter().any(|range| range.contains(at)), expected, "at {}", at);
            }
            prop_assert_eq!(&normalise(missing.clone()), &missing);
        }

        #[test]
        fn an_intersection_holds_what_both_hold(one in ranges(), other in ranges()) {
            let both = intersection(&one, &other);
            for at in -1..240 {
                let holds = |set: &[TimeRange]| set.iter().any(|range| range.contains(at));
                prop_assert_eq!(holds(&both), holds(&one) && holds(&other), "at {}", at);
            }
            prop_assert_eq!(&normalise(both.clone()), &both);
        }

        #[test]
        fn normalise_keeps_every_instant(given in ranges()) {
            let joined = normalise(given.clone());
            for at in -1..240 {
                prop_assert_eq!(
                    given.iter().any(|range| range.contains(at)),
                    joined.iter().any(|range| range.contains(at))
                );
            }
            prop_assert!(joined.windows(2).all(|pair| pair[0].end < pair[1].start));
        }
    }
}
