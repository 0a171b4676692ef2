//! The coverage ledger: which ranges of a series are complete, and why buckets inside them are absent.
//!
//! Verified ranges are documents of their own, and the ledger is their union: writers only add or extend, so two tasks
//! on one series need no lock, and a crash in the middle of a tidy-up leaves overlaps, never a hole.

mod segments;

use crate::error::StoreError;
use crate::keys::{collections, ranged_id, series_id};
use crate::series::Series;
use candlemill_shared::coverage::{Gap, GapReason, join_gaps};
use candlemill_shared::range::normalise;
use candlemill_shared::{Candle, TimeRange};
use futures::TryStreamExt;
use mongodb::bson::{Bson, Document, doc};
use mongodb::{Collection, Database};
use segments::Segments;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tokio::sync::Mutex;

/// The ledger.
#[derive(Debug, Clone)]
pub struct Coverage {
    verified: Collection<Document>,
    segments: Segments,
    gaps: Collection<Document>,
    corrections: Collection<Document>,
    /// Held by whoever joins segments: two at a time would do the same work.
    tidying: Arc<Mutex<()>>,
}

/// What the ledger holds of a series up to some time.
#[derive(Debug, Clone)]
pub struct Verified {
    /// Ascending and joined.
    joined: Vec<TimeRange>,
    /// Documents that they were read from.
    segments: usize,
}

impl Verified {
    /// The verified parts of `range`, ascending.
    #[must_use]
    pub fn within(&self, range: TimeRange) -> Vec<TimeRange> {
        self.joined.iter().map(|known| known.intersect(range)).filter(|part| !part.is_empty()).collect()
    }

    /// Start of the verified range that reaches up to `at`, or `at` itself: a range that begins at `at` continues it.
    #[must_use]
    pub fn start_of(&self, at: i64) -> i64 {
        self.joined.iter().find(|known| known.start < at && at <= known.end).map_or(at, |known| known.start)
    }
}

/// A stored candle of which the exchange now gives other figures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Correction {
    /// As it is stored.
    pub stored: Candle,
    /// As the exchange gave it later.
    pub now: Candle,
}

/// Series whose segments outnumber this are tidied when a task ends: every task reads them, and joining them costs a few
/// writes.
const TIDY_ABOVE: usize = 16;

impl Coverage {
    pub(crate) fn new(database: &Database) -> Self {
        Self {
            verified: database.collection(collections::COVERAGE),
            segments: Segments::start(database),
            gaps: database.collection(collections::GAPS),
            corrections: database.collection(collections::CORRECTIONS),
            tidying: Arc::default(),
        }
    }

