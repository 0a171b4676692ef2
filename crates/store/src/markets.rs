//! What is known of an exchange's markets: kept by workers, read by the API, which never asks an exchange itself.

use crate::error::StoreError;
use crate::keys::{collections, series_id};
use crate::series::Series;
use candlemill_shared::{Clock, Exchange, Symbol};
use moka::Expiry;
use moka::future::Cache;
use mongodb::bson::{Document, doc};
use mongodb::error::Error;
use mongodb::{Collection, Database};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// One market as its exchange lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Market {
    /// The pair.
    pub symbol: Symbol,
    /// The exchange's word: `TRADING`, `HALT`, `BREAK`, …
    pub status: String,
}

/// What the list says of a symbol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MarketLookup {
    /// Listed, with the exchange's status.
    Listed(String),
    /// Not on a list that is fresh enough to be believed.
    Unknown,
    /// There is no fresh list: nobody knows, and a worker will find out.
    NoList,
}

/// A list older than this proves nothing: a symbol may have been listed since. Workers renew it every hour.
const FRESH_MS: i64 = 2 * 3_600_000;
/// How long a process believes the list it read.
const REREAD: Duration = Duration::from_secs(60);
/// How long it believes that there is none: the first worker is about to bring one.
const REREAD_NONE: Duration = Duration::from_millis(250);
/// First open times that a process keeps at hand.
const MOST_FIRST_OPENS: u64 = 10_000;

/// The markets of all exchanges.
#[derive(Debug, Clone)]
pub struct Markets {
    markets: Collection<Document>,
    listings: Collection<Document>,
    clock: Arc<dyn Clock>,
    read: Cache<Exchange, Arc<List>>,
    /// First open times that this process has learnt; they never change.
    first_opens: Cache<String, i64>,
}

#[derive(Debug)]
struct List {
    updated_at: i64,
    weight_limit: Option<u32>,
    statuses: HashMap<String, String>,
}

/// Tells the cache how long a list is believed.
struct Belief;

impl Expiry<Exchange, Arc<List>> for Belief {
    fn expire_after_create(&self, _: &Exchange, list: &Arc<List>, _: Instant) -> Option<Duration> {
        Some(if list.updated_at > 0 { REREAD } else { REREAD_NONE })
    }
}

impl Markets {
    pub(crate) fn new(database: &Database, clock: Arc<dyn Clock>) -> Self {
        Self {
            markets: database.collection(collections::MARKETS),
            listings: database.collection(collections::LISTINGS),
            clock,
            read: Cache::builder().max_capacity(8).expire_after(Belief).build(),
            first_opens: Cache::new(MOST_FIRST_OPENS),
        }
    }

    /// Replaces the list of `exchange`. One document: a few thousand markets stay far below MongoDB's 16 MiB.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn replace(
        &self,
        exchange: Exchange,
        markets: &[Market],
        weight_limit: Option<u32>,
    ) -> Result<(), StoreError> {
        let list: Vec<Document> =
            markets.iter().map(|m| doc! { "s": m.symbol.as_str(), "st": m.status.as_str() }).collect();
        let document = doc! {
            "_id": exchange.as_str(),
            "updated_at": self.clock.now_ms(),
            "weight_limit": weight_limit.map(i64::from),
            "markets": list,
        };
        self.markets
            .replace_one(doc! { "_id": exchange.as_str() }, &document)
            .upsert(true)
            .await
            .map_err(StoreError::mongo("storing the list of markets"))?;
        self.read.insert(exchange, Arc::new(List::read(&document))).await;
        Ok(())
    }

    /// What is known of `symbol`.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn lookup(&self, exchange: Exchange, symbol: &Symbol) -> Result<MarketLookup, StoreError> {
        let list = self.list(exchange).await?;
        if let Some(status) = list.statuses.get(symbol.as_str()) {
            return Ok(MarketLookup::Listed(status.clone()));
        }
        let fresh = self.clock.now_ms() - list.updated_at < FRESH_MS;
        Ok(if fresh { MarketLookup::Unknown } else { MarketLookup::NoList })
    }

    /// UTC ms of the last renewal of the list, 0 when there was none, and the exchange's own weight limit per minute.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn renewed(&self, exchange: Exchange) -> Result<(i64, Option<u32>), StoreError> {
        let list = self.list(exchange).await?;
        Ok((list.updated_at, list.weight_limit))
    }

    async fn list(&self, exchange: Exchange) -> Result<Arc<List>, StoreError> {
        let read = async {
            let found = self.markets.find_one(doc! { "_id": exchange.as_str() }).await?;
            Ok::<_, Error>(Arc::new(found.map_or_else(List::none, |document| List::read(&document))))
        };
        // Many who ask at once are answered by one reading.
        let list = self.read.try_get_with(exchange, read).await;
        list.map_err(|error| StoreError::mongo("reading the list of markets")((*error).clone()))
    }

    /// First open time of a series, where it was learnt before.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn first_open(&self, series: &Series) -> Result<Option<i64>, StoreError> {
        let id = series_id(series);
        if let Some(known) = self.first_opens.get(&id).await {
            return Ok(Some(known));
        }
        let found = self.listings.find_one(doc! { "_id": &id }).await;
        let found = found
            .map_err(StoreError::mongo("reading a listing"))?
            .and_then(|listing| listing.get_i64("first_open").ok());
        if let Some(first) = found {
            self.first_opens.insert(id, first).await;
        }
        Ok(found)
    }

    /// Remembers the first open time of a series: it never changes.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn remember_first_open(&self, series: &Series, open_time: i64) -> Result<(), StoreError> {
        self.listings
            .update_one(doc! { "_id": series_id(series) }, doc! { "$set": { "first_open": open_time } })
            .upsert(true)
            .await
            .map_err(StoreError::mongo("storing a listing"))?;
        Ok(())
    }
}

impl List {
    fn none() -> Self {
        Self { updated_at: 0, weight_limit: None, statuses: HashMap::new() }
    }

    fn read(document: &Document) -> Self {
        let markets = document.get_array("markets").map(Vec::as_slice).unwrap_or_default();
        let pair = |market: &Document| {
            Some((market.get_str("s").ok()?.to_owned(), market.get_str("st").unwrap_or_default().to_owned()))
        };
        Self {
            updated_at: document.get_i64("updated_at").unwrap_or(0),
            weight_limit: document.get_i64("weight_limit").ok().and_then(|limit| u32::try_from(limit).ok()),
            statuses: markets.iter().filter_map(|market| market.as_document().and_then(pair)).collect(),
        }
    }
}
