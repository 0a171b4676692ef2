//! A whole series in a few figures, added up chunk by chunk: no candle is read.

use super::chunk::Chunk;
use super::ledger::Coverage;
use crate::series::Series;
use candlemill_db::StoreError;
use candlemill_shared::coverage::GapReason;
use candlemill_shared::timestamp::LATEST_MS;
use candlemill_shared::{Interval, TimeRange};
use futures::{StreamExt, TryStreamExt, stream};

/// Series that are summed up at once.
const AT_ONCE: usize = 8;

const WHOLE: TimeRange = TimeRange::new(0, LATEST_MS);

/// What the ledger says of a whole series.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SeriesSummary {
    /// Open time of the first bucket that holds a stored candle, UTC ms.
    pub first: Option<i64>,
    /// Open time of the last such bucket, UTC ms.
    pub last: Option<i64>,
    /// Buckets that hold a stored candle: verified ones that are in no gap.
    pub count: u64,
    /// Gaps, settled or not; neighbours of one reason are one.
    pub gaps: u64,
    /// Absent buckets of all gaps.
    pub absent_buckets: u64,
    /// From `first` to this open time, UTC ms, exclusive, every bucket is verified.
    pub verified_until: Option<i64>,
}

/// A summary on its way: one more chunk after the other, ascending.
#[derive(Debug, Default)]
struct Sum {
    summary: SeriesSummary,
    /// Where the last gap ends, and why it is there: one that goes on in the next chunk is the same.
    last_gap: Option<(i64, GapReason)>,
}

impl Sum {
    fn add(&mut self, interval: Interval, chunk: &Chunk) {
        let Self { summary, last_gap } = self;
        for part in chunk.present(WHOLE) {
            summary.first.get_or_insert(part.start);
            summary.last = Some(interval.bucket_start(part.end - 1));
            summary.count += interval.count(part);
        }
        for gap in &chunk.gaps {
            if *last_gap != Some((gap.range.start, gap.reason)) {
                summary.gaps += 1;
            }
            summary.absent_buckets += gap.buckets;
            *last_gap = Some((gap.range.end, gap.reason));
        }
        let Some(first) = summary.first else { return };
        for known in &chunk.verified {
            if known.contains(summary.verified_until.unwrap_or(first)) {
                summary.verified_until = Some(known.end);
            }
        }
    }
}

impl Coverage {
    /// What the ledger says of each of `series`, in their order.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn summaries(&self, series: &[Series]) -> Result<Vec<SeriesSummary>, StoreError> {
        let summaries: Vec<_> = series.iter().map(|one| self.summary(one)).collect();
        stream::iter(summaries).buffered(AT_ONCE).try_collect().await
    }

    /// What the ledger says of all of `series`. It reads the chunks, a few at a time: one for 64,000 buckets.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn summary(&self, series: &Series) -> Result<SeriesSummary, StoreError> {
        let (interval, chunks) = (series.interval, self.read(series, WHOLE, 1).await?);
        let summed = chunks.try_fold(Sum::default(), |mut sum, stored| {
            sum.add(interval, &stored.chunk);
            std::future::ready(Ok(sum))
        });
        Ok(summed.await?.summary)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candlemill_shared::coverage::Gap;

    const MINUTE: i64 = 60_000;
    const INTERVAL: Interval = Interval::Minute1;

    fn minutes((start, end): (i64, i64)) -> TimeRange {
        TimeRange::new(start * MINUTE, end * MINUTE)
    }

    fn chunk(verified: &[(i64, i64)], gaps: &[(i64, i64, GapReason)]) -> Chunk {
        let gap = |&(start, end, reason): &(i64, i64, GapReason)| Gap::new(INTERVAL, minutes((start, end)), reason);
        Chunk {
            verified: verified.iter().copied().map(minutes).collect(),
            gaps: gaps.iter().map(gap).collect(),
            audited_at: 0,
        }
    }

    /// First, last and verified until, in minutes; candles, gaps and absent buckets.
    type Expected = ([Option<i64>; 3], [u64; 3]);

    fn check(name: &str, chunks: &[Chunk], (times, counts): Expected) {
        let mut sum = Sum::default();
        for chunk in chunks {
            sum.add(INTERVAL, chunk);
        }
        let [first, last, verified_until] = times.map(|time| time.map(|minute| minute * MINUTE));
        let [count, gaps, absent_buckets] = counts;
        let expected = SeriesSummary { first, last, count, gaps, absent_buckets, verified_until };
        assert_eq!(sum.summary, expected, "{name}");
    }

    #[test]
    fn summaries() {
        use GapReason::{BeforeListing, Outage, Unpublished};
        check("no chunk", &[], ([None; 3], [0; 3]));
        check("one range", &[chunk(&[(5, 10)], &[])], ([Some(5), Some(9), Some(10)], [5, 0, 0]));
        let before = chunk(&[(0, 10)], &[(0, 10, BeforeListing)]);
        check("nothing but a gap", std::slice::from_ref(&before), ([None; 3], [0, 1, 10]));
        let after = chunk(&[(10, 20)], &[(10, 13, BeforeListing), (15, 16, Outage)]);
        let expected = ([Some(13), Some(19), Some(20)], [6, 2, 14]);
        check("a gap over the border of two chunks is one", &[before, after], expected);
        let apart = [chunk(&[(0, 5), (6, 8)], &[(5, 6, Unpublished)]), chunk(&[(10, 12)], &[])];
        check("ranges apart", &apart, ([Some(0), Some(11), Some(5)], [9, 1, 1]));
        let joined = [chunk(&[(0, 10)], &[(8, 10, Outage)]), chunk(&[(10, 20)], &[]), chunk(&[(30, 31)], &[])];
        check("ranges that touch", &joined, ([Some(0), Some(30), Some(20)], [19, 1, 2]));
        let ends_absent = [chunk(&[(0, 10)], &[(7, 10, GapReason::Halted)])];
        check("absent at the end", &ends_absent, ([Some(0), Some(6), Some(10)], [7, 1, 3]));
        let other_reason = [chunk(&[(0, 4)], &[(2, 3, Outage), (3, 4, GapReason::Halted)])];
        check("neighbours of two reasons", &other_reason, ([Some(0), Some(1), Some(4)], [2, 2, 2]));
    }
}
