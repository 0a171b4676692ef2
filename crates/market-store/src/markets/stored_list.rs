//! The list of an exchange's markets as it is stored, and what it makes of another one.

use candlemill_shared::{Assets, Exchange, Symbol};
use moka::Expiry;
use mongodb::bson::{Document, doc};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A list that lacks more than one in so many known markets is doubted.
const DOUBTED_SHARE: usize = 10;
/// How long a process believes the list it read.
const REREAD: Duration = Duration::from_secs(60);
/// How long it believes that there is none: the first worker is about to bring one.
const REREAD_NONE: Duration = Duration::from_millis(250);

/// One market as its exchange lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Market {
    /// The pair.
    pub symbol: Symbol,
    /// The exchange's word: `TRADING`, `HALT`, `BREAK`, …
    pub status: String,
    /// What is traded for what; `None` where that was not kept: by versions before this one, and of a symbol that the
    /// exchange does not list any more.
    pub assets: Option<Assets>,
}

/// The exchange's word for a market that trades.
const TRADING: &str = "TRADING";

impl Market {
    /// Whether it trades.
    #[must_use]
    pub fn is_trading(&self) -> bool {
        self.status == TRADING
    }

    /// One entry of a stored list. Its names are short: there are thousands in one document.
    pub(super) fn entry(&self) -> Document {
        let mut entry = doc! { "s": self.symbol.as_str(), "st": self.status.as_str() };
        if let Some(Assets { base, quote }) = &self.assets {
            entry.extend(doc! { "b": base, "q": quote });
        }
        entry
    }

    fn of_entry(entry: &Document) -> Option<Self> {
        let text = |name| entry.get_str(name).ok().map(str::to_owned);
        Some(Self {
            symbol: entry.get_str("s").ok()?.parse().ok()?,
            status: text("st").unwrap_or_default(),
            assets: text("b").zip(text("q")).map(|(base, quote)| Assets { base, quote }),
        })
    }
}

/// A list as it is stored.
#[derive(Debug, Default)]
pub(super) struct StoredList {
    updated_at: i64,
    weight_limit: Option<u32>,
    pub(super) markets: BTreeMap<Symbol, Market>,
    pub(super) doubt: Option<Doubt>,
}

/// A list that is not believed yet.
#[derive(Debug)]
pub(super) struct Doubt {
    pub(super) digest: String,
    pub(super) seen_at: i64,
}

/// Tells the cache how long a list is believed.
pub(super) struct Belief;

impl Expiry<Exchange, Arc<StoredList>> for Belief {
    fn expire_after_create(&self, _: &Exchange, list: &Arc<StoredList>, _: Instant) -> Option<Duration> {
        Some(if list.updated_at > 0 { REREAD } else { REREAD_NONE })
    }
}

impl StoredList {
    pub(super) fn read(document: &Document) -> Self {
        let entries = document.get_array("markets").map(Vec::as_slice).unwrap_or_default();
        let markets = entries.iter().filter_map(|entry| entry.as_document().and_then(Market::of_entry));
        let doubt = |doubt: &Document| {
            Some(Doubt { digest: doubt.get_str("digest").ok()?.to_owned(), seen_at: doubt.get_i64("seen_at").ok()? })
        };
        Self {
            updated_at: document.get_i64("updated_at").unwrap_or(0),
            weight_limit: document.get_i64("weight_limit").ok().and_then(|limit| u32::try_from(limit).ok()),
            markets: markets.map(|market| (market.symbol.clone(), market)).collect(),
            doubt: document.get_document("doubt").ok().and_then(doubt),
        }
    }

    pub(super) const fn updated_at(&self) -> i64 {
        self.updated_at
    }

    pub(super) const fn weight_limit(&self) -> Option<u32> {
        self.weight_limit
    }

    pub(super) fn market(&self, symbol: &Symbol) -> Option<&Market> {
        self.markets.get(symbol)
    }

    /// Known markets that `names` lacks.
    pub(super) fn missing(&self, names: &BTreeSet<&str>) -> usize {
        self.markets.keys().filter(|known| !names.contains(known.as_str())).count()
    }

    /// Whether a list of `names` may be one of the exchange's mistakes.
    pub(super) fn doubts(&self, names: &BTreeSet<&str>) -> bool {
        names.is_empty() || self.missing(names) * DOUBTED_SHARE > self.markets.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(known: usize, missing: usize, more: usize, expected: bool) {
        let name = |number: usize| format!("币{number}USDT");
        let market = |number: usize| {
            let market = Market { symbol: name(number).parse().unwrap(), status: "TRADING".to_owned(), assets: None };
            (market.symbol.clone(), market)
        };
        let list = StoredList { markets: (0..known).map(market).collect(), ..StoredList::default() };
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
    fn lists_with_and_without_assets_are_read() {
        let btcusdt = Market {
            symbol: "BTCUSDT".parse().unwrap(),
            status: "TRADING".to_owned(),
            assets: Some(Assets { base: "BTC".to_owned(), quote: "USDT".to_owned() }),
        };
        assert_eq!(btcusdt.entry(), doc! { "s": "BTCUSDT", "st": "TRADING", "b": "BTC", "q": "USDT" });
        // As earlier versions stored it.
        let earlier = doc! {
            "_id": "binance",
            "updated_at": 1_577_836_800_000_i64,
            "weight_limit": 6_000_i64,
            "markets": [{ "s": "BTCUSDT", "st": "TRADING" }, { "s": "币安人生USDT", "st": "BREAK" }],
        };
        let list = StoredList::read(&earlier);
        assert_eq!((list.updated_at(), list.weight_limit(), list.markets.len()), (1_577_836_800_000, Some(6_000), 2));
        assert_eq!(list.market(&btcusdt.symbol), Some(&Market { assets: None, ..btcusdt.clone() }));
        let now = StoredList::read(&doc! { "markets": [btcusdt.entry(), { "s": "ETHBTC", "st": "HALT" }] });
        assert_eq!(now.market(&btcusdt.symbol), Some(&btcusdt));
        assert_eq!(now.market(&"ETHBTC".parse().unwrap()).unwrap().assets, None);
    }
}
