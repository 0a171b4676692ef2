//! Fetching several histories as one task.

use super::admission::Admission;
use super::definition::{Job, Part, PartResult};
use super::fetch_history::{FetchHistory, FetchResult, FetchResultView};
use super::pool::Pool;
use crate::figures::Figures;
use crate::retry::RetryPolicy;
use crate::symbol::Symbol;
use crate::tier::{MAX_BATCH_FETCHES, TierRefusal};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::time::Duration;
use utoipa::ToSchema;

/// Symbols of a batch that its request shows.
const SHOWN_SYMBOLS: usize = 20;

/// Fetches several histories as one task: each becomes a task of its own, and this one ends after the last of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FetchBatch {
    /// What is fetched; 1 to [`MAX_BATCH_FETCHES`](crate::tier::MAX_BATCH_FETCHES).
    pub fetches: Vec<FetchHistory>,
}

/// A batch as its owner sees it: in short, for it may have thousands of fetches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BatchRequestView {
    /// How many fetches.
    pub fetches: usize,
    /// Symbols of the first of them, at most 20.
    pub first_symbols: Vec<Symbol>,
}

impl Job for FetchBatch {
    const KIND: &'static str = "fetch_batch";
    const VERSION: u32 = 1;
    const POOL: Pool = Pool::Backfill;
    /// Of storing its fetches, and of counting them in the end; it waits for them without a worker.
    const TIMEOUT: Duration = Duration::from_secs(120);
    const RETRY: RetryPolicy = FetchHistory::RETRY;
    const UNIT: &'static str = FetchHistory::UNIT;
    const RATED: &'static [&'static str] = FetchHistory::RATED;
    const LARGE_PAYLOAD: &'static [&'static str] = &["fetches"];
    const LARGE_RESULT: &'static [&'static str] = FetchHistory::LARGE_RESULT;
    const PART_MEMBERS: &'static [&'static str] = FetchResult::SUMMED;

    type Result = FetchResult;
    type RequestView = BatchRequestView;
    type ResultView = FetchResultView;

    fn fingerprint(&self, owner: &str) -> String {
        let mut digest = Sha256::new();
        digest.update(Self::KIND);
        for fetch in &self.fetches {
            digest.update(fetch.fingerprint(owner));
        }
        hex::encode(digest.finalize())
    }

    fn request(&self) -> BatchRequestView {
        let mut symbols: Vec<_> = self.fetches.iter().map(|fetch| &fetch.symbol).collect();
        symbols.dedup();
        let first_symbols = symbols.into_iter().take(SHOWN_SYMBOLS).cloned().collect();
        BatchRequestView { fetches: self.fetches.len(), first_symbols }
    }

    fn validate(&self, now_ms: i64) -> Result<(), String> {
        if self.fetches.is_empty() || self.fetches.len() > MAX_BATCH_FETCHES {
            return Err(format!("fetches: there must be 1 to {MAX_BATCH_FETCHES}, not {}", self.fetches.len()));
        }
        let each = self.fetches.iter().enumerate();
        each.into_iter()
            .try_for_each(|(at, fetch)| fetch.validate(now_ms).map_err(|why| format!("fetches[{at}].{why}")))
    }

    fn admit(&self, admission: &Admission<'_>, _: Option<&FetchResult>) -> Result<(), TierRefusal> {
        admission.tiers.admit_batch(admission.tier, self.fetches.len())?;
        self.fetches.iter().try_for_each(|fetch| fetch.admit(admission, None))
    }

    fn figures(result: &FetchResult) -> Figures {
        FetchHistory::figures(result)
    }

    fn parts(&self, _: &Value, created_at: i64) -> Result<Vec<Part>, serde_json::Error> {
        self.fetches.iter().map(|fetch| fetch.as_part(created_at)).collect()
    }

    fn add_parts(result: &mut FetchResult, parts: &[PartResult]) {
        result.add_all(parts);
    }

    fn keep_figures(result: &mut FetchResult, shown: &Figures) {
        FetchHistory::keep_figures(result, shown);
    }

    fn note_duration(result: &mut FetchResult, took_ms: u64) {
        result.duration_ms = took_ms;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interval::Interval;
    use crate::job::{Envelope, FetchMode, Start};
    use crate::symbol::Exchange;
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
}
