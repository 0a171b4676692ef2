//! Fetching history: its payload and result, and how a large one is cut into parts.

mod cut;
mod mode;
mod result;
mod view;

pub use cut::cut;
pub use mode::FetchMode;
pub use result::{FetchResult, MAX_RESULT_GAPS};
pub use view::{FetchRequestView, FetchResultView};

use super::admission::{Admission, Listings};
use super::definition::{Job, Part, PartResult};
use super::pool::Pool;
use crate::figures::Figures;
use crate::forms::FetchStart;
use crate::interval::Interval;
use crate::range::{TimeRange, intersection, rfc3339};
use crate::retry::RetryPolicy;
use crate::symbol::{Exchange, Symbol};
use crate::task::TaskState;
use crate::tier::TierRefusal;
use crate::timestamp::{LATEST_MS, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::time::Duration;
use utoipa::ToSchema;

/// Fetches the candles of one symbol and interval whose open times lie in a range.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FetchHistory {
    /// Where from.
    #[serde(default)]
    pub exchange: Exchange,
    /// What.
    pub symbol: Symbol,
    /// Length of the candles.
    pub interval: Interval,
    /// First open time.
    pub start: Start,
    /// First open time that is no longer wanted, UTC ms; `None`: all that is closed when the job runs.
    pub end: Option<i64>,
    /// What is done about candles that are stored already.
    #[serde(default, skip_serializing_if = "FetchMode::is_fetch")]
    pub mode: FetchMode,
}

/// Where a fetch begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// At this time, UTC ms.
    At(i64),
    /// At the first candle that the exchange has.
    Listing,
}

/// The earliest time of which the exchange holds anything (2017-01-01): its own lower bound of `startTime`.
pub const EARLIEST_MS: i64 = 1_483_228_800_000;

impl FetchHistory {
    /// The range asked for, with `listing` taken as [`EARLIEST_MS`] and an open end as `now_ms`.
    #[must_use]
    pub fn range_at(&self, now_ms: i64) -> TimeRange {
        let start = match self.start {
            Start::At(ms) => ms,
            Start::Listing => EARLIEST_MS,
        };
        TimeRange::new(start, self.end.unwrap_or(now_ms))
    }

    /// The range that counts against a tier at `now_ms` (UTC): from the first candle where `listings` know it. `settled` is what an
    /// earlier life of the task took it for: an end left out is what it was then, and so is the first candle.
    pub(super) fn counted_range(&self, now_ms: i64, listings: &Listings, settled: Option<TimeRange>) -> TimeRange {
        let mut range = self.range_at(settled.map_or(now_ms, |range| range.end));
        if self.start == Start::Listing {
            let recorded = listings.first_open(self.exchange, &self.symbol, self.interval);
            let first = recorded.map(|open| self.interval.bucket_start(open)).max(settled.map(|range| range.start));
            range.start = first.map_or(range.start, |first| first.max(range.start));
        }
        range
    }
}

impl Job for FetchHistory {
    const KIND: &'static str = "fetch_history";
    /// 2: `mode`, written only where it is not `fetch`.
    const VERSION: u32 = 2;
    const POOL: Pool = Pool::Backfill;
    /// Nine years of seconds at the exchange's own weight limit take 95 minutes; four such tasks share the budget.
    const TIMEOUT: Duration = Duration::from_secs(6 * 3600);
    /// Outlives an hour in which nothing can be fetched, with a chance of 1 in 10^10 to die of it.
    const RETRY: RetryPolicy = RetryPolicy {
        max_attempts: 40,
        max_broken_off: 3,
        max_lost: 10,
        first_delay: Duration::from_secs(5),
        max_delay: Duration::from_secs(600),
    };
    const UNIT: &'static str = "pages";
    const RATED: &'static [&'static str] = &[CANDLES_STORED, DUPLICATES];
    const LARGE_RESULT: &'static [&'static str] = &["gaps", "ranges", "absent", "fetched"];
    const PART_MEMBERS: &'static [&'static str] = FetchResult::SUMMED;

    type Result = FetchResult;
    type RequestView = FetchRequestView;
    type ResultView = FetchResultView;

    fn version(&self) -> u32 {
        if self.mode.is_fetch() { 1 } else { 2 }
    }

    /// What makes two requests of one user the same: SHA-256 over the owner and everything that was asked.
    fn fingerprint(&self, owner: &str) -> String {
        let Self { exchange, symbol, interval, start, end, mode } = self;
        let mut text = format!("{}\n{owner}\n{exchange}\n{symbol}\n{interval}\n{start:?}\n{end:?}", Self::KIND);
        if !mode.is_fetch() {
            text.push_str("\nverify");
        }
        hex::encode(Sha256::digest(text))
    }

    fn request(&self) -> FetchRequestView {
        FetchRequestView {
            exchange: self.exchange,
            symbol: self.symbol.clone(),
            interval: self.interval,
            start: match self.start {
                Start::At(ms) => FetchStart::At(ms.into()),
                Start::Listing => FetchStart::Listing,
            },
            end: self.end.map(Timestamp::from),
            mode: self.mode,
        }
    }

    fn validate(&self, now_ms: i64) -> Result<(), String> {
        let range = self.range_at(now_ms);
        let told = |what: &str, ms: i64| format!("{what} is {ms}; 0 to {LATEST_MS} is expected, UTC ms");
        if !(0..=LATEST_MS).contains(&range.start) {
            return Err(told("start", range.start));
        }
        if !(0..=LATEST_MS).contains(&range.end) {
            return Err(told("end", range.end));
        }
        if range.is_empty() {
            return Err(format!("start ({}) must lie before end ({})", rfc3339(range.start), rfc3339(range.end)));
        }
        Ok(())
    }

    fn admit(&self, admission: &Admission<'_>, so_far: Option<&FetchResult>) -> Result<(), TierRefusal> {
        let Admission { tiers, tier, listings, now_ms } = *admission;
        let range = self.counted_range(now_ms, listings, so_far.and_then(|result| result.range));
        tiers.admit_fetch(tier, self.interval, self.interval.count(range))
    }

    fn figures(result: &FetchResult) -> Figures {
        Figures {
            done: result.pages,
            total: result.pages_total,
            details: [(CANDLES_STORED, result.inserted), (DUPLICATES, result.duplicate)]
                .map(|(name, count)| (name.to_owned(), count))
                .into(),
        }
    }

    /// `plan` lists the range of each part.
    fn parts(&self, plan: &Value, created_at: i64) -> Result<Vec<Part>, serde_json::Error> {
        let ranges = Vec::<TimeRange>::deserialize(plan)?;
        let of = |range: TimeRange| Self { start: Start::At(range.start), end: Some(range.end), ..self.clone() };
        ranges.into_iter().map(|range| of(range).as_part(created_at)).collect()
    }

    fn add_parts(result: &mut FetchResult, parts: &[PartResult]) {
        let fetched = result.add_all(parts);
        if parts.iter().any(|part| part.state != TaskState::Succeeded) {
            // Of what it set out to fetch: what its parts have fetched.
            result.ranges = intersection(&result.ranges, &fetched);
        }
    }

    fn keep_figures(result: &mut FetchResult, shown: &Figures) {
        result.pages_total = shown.total;
    }

    fn note_duration(result: &mut FetchResult, took_ms: u64) {
        result.duration_ms = took_ms;
    }
}

