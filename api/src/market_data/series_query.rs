//! Which series a query names, and which part of it: one reader for all calls that take one.

use candlemill_market_store::Series;
use candlemill_shared::forms::{FieldErrors, Given};
use candlemill_shared::timestamp::LATEST_MS;
use candlemill_shared::{Exchange, Interval, Symbol, TimeRange, Timestamp};

/// A series and bounds of open times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SeriesQuery {
    /// Which.
    pub(super) series: Series,
    /// First open time, UTC ms; `None`: none was given.
    pub(super) start: Option<i64>,
    /// First open time that is no longer wanted, UTC ms.
    pub(super) end: i64,
}

/// As it came in.
pub(super) struct GivenSeries {
    pub(super) symbol: Option<Given<Symbol>>,
    pub(super) interval: Option<Given<Interval>>,
    pub(super) start: Option<Given<Timestamp>>,
    pub(super) end: Option<Given<Timestamp>>,
    /// Where the page begins, in place of `start`.
    pub(super) cursor: Option<Given<Timestamp>>,
}

impl GivenSeries {
    /// The series and its bounds, if both can be read. `start` is the cursor where there is one.
    pub(super) fn read(self, wrong: &mut FieldErrors) -> Option<SeriesQuery> {
        let symbol = wrong.required("symbol", self.symbol);
        let interval = wrong.required("interval", self.interval);
        let mut time = |field: &str, given| wrong.optional(field, given).map(Timestamp::ms);
        let (start, end, cursor) = (time("start", self.start), time("end", self.end), time("cursor", self.cursor));
        let (from, start) = if cursor.is_some() { ("cursor", cursor) } else { ("start", start) };
        if let (Some(start), Some(end)) = (start, end)
            && start >= end
        {
            wrong.refuse(from, "must lie before end");
        }
        let series = Series::new(Exchange::default(), symbol?, interval?);
        Some(SeriesQuery { series, start, end: end.unwrap_or(LATEST_MS) })
    }
}

impl SeriesQuery {
    /// The range, from the beginning where no start was given.
    pub(super) fn range(&self) -> TimeRange {
        TimeRange::new(self.start.unwrap_or(0), self.end)
    }
}
