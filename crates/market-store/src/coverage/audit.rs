//! Compares the ledger with the stored candles, chunk by chunk, and takes back what is wrong.

use super::chunk::{CHUNK_BUCKETS, Chunk};
use super::document::{Stored, decode};
use super::ledger::Coverage;
use crate::series::Series;
use candlemill_db::StoreError;
use candlemill_shared::TimeRange;
use candlemill_shared::coverage::Gap;
use candlemill_shared::range::{hull, intersection, normalise, subtract};
use futures::TryStreamExt;
use mongodb::bson::{Document, RawDocumentBuf, doc};

/// A chunk is compared again after a week, ms.
const EVERY_MS: i64 = 7 * 86_400_000;

/// Chunks that one call looks at, at most.
const CHUNKS: i64 = 100;

/// What a comparison found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Audited {
    /// Chunks that were compared.
    pub chunks: u64,
    /// Ranges that were called complete and had neither candle nor gap: they are open again.
    pub holes: Vec<(Series, TimeRange)>,
    /// Buckets of gaps that have a candle: they are gaps no more.
    pub filled: u64,
}

/// What of a chunk is not as the candles are.
#[derive(Debug, PartialEq, Eq)]
struct Wrong {
    holes: Vec<TimeRange>,
    filled: Vec<TimeRange>,
}

fn compare(chunk: &Chunk, within: TimeRange, present: &[TimeRange]) -> Wrong {
    let gaps: Vec<TimeRange> = chunk.gaps.iter().map(|gap| gap.range.intersect(within)).collect();
    let holes = chunk.present(within).into_iter().flat_map(|known| subtract(known, present)).collect();
    Wrong { holes: normalise(holes), filled: intersection(&gaps, present) }
}

