//! `GET /api/market-data/series`: which series are stored, from when to when, and how far behind they are.

use crate::answer::Json;
use crate::caller::Admitted;
use crate::error::Problem;
use crate::input::Query;
use crate::state::Shared;
use axum::extract::State;
use candlemill_market_store::{MarketLookup, Series, SeriesPage, SeriesSelection, SeriesSummary};
use candlemill_shared::forms::{FieldErrors, PageLimit, SeriesCursor, SeriesFilter, SeriesList, SeriesView};
use candlemill_shared::{Exchange, Symbol, Timestamp};
use std::collections::HashSet;

const USUAL_LIMIT: u32 = 50;

/// List the stored series
///
/// In a fixed order, page by page; a series that is new meanwhile takes its place in that order.
#[utoipa::path(
    get, path = "/api/market-data/series", operation_id = "list_series", tag = "market data", params(SeriesFilter),
    responses((status = 200, description = "A page of series", body = SeriesList)),
    security(("bearer" = []))
)]
pub async fn list_series(
    _: Admitted,
    State(state): State<Shared>,
    Query(filter): Query<SeriesFilter>,
) -> Result<Json<SeriesList>, Problem> {
    let selection = read(filter)?;
    let (ledger, markets) = (state.market.coverage(), state.market.markets());
    let SeriesPage { series, more } = ledger.series(&selection).await?;
    let mut symbols: Vec<&Symbol> = series.iter().map(|one| &one.symbol).collect();
    symbols.dedup();
    let known = markets.lookup_all(selection.exchange, &symbols).await?;
    let stopped: HashSet<&Symbol> =
        symbols.into_iter().zip(&known).filter(|(_, market)| is_stopped(market)).map(|(symbol, _)| symbol).collect();
    let (summaries, now) = (ledger.summaries(&series).await?, state.clock.now_ms());
    let expected_by = |one: &Series| (!stopped.contains(&one.symbol)).then_some(now);
    let views = series.iter().zip(&summaries).map(|(one, summary)| view(one, summary, expected_by(one))).collect();
    let next_cursor = series.last().filter(|_| more).map(|last| SeriesCursor {
        exchange: last.exchange,
        symbol: last.symbol.clone(),
        interval: last.interval,
    });
    Ok(Json(SeriesList { series: views, next_cursor }))
}

/// Whether the market is known not to trade any more. That a list lacks it proves nothing.
fn is_stopped(market: &MarketLookup) -> bool {
    match market {
        MarketLookup::Listed(market) => !market.is_trading(),
        MarketLookup::Refused { .. } => true,
        MarketLookup::Unknown | MarketLookup::NoList => false,
    }
}

/// `now` (UTC ms): by when candles are expected; `None` where there are to be no more.
fn view(series: &Series, summary: &SeriesSummary, now: Option<i64>) -> SeriesView {
    let Series { exchange, symbol, interval } = series;
    let closed = summary.last.map(|last| interval.next_bucket(last));
    let lag = now.zip(closed).map(|(now, closed)| now.saturating_sub(closed).max(0) / 1_000);
    SeriesView {
        exchange: *exchange,
        symbol: symbol.clone(),
        interval: *interval,
        first: summary.first.map(Timestamp::from),
        last: summary.last.map(Timestamp::from),
        count: summary.count,
        gaps: summary.gaps,
        absent_buckets: summary.absent_buckets,
        verified_until: summary.verified_until.map(Timestamp::from),
        lag_seconds: lag.and_then(|seconds| u64::try_from(seconds).ok()),
    }
}

fn read(filter: SeriesFilter) -> Result<SeriesSelection, Problem> {
    let mut wrong = FieldErrors::default();
    let SeriesFilter { symbol, interval, cursor, limit } = filter;
    let after = |cursor: SeriesCursor| Series::new(cursor.exchange, cursor.symbol, cursor.interval);
    let selection = SeriesSelection {
        exchange: Exchange::default(),
        symbol: wrong.optional("symbol", symbol),
        interval: wrong.optional("interval", interval),
        after: wrong.optional("cursor", cursor).map(after),
        limit: wrong.optional("limit", limit).map_or(USUAL_LIMIT, PageLimit::get),
    };
    if wrong.is_empty() { Ok(selection) } else { Err(Problem::of_fields(wrong)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candlemill_market_store::Market;
    use candlemill_shared::Interval;
    use serde_json::{Value, json};

    fn check(query: Value, expected: Result<u32, &[&str]>) {
        let read = read(serde_json::from_value(query.clone()).unwrap());
        let got = read.map(|selection| selection.limit).map_err(|problem| problem.refused());
        assert_eq!(got, expected.map_err(|fields| fields.iter().map(|field| (*field).to_owned()).collect()), "{query}");
    }

    #[test]
    fn queries() {
        check(json!({}), Ok(50));
        check(json!({"symbol": "btcusdt", "interval": "1M", "limit": "200", "cursor": "binance:BTCUSDT:1m"}), Ok(200));
        let wrong = json!({"symbol": "$where", "interval": "1H", "cursor": "BTCUSDT", "limit": "201"});
        check(wrong, Err(&["symbol", "interval", "cursor", "limit"]));
        check(json!({"limit": "0"}), Err(&["limit"]));
    }

    #[test]
    fn lags() {
        const MINUTE: i64 = 60_000;
        let series = Series::new(Exchange::Binance, "BTCUSDT".parse().unwrap(), Interval::Minute1);
        let check = |last: Option<i64>, now: Option<i64>, expected: Option<u64>| {
            let summary = SeriesSummary { last, ..SeriesSummary::default() };
            assert_eq!(view(&series, &summary, now).lag_seconds, expected, "{last:?} {now:?}");
        };
        check(Some(5 * MINUTE), Some(6 * MINUTE), Some(0));
        check(Some(5 * MINUTE), Some(6 * MINUTE + 1_999), Some(1));
        check(Some(5 * MINUTE), Some(5 * MINUTE), Some(0));
        check(Some(5 * MINUTE), None, None);
        check(None, Some(5 * MINUTE), None);
    }

    #[test]
    fn markets_that_trade_no_more() {
        let listed = |status: &str| {
            let symbol = "BTCUSDT".parse().unwrap();
            MarketLookup::Listed(Market { symbol, status: status.to_owned(), assets: None })
        };
        assert!(is_stopped(&listed("BREAK")) && is_stopped(&MarketLookup::Refused { asked_at: 0, until: 1 }));
        for market in [listed("TRADING"), MarketLookup::Unknown, MarketLookup::NoList] {
            assert!(!is_stopped(&market), "{market:?}");
        }
    }
}
