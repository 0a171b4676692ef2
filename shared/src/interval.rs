//! Candle intervals and their bucket grid.
//!
//! Source of the borders: the exchange's own history. Weeks open on Mondays, three-day candles every third day of one
//! grid that holds 2017-08-17, months on the first, all at 00:00 UTC.

use crate::range::TimeRange;
use chrono::{DateTime, Datelike, Months, NaiveDate};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Buckets of one page: the grid by which all tasks cut a series, so that two of them want the same pages. As many as the
/// exchange gives with one call.
pub const PAGE_BUCKETS: u32 = 1_000;

/// The length of a candle. The month is the only one that varies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Interval {
    Second1,
    Minute1,
    Minute3,
    Minute5,
    Minute15,
    Minute30,
    Hour1,
    Hour2,
    Hour4,
    Hour6,
    Hour8,
    Hour12,
    Day1,
    Day3,
    Week1,
    Month1,
}

/// The text names no interval.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no candle interval; one of 1s 1m 3m 5m 15m 30m 1h 2h 4h 6h 8h 12h 1d 3d 1w 1M (1m is a minute, 1M a month)"
)]
pub struct UnknownInterval(pub String);

impl Interval {
    /// Every interval, shortest first.
    pub const ALL: [Self; 16] = [
        Self::Second1,
        Self::Minute1,
        Self::Minute3,
        Self::Minute5,
        Self::Minute15,
        Self::Minute30,
        Self::Hour1,
        Self::Hour2,
        Self::Hour4,
        Self::Hour6,
        Self::Hour8,
        Self::Hour12,
        Self::Day1,
        Self::Day3,
        Self::Week1,
        Self::Month1,
    ];

