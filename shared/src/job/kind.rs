//! A kind of job as the engine knows it: without its types.

use super::admission::Admission;
use super::definition::{Envelope, EnvelopeError, Job, Part, PartResult};
use super::pool::Pool;
use crate::figures::Figures;
use crate::retry::RetryPolicy;
use crate::tier::TierRefusal;
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;

/// A kind of job. What its functions cannot read they leave as it is.
#[derive(Debug, Clone, Copy)]
pub struct JobKind {
    /// [`Job::KIND`].
    pub name: &'static str,
    /// [`Job::VERSION`].
    pub version: u32,
    /// [`Job::POOL`].
    pub pool: Pool,
    /// [`Job::TIMEOUT`].
    pub timeout: Duration,
    /// [`Job::RETRY`].
    pub retry: RetryPolicy,
    /// [`Job::UNIT`].
    pub unit: &'static str,
    /// [`Job::RATED`].
    pub rated: &'static [&'static str],
    /// [`Job::LARGE_PAYLOAD`].
    pub large_payload: &'static [&'static str],
    /// [`Job::LARGE_RESULT`].
    pub large_result: &'static [&'static str],
    /// [`Job::PART_MEMBERS`].
    pub part_members: &'static [&'static str],
    /// [`Job::PARTS_SHARE`].
    pub parts_share: Option<(u64, &'static str)>,
    calls: &'static Calls,
}

/// The functions of one kind.
#[derive(Debug)]
struct Calls {
    validate: Validate,
    fingerprint: fn(&Envelope, &str) -> Result<String, EnvelopeError>,
    request: fn(&Envelope) -> Result<Value, EnvelopeError>,
    admit: Admit,
    no_result: fn() -> Value,
    show_result: fn(&Value) -> Value,
    figures: fn(&Value) -> Figures,
    parts: fn(&Envelope, &Value, i64) -> Result<Vec<Part>, EnvelopeError>,
    add_parts: fn(&mut Value, &[PartResult]),
    keep_figures: fn(&mut Value, &Figures),
    note_duration: fn(&mut Value, u64),
}

/// Changes a result in place, if it can be read.
fn change<J: Job>(stored: &mut Value, change: impl FnOnce(&mut J::Result)) {
    if let Ok(mut result) = J::Result::deserialize(&*stored) {
        change(&mut result);
        if let Ok(changed) = serde_json::to_value(result) {
            *stored = changed;
        }
    }
}

