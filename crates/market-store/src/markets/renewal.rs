//! When a new list of an exchange's markets is believed.
//!
//! During the outage of 2021-04-25 Binance's list held one made-up pair for a while. So a list that lacks many of the
//! markets known before takes their place only when the exchange still gives it [`CONFIRMED_AFTER_MS`] later.

use super::collection::Markets;
use super::stored_list::{Market, StoredList};
use candlemill_db::StoreError;
use candlemill_shared::Exchange;
use mongodb::bson::{Document, doc};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A doubted list is believed when the exchange gives the same one again so much later, ms.
const CONFIRMED_AFTER_MS: i64 = 60_000;

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
        let known = known.map_or_else(StoredList::default, |document| StoredList::read(&document));
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
                    known: known.markets.len(),
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
        let list: Vec<Document> = markets.iter().map(Market::entry).collect();
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
        self.read.insert(exchange, Arc::new(StoredList::read(&document))).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_list_in_another_order_has_the_same_digest() {
        let of = |names: &[&'static str]| digest(&names.iter().copied().collect());
        assert_eq!(of(&["A", "币B"]), of(&["币B", "A"]));
        assert_ne!(of(&["AB"]), of(&["A", "B"]));
    }
}