    /// The exchange's spelling, case-sensitive: `1m` is a minute, `1M` a month.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Second1 => "1s",
            Self::Minute1 => "1m",
            Self::Minute3 => "3m",
            Self::Minute5 => "5m",
            Self::Minute15 => "15m",
            Self::Minute30 => "30m",
            Self::Hour1 => "1h",
            Self::Hour2 => "2h",
            Self::Hour4 => "4h",
            Self::Hour6 => "6h",
            Self::Hour8 => "8h",
            Self::Hour12 => "12h",
            Self::Day1 => "1d",
            Self::Day3 => "3d",
            Self::Week1 => "1w",
            Self::Month1 => "1M",
        }
    }

    /// Length in milliseconds and one open time of the grid; `None` for the month.
    const fn grid(self) -> Option<(i64, i64)> {
        Some(match self {
            Self::Second1 => (SECOND, 0),
            Self::Minute1 => (MINUTE, 0),
            Self::Minute3 => (3 * MINUTE, 0),
            Self::Minute5 => (5 * MINUTE, 0),
            Self::Minute15 => (15 * MINUTE, 0),
            Self::Minute30 => (30 * MINUTE, 0),
            Self::Hour1 => (HOUR, 0),
            Self::Hour2 => (2 * HOUR, 0),
            Self::Hour4 => (4 * HOUR, 0),
            Self::Hour6 => (6 * HOUR, 0),
            Self::Hour8 => (8 * HOUR, 0),
            Self::Hour12 => (12 * HOUR, 0),
            Self::Day1 => (DAY, 0),
            // 2017-08-17 is day 17,395 since 1970.
            Self::Day3 => (3 * DAY, 17_395 * DAY),
            // 1970-01-05 was a Monday.
            Self::Week1 => (7 * DAY, 4 * DAY),
            Self::Month1 => return None,
        })
    }

    /// Open time of the bucket that holds the instant `at`.
    #[must_use]
    pub fn bucket_start(self, at: i64) -> i64 {
        match self.grid() {
            Some((length, anchor)) => at - (at - anchor).rem_euclid(length),
            None => month_start(at, 0),
        }
    }

    /// Open time of the bucket after the one that holds `at`.
    #[must_use]
    pub fn next_bucket(self, at: i64) -> i64 {
        match self.grid() {
            Some((length, _)) => self.bucket_start(at).saturating_add(length),
            None => month_start(at, 1),
        }
    }

    /// First bucket that opens at `at` or later.
    #[must_use]
    pub fn bucket_at_or_after(self, at: i64) -> i64 {
        let start = self.bucket_start(at);
        if start == at { at } else { self.next_bucket(at) }
    }

    /// Open time of the bucket `count` places after the one that opens at `open`.
    #[must_use]
    pub fn advance(self, open: i64, count: i64) -> i64 {
        match self.grid() {
            Some((length, _)) => open.saturating_add(length.saturating_mul(count)),
            None => month_start(open, count),
        }
    }

    /// Open time of the first bucket of the block that holds `at`. Blocks are `buckets` (at least 1) long and lie on one grid
    /// for ever, so that everybody cuts a series at the same places; a block of a multiple begins where one of these does.
    /// Never before 1970.
    #[must_use]
    pub fn block_start(self, at: i64, buckets: u32) -> i64 {
        let buckets = i64::from(buckets.max(1));
        let start = match self.grid() {
            Some((length, anchor)) => at - (at - anchor).rem_euclid(length.saturating_mul(buckets)),
            None => month_start(at, -month_index(at).rem_euclid(buckets)),
        };
        start.max(0)
    }

    /// Open time of the first bucket after the block of `buckets` that holds `at`.
    #[must_use]
    pub fn block_end(self, at: i64, buckets: u32) -> i64 {
        let count = i64::from(buckets.max(1));
        match self.grid() {
            Some((length, anchor)) => {
                let block = length.saturating_mul(count);
                at.saturating_add(block - (at - anchor).rem_euclid(block))
            }
            None => month_start(at, count - month_index(at).rem_euclid(count)),
        }
    }

    /// The parts of `range` (whole buckets) that lie in one block of `buckets` each, ascending.
    pub fn blocks(self, range: TimeRange, buckets: u32) -> impl Iterator<Item = TimeRange> + Send {
        let mut start = range.start;
        std::iter::from_fn(move || {
            let part = TimeRange::new(start, self.block_end(start, buckets).min(range.end));
            start = part.end;
            (!part.is_empty()).then_some(part)
        })
    }

    /// The buckets that open inside `range`: first open time to the open time after the last, on the grid.
    #[must_use]
    pub fn align(self, range: TimeRange) -> TimeRange {
        TimeRange::new(self.bucket_at_or_after(range.start), self.bucket_at_or_after(range.end))
    }

    /// Number of buckets that open inside `range`.
    #[must_use]
    pub fn count(self, range: TimeRange) -> u64 {
        let aligned = self.align(range);
        if aligned.is_empty() {
            return 0;
        }
        let buckets = match self.grid() {
            Some((length, _)) => aligned.length() / length,
            None => month_index(aligned.end) - month_index(aligned.start),
        };
        u64::try_from(buckets).unwrap_or(0)
    }
}

/// Months since year 0 of the month that holds `at`.
fn month_index(at: i64) -> i64 {
    let date = date_of(at);
    i64::from(date.year()) * 12 + i64::from(date.month0())
}

fn month_start(at: i64, months_later: i64) -> i64 {
    let first = date_of(at).with_day(1).unwrap_or_default();
    let months = Months::new(u32::try_from(months_later.unsigned_abs()).unwrap_or(u32::MAX));
    let shifted = if months_later < 0 { first.checked_sub_months(months) } else { first.checked_add_months(months) };
    shifted.and_then(|date| date.and_hms_opt(0, 0, 0)).map_or(i64::MAX, |at| at.and_utc().timestamp_millis())
}

fn date_of(at: i64) -> NaiveDate {
    DateTime::from_timestamp_millis(at).map(|at| at.date_naive()).unwrap_or_default()
}

impl FromStr for Interval {
    type Err = UnknownInterval;

    fn from_str(text: &str) -> Result<Self, UnknownInterval> {
        Self::ALL
            .into_iter()
            .find(|interval| interval.as_str() == text)
            .ok_or_else(|| UnknownInterval(text.chars().take(16).collect()))
    }
}

impl TryFrom<String> for Interval {
    type Error = UnknownInterval;

