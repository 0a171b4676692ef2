//! The collections of markets and verdicts.

use super::first_opens::FirstOpens;
use super::stored_list::{Belief, Market, StoredList};
use candlemill_db::{StoreError, index};
use candlemill_shared::{Assets, Clock, Exchange, Symbol};
use futures::TryStreamExt;
use moka::future::Cache;
use mongodb::bson::{DateTime, Document, doc};
use mongodb::error::Error;
use mongodb::{Collection, Database};
use std::collections::HashMap;
use std::sync::Arc;

/// The list of each exchange.
const MARKETS: &str = "markets";
/// What the exchange said of a symbol that its list lacks.
const VERDICTS: &str = "market_verdicts";

/// What is known of a symbol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MarketLookup {
    /// It exists: on the list, or the exchange said so when it was asked for this symbol.
    Listed(Market),
    /// The exchange itself said that there is no such symbol.
    Refused {
        /// When it was asked, UTC ms.
        asked_at: i64,
        /// When it may be asked again, UTC ms.
        until: i64,
    },
    /// Not on a fresh list, which proves nothing: a worker asks for it by its name.
    Unknown,
    /// There is no fresh list either.
    NoList,
}

/// A list older than this is not fresh. Workers renew it every hour.
const FRESH_MS: i64 = 2 * 3_600_000;
/// The exchange's word that there is no such symbol is taken for so long.
const UNKNOWN_FOR_MS: i64 = 600_000;
/// What the exchange said of a symbol that it has is taken for so long, as far as the list says nothing.
const FOUND_FOR_MS: i64 = 86_400_000;
/// Verdicts that are read with one command.
const BATCH: usize = 500;

/// The markets of all exchanges.
#[derive(Debug, Clone)]
pub struct Markets {
    pub(super) markets: Collection<Document>,
    verdicts: Collection<Document>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) read: Cache<Exchange, Arc<StoredList>>,
    pub(super) first_opens: FirstOpens,
}

impl Markets {
    pub(crate) fn new(database: &Database, clock: Arc<dyn Clock>) -> Self {
        Self {
            markets: database.collection(MARKETS),
            verdicts: database.collection(VERDICTS),
            clock,
            read: Cache::builder().max_capacity(8).expire_after(Belief).build(),
            first_opens: FirstOpens::new(database),
        }
    }

    /// Creates the indexes that the collections need.
    pub(crate) async fn prepare(database: &Database) -> Result<(), StoreError> {
        index::create(database, VERDICTS, [index::expiry()], "creating the index by which old verdicts vanish").await
    }