impl FetchHistory {
    /// This fetch as a part of another task: its share is the number of candles that it may find.
    pub(super) fn as_part(&self, created_at: i64) -> Result<Part, serde_json::Error> {
        Part::of(self, self.interval.count(self.range_at(created_at)))
    }
}

/// Detail of the progress: candles newly stored.
const CANDLES_STORED: &str = "candles_stored";
/// Detail of the progress: candles that were stored before.
const DUPLICATES: &str = "duplicates";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{Envelope, EnvelopeError};
    use serde_json::json;

    fn fetch() -> FetchHistory {
        FetchHistory {
            exchange: Exchange::Binance,
            symbol: "BTCUSDT".parse().unwrap(),
            interval: Interval::Minute1,
            start: Start::At(1_577_836_800_000),
            end: None,
            mode: FetchMode::Fetch,
        }
    }

    /// Stored by version 1; must be readable for ever.
    #[test]
    fn payloads_of_version_1_stay_readable() {
        let stored = json!({"kind": "fetch_history", "version": 1, "payload": {
            "exchange": "binance", "symbol": "BTCUSDT", "interval": "1m", "start": {"at": 1_577_836_800_000_i64}, "end": null}});
        let envelope: Envelope = serde_json::from_value(stored.clone()).unwrap();
        assert_eq!(envelope.open::<FetchHistory>().unwrap(), fetch());
        assert_eq!(serde_json::to_value(Envelope::of(&fetch()).unwrap()).unwrap(), stored);
        let listing = json!({"symbol": "BTCUSDT", "interval": "1M", "start": "listing", "end": 5});
        let envelope = Envelope { kind: "fetch_history".into(), version: 1, payload: listing };
        assert_eq!(envelope.open::<FetchHistory>().unwrap().start, Start::Listing);
    }

    #[test]
    fn foreign_newer_and_broken_payloads_are_told_apart() {
        let mut envelope = Envelope::of(&fetch()).unwrap();
        envelope.version = 3;
        assert!(matches!(envelope.open::<FetchHistory>(), Err(EnvelopeError::NewerVersion { found: 3, .. })));
        envelope.version = 1;
        envelope.payload = json!({"symbol": "no symbol!"});
        assert!(matches!(envelope.open::<FetchHistory>(), Err(EnvelopeError::Undecodable { .. })));
        envelope.kind = "dance".into();
        assert!(matches!(envelope.open::<FetchHistory>(), Err(EnvelopeError::UnknownKind(_))));
    }

    #[test]
    fn a_verification_is_of_version_2_and_a_plain_fetch_stays_readable_for_older_workers() {
        let verify = FetchHistory { mode: FetchMode::Verify, ..fetch() };
        let envelope = Envelope::of(&verify).unwrap();
        assert_eq!((envelope.version, &envelope.payload["mode"]), (2, &json!("verify")));
        assert_eq!(envelope.open::<FetchHistory>().unwrap(), verify);
        assert_eq!(Envelope::of(&fetch()).unwrap().version, 1);
        assert_ne!(verify.fingerprint("a"), fetch().fingerprint("a"));
    }

    #[test]
    fn fingerprints_differ_by_owner_and_by_every_field() {
        let base = fetch().fingerprint("a");
        assert_eq!(base, fetch().fingerprint("a"));
        assert_ne!(base, fetch().fingerprint("b"));
        assert_ne!(base, FetchHistory { end: Some(1), ..fetch() }.fingerprint("a"));
        assert_ne!(base, FetchHistory { start: Start::Listing, ..fetch() }.fingerprint("a"));
        assert_ne!(base, FetchHistory { interval: Interval::Month1, ..fetch() }.fingerprint("a"));
    }
}