    fn try_from(text: String) -> Result<Self, UnknownInterval> {
        text.parse()
    }
}

impl From<Interval> for String {
    fn from(interval: Interval) -> Self {
        interval.as_str().to_owned()
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> i64 {
        DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis()
    }

    fn check(interval: &str, instant: &str, bucket: &str, next: &str) {
        let interval: Interval = interval.parse().unwrap();
        assert_eq!(interval.bucket_start(at(instant)), at(bucket), "{interval} at {instant}");
        assert_eq!(interval.next_bucket(at(instant)), at(next), "{interval} after {instant}");
    }

    #[test]
    fn borders_are_those_of_the_recorded_history() {
        check("1m", "2020-01-01T00:00:59.999Z", "2020-01-01T00:00:00Z", "2020-01-01T00:01:00Z");
        check("4h", "2018-02-09T09:10:00Z", "2018-02-09T08:00:00Z", "2018-02-09T12:00:00Z");
        check("3d", "2017-08-19T23:00:00Z", "2017-08-17T00:00:00Z", "2017-08-20T00:00:00Z");
        check("3d", "2026-04-27T00:00:00Z", "2026-04-26T00:00:00Z", "2026-04-29T00:00:00Z");
        check("1w", "2017-08-17T00:00:00Z", "2017-08-14T00:00:00Z", "2017-08-21T00:00:00Z");
        check("1M", "2024-02-29T12:00:00Z", "2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z");
        check("1M", "2023-12-31T23:59:59Z", "2023-12-01T00:00:00Z", "2024-01-01T00:00:00Z");
    }

    #[test]
    fn counts() {
        let year = TimeRange::new(at("2023-01-01T00:00:00Z"), at("2024-01-01T00:00:00Z"));
        assert_eq!(Interval::Minute1.count(year), 525_600);
        assert_eq!(Interval::Month1.count(year), 12);
        assert_eq!(Interval::Day1.count(TimeRange::new(5, 5)), 0);
    }

    #[test]
    fn spelling_is_case_sensitive() {
        assert_eq!("1M".parse::<Interval>().unwrap(), Interval::Month1);
        assert_eq!("1m".parse::<Interval>().unwrap(), Interval::Minute1);
        assert!("1H".parse::<Interval>().is_err());
        assert!("7m".parse::<Interval>().unwrap_err().to_string().contains("15m"));
    }

    proptest! {
        #[test]
        fn blocks_lie_on_one_grid(index in 0usize..16, instant in 300_000_000_000i64..4_000_000_000_000, buckets in 0i64..5_000, small in 1u32..2_000) {
            let interval = Interval::ALL[index];
            let range = TimeRange::new(interval.bucket_start(instant), interval.advance(interval.bucket_start(instant), buckets));
            let blocks: Vec<_> = interval.blocks(range, small).collect();
            prop_assert!(blocks.windows(2).all(|pair| pair[0].end == pair[1].start));
            prop_assert_eq!(blocks.iter().map(|block| interval.count(*block)).sum::<u64>(), u64::try_from(buckets).unwrap());
            for block in &blocks {
                let (start, end) = (interval.block_start(block.start, small), interval.block_end(block.start, small));
                prop_assert!(start <= block.start && block.end <= end);
                prop_assert_eq!(interval.block_start(end - 1, small), start);
                prop_assert_eq!(interval.block_end(start, small), end);
                let large = interval.block_start(block.start, small * 64);
                prop_assert!(large == 0 || interval.block_start(large, small) == large, "a large block begins where a small one does");
            }
        }

        #[test]
        fn buckets_tile_the_time(index in 0usize..16, instant in 0i64..4_000_000_000_000) {
            let interval = Interval::ALL[index];
            let start = interval.bucket_start(instant);
            let next = interval.next_bucket(instant);
            prop_assert!(start <= instant && instant < next);
            prop_assert_eq!(interval.bucket_start(next), next);
            prop_assert_eq!(interval.bucket_start(next - 1), start);
            prop_assert_eq!(interval.advance(start, 1), next);
            prop_assert_eq!(interval.count(TimeRange::new(start, interval.advance(start, 7))), 7);
        }
    }
}
