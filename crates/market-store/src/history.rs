//! Stored candles read window by window, so that a question costs what its answer holds, not what the range holds.
//!
//! A server may look at every candle of a range before it gives the first one (`secantusd-rs` does). So no question here
//! spans more verified buckets than [`FEWEST`] to [`MOST`]; the coverage ledger tells where those lie. What it does not
//! call verified holds the candles of tasks under way at most, and is asked for whole.

use crate::candles::Candles;
use crate::series::Series;
use candlemill_db::StoreError;
use candlemill_shared::{Candle, Interval, TimeRange};
use futures::stream::{BoxStream, try_unfold};
use futures::{Stream, StreamExt, TryStreamExt};

/// Buckets of the first window, and of every one after a window that held candles.
const FEWEST: i64 = 2_000;
/// Buckets of the longest window: windows grow while they are empty.
const MOST: i64 = 64_000;

/// The stored candles of one series within a range.
#[derive(Debug)]
pub struct History {
    candles: Candles,
    series: Series,
    windows: Windows,
}

impl History {
    /// The candles of `series` in `range`, of which the ledger calls `verified` complete.
    pub(crate) const fn new(candles: Candles, series: Series, range: TimeRange, verified: Vec<TimeRange>) -> Self {
        let windows = Windows { interval: series.interval, left: range, verified, buckets: FEWEST };
        Self { candles, series, windows }
    }

    /// The candles, ascending by open time, at most `limit`. Only as many are in memory as the driver reads at once.
    pub fn stream(self, limit: Option<u64>) -> impl Stream<Item = Result<Candle, StoreError>> + Send + use<> {
        struct Reading {
            history: History,
            left: u64,
            window: Option<BoxStream<'static, Result<Candle, StoreError>>>,
            met: u64,
        }
        let reading = Reading { history: self, left: limit.unwrap_or(u64::MAX), window: None, met: 0 };
        try_unfold(reading, |mut reading| async move {
            loop {
                if let Some(window) = &mut reading.window {
                    if let Some(candle) = window.try_next().await? {
                        reading.left -= 1;
                        reading.met += 1;
                        return Ok(Some((candle, reading)));
                    }
                    reading.history.windows.met(reading.met);
                }
                if reading.left == 0 {
                    return Ok(None);
                }
                let Some(window) = reading.history.windows.next() else { return Ok(None) };
                let History { candles, series, .. } = &reading.history;
                let rows = candles.scan(series, window, Some(reading.left).filter(|left| *left < u64::MAX)).await?;
                (reading.window, reading.met) = (Some(rows.boxed()), 0);
            }
        })
    }

    /// Open time of the candle that `count` others lie before.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn open_after(&self, count: u64) -> Result<Option<i64>, StoreError> {
        let (mut windows, mut left) = (self.windows.clone(), count);
        while let Some(window) = windows.next() {
            let held = self.candles.count(&self.series, window).await?;
            if held > left {
                return self.candles.open_at(&self.series, window, left).await;
            }
            left -= held;
            windows.met(held);
        }
        Ok(None)
    }

    /// Open time of the newest candle.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn newest(&self) -> Result<Option<i64>, StoreError> {
        let mut windows = self.windows.clone();
        while let Some(window) = windows.next_back() {
            if let Some(found) = self.candles.newest(&self.series, window).await? {
                return Ok(Some(found));
            }
            windows.met(0);
        }
        Ok(None)
    }
}

/// Cuts a range into windows, from either end.
#[derive(Debug, Clone)]
struct Windows {
    interval: Interval,
    left: TimeRange,
    /// Ascending, apart from each other.
    verified: Vec<TimeRange>,
    buckets: i64,
}

impl Windows {
    fn next(&mut self) -> Option<TimeRange> {
        let TimeRange { start, end } = self.left;
        if self.left.is_empty() {
            return None;
        }
        let until = match self.verified.iter().find(|range| range.end > start) {
            Some(range) if range.start <= start => {
                range.end.min(self.interval.advance(self.interval.bucket_start(start), self.buckets))
            }
            Some(range) => range.start,
            None => end,
        };
        self.left.start = until.min(end);
        Some(TimeRange::new(start, self.left.start))
    }

