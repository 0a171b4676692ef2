//! The ledger's documents, and what is asked of them and said to them.

use super::chunk::{CHUNK_BUCKETS, Observation};
use super::document::{Stored, decode};
use crate::candles::Candles;
use crate::series::Series;
use candlemill_db::{StoreError, index};
use candlemill_shared::coverage::{Gap, join_gaps};
use candlemill_shared::range::{hull, intersection, normalise, subtract};
use candlemill_shared::{Clock, Interval, TimeRange};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use moka::future::Cache;
use mongodb::bson::{Document, RawDocumentBuf, doc};
use mongodb::{Collection, Database};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// A document for each chunk of a series.
const CHUNKS: &str = "coverage_chunks";
/// A document for each series that has a chunk.
const SERIES: &str = "series";
/// Candles that the exchange restated.
const CORRECTIONS: &str = "candle_corrections";
/// Verified ranges, as earlier versions wrote them.
const EARLIER_VERIFIED: &str = "coverage";
/// Absent buckets, as earlier versions wrote them.
const EARLIER_GAPS: &str = "coverage_gaps";

/// The last millisecond that an id holds: the year 2286.
const LAST_MS: i64 = 9_999_999_999_999;
/// Series of which a process knows that no earlier version's ledger is left.
const ADOPTED_SERIES: u64 = 100_000;
/// Series of which a process knows that they are listed.
const LISTED_SERIES: u64 = 100_000;

/// The ledger.
#[derive(Debug, Clone)]
pub struct Coverage {
    pub(super) chunks: Collection<Document>,
    pub(super) series: Collection<Document>,
    pub(super) corrections: Collection<Document>,
    pub(super) earlier_verified: Collection<Document>,
    pub(super) earlier_gaps: Collection<Document>,
    pub(super) candles: Candles,
    pub(super) clock: Arc<dyn Clock>,
    adopted: Cache<String, ()>,
    pub(super) listed: Cache<String, ()>,
}

/// What the ledger says of a range, as it was read.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Complete ranges, ascending and joined.
    pub verified: Vec<TimeRange>,
    /// Absent buckets, ascending, settled or not.
    pub gaps: Vec<Gap>,
}

impl Known {
    /// The parts of `range` that have to be asked for: what is not verified, and absences that were neither confirmed an hour
    /// apart nor seen since `since` (UTC ms).
    #[must_use]
    pub fn lacking(&self, range: TimeRange, since: i64) -> Vec<TimeRange> {
        let mut lacking = subtract(range, &self.verified);
        let doubted = |gap: &&Gap| {
            gap.reason.is_settled() && !gap.is_confirmed() && gap.confirmed_at.is_none_or(|confirmed| confirmed < since)
        };
        lacking.extend(self.gaps.iter().filter(doubted).map(|gap| gap.range.intersect(range)));
        normalise(lacking)
    }

    /// Buckets of `range` that stand in a gap.
    #[must_use]
    pub fn absent(&self, interval: Interval, range: TimeRange) -> u64 {
        self.gaps.iter().map(|gap| interval.count(gap.range.intersect(range))).sum()
    }

    /// Hexadecimal SHA-256 of what is said of `range`: which buckets are verified, and which of them are absent. When they were
    /// looked at, and by how many records it is said, does not matter.
    #[must_use]
    pub fn digest(&self, range: TimeRange) -> String {
        let inside = |ranges: Vec<TimeRange>| normalise(ranges.into_iter().map(|one| one.intersect(range)).collect());
        let verified = inside(self.verified.clone());
        let absent = inside(self.gaps.iter().map(|gap| gap.range).collect());
        let mut digest = Sha256::new();
        for (mark, ranges) in [("verified", verified), ("absent", absent)] {
            digest.update(mark);
            for TimeRange { start, end } in ranges {
                digest.update(start.to_le_bytes());
                digest.update(end.to_le_bytes());
            }
        }
        hex::encode(digest.finalize())
    }
}

impl Coverage {
    pub(crate) fn new(database: &Database, candles: Candles, clock: Arc<dyn Clock>) -> Self {
        Self {
            chunks: database.collection(CHUNKS),
            series: database.collection(SERIES),
            corrections: database.collection(CORRECTIONS),
            earlier_verified: database.collection(EARLIER_VERIFIED),
            earlier_gaps: database.collection(EARLIER_GAPS),
            candles,
            clock,
            adopted: Cache::new(ADOPTED_SERIES),
            listed: Cache::new(LISTED_SERIES),
        }
    }

    /// Creates the indexes that the ledger needs.
    pub(crate) async fn prepare(database: &Database) -> Result<(), StoreError> {
        // Absences that are to be asked for again, and chunks by when they were compared with the candles.
        let indexes = [index::of_some("recheck_at"), index::of(doc! { "audited_at": 1 })];
        index::create(database, CHUNKS, indexes, "creating the indexes of the coverage ledger").await
    }

