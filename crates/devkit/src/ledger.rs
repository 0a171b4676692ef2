//! Checks the coverage ledger against the stored candles, from outside: raw documents, no code of the store.
//!
//! The promise: at every moment the verified ranges are the candles and the gaps together, and no bucket is both.
//!
//! 1. Verified ranges ascend and stand apart; gaps ascend and do not overlap; a gap whose reason settles it lies inside of the
//!    verified ranges, any other outside of them; all of it on the interval's grid, inside of the chunk.
//! 2. Every bucket of a verified range outside of gaps holds a candle, at least one.
//! 3. No bucket of a gap holds a candle.
//! 4. A series of which a task has stored candles and succeeded has a chunk at all.
//!
//! The store may be written to at the same time. A chunk is one document, so one read of it is consistent; its candles are
//! read after it. What looks wrong is read again before it counts.

mod at_end;
mod chunk;

pub use at_end::check_at_end;
pub(crate) use at_end::checked;

use anyhow::{Context as _, Result};
use candlemill_shared::{Interval, TimeRange};
use chunk::{Chunk, Finding};
use futures::TryStreamExt as _;
use mongodb::bson::{Document, RawDocumentBuf, doc};
use mongodb::options::ClientOptions;
use mongodb::{Client, Collection, Database};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;
use tokio::time::sleep;

/// Collection of the ledger's chunks.
const CHUNKS: &str = "coverage_chunks";
/// What the names of the candles' collections begin with: `klines.<exchange>.<interval>`.
const CANDLES: &str = "klines.";
/// Collection of the task records.
const TASKS: &str = "tasks";
/// Buckets that one chunk is of.
const CHUNK_BUCKETS: i64 = 64_000;
/// How often something that looks wrong is read again, and the wait before.
const READ_AGAIN: u32 = 5;
const WAIT: Duration = Duration::from_millis(50);
/// Findings that one chunk reports; more of them say the same.
const MAX_TOLD: usize = 10;
/// Ids in one answer of the server.
const BATCH: u32 = 10_000;
/// Longest wait for a server that does not answer at all.
const CONNECTS_WITHIN: Duration = Duration::from_secs(5);

/// What the ledger and the candles said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LedgerReport {
    /// What does not hold.
    pub violations: Vec<LedgerViolation>,
    /// Chunks that were checked.
    pub chunks: u64,
    /// Buckets of verified ranges.
    pub verified_buckets: u64,
    /// Gaps, settled or not.
    pub gaps: u64,
    /// Candles of the chunks' times.
    pub candles: u64,
    /// Verified ranges of every series (`binance:BTCUSDT:1m`), ascending; those of neighbouring chunks are joined.
    pub verified: BTreeMap<String, Vec<TimeRange>>,
}

/// Something that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerViolation {
    /// `<exchange>:<symbol>:<interval>`.
    pub series: String,
    /// Where, open times in UTC ms.
    pub range: TimeRange,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for LedgerViolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({}..{}): {}", self.series, self.range, self.range.start, self.range.end, self.what)
    }
}

impl fmt::Display for LedgerReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { chunks, verified_buckets, gaps, candles, .. } = self;
        write!(f, "{chunks} chunks, {verified_buckets} verified buckets, {gaps} gaps, {candles} candles")?;
        self.violations.iter().try_for_each(|violation| write!(f, "\n{violation}"))
    }
}

/// Checks every series of `database`.
///
/// # Errors
/// When MongoDB does not answer. What does not hold is no error: see [`LedgerReport::violations`].
pub async fn check(mongo_uri: &str, database: &str) -> Result<LedgerReport> {
    check_within(mongo_uri, database, TimeRange::new(i64::MIN, i64::MAX)).await
}

/// Checks the buckets of every series that open in `within` (UTC ms), and the inner order of the chunks that reach into it.
///
/// # Errors
/// As [`check`].
pub async fn check_within(mongo_uri: &str, database: &str, within: TimeRange) -> Result<LedgerReport> {
    let mut options = ClientOptions::parse(mongo_uri).await.context("reading MongoDB's address")?;
    options.server_selection_timeout = Some(CONNECTS_WITHIN);
    let client = Client::with_options(options).context("setting up the connection to MongoDB")?;
    let mut reader = Reader { database: client.database(database), within, report: LedgerReport::default() };
    reader.read().await?;
    let mut report = reader.report;
    for ranges in report.verified.values_mut() {
        *ranges = candlemill_shared::range::normalise(std::mem::take(ranges));
    }
    Ok(report)
}

/// `_id` of a chunk, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ChunkId {
    id: String,
    series: Series,
    start: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Series {
    exchange: String,
    symbol: String,
    interval: Interval,
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.exchange, self.symbol, self.interval)
    }
}

