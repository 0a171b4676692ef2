//! Candles: one collection per exchange and interval, `_id` = `{symbol}_{open time}`.
//!
//! A range scan on `_id` is the time scan of one symbol, so there is no second index; and a replayed insert meets its
//! own ids. Field names are those of the exchange's kline stream: `t o h l c v T q n V Q`.

mod document;

use crate::candle_id::{self, candle_id, open_time_of};
use crate::series::Series;
use candlemill_columnar::CandleColumns;
use candlemill_db::{DUPLICATE_KEY, StoreError, duplicates};
use candlemill_shared::{Candle, TimeRange};
use document::{decode, decode_figures, encode};
use futures::{Stream, TryStreamExt};
use mongodb::bson::{Document, RawDocumentBuf, doc};
use mongodb::error::ErrorKind;
use mongodb::{Collection, Database};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// The candles' collections.
#[derive(Debug, Clone)]
pub struct Candles {
    database: Database,
}

/// A stored candle of which the exchange now gives other figures, or which it no longer gives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Correction {
    /// As it is stored.
    pub stored: Candle,
    /// As the exchange gave it later; `None`: it gives none any more.
    pub now: Option<Candle>,
}

/// What an insert found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Inserted {
    /// Candles that were new.
    pub inserted: u64,
    /// Candles that were stored already.
    pub duplicate: u64,
    /// Stored candles that differ from what the exchange says now. The stored ones stay as they are.
    pub restated: Vec<Correction>,
}

/// Candles of one answer, where columns are read.
const COLUMN_BATCH: u32 = 10_000;
/// Candles that are renamed with one command.
const RENAMED: i64 = 1_000;

impl Candles {
    pub(crate) const fn new(database: Database) -> Self {
        Self { database }
    }

    fn collection(&self, series: &Series) -> Collection<RawDocumentBuf> {
        self.database.collection(&candle_id::collection(series))
    }

    /// Inserts closed candles of one series, unordered. Those that are stored already are counted and compared.
    ///
    /// # Errors
    /// When MongoDB fails; some of the candles may be stored then, and a repetition is harmless.
    pub async fn insert(&self, series: &Series, candles: &[Candle]) -> Result<Inserted, StoreError> {
        if candles.is_empty() {
            return Ok(Inserted::default());
        }
        let documents =
            candles.iter().map(|candle| encode(series.symbol.as_str(), candle)).collect::<Result<Vec<_>, _>>()?;
        let total = candles.len() as u64;
        let error = match self.collection(series).insert_many(&documents).ordered(false).await {
            Ok(_) => return Ok(Inserted { inserted: total, ..Inserted::default() }),
            Err(error) => error,
        };
        let ErrorKind::InsertMany(failure) = error.kind.as_ref() else {
            return Err(StoreError::mongo("inserting candles")(error));
        };
        let failed = failure.write_errors.as_deref().unwrap_or_default();
        if failed.is_empty() || failure.write_concern_error.is_some() || failed.iter().any(|e| e.code != DUPLICATE_KEY)
        {
            return Err(StoreError::mongo("inserting candles")(error));
        }
        let known: Vec<&Candle> = failed.iter().filter_map(|failure| candles.get(failure.index)).collect();
        let duplicate = known.len() as u64;
        let restated = self.compare(series, &known).await?;
        Ok(Inserted { inserted: total - duplicate, duplicate, restated })
    }

    /// Those of `fetched` whose stored candle has other figures.
    async fn compare(&self, series: &Series, fetched: &[&Candle]) -> Result<Vec<Correction>, StoreError> {
        let (Some(first), Some(last)) =
            (fetched.iter().map(|c| c.open_time).min(), fetched.iter().map(|c| c.open_time).max())
        else {
            return Ok(Vec::new());
        };
        let wanted: HashSet<i64> = fetched.iter().map(|candle| candle.open_time).collect();
        let stored: Vec<Candle> = self
            .scan(series, TimeRange::new(first, last + 1), None)
            .await?
            .try_filter(|candle| std::future::ready(wanted.contains(&candle.open_time)))
            .try_collect()
            .await?;
        let stored: std::collections::HashMap<i64, Candle> = stored.into_iter().map(|c| (c.open_time, c)).collect();
        Ok(fetched
            .iter()
            .filter_map(|now| {
                let was = stored.get(&now.open_time)?;
                (was != *now).then(|| Correction { stored: was.clone(), now: Some((*now).clone()) })
            })
            .collect())
    }

    /// The candles of `range`, ascending by open time, read in batches as they are taken.
    ///
    /// # Errors
    /// When MongoDB fails, at the start or in mid-stream.
    pub async fn scan(
        &self,
        series: &Series,
        range: TimeRange,
        limit: Option<u64>,
    ) -> Result<impl Stream<Item = Result<Candle, StoreError>> + Send + use<>, StoreError> {
        let collection = self.collection(series);
        let mut find = collection.find(within(series, range)).sort(doc! { "_id": 1 }).batch_size(1_000);
        if let Some(limit) = limit {
            find = find.limit(i64::try_from(limit).unwrap_or(i64::MAX));
        }
        let cursor = find.await.map_err(StoreError::mongo("reading candles"))?;
        Ok(cursor.map_err(StoreError::mongo_in("reading candles")).and_then(|raw| std::future::ready(decode(&raw))))
    }