    /// The verified parts of `within`, ascending and joined.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn verified(&self, series: &Series, within: TimeRange) -> Result<Vec<TimeRange>, StoreError> {
        Ok(self.known(series, within).await?.verified)
    }

    /// What is known of `within`: verified parts cut to it, gaps that share a bucket with it.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn known(&self, series: &Series, within: TimeRange) -> Result<Known, StoreError> {
        let mut known = Known::default();
        let mut chunks = self.read(series, within, 1).await?;
        while let Some(stored) = chunks.try_next().await? {
            known.verified.extend(stored.chunk.verified.iter().map(|range| range.intersect(within)));
            known.gaps.extend(stored.chunk.gaps.into_iter().filter(|gap| !gap.range.intersect(within).is_empty()));
        }
        known.verified = normalise(known.verified);
        Ok(known)
    }

    /// Takes over what looks at the exchange at `at` (UTC ms) say. Candles of all buckets that are in no gap are stored before.
    /// Returns the buckets that the exchange now lacks, though a candle of them is stored: they are no gaps.
    ///
    /// # Errors
    /// When MongoDB fails; a repetition is harmless.
    pub async fn record(&self, series: &Series, looks: &[Observation], at: i64) -> Result<Vec<TimeRange>, StoreError> {
        let interval = series.interval;
        let Some(hull) = hull(looks.iter().map(|look| look.range)) else { return Ok(Vec::new()) };
        let absent: Vec<TimeRange> = looks.iter().flat_map(|look| look.gaps.iter().map(|gap| gap.range)).collect();
        let mut stored = self.stored_in(series, &absent).await?;
        let present = &stored;
        let recorded = self.update(series, hull, |range, chunk| {
            for look in looks {
                let seen = look.range.intersect(range);
                if seen.is_empty() {
                    continue;
                }
                let cut = |gap: &Gap| {
                    let left = subtract(gap.range.intersect(seen), present);
                    left.into_iter().map(|part| Gap::new(interval, part, gap.reason)).collect::<Vec<_>>()
                };
                let gaps = look.gaps.iter().flat_map(cut).collect();
                chunk.observe(interval, &Observation { range: seen, gaps }, at);
            }
        });
        recorded.await?;
        if absent.is_empty() {
            return Ok(Vec::new());
        }
        // A worker whose lease of the page ran out may have stored a candle just now, and died before recording it.
        let later = self.stored_in(series, &absent).await?;
        if later != stored {
            self.fill(series, &later).await?;
            stored = later;
        }
        Ok(stored)
    }

    /// Takes `buckets` out of gaps, because candles of them are about to be stored.
    ///
    /// # Errors
    /// When MongoDB fails; a repetition is harmless.
    pub async fn reopen_gaps(&self, series: &Series, buckets: &[TimeRange]) -> Result<(), StoreError> {
        let Some(hull) = hull(buckets.iter().copied()) else { return Ok(()) };
        let reopened = self.update(series, hull, |_, chunk| {
            let gaps: Vec<TimeRange> = chunk.gaps.iter().map(|gap| gap.range).collect();
            chunk.reopen(series.interval, &intersection(&gaps, buckets));
        });
        reopened.await
    }

    /// Takes back whatever is said of `ranges`: the next fetch asks for them anew.
    ///
    /// # Errors
    /// When MongoDB fails; a repetition is harmless.
    pub async fn reopen(&self, series: &Series, ranges: &[TimeRange]) -> Result<(), StoreError> {
        let Some(hull) = hull(ranges.iter().copied()) else { return Ok(()) };
        self.update(series, hull, |range, chunk| {
            chunk.reopen(series.interval, &intersection(ranges, &[range]));
        })
        .await
    }

    /// Makes `buckets`, which have stored candles, buckets of no gap.
    async fn fill(&self, series: &Series, buckets: &[TimeRange]) -> Result<(), StoreError> {
        let Some(hull) = hull(buckets.iter().copied()) else { return Ok(()) };
        self.update(series, hull, |range, chunk| {
            chunk.fill(series.interval, &intersection(buckets, &[range]));
        })
        .await
    }

    /// The buckets of `ranges` that hold a stored candle.
    async fn stored_in(&self, series: &Series, ranges: &[TimeRange]) -> Result<Vec<TimeRange>, StoreError> {
        let Some(hull) = hull(ranges.iter().copied()) else { return Ok(Vec::new()) };
        Ok(intersection(&self.present_buckets(series, hull).await?, ranges))
    }

    /// Runs of neighbouring buckets of `range` with a stored candle.
    pub(super) async fn present_buckets(
        &self,
        series: &Series,
        range: TimeRange,
    ) -> Result<Vec<TimeRange>, StoreError> {
        let mut opens = std::pin::pin!(self.candles.open_times(series, range).await?);
        let mut present: Vec<TimeRange> = Vec::new();
        while let Some(open) = opens.try_next().await? {
            let start = series.interval.bucket_start(open);
            let end = series.interval.next_bucket(start);
            match present.last_mut() {
                Some(last) if start <= last.end => last.end = last.end.max(end),
                _ => present.push(TimeRange::new(start, end)),
            }
        }
        Ok(present)
    }

    /// The gaps that begin in `within` after `after`, ascending, at most about `limit`, neighbours joined: the last one is whole.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn gaps(
        &self,
        series: &Series,
        within: TimeRange,
        after: Option<i64>,
        limit: u32,
    ) -> Result<Vec<Gap>, StoreError> {
        let from = after.map_or(within.start, |after| within.start.max(after.saturating_add(1)));
        let within = TimeRange::new(from, within.end);
        let mut chunks = self.read(series, within, 1).await?;
        let mut gaps: Vec<Gap> = Vec::new();
        while let Some(stored) = chunks.try_next().await? {
            for gap in stored.chunk.gaps.into_iter().filter(|gap| within.contains(gap.range.start)) {
                let goes_on = gaps.last().is_some_and(|last| is_continued(last, &gap));
                if gaps.len() >= limit as usize && !goes_on {
                    return Ok(join_gaps(gaps));
                }
                gaps.push(gap);
            }
        }
        Ok(join_gaps(gaps))
    }

    /// The gap that began before `at` and reaches beyond it: from its beginning, as far as one record of it reaches.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn gap_over(&self, series: &Series, at: i64) -> Result<Option<Gap>, StoreError> {
        let (mut over, mut goes_on_at) = (Vec::new(), None);
        let mut chunks = self.read(series, TimeRange::new(0, at.saturating_add(1)), -1).await?;
        'whole: while let Some(stored) = chunks.try_next().await? {
            for gap in stored.chunk.gaps.into_iter().rev().filter(|gap| gap.range.start <= at) {
                if gap.range.start == at {
                    // Cut at the border of two chunks.
                    goes_on_at = Some(gap.reason);
                    continue;
                }
                let touches = match over.last() {
                    Some(later) => is_continued(&gap, later),
                    None => gap.range.end > at || gap.range.end == at && goes_on_at == Some(gap.reason),
                };
                if !touches {
                    break 'whole;
                }
                over.push(gap);
            }
        }
        over.reverse();
        Ok(join_gaps(over).pop())
    }

    /// Number of gap records that begin in `within`.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn count_gaps(&self, series: &Series, within: TimeRange) -> Result<u64, StoreError> {
        let chunks = self.read(series, within, 1).await?;
        let counted = chunks.try_fold(0_u64, |sum, stored| {
            let inside = stored.chunk.gaps.iter().filter(|gap| within.contains(gap.range.start)).count();
            std::future::ready(Ok(sum + inside as u64))
        });
        counted.await
    }

    /// The stored chunks that share a bucket with `range`, ascending (1) or descending (-1).
    pub(super) async fn read(
        &self,
        series: &Series,
        range: TimeRange,
        order: i32,
    ) -> Result<BoxStream<'static, Result<Stored, StoreError>>, StoreError> {
        self.adopt_once(series).await?;
        self.read_stored(series, range, order).await
    }

    pub(super) async fn read_stored(
        &self,
        series: &Series,
        range: TimeRange,
        order: i32,
    ) -> Result<BoxStream<'static, Result<Stored, StoreError>>, StoreError> {
        const READING: &str = "reading the coverage ledger";
        let bound = |ms: i64| series.id_at(ms.clamp(0, LAST_MS));
        let first = series.interval.block_start(range.start.clamp(0, LAST_MS), CHUNK_BUCKETS);
        let ids = doc! { "_id": { "$gte": bound(first), "$lt": bound(range.end) } };
        let chunks = self.chunks.clone_with_type::<RawDocumentBuf>();
        let cursor = chunks.find(ids).sort(doc! { "_id": order }).await.map_err(StoreError::mongo(READING))?;
        let interval = series.interval;
        let chunks = cursor.map_err(StoreError::mongo_in(READING));
        Ok(chunks.and_then(move |found| std::future::ready(decode(interval, &found))).boxed())
    }

    /// Takes over the ledger of an earlier version, where this process has not looked for one yet.
    pub(super) async fn adopt_once(&self, series: &Series) -> Result<(), StoreError> {
        let id = series.id();
        if self.adopted.get(&id).await.is_some() {
            return Ok(());
        }
        self.adopt(series).await?;
        self.adopted.insert(id, ()).await;
        Ok(())
    }
}

/// Whether `later` is the same absence as `one`, cut only by the border of a chunk or by the times of the looks.
fn is_continued(one: &Gap, later: &Gap) -> bool {
    one.range.end == later.range.start && one.reason == later.reason
}