impl Series {
    /// The collection of its candles.
    fn collection(&self) -> String {
        format!("{CANDLES}{}.{}", self.exchange, self.interval)
    }

    /// What the ids of its candles begin with.
    fn prefix(&self) -> String {
        format!("{}_", self.symbol.replace('_', "%5F"))
    }
}

impl ChunkId {
    /// `<exchange>:<symbol>:<interval>_<13 digits>`.
    fn parse(id: &str) -> Option<Self> {
        let (series, start) = id.rsplit_once('_')?;
        let (exchange, rest) = series.split_once(':')?;
        let (symbol, interval) = rest.rsplit_once(':')?;
        let digits = start.len() == 13 && start.bytes().all(|byte| byte.is_ascii_digit());
        let series =
            Series { exchange: exchange.to_owned(), symbol: symbol.to_owned(), interval: interval.parse().ok()? };
        digits.then_some(())?;
        Some(Self { id: id.to_owned(), series, start: start.parse().ok()? })
    }
}

struct Reader {
    database: Database,
    within: TimeRange,
    report: LedgerReport,
}

impl Reader {
    async fn read(&mut self) -> Result<()> {
        let mut chunks: BTreeMap<Series, Vec<ChunkId>> = BTreeMap::new();
        let documents: Collection<Document> = self.database.collection(CHUNKS);
        let ids = documents.find(doc! {}).projection(doc! { "_id": 1 });
        let mut ids = ids.sort(doc! { "_id": 1 }).await.context("listing the ledger's chunks")?;
        while let Some(found) = ids.try_next().await.context("listing the ledger's chunks")? {
            match found.get_str("_id").ok().and_then(ChunkId::parse) {
                Some(id) => chunks.entry(id.series.clone()).or_default().push(id),
                None => self.tell(&found.to_string(), TimeRange::new(0, 0), "no id of a chunk".to_owned()),
            }
        }
        for (series, ids) in &chunks {
            let ends = ids.iter().skip(1).map(|id| id.start).chain([i64::MAX]);
            for (id, next) in ids.iter().zip(ends) {
                let end = series.interval.advance(id.start, CHUNK_BUCKETS);
                let bounds = TimeRange::new(id.start, end.min(next));
                if !bounds.intersect(self.within).is_empty() {
                    self.chunk(id, bounds).await?;
                }
            }
        }
        self.series_without_chunks(&chunks).await
    }

    /// Checks one chunk, again where it looks wrong.
    async fn chunk(&mut self, id: &ChunkId, bounds: TimeRange) -> Result<()> {
        let interval = id.series.interval;
        let within = bounds.intersect(self.within);
        let within = TimeRange::new(interval.bucket_at_or_after(within.start), interval.bucket_at_or_after(within.end));
        let documents: Collection<Document> = self.database.collection(CHUNKS);
        let mut turn = 0;
        let (chunk, findings, candles) = loop {
            let found = documents.find_one(doc! { "_id": &id.id }).await.context("reading a chunk of the ledger")?;
            // Gone meanwhile: there is nothing to compare.
            let Some(found) = found else { return Ok(()) };
            let opens = self.opens(&id.series, within).await?;
            let (chunk, findings) = match Chunk::read(&found) {
                Ok(chunk) => {
                    let findings = chunk.findings(interval, bounds, within, &opens);
                    (chunk, findings)
                }
                Err(why) => (Chunk::default(), vec![Finding { range: bounds, what: why }]),
            };
            turn += 1;
            if findings.is_empty() || turn > READ_AGAIN {
                break (chunk, findings, opens.len());
            }
            sleep(WAIT).await;
        };
        let series = id.series.to_string();
        let verified: Vec<TimeRange> = chunk.verified.iter().map(|range| range.intersect(within)).collect();
        let report = &mut self.report;
        report.chunks += 1;
        report.verified_buckets += verified.iter().map(|range| interval.count(*range)).sum::<u64>();
        report.gaps += chunk.gaps.iter().filter(|gap| !gap.range.intersect(within).is_empty()).count() as u64;
        report.candles += candles as u64;
        report.verified.entry(series.clone()).or_default().extend(verified);
        let more = findings.len().saturating_sub(MAX_TOLD);
        for Finding { range, what } in findings.into_iter().take(MAX_TOLD) {
            self.tell(&series, range, what);
        }
        if more > 0 {
            self.tell(&series, bounds, format!("{more} more of this chunk"));
        }
        Ok(())
    }

    fn tell(&mut self, series: &str, range: TimeRange, what: String) {
        self.report.violations.push(LedgerViolation { series: series.to_owned(), range, what });
    }

