//! Stored candles of which the exchange now says something else.

use super::ledger::Coverage;
use crate::candles::Correction;
use crate::series::Series;
use candlemill_db::StoreError;
use candlemill_shared::TimeRange;
use futures::TryStreamExt;
use mongodb::bson::{Document, doc};

impl Coverage {
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
            let id = doc! { "_id": series.id_at(correction.stored.open_time) };
            self.corrections.replace_one(id, document).upsert(true).await.map_err(StoreError::mongo(recording))?;
        }
        Ok(())
    }

    /// Forgets the corrections of `within`, but for those of `kept`: the exchange says again what is stored.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn forget_corrections(
        &self,
        series: &Series,
        within: TimeRange,
        kept: &[Correction],
    ) -> Result<(), StoreError> {
        let forgetting = "forgetting restated candles";
        let kept: Vec<String> = kept.iter().map(|one| series.id_at(one.stored.open_time)).collect();
        let mut stale = between(series, within);
        if let Ok(bounds) = stale.get_document_mut("_id") {
            bounds.insert("$nin", kept);
        }
        // There are hardly ever any, and a look costs less than a journaled write.
        if self.corrections.find_one(stale.clone()).await.map_err(StoreError::mongo(forgetting))?.is_some() {
            self.corrections.delete_many(stale).await.map_err(StoreError::mongo(forgetting))?;
        }
        Ok(())
    }

    /// How many candles of `within` were seen to be restated after `since` (UTC ms), counted up to `max`.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn corrections_since(
        &self,
        series: &Series,
        within: TimeRange,
        since: i64,
        max: u32,
    ) -> Result<u64, StoreError> {
        let mut wanted = between(series, within);
        wanted.insert("seen_at", doc! { "$gt": since });
        let counted = self.corrections.count_documents(wanted).limit(u64::from(max)).await;
        counted.map_err(StoreError::mongo("counting restated candles"))
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

fn between(series: &Series, range: TimeRange) -> Document {
    let bound = |ms: i64| series.id_at(ms.clamp(0, 9_999_999_999_999));
    doc! { "_id": { "$gte": bound(range.start), "$lt": bound(range.end) } }
}