    /// What is known of `symbol`.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn lookup(&self, exchange: Exchange, symbol: &Symbol) -> Result<MarketLookup, StoreError> {
        Ok(self.lookup_all(exchange, &[symbol]).await?.pop().unwrap_or(MarketLookup::NoList))
    }

    /// What is known of each of `symbols`, in their order.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn lookup_all(&self, exchange: Exchange, symbols: &[&Symbol]) -> Result<Vec<MarketLookup>, StoreError> {
        let list = self.list(exchange).await?;
        let ids: Vec<String> = symbols
            .iter()
            .filter(|symbol| list.market(symbol).is_none())
            .map(|symbol| market_id(exchange, symbol))
            .collect();
        let verdicts = self.verdicts(&ids).await?;
        let is_fresh = self.clock.now_ms() - list.updated_at() < FRESH_MS;
        let silence = if is_fresh { MarketLookup::Unknown } else { MarketLookup::NoList };
        let known = |symbol: &&Symbol| match list.market(symbol) {
            Some(market) => MarketLookup::Listed(market.clone()),
            None => verdicts.get(&market_id(exchange, symbol)).unwrap_or(&silence).clone(),
        };
        Ok(symbols.iter().map(known).collect())
    }

    async fn verdicts(&self, ids: &[String]) -> Result<HashMap<String, MarketLookup>, StoreError> {
        let (reading, now) = ("reading what the exchange said of a symbol", self.clock.now_ms());
        let mut verdicts = HashMap::new();
        for some in ids.chunks(BATCH) {
            let found = self.verdicts.find(doc! { "_id": { "$in": some } }).await;
            let mut found = found.map_err(StoreError::mongo(reading))?;
            while let Some(verdict) = found.try_next().await.map_err(StoreError::mongo_in(reading))? {
                if let Some((id, told)) = read_verdict(&verdict, now) {
                    verdicts.insert(id, told);
                }
            }
        }
        Ok(verdicts)
    }

    /// Keeps what the exchange said of this one market.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn remember_market(&self, exchange: Exchange, market: &Market) -> Result<(), StoreError> {
        let mut said = doc! { "status": &market.status };
        if let Some(Assets { base, quote }) = &market.assets {
            said.extend(doc! { "base": base, "quote": quote });
        }
        self.remember(exchange, &market.symbol, said, FOUND_FOR_MS).await
    }

    /// Keeps that the exchange said that it has no such symbol.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn remember_unknown(&self, exchange: Exchange, symbol: &Symbol) -> Result<(), StoreError> {
        self.remember(exchange, symbol, doc! { "status": null }, UNKNOWN_FOR_MS).await
    }

    async fn remember(
        &self,
        exchange: Exchange,
        symbol: &Symbol,
        said: Document,
        lasts_ms: i64,
    ) -> Result<(), StoreError> {
        let (id, now) = (market_id(exchange, symbol), self.clock.now_ms());
        let expires_at = DateTime::from_millis(now.saturating_add(lasts_ms));
        let mut verdict = doc! { "_id": &id, "asked_at": now, "expires_at": expires_at };
        verdict.extend(said);
        self.verdicts
            .replace_one(doc! { "_id": id }, verdict)
            .upsert(true)
            .await
            .map(drop)
            .map_err(StoreError::mongo("storing what the exchange said of a symbol"))
    }

    /// UTC ms of the last renewal of the list, 0 when there was none, and the exchange's own weight limit per minute.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn renewed(&self, exchange: Exchange) -> Result<(i64, Option<u32>), StoreError> {
        let list = self.list(exchange).await?;
        Ok((list.updated_at(), list.weight_limit()))
    }

    pub(super) async fn list(&self, exchange: Exchange) -> Result<Arc<StoredList>, StoreError> {
        let read = async {
            let found = self.markets.find_one(doc! { "_id": exchange.as_str() }).await?;
            Ok::<_, Error>(Arc::new(found.map_or_else(StoredList::default, |document| StoredList::read(&document))))
        };
        // Many who ask at once are answered by one reading.
        let list = self.read.try_get_with(exchange, read).await;
        list.map_err(|error| StoreError::mongo("reading the list of markets")((*error).clone()))
    }
}

/// `binance:BTCUSDT`.
fn market_id(exchange: Exchange, symbol: &Symbol) -> String {
    format!("{exchange}:{symbol}")
}

/// The id of a verdict and what it says; `None` when it has expired: MongoDB removes such ones once a minute.
fn read_verdict(verdict: &Document, now: i64) -> Option<(String, MarketLookup)> {
    let until = verdict.get_datetime("expires_at").ok()?.timestamp_millis();
    if until <= now {
        return None;
    }
    let id = verdict.get_str("_id").ok()?;
    let text = |name| verdict.get_str(name).ok().map(str::to_owned);
    let told = match text("status") {
        Some(status) => MarketLookup::Listed(Market {
            symbol: id.split_once(':')?.1.parse().ok()?,
            status,
            assets: text("base").zip(text("quote")).map(|(base, quote)| Assets { base, quote }),
        }),
        None => MarketLookup::Refused { asked_at: verdict.get_i64("asked_at").unwrap_or(0), until },
    };
    Some((id.to_owned(), told))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_of_this_and_of_earlier_versions() {
        let check = |said: Document, expected: Option<MarketLookup>| {
            let mut verdict =
                doc! { "_id": "binance:BTCUSDT", "asked_at": 5_i64, "expires_at": DateTime::from_millis(100) };
            verdict.extend(said);
            let read = |now| read_verdict(&verdict, now).map(|(_, told)| told);
            assert_eq!(read(99), expected, "{verdict}");
            assert_eq!(read(100), None, "{verdict} has expired");
        };
        let market = |assets| Market { symbol: "BTCUSDT".parse().unwrap(), status: "BREAK".to_owned(), assets };
        let assets = Assets { base: "BTC".to_owned(), quote: "USDT".to_owned() };
        check(
            doc! { "status": "BREAK", "base": "BTC", "quote": "USDT" },
            Some(MarketLookup::Listed(market(Some(assets)))),
        );
        check(doc! { "status": "BREAK" }, Some(MarketLookup::Listed(market(None))));
        check(doc! { "status": null }, Some(MarketLookup::Refused { asked_at: 5, until: 100 }));
    }
}
