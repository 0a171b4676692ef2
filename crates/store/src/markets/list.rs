//! The list of an exchange's markets, and when a new one is believed.
//!
//! During the outage of 2021-04-25 Binance's list held one made-up pair for a while. So a list that lacks many of the
//! markets known before takes their place only when the exchange still gives it [`CONFIRMED_AFTER_MS`] later.

use super::{Market, Markets};
use crate::error::StoreError;
use candlemill_shared::Exchange;
use moka::Expiry;
use mongodb::bson::{Document, doc};
use sha2::{Digest, Sha256};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A list that lacks more than one in so many known markets is doubted.
const DOUBTED_SHARE: usize = 10;
/// A doubted list is believed when the exchange gives the same one again so much later, ms.
const CONFIRMED_AFTER_MS: i64 = 60_000;
/// How long a process believes the list it read.
const REREAD: Duration = Duration::from_secs(60);
/// How long it believes that there is none: the first worker is about to bring one.
const REREAD_NONE: Duration = Duration::from_millis(250);

/// What became of a new list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListRenewal {
    /// It is the list now.
    Replaced,
    /// It is not believed yet; the list before stays.
    Doubted {
        /// Markets of the list before.
        known: usize,
        /// Those of them that the new list lacks.
        missing: usize,
        /// Markets of the new list.
        found: usize,
        /// When the exchange gave this list first, UTC ms.
        seen_at: i64,
        /// When the same list is believed, UTC ms.
        confirmed_from: i64,
    },
}

/// A list as it is stored.
#[derive(Debug, Default)]
pub(super) struct List {
    updated_at: i64,
    weight_limit: Option<u32>,
    statuses: HashMap<String, String>,
    doubt: Option<Doubt>,
}

/// A list that is not believed yet.
#[derive(Debug)]
struct Doubt {
    digest: String,
    seen_at: i64,
}

/// Tells the cache how long a list is believed.
pub(super) struct Belief;

impl Expiry<Exchange, Arc<List>> for Belief {
    fn expire_after_create(&self, _: &Exchange, list: &Arc<List>, _: Instant) -> Option<Duration> {
        Some(if list.updated_at > 0 { REREAD } else { REREAD_NONE })
    }
}

impl List {
    pub(super) fn read(document: &Document) -> Self {
        let markets = document.get_array("markets").map(Vec::as_slice).unwrap_or_default();
        let pair = |market: &Document| {
            Some((market.get_str("s").ok()?.to_owned(), market.get_str("st").unwrap_or_default().to_owned()))
        };
        let doubt = |doubt: &Document| {
            Some(Doubt { digest: doubt.get_str("digest").ok()?.to_owned(), seen_at: doubt.get_i64("seen_at").ok()? })
        };
        Self {
            updated_at: document.get_i64("updated_at").unwrap_or(0),
            weight_limit: document.get_i64("weight_limit").ok().and_then(|limit| u32::try_from(limit).ok()),
            statuses: markets.iter().filter_map(|market| market.as_document().and_then(pair)).collect(),
            doubt: document.get_document("doubt").ok().and_then(doubt),
        }
    }

    pub(super) const fn updated_at(&self) -> i64 {
        self.updated_at
    }

    pub(super) const fn weight_limit(&self) -> Option<u32> {
        self.weight_limit
    }

    pub(super) fn status(&self, symbol: &str) -> Option<&str> {
        self.statuses.get(symbol).map(String::as_str)
    }

    /// Known markets that `names` lacks.
    fn missing(&self, names: &BTreeSet<&str>) -> usize {
        self.statuses.keys().filter(|known| !names.contains(known.as_str())).count()
    }

    /// Whether a list of `names` may be one of the exchange's mistakes.
    fn doubts(&self, names: &BTreeSet<&str>) -> bool {
        names.is_empty() || self.missing(names) * DOUBTED_SHARE > self.statuses.len()
    }
}

/// Equal for lists of the same markets, whatever their order and status: that may change within a minute.
fn digest(names: &BTreeSet<&str>) -> String {
    let mut digest = Sha256::new();
    for name in names {
        digest.update(name);
        digest.update("\n");
    }
    hex::encode(digest.finalize())
}

impl Markets {
    /// Takes `markets`, as the exchange lists them now, for the list of `exchange`; unless it is empty or lacks more than a
    /// tenth of the markets known before. Such a list is taken when it comes again at least a minute later.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn renew(
        &self,
        exchange: Exchange,
        markets: &[Market],
        weight_limit: Option<u32>,
    ) -> Result<ListRenewal, StoreError> {
        let reading = StoreError::mongo("reading the list of markets");
        let id = doc! { "_id": exchange.as_str() };
        // Not the copy of this process: another leader may have seen the same list.
        let known = self.markets.find_one(id.clone()).await.map_err(reading)?;
        let known = known.map_or_else(List::default, |document| List::read(&document));
        let names: BTreeSet<&str> = markets.iter().map(|market| market.symbol.as_str()).collect();
        if known.doubts(&names) {
            let (digest, now) = (digest(&names), self.clock.now_ms());
            let seen_before = known.doubt.as_ref().filter(|doubt| doubt.digest == digest).map(|doubt| doubt.seen_at);
            let seen_at = seen_before.unwrap_or(now).min(now);
            if now - seen_at < CONFIRMED_AFTER_MS {
                let doubt = doc! { "doubt": { "digest": digest, "seen_at": seen_at } };
                self.markets
                    .update_one(id, doc! { "$set": doubt })
                    .upsert(true)
                    .await
                    .map_err(StoreError::mongo("storing a doubt about the list of markets"))?;
                return Ok(ListRenewal::Doubted {
                    known: known.statuses.len(),
                    missing: known.missing(&names),
                    found: names.len(),
                    seen_at,
                    confirmed_from: seen_at.saturating_add(CONFIRMED_AFTER_MS),
                });
            }
        }
        self.replace(exchange, markets, weight_limit).await?;
        Ok(ListRenewal::Replaced)
    }

    /// One document: a few thousand markets stay far below MongoDB's 16 MiB.
    async fn replace(
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
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(known: usize, missing: usize, more: usize, expected: bool) {
        let name = |number: usize| format!("币{number}USDT");
        let list = List { statuses: (0..known).map(|n| (name(n), "TRADING".to_owned())).collect(), ..List::default() };
        let names: Vec<String> = (missing..known + more).map(name).collect();
        let names: BTreeSet<&str> = names.iter().map(String::as_str).collect();
        assert_eq!(list.doubts(&names), expected, "{known} known, {missing} missing, {more} more");
    }

    #[test]
    fn lists_that_are_doubted() {
        check(0, 0, 0, true);
        check(0, 0, 1, false);
        check(100, 0, 0, false);
        check(100, 10, 0, false);
        check(100, 11, 0, true);
        check(100, 100, 1, true);
        // As long as before, but made up.
        check(100, 100, 100, true);
        check(9, 1, 0, true);
        check(10, 1, 5, false);
    }

    #[test]
    fn the_same_list_in_another_order_has_the_same_digest() {
        let of = |names: &[&'static str]| digest(&names.iter().copied().collect());
        assert_eq!(of(&["A", "币B"]), of(&["币B", "A"]));
        assert_ne!(of(&["AB"]), of(&["A", "B"]));
    }
}