/// What is wrong with a job, if it can be read.
type Validate = fn(&Envelope, i64) -> Result<Result<(), String>, EnvelopeError>;
/// Whether a tier allows a job, if it can be read.
type Admit = fn(&Envelope, &Admission<'_>, Option<&Value>) -> Result<Result<(), TierRefusal>, EnvelopeError>;

/// The functions of `J`.
trait Erased: Job {
    const CALLS: Calls = Calls {
        validate: |job, now_ms| Ok(job.open::<Self>()?.validate(now_ms)),
        fingerprint: |job, owner| Ok(job.open::<Self>()?.fingerprint(owner)),
        request: |job| {
            let shown = serde_json::to_value(job.open::<Self>()?.request());
            Ok(shown.unwrap_or_else(|_| job.payload.clone()))
        },
        admit: |job, admission, so_far| {
            let so_far = so_far.and_then(|result| Self::Result::deserialize(result).ok());
            Ok(job.open::<Self>()?.admit(admission, so_far.as_ref()))
        },
        no_result: || serde_json::to_value(Self::Result::default()).unwrap_or_default(),
        show_result: |stored| {
            let read = Self::Result::deserialize(stored).ok().map(Self::ResultView::from);
            read.and_then(|result| serde_json::to_value(result).ok()).unwrap_or_else(|| stored.clone())
        },
        figures: |stored| Self::Result::deserialize(stored).map(|result| Self::figures(&result)).unwrap_or_default(),
        parts: |job, plan, created_at| {
            let unreadable = |source| EnvelopeError::UnreadablePlan { kind: Self::KIND, source };
            job.open::<Self>()?.parts(plan, created_at).map_err(unreadable)
        },
        add_parts: |stored, parts| change::<Self>(stored, |result| Self::add_parts(result, parts)),
        keep_figures: |stored, shown| change::<Self>(stored, |result| Self::keep_figures(result, shown)),
        note_duration: |stored, took_ms| change::<Self>(stored, |result| Self::note_duration(result, took_ms)),
    };
}

impl<J: Job> Erased for J {}

impl JobKind {
    /// The kind of `J`.
    #[must_use]
    pub const fn of<J: Job>() -> Self {
        Self {
            name: J::KIND,
            version: J::VERSION,
            pool: J::POOL,
            timeout: J::TIMEOUT,
            retry: J::RETRY,
            unit: J::UNIT,
            rated: J::RATED,
            large_payload: J::LARGE_PAYLOAD,
            large_result: J::LARGE_RESULT,
            part_members: J::PART_MEMBERS,
            parts_share: J::PARTS_SHARE,
            calls: &J::CALLS,
        }
    }

    /// [`Job::fingerprint`].
    ///
    /// # Errors
    /// When the payload cannot be read.
    pub fn fingerprint(&self, job: &Envelope, owner: &str) -> Result<String, EnvelopeError> {
        (self.calls.fingerprint)(job, owner)
    }

    /// [`Job::request`]. A payload that cannot be read is shown as it is stored.
    #[must_use]
    pub fn request(&self, job: &Envelope) -> Value {
        (self.calls.request)(job).unwrap_or_else(|_| job.payload.clone())
    }

    /// The request that is kept beside the payload, where that may be large.
    ///
    /// # Errors
    /// When the payload cannot be read.
    pub fn kept_request(&self, job: &Envelope) -> Result<Option<Value>, EnvelopeError> {
        if self.large_payload.is_empty() { Ok(None) } else { (self.calls.request)(job).map(Some) }
    }

    /// [`Job::admit`]. What no program can read passes: it dies with its cause.
    ///
    /// # Errors
    /// The first limit that forbids it.
    pub fn admit(&self, job: &Envelope, admission: &Admission<'_>, so_far: Option<&Value>) -> Result<(), TierRefusal> {
        (self.calls.admit)(job, admission, so_far).unwrap_or(Ok(()))
    }

    /// [`Job::validate`]: the inner error is what is wrong with a payload that can be read.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn validate(&self, job: &Envelope, now_ms: i64) -> Result<Result<(), String>, EnvelopeError> {
        (self.calls.validate)(job, now_ms)
    }

    /// The result of a task that has done nothing.
    #[must_use]
    pub fn no_result(&self) -> Value {
        (self.calls.no_result)()
    }

    /// A stored result as it is shown ([`Job::ResultView`]): members that earlier versions did not write have their defaults. What
    /// cannot be read is shown as it is stored.
    #[must_use]
    pub fn show_result(&self, stored: &Value) -> Value {
        (self.calls.show_result)(stored)
    }

    /// [`Job::figures`].
    #[must_use]
    pub fn figures(&self, result: &Value) -> Figures {
        (self.calls.figures)(result)
    }

    /// [`Job::parts`].
    ///
    /// # Errors
    /// When the payload, or the plan, cannot be read.
    pub fn parts(&self, job: &Envelope, plan: &Value, created_at: i64) -> Result<Vec<Part>, EnvelopeError> {
        (self.calls.parts)(job, plan, created_at)
    }

    /// [`Job::add_parts`].
    #[must_use]
    pub fn add_parts(&self, mut result: Value, parts: &[PartResult]) -> Value {
        (self.calls.add_parts)(&mut result, parts);
        result
    }

    /// [`Job::keep_figures`].
    #[must_use]
    pub fn keep_figures(&self, mut result: Value, shown: &Figures) -> Value {
        (self.calls.keep_figures)(&mut result, shown);
        result
    }

    /// [`Job::note_duration`].
    #[must_use]
    pub fn note_duration(&self, mut result: Value, took_ms: u64) -> Value {
        (self.calls.note_duration)(&mut result, took_ms);
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interval::Interval;
    use crate::job::{EARLIEST_MS, FetchResult, Listings, kind};
    use crate::range::TimeRange;
    use crate::symbol::{Exchange, Symbol};
    use crate::task::TaskRecord;
    use crate::tier::{Tier, TierTable};
    use serde_json::json;

    const MINUTE: i64 = 60_000;
    const NOW: i64 = 1_700_000_000_000;

    fn record(kind: &str, version: u32, payload: &Value, range: Option<TimeRange>) -> TaskRecord {
        let mut record: TaskRecord = serde_json::from_value(json!({
            "id": "01JC5Y7V9N8B3M2K1H0G9F8E7D", "owner": "u", "tier": "pro", "pool": "backfill", "priority": 5,
            "job": {"kind": kind, "version": version, "payload": payload}, "fingerprint": "f", "state": "dead", "attempt": 1,
            "created_at": 1, "updated_at": 1, "trace_id": "0",
        }))
        .unwrap();
        record.result = range.map(|range| json!(FetchResult { range: Some(range), ..FetchResult::default() }));
        record
    }

    fn refused(record: &TaskRecord, listings: &Listings) -> Option<&'static str> {
        let admission = Admission { tiers: &TierTable::default(), tier: Tier::Free, listings, now_ms: NOW };
        let admitted = kind(&record.job.kind).unwrap().admit(&record.job, &admission, record.result.as_ref());
        admitted.err().map(|refusal| refusal.limit)
    }

    fn check(name: &str, record: &TaskRecord, expected: Option<&str>) {
        assert_eq!(refused(record, &Listings::default()), expected, "{name}");
    }

    #[test]
    fn what_the_tier_of_now_allows() {
        let fetch = |interval: &str, candles: i64| {
            let start = NOW - candles * MINUTE;
            json!({"symbol": "BTCUSDT", "interval": interval, "start": {"at": start}, "end": null})
        };
        let range = |candles: i64| Some(TimeRange::new(NOW - candles * MINUTE, NOW - candles * MINUTE + 60 * MINUTE));
        let (long, seconds) = (Some("longest_range_candles"), Some("intervals"));
        check("short", &record("fetch_history", 1, &fetch("1m", 50_000), None), None);
        check("long", &record("fetch_history", 1, &fetch("1m", 50_002), None), long);
        check("seconds", &record("fetch_history", 1, &fetch("1s", 1), None), seconds);
        check("an end that is settled", &record("fetch_history", 1, &fetch("1m", 90_000), range(90_000)), None);
        let mut verify = fetch("1m", 90_000);
        verify["mode"] = json!("verify");
        check("a verification", &record("fetch_history", 2, &verify, None), long);
        let batch = |fetches: Vec<Value>| record("fetch_batch", 1, &json!({ "fetches": fetches }), None);
        check("a batch", &batch(vec![fetch("1m", 9); 10]), None);
        check("a wide batch", &batch(vec![fetch("1m", 9); 11]), Some("batch_fetches"));
        check("a long one in a batch", &batch(vec![fetch("1m", 9), fetch("1m", 50_002)]), long);
        check("what nobody can read", &record("fetch_history", 1, &json!({"symbol": 5}), None), None);
        check("what no tier bounds", &record("probe", 1, &json!({"number": 5}), None), None);
    }

    #[test]
    fn from_the_listing_counts_from_the_first_candle_where_that_is_known() {
        let listing =
            |symbol: &str, end: i64| json!({"symbol": symbol, "interval": "1m", "start": "listing", "end": end});
        let one = |symbol: &str, end: i64| record("fetch_history", 1, &listing(symbol, end), None);
        let first = NOW - NOW % MINUTE - 90_000 * MINUTE;
        let series = |symbol: &str, interval: &str| {
            (Exchange::Binance, symbol.parse::<Symbol>().unwrap(), interval.parse::<Interval>().unwrap())
        };
        // Hours and the other symbol say nothing of this one's minutes.
        let known: Listings =
            [(series("BTCUSDT", "1m"), first), (series("ETHUSDT", "1h"), first)].into_iter().collect();
        let (long, after) = (Some("longest_range_candles"), |candles: i64| first + candles * MINUTE);
        let batch = |ends: &[(&str, i64)]| {
            let fetches: Vec<Value> = ends.iter().map(|(symbol, end)| listing(symbol, *end)).collect();
            record("fetch_batch", 1, &json!({ "fetches": fetches }), None)
        };
        for (name, record, expected) in [
            ("600 candles", one("BTCUSDT", after(600)), None),
            ("as many as the tier allows", one("BTCUSDT", after(50_000)), None),
            ("one more", one("BTCUSDT", after(50_001)), long),
            ("an end before the listing", one("BTCUSDT", after(-1)), None),
            ("another series", one("ETHUSDT", after(600)), long),
            ("a batch", batch(&[("BTCUSDT", after(600)), ("BTCUSDT", after(700))]), None),
            ("a batch with one that is unknown", batch(&[("BTCUSDT", after(600)), ("ETHUSDT", after(600))]), long),
        ] {
            assert_eq!(refused(&record, &known), expected, "{name}");
        }
        check("600 candles of an unknown listing", &one("BTCUSDT", after(600)), long);
        // A replay goes on with the range that its first attempt settled on.
        let settled = |range| record("fetch_history", 1, &listing("BTCUSDT", after(600)), Some(range));
        check("a settled start", &settled(TimeRange::new(first, after(600))), None);
        check("a settled start long ago", &settled(TimeRange::new(first - 90_000 * MINUTE, after(600))), long);
    }

    #[test]
    fn a_listing_before_2017_or_of_another_start_changes_nothing() {
        let minutes = (Exchange::Binance, "BTCUSDT".parse::<Symbol>().unwrap(), Interval::Minute1);
        let refused_with = |first: i64, start: Value, end: i64| {
            let payload = json!({"symbol": "BTCUSDT", "interval": "1m", "start": start, "end": end});
            let known: Listings = [(minutes.clone(), first)].into_iter().collect();
            refused(&record("fetch_history", 1, &payload, None), &known)
        };
        assert_eq!(refused_with(0, json!("listing"), EARLIEST_MS + 50_000 * MINUTE), None);
        let start = NOW - 50_001 * MINUTE;
        assert_eq!(refused_with(NOW - MINUTE, json!({"at": start}), NOW), Some("longest_range_candles"));
    }
}
