//! What one answer with candles settles.

use crate::gaps::{MarketFacts, explain};
use candlemill_shared::candle::RejectedRow;
use candlemill_shared::coverage::{Gap, GapReason, absent_buckets, join_gaps};
use candlemill_shared::range::{rfc3339, subtract};
use candlemill_shared::{Candle, Interval, TimeRange};

/// Age, in ms by the exchange's clock, that a bucket's end must have before its row is final. A row is read while the
/// exchange still books the last trades of its interval: for a few seconds after the close it may change.
pub const FINAL_AFTER_MS: i64 = 5_000;

/// An answer as the exchange gave it: parsed, not judged.
#[derive(Debug, Clone, PartialEq)]
pub struct RawPage {
    /// The rows, in the exchange's order.
    pub rows: Vec<Candle>,
    /// What the exchange's clock showed when the call was sent, UTC ms. Not when the answer came: a candle may have
    /// closed in between, and the row shows it as it was before.
    pub asked_at_ms: i64,
    /// Most milliseconds by which that time may be wrong.
    pub uncertainty_ms: i64,
}

/// A page whose every bucket is accounted for.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckedPage {
    /// Closed candles that passed every check, ascending.
    pub candles: Vec<Candle>,
    /// Rows that failed a check.
    pub rejected: Vec<RejectedRow>,
    /// Open times of rows whose bucket had not ended [`FINAL_AFTER_MS`] ago. They say nothing final and are dropped.
    pub forming: Vec<i64>,
    /// Runs of closed buckets for which there was no row. From `HistoricalMarketData::page`: in neither of two differently
    /// bounded answers.
    pub absent: Vec<TimeRange>,
    /// Runs of closed buckets whose every row was rejected.
    pub unusable: Vec<TimeRange>,
    /// End of what the page settles: every bucket of the window before it has a candle or stands in `absent` or
    /// `unusable`. Buckets from here on were open, or lie in `rest`. At least the window's start.
    pub verified_until: i64,
    /// The part of the window that the answer had no room for, where several rows share a bucket.
    pub rest: Option<TimeRange>,
}

/// Why an answer is not believed at all. The whole page is to be fetched again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PageFault {
    /// A row opens before the one in front of it.
    #[error("row {row} opens at {}, before the row in front of it: the rows are not in order", rfc3339(*open_time))]
    Unsorted {
        /// Position of the row, from 0.
        row: usize,
        /// Its open time, UTC ms.
        open_time: i64,
    },
    /// Two rows open at the same time.
    #[error("row {row} opens at {} as the row in front of it does", rfc3339(*open_time))]
    Duplicate {
        /// Position of the second row, from 0.
        row: usize,
        /// Their open time, UTC ms.
        open_time: i64,
    },
    /// A row that was not asked for.
    #[error("row {row} opens at {}, outside of the window", rfc3339(*open_time))]
    OutsideWindow {
        /// Position of the row, from 0.
        row: usize,
        /// Its open time, UTC ms.
        open_time: i64,
    },
    /// Two answers give one row differently.
    #[error("the row that opens at {} differs between two answers", rfc3339(*open_time))]
    Contradiction {
        /// Its open time, UTC ms.
        open_time: i64,
    },
    /// A full answer begins later in the window than another, which was not full: that one lacks rows.
    #[error("an answer has {rows} rows in a part of the window in which the one before it has fewer")]
    Incomplete {
        /// Number of rows.
        rows: usize,
    },
    /// Every answer about the first or last candle contradicts the one before it.
    #[error("the answers go on contradicting each other; the last one points at {}", rfc3339(*open_time))]
    Unsettled {
        /// Where the search ended, UTC ms.
        open_time: i64,
    },
    /// A full answer within one bucket: the rest of the window cannot be reached.
    #[error("all {rows} rows lie in one bucket")]
    Crowded {
        /// Number of rows.
        rows: usize,
    },
}