    /// The figures of the candles of `range` that studies need, in columns.
    pub(crate) async fn scan_columns(&self, series: &Series, range: TimeRange) -> Result<CandleColumns, StoreError> {
        const READING: &str = "reading candles";
        let interval = series.interval;
        let members = doc! { "_id": 0, "t": 1, "o": 1, "h": 1, "l": 1, "c": 1, "v": 1 };
        let collection = self.collection(series);
        let find = collection.find(within(series, range)).sort(doc! { "_id": 1 }).projection(members);
        let mut cursor = find.batch_size(COLUMN_BATCH).await.map_err(StoreError::mongo(READING))?;
        let mut columns = CandleColumns::default();
        while cursor.advance().await.map_err(StoreError::mongo(READING))? {
            let (open_time, figures) = decode_figures(cursor.current())?;
            columns.push(interval.bucket_start(open_time), figures);
        }
        Ok(columns)
    }

    /// The open times of the candles of `range`, ascending; off the exchange's grid where the exchange was.
    ///
    /// # Errors
    /// When MongoDB fails, at the start or in mid-stream.
    pub async fn open_times(
        &self,
        series: &Series,
        range: TimeRange,
    ) -> Result<impl Stream<Item = Result<i64, StoreError>> + Send + use<>, StoreError> {
        const READING: &str = "reading the ids of candles";
        let collection = self.collection(series);
        let find = collection.find(within(series, range)).sort(doc! { "_id": 1 }).projection(doc! { "_id": 1 });
        let cursor = find.batch_size(10_000).await.map_err(StoreError::mongo(READING))?;
        let open_time = |raw: RawDocumentBuf| {
            let id = raw.get_str("_id").unwrap_or_default();
            open_time_of(id).ok_or_else(|| StoreError::corrupt("a candle's id", id))
        };
        Ok(cursor.map_err(StoreError::mongo_in(READING)).and_then(move |raw| std::future::ready(open_time(raw))))
    }

    /// Gives candles of a symbol with a `_`, which versions before 0.2 stored under ids that lie among those of another symbol,
    /// the ids of this version.
    pub(crate) async fn rename_earlier_ids(&self, series: &Series) -> Result<(), StoreError> {
        const RENAMING: &str = "renaming candles of an earlier version";
        let symbol = series.symbol.as_str();
        if !symbol.contains('_') {
            return Ok(());
        }
        let candles = self.collection(series).clone_with_type::<Document>();
        let earlier = doc! { "_id": { "$gte": format!("{symbol}_0"), "$lt": format!("{symbol}_:") } };
        loop {
            let cursor = candles.find(earlier.clone()).limit(RENAMED).await.map_err(StoreError::mongo(RENAMING))?;
            let found: Vec<Document> = cursor.map_err(StoreError::mongo_in(RENAMING)).try_collect().await?;
            let id = |candle: &Document| candle.get_str("_id").unwrap_or_default().to_owned();
            let old: Vec<String> = found.iter().map(id).filter(|id| id.len() == symbol.len() + 14).collect();
            if old.is_empty() {
                return Ok(());
            }
            let renamed = found.into_iter().filter(|candle| old.contains(&id(candle))).filter_map(|mut candle| {
                let open_time = open_time_of(candle.get_str("_id").ok()?)?;
                candle.insert("_id", candle_id(symbol, open_time));
                Some(candle)
            });
            duplicates(candles.insert_many(renamed).ordered(false).await, RENAMING)?;
            let gone = doc! { "_id": { "$in": old } };
            candles.delete_many(gone).await.map_err(StoreError::mongo(RENAMING))?;
        }
    }

    /// Number of stored candles of `range`.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn count(&self, series: &Series, range: TimeRange) -> Result<u64, StoreError> {
        let counted = self.collection(series).count_documents(within(series, range)).await;
        counted.map_err(StoreError::mongo("counting candles"))
    }

    /// Open time of the candle of `range` that `before` others of it lie before.
    pub(crate) async fn open_at(
        &self,
        series: &Series,
        range: TimeRange,
        before: u64,
    ) -> Result<Option<i64>, StoreError> {
        let collection = self.collection(series);
        let found = collection.find_one(within(series, range)).sort(doc! { "_id": 1 }).skip(before).await;
        let found = found.map_err(StoreError::mongo("reading a candle"))?;
        found.map(|raw| decode(&raw).map(|candle| candle.open_time)).transpose()
    }

    /// Open time of the newest candle of `range`.
    pub(crate) async fn newest(&self, series: &Series, range: TimeRange) -> Result<Option<i64>, StoreError> {
        let found = self.collection(series).find_one(within(series, range)).sort(doc! { "_id": -1 }).await;
        let found = found.map_err(StoreError::mongo("reading the newest candle"))?;
        found.map(|raw| decode(&raw).map(|candle| candle.open_time)).transpose()
    }
}

/// Ids are text: whatever the range, it is bounded by the ids of its first and last millisecond.
fn within(series: &Series, range: TimeRange) -> Document {
    let bound = |ms: i64| candle_id(series.symbol.as_str(), ms.clamp(0, 9_999_999_999_999));
    doc! { "_id": { "$gte": bound(range.start), "$lt": bound(range.end) } }
}
