//! The list of an exchange's markets as it is stored, and what it makes of another one.

use candlemill_shared::{Exchange, Symbol};
use moka::Expiry;
use mongodb::bson::Document;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A list that lacks more than one in so many known markets is doubted.
const DOUBTED_SHARE: usize = 10;
/// How long a process believes the list it read.
const REREAD: Duration = Duration::from_secs(60);
/// How long it believes that there is none: the first worker is about to bring one.
const REREAD_NONE: Duration = Duration::from_millis(250);

/// One market as its exchange lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Market {
    /// The pair.
    pub symbol: Symbol,
    /// The exchange's word: `TRADING`, `HALT`, `BREAK`, …
    pub status: String,
}

/// A list as it is stored.
#[derive(Debug, Default)]
pub(super) struct StoredList {
    updated_at: i64,
    weight_limit: Option<u32>,
    pub(super) statuses: HashMap<String, String>,
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
    pub(super) fn missing(&self, names: &BTreeSet<&str>) -> usize {
        self.statuses.keys().filter(|known| !names.contains(known.as_str())).count()
    }

    /// Whether a list of `names` may be one of the exchange's mistakes.
    pub(super) fn doubts(&self, names: &BTreeSet<&str>) -> bool {
        names.is_empty() || self.missing(names) * DOUBTED_SHARE > self.statuses.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(known: usize, missing: usize, more: usize, expected: bool) {
        let name = |number: usize| format!("币{number}USDT");
        let list = StoredList {
            statuses: (0..known).map(|n| (name(n), "TRADING".to_owned())).collect(),
            ..StoredList::default()
        };
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
}