    /// The verified parts of `within`, ascending and joined.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn verified(&self, series: &Series, within: TimeRange) -> Result<Vec<TimeRange>, StoreError> {
        Ok(self.verified_until(series, within.end).await?.within(within))
    }

    /// All that is verified of a series in segments that begin before `end`.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn verified_until(&self, series: &Series, end: i64) -> Result<Verified, StoreError> {
        // One may begin long before a range and reach into it, so there is no lower bound; there are only a few.
        let segments = self.segments(between(series, TimeRange::new(0, end))).await?;
        Ok(Verified { segments: segments.len(), joined: normalise(segments) })
    }

    async fn segments(&self, which: Document) -> Result<Vec<TimeRange>, StoreError> {
        let reading = "reading the coverage ledger";
        let cursor = self.verified.find(which).await.map_err(StoreError::mongo(reading))?;
        cursor
            .map_err(StoreError::mongo_in(reading))
            .and_then(|found| std::future::ready(range_of(&found)))
            .try_collect()
            .await
    }

    /// Records that `range` is complete but for `gaps`, and of `looked_at`, which holds `range`, all absences there are.
    ///
    /// Gaps are written before the range is verified: a verified range never hides one. Gaps of an earlier look that are
    /// no longer there go last, so that an interruption leaves one too many, never one too few.
    ///
    /// # Errors
    /// When MongoDB fails; a repetition is harmless.
    pub async fn record(
        &self,
        series: &Series,
        range: TimeRange,
        looked_at: TimeRange,
        gaps: &[Gap],
    ) -> Result<(), StoreError> {
        let documents: Vec<Document> = gaps.iter().map(|gap| gap_document(series, gap)).collect();
        self.write_gaps(documents).await?;
        if !range.is_empty() {
            self.extend(series, range).await?;
        }
        let kept: Vec<String> = gaps.iter().map(|gap| ranged_id(series, gap.range.start)).collect();
        let mut stale = between(series, looked_at);
        if let Ok(bounds) = stale.get_document_mut("_id") {
            bounds.insert("$nin", kept);
        }
        let forgetting = "forgetting filled gaps";
        // There are hardly ever any, and a look costs less than a journaled write.
        if self.gaps.find_one(stale.clone()).await.map_err(StoreError::mongo(forgetting))?.is_some() {
            self.gaps.delete_many(stale).await.map_err(StoreError::mongo(forgetting))?;
        }
        Ok(())
    }

    async fn extend(&self, series: &Series, range: TimeRange) -> Result<(), StoreError> {
        self.segments.extend(ranged_id(series, range.start), range).await
    }

    async fn write_gaps(&self, documents: Vec<Document>) -> Result<(), StoreError> {
        if documents.is_empty() {
            return Ok(());
        }
        let recording = "recording gaps";
        match self.gaps.insert_many(&documents).ordered(false).await {
            Ok(_) => return Ok(()),
            // Recorded before, by an attempt that did not get to its checkpoint: the newer reason holds.
            Err(error) if matches!(error.kind.as_ref(), mongodb::error::ErrorKind::InsertMany(_)) => {}
            Err(error) => return Err(StoreError::mongo(recording)(error)),
        }
        for document in documents {
            let id = doc! { "_id": document.get_str("_id").unwrap_or_default() };
            self.gaps.replace_one(id, document).upsert(true).await.map_err(StoreError::mongo(recording))?;
        }
        Ok(())
    }

    /// The gaps that begin in `within` after `after`, ascending, at most `limit` records, neighbours joined.
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
        let reading = "reading gaps";
        let from = after.map_or(within.start, |after| within.start.max(after.saturating_add(1)));
        let cursor = self
            .gaps
            .find(between(series, TimeRange::new(from, within.end)))
            .sort(doc! { "_id": 1 })
            .limit(i64::from(limit))
            .await
            .map_err(StoreError::mongo(reading))?;
        let gaps: Vec<Gap> = cursor
            .map_err(StoreError::mongo_in(reading))
            .and_then(|found| std::future::ready(gap_of(&found)))
            .try_collect()
            .await?;
        Ok(join_gaps(gaps))
    }

    /// The gap that began before `at` and reaches beyond it.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn gap_over(&self, series: &Series, at: i64) -> Result<Option<Gap>, StoreError> {
        let before = between(series, TimeRange::new(0, at));
        let found = self.gaps.find_one(before).sort(doc! { "_id": -1 }).await;
        let found = found.map_err(StoreError::mongo("reading a gap"))?;
        Ok(found.as_ref().map(gap_of).transpose()?.filter(|gap| gap.range.end > at))
    }

    /// Number of gap records that begin in `within`.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn count_gaps(&self, series: &Series, within: TimeRange) -> Result<u64, StoreError> {
        self.gaps.count_documents(between(series, within)).await.map_err(StoreError::mongo("counting gaps"))
    }

    /// Joins the segments of a series where `met` has shown many. Extends first, then deletes what is contained.
    ///
    /// # Errors
    /// When MongoDB fails; the ledger's union is the same at every step.
    pub async fn tidy(&self, series: &Series, met: &Verified) -> Result<(), StoreError> {
        if met.segments <= TIDY_ABOVE {
            return Ok(());
        }
        let Ok(_alone) = self.tidying.try_lock() else { return Ok(()) };
        let segments = self.segments(prefix_of(series)).await?;
        for joined in normalise(segments.clone()) {
            let contained: Vec<String> = segments
                .iter()
                .filter(|part| part.start > joined.start && part.end <= joined.end)
                .map(|part| ranged_id(series, part.start))
                .collect();
            if contained.is_empty() {
                continue;
            }
            self.extend(series, joined).await?;
            // Only what still ends inside: a segment that another task extends right now stays.
            self.verified
                .delete_many(doc! { "_id": { "$in": contained }, "end": { "$lte": joined.end } })
                .await
                .map_err(StoreError::mongo("joining verified ranges"))?;
        }
        Ok(())
    }

    /// Records restated candles: the newest version of each wins.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn record_corrections(
        &self,
        series: &Series,
        found: &[Correction],
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let recording = "recording restated candles";
        for correction in found {
            let mut document = mongodb::bson::serialize_to_document(correction)
                .map_err(|error| StoreError::corrupt("a restated candle", error))?;
            document.insert("seen_at", now_ms);
            let id = doc! { "_id": ranged_id(series, correction.stored.open_time) };
            self.corrections.replace_one(id, document).upsert(true).await.map_err(StoreError::mongo(recording))?;
        }
        Ok(())
    }

    /// The restated candles whose open time lies in `within`, ascending.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn corrections(
        &self,
        series: &Series,
        within: TimeRange,
        limit: u32,
    ) -> Result<Vec<Correction>, StoreError> {
        let reading = "reading restated candles";
        let cursor = self
            .corrections
            .find(between(series, within))
            .sort(doc! { "_id": 1 })
            .limit(i64::from(limit))
            .await
            .map_err(StoreError::mongo(reading))?;
        cursor
            .map_err(StoreError::mongo_in(reading))
            .and_then(|found| {
                let read = mongodb::bson::deserialize_from_document(found);
                std::future::ready(read.map_err(|error| StoreError::corrupt("a restated candle", error)))
            })
            .try_collect()
            .await
    }
}

/// All ids of a series: `_` sorts before `` ` ``, and no id has another character there.
fn prefix_of(series: &Series) -> Document {
    let series = series_id(series);
    doc! { "_id": { "$gte": format!("{series}_"), "$lt": format!("{series}`") } }
}

fn between(series: &Series, range: TimeRange) -> Document {
    let bound = |ms: i64| ranged_id(series, ms.clamp(0, 9_999_999_999_999));
    doc! { "_id": { "$gte": bound(range.start), "$lt": bound(range.end) } }
}

fn range_of(document: &Document) -> Result<TimeRange, StoreError> {
    let time =
        |field| document.get_i64(field).map_err(|error| StoreError::corrupt("a range of the coverage ledger", error));
    Ok(TimeRange::new(time("start")?, time("end")?))
}

fn reason_text(reason: GapReason) -> Bson {
    mongodb::bson::serialize_to_bson(&reason).unwrap_or(Bson::Null)
}

fn gap_document(series: &Series, gap: &Gap) -> Document {
    doc! {
        "_id": ranged_id(series, gap.range.start),
        "start": gap.range.start,
        "end": gap.range.end,
        "buckets": i64::try_from(gap.buckets).unwrap_or(i64::MAX),
        "reason": reason_text(gap.reason),
    }
}

fn gap_of(document: &Document) -> Result<Gap, StoreError> {
    let mut fields = document.clone();
    fields.remove("_id");
    mongodb::bson::deserialize_from_document(fields).map_err(|error| StoreError::corrupt("a gap", error))
}