    fn next_back(&mut self) -> Option<TimeRange> {
        let TimeRange { start, end } = self.left;
        if self.left.is_empty() {
            return None;
        }
        let from = match self.verified.iter().rfind(|range| range.start < end) {
            Some(range) if range.end >= end => {
                range.start.max(self.interval.advance(self.interval.bucket_start(end - 1), 1 - self.buckets))
            }
            Some(range) => range.end,
            None => start,
        };
        self.left.end = from.max(start);
        Some(TimeRange::new(self.left.end, end))
    }

    /// Tells what the last window held: where nothing is, longer windows get over it sooner.
    fn met(&mut self, candles: u64) {
        self.buckets = if candles == 0 { (self.buckets * 2).min(MOST) } else { FEWEST };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candlemill_shared::range::normalise;
    use proptest::prelude::*;

    const MINUTE: i64 = 60_000;

    fn minutes(start: i64, end: i64) -> TimeRange {
        TimeRange::new(start * MINUTE, end * MINUTE)
    }

    fn windows(left: TimeRange, verified: &[TimeRange]) -> Windows {
        Windows { interval: Interval::Minute1, left, verified: verified.to_vec(), buckets: 10 }
    }

    #[test]
    fn verified_parts_are_cut_and_the_others_asked_for_whole() {
        let mut some = windows(minutes(0, 1_000), &[minutes(500, 525), minutes(800, 805)]);
        let got: Vec<_> = std::iter::from_fn(|| some.next()).collect();
        let expected = [(0, 500), (500, 510), (510, 520), (520, 525), (525, 800), (800, 805), (805, 1_000)]
            .map(|(s, e)| minutes(s, e));
        assert_eq!(got, expected);
    }

    #[test]
    fn empty_windows_grow_and_full_ones_do_not() {
        let mut some = windows(minutes(0, 1_000), &[minutes(0, 1_000)]);
        assert_eq!(some.next(), Some(minutes(0, 10)));
        some.met(0);
        assert_eq!(some.next(), Some(minutes(10, 30)));
        some.met(5);
        assert_eq!(some.buckets, FEWEST);
        some.buckets = MOST;
        some.met(0);
        assert_eq!(some.buckets, MOST);
    }

    proptest! {
        #[test]
        fn windows_tile_the_range_from_both_ends(
            parts in prop::collection::vec((0i64..900, 1i64..200), 0..6), start in 0i64..500, length in 0i64..600, odd in 0i64..MINUTE,
        ) {
            let verified = normalise(parts.iter().map(|&(s, l)| minutes(s, s + l)).collect());
            let left = TimeRange::new(start * MINUTE + odd, (start + length) * MINUTE);
            let mut forwards = windows(left, &verified);
            let mut backwards = forwards.clone();
            let ascending: Vec<_> = std::iter::from_fn(|| forwards.next()).collect();
            let mut descending: Vec<_> = std::iter::from_fn(|| backwards.next_back()).collect();
            descending.reverse();
            for tiles in [ascending, descending] {
                prop_assert!(tiles.iter().all(|tile| !tile.is_empty()));
                prop_assert!(tiles.windows(2).all(|pair| pair[0].end == pair[1].start));
                let whole = tiles.first().zip(tiles.last()).map(|(first, last)| TimeRange::new(first.start, last.end));
                prop_assert_eq!(whole, (!left.is_empty()).then_some(left));
                for tile in tiles.iter().filter(|tile| Interval::Minute1.count(**tile) > 10) {
                    let shared = verified.iter().any(|range| !range.intersect(*tile).is_empty());
                    prop_assert!(!shared, "a long window {} over a verified part", tile);
                }
            }
        }
    }
}
