//! Reading candles into columns, for studies.
//!
//! Prices become floating point here and nowhere else. Each part of a range is read by a cursor of its own, several at once, as
//! raw BSON, without a candle in between.

use crate::candles::Candles;
use crate::series::Series;
use candlemill_columnar::CandleColumns;
use candlemill_db::StoreError;
use candlemill_shared::TimeRange;
use futures::{StreamExt, TryStreamExt};

/// Cursors at once: the server decodes on its own processors.
const CURSORS: usize = 4;
/// Buckets of one cursor's part.
const PART_BUCKETS: i64 = 100_000;

impl Candles {
    /// The candles of `range`, which begins and ends on the interval's grid, as columns; `loaded` hears how many more were read.
    ///
    /// # Errors
    /// When MongoDB fails, or a stored candle cannot be read.
    pub async fn columns(
        &self,
        series: &Series,
        range: TimeRange,
        loaded: impl Fn(u64) + Sync,
    ) -> Result<CandleColumns, StoreError> {
        let loaded = &loaded;
        let interval = series.interval;
        let mut parts = Vec::new();
        let mut start = range.start;
        while start < range.end {
            let end = interval.advance(interval.bucket_start(start), PART_BUCKETS).min(range.end);
            parts.push(TimeRange::new(start, end));
            start = end;
        }
        let reading = futures::stream::iter(parts).map(|part| async move {
            let columns = self.scan_columns(series, part).await?;
            loaded(columns.len() as u64);
            Ok::<_, StoreError>(columns)
        });
        let mut reading = std::pin::pin!(reading.buffered(CURSORS));
        let mut columns = CandleColumns::default();
        while let Some(part) = reading.try_next().await? {
            columns.append(part);
        }
        Ok(columns)
    }
}
