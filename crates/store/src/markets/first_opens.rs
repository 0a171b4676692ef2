//! The first candle of each series.

use super::Markets;
use crate::error::StoreError;
use crate::keys::{collections, series_id};
use crate::series::Series;
use moka::future::Cache;
use mongodb::bson::{Document, doc};
use mongodb::options::ReturnDocument;
use mongodb::{Collection, Database};
use std::sync::Arc;
use std::time::Duration;

/// First open times that a process keeps at hand.
const MAX_KEPT: u64 = 10_000;
/// For so long: another process may have learnt of an older one.
const KEPT_FOR: Duration = Duration::from_secs(600);

/// First open times, stored and at hand.
#[derive(Debug, Clone)]
pub(super) struct FirstOpens {
    listings: Collection<Document>,
    known: Cache<String, i64>,
}

/// Why there is no first open time.
enum Lacking<E> {
    /// The series has no candle.
    Nothing,
    Store(StoreError),
    Asking(E),
}

impl FirstOpens {
    pub(super) fn new(database: &Database) -> Self {
        let known = Cache::builder().max_capacity(MAX_KEPT).time_to_live(KEPT_FOR).build();
        Self { listings: database.collection(collections::LISTINGS), known }
    }

    async fn read(&self, id: &str) -> Result<Option<i64>, StoreError> {
        let found = self.listings.find_one(doc! { "_id": id }).await;
        let found = found.map_err(StoreError::mongo("reading a listing"))?;
        Ok(found.and_then(|listing| listing.get_i64("first_open").ok()))
    }

    /// The oldest that is known, `open_time` among them.
    async fn write(&self, id: &str, open_time: i64) -> Result<i64, StoreError> {
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

impl Markets {
    /// First open time of a series, where it was learnt before.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn first_open(&self, series: &Series) -> Result<Option<i64>, StoreError> {
        let id = series_id(series);
        if let Some(known) = self.first_opens.known.get(&id).await {
            return Ok(Some(known));
        }
        let found = self.first_opens.read(&id).await?;
        if let Some(first) = found {
            self.first_opens.known.insert(id, first).await;
        }
        Ok(found)
    }

    /// First open time of a series: what is known, or what `ask` says, which is remembered. Those of a process who want to
    /// know at once are answered by one call of `ask`; should that fail, each of the others asks for itself.
    ///
    /// # Errors
    /// When MongoDB fails, or `ask` does.
    pub async fn first_open_or<E, F>(&self, series: &Series, ask: impl Fn() -> F) -> Result<Option<i64>, E>
    where
        E: From<StoreError> + Send + Sync + 'static,
        F: Future<Output = Result<Option<i64>, E>>,
    {
        let id = series_id(series);
        let learn = async {
            if let Some(first) = self.first_opens.read(&id).await.map_err(Lacking::Store)? {
                return Ok(first);
            }
            let first = ask().await.map_err(Lacking::Asking)?.ok_or(Lacking::Nothing)?;
            self.first_opens.write(&id, first).await.map_err(Lacking::Store)
        };
        let lacking = match self.first_opens.known.try_get_with(id.clone(), learn).await {
            Ok(first) => return Ok(Some(first)),
            Err(lacking) => lacking,
        };
        match Arc::try_unwrap(lacking) {
            Ok(Lacking::Nothing) => Ok(None),
            Ok(Lacking::Store(error)) => Err(error.into()),
            Ok(Lacking::Asking(error)) => Err(error),
            // Others got the same answer.
            Err(shared) => match &*shared {
                Lacking::Nothing => Ok(None),
                Lacking::Store(error) => Err(error.clone().into()),
                Lacking::Asking(_) => ask().await,
            },
        }
    }

    /// Remembers the first open time of a series. An older one takes the place of a newer one, never the other way round: the
    /// exchange may add candles before those it had.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn remember_first_open(&self, series: &Series, open_time: i64) -> Result<(), StoreError> {
        let id = series_id(series);
        let oldest = self.first_opens.write(&id, open_time).await?;
        self.first_opens.known.insert(id, oldest).await;
        Ok(())
    }
}
