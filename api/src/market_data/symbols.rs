//! `GET /api/market-data/symbols`: the markets that the exchange lists, as workers keep them.

use crate::answer::Json;
use crate::caller::Admitted;
use crate::error::Problem;
use crate::input::Query;
use crate::state::Shared;
use axum::extract::State;
use candlemill_market_store::{Market, MarketPage, MarketSelection};
use candlemill_shared::forms::{FieldErrors, SymbolFilter, SymbolLimit, SymbolList, SymbolView};
use candlemill_shared::{Exchange, Timestamp};

const USUAL_LIMIT: u32 = 100;

/// List the exchange's symbols
///
/// Workers renew the list every hour. A symbol that it lacks may exist all the same: a fetch of it asks the exchange.
#[utoipa::path(
    get, path = "/api/market-data/symbols", operation_id = "list_symbols", tag = "market data", params(SymbolFilter),
    responses((status = 200, description = "A page of symbols", body = SymbolList)),
    security(("bearer" = []))
)]
pub async fn list_symbols(
    _: Admitted,
    State(state): State<Shared>,
    Query(filter): Query<SymbolFilter>,
) -> Result<Json<SymbolList>, Problem> {
    let (selection, exchange) = (read(filter)?, Exchange::default());
    let MarketPage { markets, more, listed_at } = state.market.markets().page(exchange, &selection).await?;
    let next_cursor = markets.last().filter(|_| more).map(|(last, _)| last.symbol.clone());
    let symbols = markets.into_iter().map(|(market, first_open)| view(market, first_open)).collect();
    Ok(Json(SymbolList { exchange, listed_at: listed_at.map(Timestamp::from), symbols, next_cursor }))
}

/// `first_open`: open time of the first candle, UTC ms.
fn view(market: Market, first_open: Option<i64>) -> SymbolView {
    let Market { symbol, status, assets } = market;
    let (base, quote) = assets.map(|assets| (assets.base, assets.quote)).unzip();
    SymbolView { symbol, base, quote, status, first_open: first_open.map(Timestamp::from) }
}

fn read(filter: SymbolFilter) -> Result<MarketSelection, Problem> {
    let mut wrong = FieldErrors::default();
    let SymbolFilter { prefix, base, quote, status, cursor, limit } = filter;
    let selection = MarketSelection {
        prefix: wrong.optional("prefix", prefix),
        base: wrong.optional("base", base).map(String::from),
        quote: wrong.optional("quote", quote).map(String::from),
        status,
        after: wrong.optional("cursor", cursor),
        limit: wrong.optional("limit", limit).map_or(USUAL_LIMIT, SymbolLimit::get),
    };
    if wrong.is_empty() { Ok(selection) } else { Err(Problem::of_fields(wrong)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn check(query: Value, expected: Result<u32, &[&str]>) {
        let read = read(serde_json::from_value(query.clone()).unwrap());
        let got = read.map(|selection| selection.limit).map_err(|problem| problem.refused());
        assert_eq!(got, expected.map_err(|fields| fields.iter().map(|field| (*field).to_owned()).collect()), "{query}");
    }

    #[test]
    fn queries() {
        check(json!({}), Ok(100));
        let all = json!({"prefix": "btc", "base": "BTC", "quote": "usdt", "status": "trading", "cursor": "BTCEUR", "limit": "1000"});
        check(all, Ok(1_000));
        let wrong = json!({"prefix": "", "base": "$ne", "quote": "A B", "cursor": "B/C", "limit": "1001"});
        check(wrong, Err(&["prefix", "base", "quote", "cursor", "limit"]));
        check(json!({"limit": "0"}), Err(&["limit"]));
    }
}