impl Coverage {
    /// Compares the chunks that were not compared for a week, the longest ago first, until about `buckets` of them were looked
    /// at.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn audit_some(&self, buckets: u64) -> Result<Audited, StoreError> {
        let reading = "looking for chunks to audit";
        let (mut audited, mut looked_at) = (Audited::default(), 0);
        let due = doc! { "audited_at": { "$lt": self.clock.now_ms() - EVERY_MS } };
        let found =
            self.chunks.find(due).sort(doc! { "audited_at": 1 }).limit(CHUNKS).projection(doc! { "_id": 1 }).await;
        let found: Vec<Document> =
            found.map_err(StoreError::mongo(reading))?.map_err(StoreError::mongo_in(reading)).try_collect().await?;
        for id in found.iter().filter_map(|one| one.get_str("_id").ok()) {
            if looked_at >= buckets {
                break;
            }
            let Some(series) = Series::of_id(id) else {
                tracing::error!(id, "no series is called so: its chunk of the ledger is left alone");
                continue;
            };
            let start = id.rsplit('_').next().and_then(|start| start.parse().ok()).unwrap_or(0);
            let whole = TimeRange::new(start, series.interval.block_end(start, CHUNK_BUCKETS));
            looked_at += self.audit(&series, whole, self.clock.now_ms(), &mut audited).await?;
        }
        Ok(audited)
    }

    /// Compares what the ledger says of `range` with the stored candles, and corrects it. Returns the buckets that were looked at.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn audit(
        &self,
        series: &Series,
        range: TimeRange,
        now_ms: i64,
        audited: &mut Audited,
    ) -> Result<u64, StoreError> {
        let mut looked_at = 0;
        for part in series.interval.blocks(range, CHUNK_BUCKETS) {
            let id = series.id_at(series.interval.block_start(part.start, CHUNK_BUCKETS));
            loop {
                let read = self.read_one(series, &id).await?;
                if read.rev == 0 {
                    break;
                }
                let known = read.chunk.verified.iter().copied().chain(read.chunk.gaps.iter().map(|gap| gap.range));
                let said = hull(known.map(|known| known.intersect(part)));
                let present = match said {
                    Some(said) => self.present_buckets(series, said).await?,
                    None => Vec::new(),
                };
                let wrong = compare(&read.chunk, part, &present);
                if self.correct(series, part, read, &wrong, now_ms).await? {
                    looked_at += said.map_or(0, |said| series.interval.count(said));
                    audited.chunks += 1;
                    audited.holes.extend(wrong.holes.into_iter().map(|hole| (series.clone(), hole)));
                    audited.filled += wrong.filled.iter().map(|part| series.interval.count(*part)).sum::<u64>();
                    break;
                }
            }
        }
        Ok(looked_at)
    }

    /// Whether the chunk was still as it was read.
    async fn correct(
        &self,
        series: &Series,
        part: TimeRange,
        read: Stored,
        wrong: &Wrong,
        now_ms: i64,
    ) -> Result<bool, StoreError> {
        let interval = series.interval;
        let mut chunk = read.chunk.clone();
        chunk.reopen(interval, &wrong.holes);
        chunk.fill(interval, &wrong.filled);
        if interval.block_end(part.start, CHUNK_BUCKETS) == part.end
            && part.start == interval.block_start(part.start, CHUNK_BUCKETS)
        {
            chunk.audited_at = now_ms;
        }
        if !wrong.holes.is_empty() || !wrong.filled.is_empty() {
            let (holes, filled) = (wrong.holes.len(), wrong.filled.len());
            tracing::error!(holes, filled, "the ledger of {series} was not as its candles are; it is corrected");
        }
        if chunk == read.chunk {
            return Ok(true);
        }
        let next = Stored { id: read.id.clone(), rev: read.rev + 1, chunk };
        self.replace(&read, &next).await
    }

    /// The gaps that are to be asked for again at `now_ms`, at most of `limit` chunks, those that are due longest first.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn due_gaps(&self, now_ms: i64, limit: u32) -> Result<Vec<(Series, Vec<Gap>)>, StoreError> {
        let reading = "looking for absences to ask again";
        let due = doc! { "recheck_at": { "$gte": 0, "$lte": now_ms } };
        let chunks = self.chunks.clone_with_type::<RawDocumentBuf>();
        let cursor = chunks.find(due).sort(doc! { "recheck_at": 1 }).limit(i64::from(limit)).await;
        let mut found = cursor.map_err(StoreError::mongo(reading))?;
        let mut all = Vec::new();
        while let Some(document) = found.try_next().await.map_err(StoreError::mongo(reading))? {
            let Some(series) = document.get_str("_id").ok().and_then(Series::of_id) else { continue };
            let stored = decode(series.interval, &document)?;
            let due = |gap: &Gap| gap.recheck_at().is_some_and(|at| at <= now_ms);
            all.push((series, stored.chunk.gaps.into_iter().filter(due).collect()));
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candlemill_shared::Interval;
    use candlemill_shared::coverage::GapReason;

    const M: i64 = 60_000;

    fn minutes(start: i64, end: i64) -> TimeRange {
        TimeRange::new(start * M, end * M)
    }

    #[test]
    fn holes_and_filled_gaps_are_found_where_they_are() {
        let outage = Gap::new(Interval::Minute1, minutes(10, 20), GapReason::Outage);
        let unpublished = Gap::new(Interval::Minute1, minutes(40, 45), GapReason::Unpublished);
        let chunk = Chunk { verified: vec![minutes(0, 30)], gaps: vec![outage, unpublished], audited_at: 0 };
        let check = |name: &str, present: &[TimeRange], holes: &[TimeRange], filled: &[TimeRange]| {
            let got = compare(&chunk, minutes(0, 64_000), present);
            assert_eq!(got, Wrong { holes: holes.to_vec(), filled: filled.to_vec() }, "{name}");
        };
        check("as it is", &[minutes(0, 10), minutes(20, 30)], &[], &[]);
        check("more is stored than is verified", &[minutes(0, 10), minutes(20, 40)], &[], &[]);
        check("a hole", &[minutes(0, 8), minutes(20, 30)], &[minutes(8, 10)], &[]);
        check(
            "a filled gap",
            &[minutes(0, 12), minutes(20, 30), minutes(43, 44)],
            &[],
            &[minutes(10, 12), minutes(43, 44)],
        );
        check("nothing is stored", &[], &[minutes(0, 10), minutes(20, 30)], &[]);
        let part = compare(&chunk, minutes(0, 5), &[]);
        assert_eq!(part, Wrong { holes: vec![minutes(0, 5)], filled: Vec::new() }, "only of what was asked");
    }
}
