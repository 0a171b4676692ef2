//! Pages of an exchange's list.

use super::collection::Markets;
use super::stored_list::{Market, StoredList};
use crate::series::Series;
use candlemill_db::StoreError;
use candlemill_shared::tier::MAX_BATCH_FETCHES;
use candlemill_shared::{Exchange, Interval, Symbol};
use futures::TryStreamExt;
use std::collections::{HashMap, HashSet};
use std::ops::Bound;
use std::pin::pin;

/// Which markets of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MarketSelection {
    /// Only those whose symbol begins so.
    pub prefix: Option<Symbol>,
    /// Only those of this base asset, in capitals or not.
    pub base: Option<String>,
    /// Only those of this quote asset, in capitals or not.
    pub quote: Option<String>,
    /// Only those in this status, in capitals or not.
    pub status: Option<String>,
    /// Only those after this one.
    pub after: Option<Symbol>,
    /// At most this many.
    pub limit: u32,
}

/// Some markets of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MarketPage {
    /// Ascending by symbol; each with the open time of its first candle, UTC ms, where that is known.
    pub markets: Vec<(Market, Option<i64>)>,
    /// Whether others lie after them.
    pub more: bool,
    /// When the list was last renewed, UTC ms; `None`: there is none.
    pub listed_at: Option<i64>,
}

impl Markets {
    /// Markets of the list of `exchange`.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn page(&self, exchange: Exchange, selection: &MarketSelection) -> Result<MarketPage, StoreError> {
        let list = self.list(exchange).await?;
        let (markets, more) = select(&list, selection);
        let symbols: Vec<&Symbol> = markets.iter().map(|market| &market.symbol).collect();
        let known = self.first_opens_of(exchange, &symbols).await?;
        let first_open = |market: &Market| known.get(&market.symbol).map(|(_, first_open)| *first_open);
        let markets = markets.into_iter().map(|market| (market.clone(), first_open(market))).collect();
        Ok(MarketPage { markets, more, listed_at: Some(list.updated_at()).filter(|at| *at > 0) })
    }

    /// The symbols of `exchange` that trade against the asset `quote`, ascending; of more than a batch may hold one more, so that it is
    /// refused and not cut. `None`: there is no list.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn trading_against(&self, exchange: Exchange, quote: &str) -> Result<Option<Vec<Symbol>>, StoreError> {
        let list = self.list(exchange).await?;
        let limit = u32::try_from(MAX_BATCH_FETCHES).unwrap_or(u32::MAX).saturating_add(1);
        let selection = MarketSelection {
            quote: Some(quote.to_owned()),
            status: Some("TRADING".to_owned()),
            limit,
            ..MarketSelection::default()
        };
        let (markets, _) = select(&list, &selection);
        let found = markets.into_iter().map(|market| market.symbol.clone()).collect();
        Ok((list.updated_at() > 0).then_some(found))
    }

    /// The first open time of each of `symbols`, of the shortest interval of which it is known: a month opens long before the first
    /// trade. All listings from the first symbol to the last are read, at most 16 of each: to ask for as many ids costs more.
    async fn first_opens_of(
        &self,
        exchange: Exchange,
        symbols: &[&Symbol],
    ) -> Result<HashMap<Symbol, (Interval, i64)>, StoreError> {
        let bounds = |end: char| symbols.iter().map(move |symbol| format!("{exchange}:{symbol}{end}"));
        let (Some(first), Some(end)) = (bounds(':').min(), bounds(';').max()) else { return Ok(HashMap::new()) };
        let mut listings = pin!(self.first_opens.read_between(&first, &end).await?);
        let (wanted, mut known) = (symbols.iter().copied().collect::<HashSet<_>>(), HashMap::new());
        while let Some((id, first_open)) = listings.try_next().await? {
            let Some(Series { symbol, interval, .. }) = Series::named(&id) else { continue };
            if wanted.contains(&symbol) {
                let told = known.entry(symbol).or_insert((interval, first_open));
                *told = (*told).min((interval, first_open));
            }
        }
        Ok(known)
    }
}

