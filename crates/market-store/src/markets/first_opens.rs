//! The first candle of each series.

use candlemill_db::StoreError;
use futures::{StreamExt, TryStreamExt, stream};
use moka::future::Cache;
use mongodb::bson::{Document, doc};
use mongodb::options::ReturnDocument;
use mongodb::{Collection, Database};
use std::collections::HashMap;
use std::time::Duration;

/// First candle of each series.
const LISTINGS: &str = "listings";
/// First open times that a process keeps at hand.
const MAX_KEPT: u64 = 10_000;
/// For so long: another process may have learnt of an older one.
const KEPT_FOR: Duration = Duration::from_secs(600);

/// Listings that are read with one command, and commands at once.
const BATCH: usize = 1_000;
const AT_ONCE: usize = 4;

/// First open times, stored and at hand.
#[derive(Debug, Clone)]
pub(super) struct FirstOpens {
    listings: Collection<Document>,
    pub(super) known: Cache<String, i64>,
}

impl FirstOpens {
    pub(super) fn new(database: &Database) -> Self {
        let known = Cache::builder().max_capacity(MAX_KEPT).time_to_live(KEPT_FOR).build();
        Self { listings: database.collection(LISTINGS), known }
    }

    pub(super) async fn read(&self, id: &str) -> Result<Option<i64>, StoreError> {
        let found = self.listings.find_one(doc! { "_id": id }).await;
        let found = found.map_err(StoreError::mongo("reading a listing"))?;
        Ok(found.and_then(|listing| listing.get_i64("first_open").ok()))
    }

    /// Those of `ids` that are known.
    pub(super) async fn read_all(&self, ids: &[String]) -> Result<HashMap<String, i64>, StoreError> {
        const READING: &str = "reading listings";
        let read = |some: &[String]| {
            let found = self.listings.find(doc! { "_id": { "$in": some } });
            async move {
                let found = found.await.map_err(StoreError::mongo(READING))?;
                found.map_err(StoreError::mongo_in(READING)).try_collect::<Vec<Document>>().await
            }
        };
        let batches = stream::iter(ids.chunks(BATCH).map(read)).buffer_unordered(AT_ONCE);
        let found: Vec<Vec<Document>> = batches.try_collect().await?;
        let known =
            |listing: Document| Some((listing.get_str("_id").ok()?.to_owned(), listing.get_i64("first_open").ok()?));
        Ok(found.into_iter().flatten().filter_map(known).collect())
    }

    /// The oldest that is known, `open_time` among them.
    pub(super) async fn write(&self, id: &str, open_time: i64) -> Result<i64, StoreError> {
        let listing = self
            .listings
            .find_one_and_update(doc! { "_id": id }, doc! { "$min": { "first_open": open_time } })
            .upsert(true)
            .return_document(ReturnDocument::After)
            .await
            .map_err(StoreError::mongo("storing a listing"))?;
        Ok(listing.and_then(|listing| listing.get_i64("first_open").ok()).unwrap_or(open_time))
    }
}