/// Judges the rows that the exchange gave for `window` when its clock showed `exchange_now_ms` (give or take
/// `uncertainty_ms`) and it had room for `limit` of them.
///
/// - A bucket is closed when its end lies at least [`FINAL_AFTER_MS`] in the exchange's past for certain. Rows of later
///   buckets are forming, also those with an early close time: trading may go on within the bucket, and then the row
///   changes.
/// - A row of a closed bucket that says it closes later contradicts itself and is rejected.
/// - Early close times, rows without a trade and rows off the grid are real and pass.
///
/// # Errors
/// A [`PageFault`] when order or bounds are wrong.
pub fn check_page(
    interval: Interval,
    window: TimeRange,
    rows: Vec<Candle>,
    exchange_now_ms: i64,
    uncertainty_ms: i64,
    limit: usize,
) -> Result<CheckedPage, PageFault> {
    let final_until_ms = exchange_now_ms.saturating_sub(uncertainty_ms).saturating_sub(FINAL_AFTER_MS);
    Ok(AnsweredPage::new(interval, window, rows, final_until_ms, limit)?.judge())
}

/// Rows in order, and which buckets lack one.
#[derive(Debug)]
pub(crate) struct AnsweredPage {
    interval: Interval,
    window: TimeRange,
    rows: Vec<Candle>,
    /// Buckets that end here or before are closed.
    final_until_ms: i64,
    rest: Option<TimeRange>,
    answered_until: i64,
    verified_until: i64,
    absent: Vec<TimeRange>,
}

impl AnsweredPage {
    /// Sees to order and bounds.
    pub(crate) fn new(
        interval: Interval,
        window: TimeRange,
        rows: Vec<Candle>,
        final_until_ms: i64,
        limit: usize,
    ) -> Result<Self, PageFault> {
        check_order(window, &rows)?;
        let rest = left_over(interval, window, &rows, limit)?;
        let answered_until = rest.map_or(window.end, |rest| rest.start);
        let verified_until = interval.bucket_start(final_until_ms).min(answered_until).max(window.start);
        let mut page =
            Self { interval, window, rows, final_until_ms, rest, answered_until, verified_until, absent: Vec::new() };
        page.absent = page.lacking();
        Ok(page)
    }

    /// Whether a closed bucket lacks a row: then another answer is needed that bears it out.
    pub(crate) fn lacks_rows(&self) -> bool {
        !self.absent.is_empty()
    }

    /// End of what the answer covers.
    pub(crate) const fn answered_until(&self) -> i64 {
        self.answered_until
    }

    /// Adds the rows of closed buckets that another, later answer has: the latest `limit` rows before
    /// [`Self::answered_until`], which may reach back before the window. Its order was seen to ([`check_order`]).
    ///
    /// # Errors
    /// When a row of both differs, or the other answer shows that rows were left out.
    pub(crate) fn join(mut self, other: Vec<Candle>, limit: usize) -> Result<Self, PageFault> {
        let begins_inside = other.first().zip(self.absent.first()).is_some_and(|(row, gap)| row.open_time > gap.start);
        if begins_inside && other.len() >= limit {
            return Err(PageFault::Incomplete { rows: other.len() });
        }
        let closed = TimeRange::new(self.window.start, self.verified_until);
        let mut joined = Vec::with_capacity(self.rows.len().max(other.len()));
        let mut own = self.rows.into_iter().peekable();
        for row in other.into_iter().filter(|row| closed.contains(row.open_time)) {
            while let Some(earlier) = own.next_if(|own| own.open_time < row.open_time) {
                joined.push(earlier);
            }
            match own.next_if(|own| own.open_time == row.open_time) {
                Some(same) if same != row => return Err(PageFault::Contradiction { open_time: row.open_time }),
                _ => joined.push(row),
            }
        }
        joined.extend(own);
        self.rows = joined;
        self.absent = self.lacking();
        Ok(self)
    }

    fn lacking(&self) -> Vec<TimeRange> {
        let closed = TimeRange::new(self.window.start, self.verified_until);
        let answered = self.rows.iter().map(|row| row.open_time).filter(|open| *open < self.verified_until);
        absent_buckets(self.interval, closed, answered)
    }

