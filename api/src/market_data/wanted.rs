//! The candles that a request asks for.

use crate::error::Problem;
use crate::input::Time;
use crate::state::AppState;
use candlemill_shared::job::{EARLIEST_MS, FetchHistory, FetchMode, Start};
use candlemill_shared::range::rfc3339;
use candlemill_shared::tier::Tier;
use candlemill_shared::{Exchange, Interval, Symbol};
use serde::Deserialize;
use serde_json::Value;

/// Fields as they came in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) symbol: &'a str,
    pub(super) interval: &'a str,
    pub(super) start: &'a Value,
    pub(super) end: Option<&'a Value>,
}

impl Wanted<'_> {
    /// The fetch; or `None`, and every field that is wrong is told to `refuse`. `now` is the time (UTC ms) at which it is to
    /// run, `later` whether that is not at once.
    pub(super) fn read(self, now: i64, later: bool, mut refuse: impl FnMut(&str, String)) -> Option<FetchHistory> {
        let symbol = self.symbol.parse::<Symbol>().map_err(|error| refuse("symbol", error.to_string())).ok();
        let interval = self.interval.parse::<Interval>().map_err(|error| refuse("interval", error.to_string())).ok();
        let start = match self.start {
            Value::String(text) if text == "listing" => Some(Start::Listing),
            other => Time::deserialize(other)
                .map(|time| Start::At(time.ms()))
                .map_err(|error| refuse("start", format!("{error}; or \"listing\"")))
                .ok(),
        };
        let end = match self.end {
            None | Some(Value::Null) => Some(None),
            Some(value) => Time::deserialize(value)
                // What has not happened yet cannot be fetched: such an end means "now".
                .map(|time| Some(time.ms()).filter(|end| *end < now))
                .map_err(|error| refuse("end", error.to_string()))
                .ok(),
        };
        let (start, end) = (start?, end?);
        let first = match start {
            Start::At(ms) => ms,
            Start::Listing => EARLIEST_MS,
        };
        if first >= now {
            let when = if later { "it runs at" } else { "now is" };
            refuse("start", format!("lies in the future; {when} {}", rfc3339(now)));
            return None;
        }
        if let Some(end) = end.filter(|end| first >= *end) {
            refuse("start", format!("must lie before end ({})", rfc3339(end)));
            return None;
        }
        let (symbol, interval, mode) = (symbol?, interval?, FetchMode::Fetch);
        Some(FetchHistory { exchange: Exchange::Binance, symbol, interval, start, end, mode })
    }
}

/// Whether `tier` may fetch it, at the time `now` (UTC ms).
pub(super) fn admit(state: &AppState, tier: Tier, job: &FetchHistory, now: i64) -> Result<(), Problem> {
    let candles = job.interval.count(job.range_at(now));
    state.tiers.admit_fetch(tier, job.interval, candles).map_err(Problem::from)
}