/// The markets that fit, at most as many as are wanted, and whether there are more.
fn select<'a>(list: &'a StoredList, selection: &MarketSelection) -> (Vec<&'a Market>, bool) {
    let MarketSelection { prefix, base, quote, status, after, limit } = selection;
    let start = match (prefix, after) {
        (Some(prefix), Some(after)) if prefix > after => Bound::Included(prefix),
        (_, Some(after)) => Bound::Excluded(after),
        (Some(prefix), None) => Bound::Included(prefix),
        (None, None) => Bound::Unbounded,
    };
    let is = |wanted: &Option<String>, told: Option<&str>| {
        wanted.as_ref().is_none_or(|wanted| told.is_some_and(|told| told.eq_ignore_ascii_case(wanted)))
    };
    let fits = |market: &&Market| {
        let assets = market.assets.as_ref();
        is(base, assets.map(|assets| assets.base.as_str()))
            && is(quote, assets.map(|assets| assets.quote.as_str()))
            && is(status, Some(&market.status))
    };
    let begins = |symbol: &Symbol| prefix.as_ref().is_none_or(|prefix| symbol.as_str().starts_with(prefix.as_str()));
    let from_start = list.markets.range((start, Bound::Unbounded)).take_while(|(symbol, _)| begins(symbol));
    let mut found = from_start.map(|(_, market)| market).filter(fits);
    let page = found.by_ref().take(*limit as usize).collect();
    (page, found.next().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use candlemill_shared::Assets;

    const ALL: [(&str, &str, &str, &str); 6] = [
        ("ETHBTC", "ETH", "BTC", "TRADING"),
        ("BTCUSDT", "BTC", "USDT", "TRADING"),
        ("BTCEUR", "BTC", "EUR", "BREAK"),
        ("币安人生USDT", "币安人生", "USDT", "TRADING"),
        ("BTC", "", "", "HALT"),
        ("ETHUSDT", "ETH", "USDT", "TRADING"),
    ];

    fn list() -> StoredList {
        let market = |(symbol, base, quote, status): (&str, &str, &str, &str)| {
            let assets = (!base.is_empty()).then(|| Assets { base: base.to_owned(), quote: quote.to_owned() });
            let symbol: Symbol = symbol.parse().unwrap();
            (symbol.clone(), Market { symbol, status: status.to_owned(), assets })
        };
        let mut list = StoredList::default();
        list.markets = ALL.into_iter().map(market).collect();
        list
    }

    fn check(selection: MarketSelection, expected: &[&str], more: bool) {
        let list = list();
        let (found, rest) = select(&list, &selection);
        let found: Vec<&str> = found.iter().map(|market| market.symbol.as_str()).collect();
        assert_eq!((found.as_slice(), rest), (expected, more), "{selection:?}");
    }

    #[test]
    fn selections() {
        let all = MarketSelection { limit: 10, ..MarketSelection::default() };
        let symbol = |text: &str| Some(text.parse().unwrap());
        let text = |text: &str| Some(text.to_owned());
        check(all.clone(), &["BTC", "BTCEUR", "BTCUSDT", "ETHBTC", "ETHUSDT", "币安人生USDT"], false);
        check(MarketSelection { limit: 2, ..all.clone() }, &["BTC", "BTCEUR"], true);
        check(
            MarketSelection { limit: 6, ..all.clone() },
            &["BTC", "BTCEUR", "BTCUSDT", "ETHBTC", "ETHUSDT", "币安人生USDT"],
            false,
        );
        check(MarketSelection { after: symbol("ETHBTC"), ..all.clone() }, &["ETHUSDT", "币安人生USDT"], false);
        check(MarketSelection { after: symbol("BTCA"), limit: 1, ..all.clone() }, &["BTCEUR"], true);
        check(MarketSelection { prefix: symbol("btc"), ..all.clone() }, &["BTC", "BTCEUR", "BTCUSDT"], false);
        let after = |after: &str| MarketSelection { prefix: symbol("BTC"), after: symbol(after), ..all.clone() };
        check(after("BTC"), &["BTCEUR", "BTCUSDT"], false);
        check(after("AAA"), &["BTC", "BTCEUR", "BTCUSDT"], false);
        check(after("ETHBTC"), &[], false);
        check(MarketSelection { base: text("eth"), ..all.clone() }, &["ETHBTC", "ETHUSDT"], false);
        check(MarketSelection { quote: text("USDT"), limit: 2, ..all.clone() }, &["BTCUSDT", "ETHUSDT"], true);
        check(MarketSelection { status: text("break"), ..all.clone() }, &["BTCEUR"], false);
        let both = MarketSelection { base: text("BTC"), status: text("TRADING"), ..all.clone() };
        check(both, &["BTCUSDT"], false);
        check(MarketSelection { quote: text("$ne"), ..all }, &[], false);
    }
}