    /// Open times of the candles of `range`, ascending.
    async fn opens(&self, series: &Series, range: TimeRange) -> Result<Vec<i64>> {
        let id = |at: i64| format!("{}{:013}", series.prefix(), at.clamp(0, 9_999_999_999_999));
        let filter = doc! { "_id": { "$gte": id(range.start), "$lt": id(range.end) } };
        let candles: Collection<RawDocumentBuf> = self.database.collection(&series.collection());
        let ids = candles.find(filter).projection(doc! { "_id": 1 }).sort(doc! { "_id": 1 }).batch_size(BATCH);
        let mut ids = ids.await.with_context(|| format!("reading the candles' ids of {series}"))?;
        let mut opens = Vec::new();
        while ids.advance().await.with_context(|| format!("reading the candles' ids of {series}"))? {
            let id = ids.current().get_str("_id").context("a candle's id is a text")?;
            let open = id.get(series.prefix().len()..).and_then(|digits| digits.parse().ok());
            opens.push(open.with_context(|| format!("{id:?} is no id of a candle"))?);
        }
        Ok(opens)
    }

    /// Looks for candles of series that have no chunk, although a task that stored some of them succeeded. (One that was
    /// cancelled or killed may leave candles behind of which the ledger does not know.)
    async fn series_without_chunks(&mut self, chunks: &BTreeMap<Series, Vec<ChunkId>>) -> Result<()> {
        let names = self.database.list_collection_names().await.context("listing the collections")?;
        for name in names {
            let Some((exchange, interval)) = name.strip_prefix(CANDLES).and_then(|rest| rest.rsplit_once('.')) else {
                continue;
            };
            let Ok(interval) = interval.parse::<Interval>() else { continue };
            let known = chunks.keys().filter(|series| series.collection() == name).map(Series::prefix);
            let mut known: Vec<String> = known.collect();
            known.sort_unstable();
            // Between the ids of the series that are known there is nothing to be found, and that is found at once.
            let candles: Collection<Document> = self.database.collection(&name);
            let mut from = String::new();
            let mut next = known.iter();
            let mut until = next.next();
            loop {
                let mut ids = doc! { "$gte": &from };
                if let Some(until) = until {
                    ids.insert("$lt", until.as_str());
                }
                let found = candles.find_one(doc! { "_id": ids }).projection(doc! { "_id": 1 }).sort(doc! { "_id": 1 });
                let found = found.await.with_context(|| format!("looking for candles in {name}"))?;
                let Some(found) = found else {
                    let Some(passed) = until else { break };
                    from = past(passed);
                    until = next.next();
                    continue;
                };
                let id = found.get_str("_id").context("a candle's id is a text")?;
                let (symbol, open) = id.rsplit_once('_').with_context(|| format!("{id:?} is no id of a candle"))?;
                from = past(&format!("{symbol}_"));
                let series = Series { exchange: exchange.to_owned(), symbol: symbol.replace("%5F", "_"), interval };
                let open = open.parse().unwrap_or(0);
                self.without_chunk(&series, open).await?;
            }
        }
        Ok(())
    }

    async fn without_chunk(&mut self, series: &Series, open: i64) -> Result<()> {
        let succeeded = doc! {
            "state": "succeeded", "job.payload.symbol": &series.symbol,
            "job.payload.interval": series.interval.as_str(), "result.inserted": { "$gt": 0 },
        };
        let task = self.database.collection::<Document>(TASKS).find_one(succeeded).await.context("reading tasks")?;
        if let Some(task) = task {
            let task = task.get("_id").map(ToString::to_string).unwrap_or_default();
            let range = TimeRange::new(open, series.interval.next_bucket(open));
            let what =
                format!("candles from here on, task {task} succeeded, and the ledger has no chunk of the series");
            self.tell(&series.to_string(), range, what);
        }
        Ok(())
    }
}

/// The first text after all that begin with `prefix`, which ends in `_`.
fn past(prefix: &str) -> String {
    format!("{}`", &prefix[..prefix.len() - 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_chunks() {
        let id = ChunkId::parse("binance:A_B:1m_1577836800000").unwrap();
        assert_eq!((id.series.to_string().as_str(), id.start), ("binance:A_B:1m", 1_577_836_800_000));
        assert_eq!(id.series.prefix(), "A%5FB_");
        assert_eq!(id.series.collection(), "klines.binance.1m");
        for wrong in ["binance:BTCUSDT:1m_157783680000", "binance:BTCUSDT:7m_1577836800000", "BTCUSDT:1m_1577836800000"]
        {
            assert_eq!(ChunkId::parse(wrong), None, "{wrong}");
        }
        assert!("AB_0" < "A_0" && "A_9999999999999" < past("A_").as_str() && past("A_").as_str() < "B");
    }
}
