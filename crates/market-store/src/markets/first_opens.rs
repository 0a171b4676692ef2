//! The first candle of each series.

use candlemill_db::StoreError;
use futures::{Stream, TryStreamExt};
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

/// Listings in one answer of the server.
const BATCH: u32 = 5_000;
/// Listings that are asked for by one command.
const MAX_IDS: usize = 500;

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

    /// Those of `ids` that are recorded.
    pub(super) async fn read_all(&self, ids: &[String]) -> Result<HashMap<String, i64>, StoreError> {
        const READING: &str = "reading listings";
        let mut read = HashMap::new();
        for ids in ids.chunks(MAX_IDS) {
            let found = self.listings.find(doc! { "_id": { "$in": ids } }).await.map_err(StoreError::mongo(READING))?;
            let found: Vec<Document> = found.try_collect().await.map_err(StoreError::mongo(READING))?;
            read.extend(found.iter().filter_map(named));
        }
        Ok(read)
    }

    /// Those whose ids lie from `first` on and before `end`.
    pub(super) async fn read_between(
        &self,
        first: &str,
        end: &str,
    ) -> Result<impl Stream<Item = Result<(String, i64), StoreError>> + Send + use<>, StoreError> {
        const READING: &str = "reading listings";
        let found = self.listings.find(doc! { "_id": { "$gte": first, "$lt": end } }).batch_size(BATCH).await;
        let found = found.map_err(StoreError::mongo(READING))?.map_err(StoreError::mongo_in(READING));
        Ok(found.try_filter_map(|listing| std::future::ready(Ok(named(&listing)))))
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

/// A listing's id and first open time.
fn named(listing: &Document) -> Option<(String, i64)> {
    Some((listing.get_str("_id").ok()?.to_owned(), listing.get_i64("first_open").ok()?))
}