    /// Judges row by row.
    pub(crate) fn judge(self) -> CheckedPage {
        let Self { interval, window, rows, final_until_ms, rest, answered_until, verified_until, absent } = self;
        let (mut candles, mut rejected, mut forming) = (Vec::with_capacity(rows.len()), Vec::new(), Vec::new());
        for row in rows {
            if row.open_time >= answered_until {
                break;
            } else if row.open_time >= verified_until {
                forming.push(row.open_time);
            } else if !row.is_closed_at(final_until_ms) {
                rejected.push(not_closed(&row));
            } else if let Err(fault) = row.check() {
                rejected.push(RejectedRow::new(row.open_time, fault));
            } else {
                candles.push(row);
            }
        }
        let unusable = if rejected.is_empty() {
            Vec::new()
        } else {
            let closed = TimeRange::new(window.start, verified_until);
            let without_candle = absent_buckets(interval, closed, candles.iter().map(|candle| candle.open_time));
            without_candle.into_iter().flat_map(|range| subtract(range, &absent)).collect()
        };
        CheckedPage { candles, rejected, forming, absent, unusable, verified_until, rest }
    }
}

/// Sees to it that open times ascend and lie in `window`.
///
/// # Errors
/// When they do not.
pub(crate) fn check_order(window: TimeRange, rows: &[Candle]) -> Result<(), PageFault> {
    let mut before = None;
    for (row, candle) in rows.iter().enumerate() {
        let open_time = candle.open_time;
        match before {
            Some(before) if open_time < before => return Err(PageFault::Unsorted { row, open_time }),
            Some(before) if open_time == before => return Err(PageFault::Duplicate { row, open_time }),
            _ if !window.contains(open_time) => return Err(PageFault::OutsideWindow { row, open_time }),
            _ => before = Some(open_time),
        }
    }
    Ok(())
}

/// The part of the window after the last bucket that a full answer surely holds. Usually there is none: a window has no
/// more buckets than an answer has room for, and only rows off the grid share one.
fn left_over(
    interval: Interval,
    window: TimeRange,
    rows: &[Candle],
    limit: usize,
) -> Result<Option<TimeRange>, PageFault> {
    let Some(last) = rows.last().filter(|_| rows.len() >= limit) else {
        return Ok(None);
    };
    let start = interval.bucket_start(last.open_time);
    let shared = rows
        .windows(2)
        .any(|pair| interval.bucket_start(pair[0].open_time) == interval.bucket_start(pair[1].open_time));
    if !shared && interval.next_bucket(start) >= window.end {
        Ok(None)
    } else if start <= window.start {
        Err(PageFault::Crowded { rows: rows.len() })
    } else {
        Ok(Some(TimeRange::new(start, window.end)))
    }
}

fn not_closed(row: &Candle) -> RejectedRow {
    let why = format!(
        "candle {}: it says that it closes at {}, but its interval has ended before",
        rfc3339(row.open_time),
        rfc3339(row.close_time)
    );
    RejectedRow { open_time: row.open_time, why }
}

impl CheckedPage {
    /// Every closed bucket without a candle, with its reason, ascending.
    #[must_use]
    pub fn gaps(&self, interval: Interval, facts: &MarketFacts) -> Vec<Gap> {
        let failed = self.unusable.iter().map(|range| Gap::new(interval, *range, GapReason::FetchFailed));
        let mut gaps: Vec<Gap> = explain(interval, &self.absent, facts).into_iter().chain(failed).collect();
        gaps.sort_unstable_by_key(|gap| gap.range.start);
        join_gaps(gaps)
    }

    /// Adds the page that was fetched for `self.rest`.
    pub(crate) fn append(&mut self, rest: Self) {
        self.candles.extend(rest.candles);
        self.rejected.extend(rest.rejected);
        self.forming.extend(rest.forming);
        self.absent.extend(rest.absent);
        self.unusable.extend(rest.unusable);
        self.verified_until = rest.verified_until.max(self.verified_until);
        self.rest = rest.rest;
    }
}

#[cfg(test)]
mod tests;
