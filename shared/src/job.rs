//! Jobs: what the API writes and the worker runs.

use crate::interval::Interval;
use crate::range::TimeRange;
use crate::symbol::{Exchange, Symbol};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::time::Duration;

/// Where a kind of job waits and runs: every pool has its own queue, concurrency and connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pool {
    /// History from exchanges.
    Backfill,
    /// Analytics over stored candles: busy processors, no exchange.
    Seasonality,
    /// Short work of the service itself.
    Maintenance,
}

impl Pool {
    /// Every pool.
    pub const ALL: [Self; 3] = [Self::Backfill, Self::Seasonality, Self::Maintenance];

    /// The pool's name in keys, metrics and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Backfill => "backfill",
            Self::Seasonality => "seasonality",
            Self::Maintenance => "maintenance",
        }
    }

    /// The pool of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|pool| pool.as_str() == name)
    }
}

/// A job is constants plus a payload; its execution lives in the worker.
pub trait Job: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The job's name on the wire and in the store.
    const KIND: &'static str;
    /// Version of the payload's form. Workers read every version that was ever stored.
    const VERSION: u32;
    /// Where it runs.
    const POOL: Pool;
    /// Longest time of one attempt.
    const TIMEOUT: Duration;

    /// The lowest version of which a program reads this payload: one that uses nothing new stays readable for older workers.
    fn version(&self) -> u32 {
        Self::VERSION
    }
}

/// Fetches the candles of one symbol and interval whose open times lie in a range.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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

/// What a fetch does about candles that are stored already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FetchMode {
    /// It asks only for what the ledger lacks.
    #[default]
    Fetch,
    /// It asks for everything again and compares: restated candles are recorded, holes filled.
    Verify,
}

impl FetchMode {
    /// Whether only what is lacking is asked for.
    #[must_use]
    pub const fn is_fetch(&self) -> bool {
        matches!(self, Self::Fetch)
    }
}

impl Job for FetchHistory {
    const KIND: &'static str = "fetch_history";
    /// 2: `mode`, written only where it is not `fetch`.
    const VERSION: u32 = 2;
    const POOL: Pool = Pool::Backfill;
    /// Nine years of seconds at the exchange's own weight limit take 95 minutes; four such tasks share the budget.
    const TIMEOUT: Duration = Duration::from_secs(6 * 3600);

    fn version(&self) -> u32 {
        if self.mode.is_fetch() { 1 } else { 2 }
    }
}

/// Fetches several histories as one task: each becomes a task of its own, and this one ends after the last of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchBatch {
    /// What is fetched; 1 to [`LARGEST_BATCH`].
    pub fetches: Vec<FetchHistory>,
}

/// Most fetches of one batch, whatever a tier allows: its record stays far below what one document may hold.
pub const LARGEST_BATCH: usize = 10_000;

impl Job for FetchBatch {
    const KIND: &'static str = "fetch_batch";
    const VERSION: u32 = 1;
    const POOL: Pool = Pool::Backfill;
    /// Of storing its fetches, and of counting them in the end; it waits for them without a worker.
    const TIMEOUT: Duration = Duration::from_secs(120);
}

impl FetchBatch {
    /// What makes two requests of one user the same, as [`FetchHistory::fingerprint`].
    #[must_use]
    pub fn fingerprint(&self, owner: &str) -> String {
        let mut digest = Sha256::new();
        digest.update(Self::KIND);
        for fetch in &self.fetches {
            digest.update(fetch.fingerprint(owner));
        }
        hex::encode(digest.finalize())
    }
}

/// Does nothing: shows that tasks come through, and how fast.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// Tells one probe from another.
    pub number: u64,
}

impl Job for Probe {
    const KIND: &'static str = "probe";
    const VERSION: u32 = 1;
    const POOL: Pool = Pool::Maintenance;
    const TIMEOUT: Duration = Duration::from_secs(10);
}

/// Where a fetch begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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

    /// What makes two requests of one user the same: SHA-256 over the owner and everything that was asked.
    #[must_use]
    pub fn fingerprint(&self, owner: &str) -> String {
        let Self { exchange, symbol, interval, start, end, mode } = self;
        let mut text = format!("{}\n{owner}\n{exchange}\n{symbol}\n{interval}\n{start:?}\n{end:?}", Self::KIND);
        if !mode.is_fetch() {
            text.push_str("\nverify");
        }
        hex::encode(Sha256::digest(text))
    }
}

/// A payload as it is stored: its kind and version beside it, so that old ones stay readable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// [`Job::KIND`].
    pub kind: String,
    /// [`Job::VERSION`] of the writer.
    pub version: u32,
    /// The payload in that version's form.
    pub payload: serde_json::Value,
}

/// Why a stored payload cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// No job of this name.
    #[error("no job is called {0:?}")]
    UnknownKind(String),
    /// Written by a newer program.
    #[error("payload version {found} of {kind} is newer than the newest that this worker reads ({known})")]
    NewerVersion {
        /// Job kind.
        kind: &'static str,
        /// Version found.
        found: u32,
        /// Newest version that is read.
        known: u32,
    },
    /// The payload does not have its version's form.
    #[error("the payload of {kind} cannot be read")]
    Undecodable {
        /// Job kind.
        kind: &'static str,
        /// What serde found.
        #[source]
        source: serde_json::Error,
    },
}

impl Envelope {
    /// Wraps a job's payload.
    ///
    /// # Errors
    /// When the payload has no JSON form.
    pub fn of<J: Job>(job: &J) -> Result<Self, serde_json::Error> {
        Ok(Self { kind: J::KIND.to_owned(), version: job.version(), payload: serde_json::to_value(job)? })
    }

    /// Reads the payload of job `J`.
    ///
    /// # Errors
    /// When it is another job's, a newer version's, or has no such form.
    pub fn open<J: Job>(&self) -> Result<J, EnvelopeError> {
        if self.kind != J::KIND {
            return Err(EnvelopeError::UnknownKind(self.kind.clone()));
        }
        if self.version > J::VERSION {
            return Err(EnvelopeError::NewerVersion { kind: J::KIND, found: self.version, known: J::VERSION });
        }
        J::deserialize(&self.payload).map_err(|source| EnvelopeError::Undecodable { kind: J::KIND, source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
    fn batches_of_version_1_stay_readable() {
        let stored = json!({"kind": "fetch_batch", "version": 1, "payload": {"fetches": [
            {"exchange": "binance", "symbol": "BTCUSDT", "interval": "1m", "start": {"at": 1_577_836_800_000_i64}, "end": null}]}});
        let envelope: Envelope = serde_json::from_value(stored.clone()).unwrap();
        let batch = FetchBatch { fetches: vec![fetch()] };
        assert_eq!(envelope.open::<FetchBatch>().unwrap(), batch);
        assert_eq!(serde_json::to_value(Envelope::of(&batch).unwrap()).unwrap(), stored);
        assert_ne!(batch.fingerprint("a"), fetch().fingerprint("a"));
        assert_ne!(batch.fingerprint("a"), FetchBatch { fetches: vec![fetch(), fetch()] }.fingerprint("a"));
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
