//! `GET /api/v3/exchangeInfo`: the symbols that are held, in the shape of a recorded answer.

use super::error::Refusal;
use super::query::{Query, symbol};
use super::recorded_symbols::RecordedSymbols;
use crate::market::Visibility;
use crate::server::answer::Answer;
use crate::state::SimulatorState;
use candlemill_shared::{Clock, Symbol};
use serde_json::{Value, json};

/// Quote assets by which the name of an unrecorded symbol is split.
const QUOTE_ASSETS: [&str; 7] = ["USDT", "USDC", "FDUSD", "BUSD", "BTC", "ETH", "BNB"];

/// Answers one call.
pub(super) fn answer(state: &SimulatorState, query: &str) -> Answer {
    match symbols(state, query) {
        Ok(symbols) => Answer::json(
            200,
            &json!({
                "timezone": "UTC",
                "serverTime": state.exchange_clock.now_ms(),
                "rateLimits": [
                    limit("REQUEST_WEIGHT", "MINUTE", 1, state.weights.rules().limit),
                    limit("ORDERS", "SECOND", 10, 100),
                    limit("ORDERS", "DAY", 1, 200_000),
                    limit("RAW_REQUESTS", "MINUTE", 5, 300_000),
                ],
                "exchangeFilters": [],
                "symbols": symbols,
            }),
        ),
        Err(refusal) => refusal.answer(),
    }
}

fn limit(kind: &str, interval: &str, interval_num: u32, limit: u32) -> Value {
    json!({ "rateLimitType": kind, "interval": interval, "intervalNum": interval_num, "limit": limit })
}

fn symbols(state: &SimulatorState, query: &str) -> Result<Vec<Value>, Refusal> {
    let query = Query::parse(query)?;
    let one = query.optional("symbol")?.map(symbol).transpose()?;
    let many = query.optional("symbols")?.map(several).transpose()?;
    let status = query.optional("symbolStatus")?;
    let _permissions = query.optional("permissions")?;
    query.finish()?;
    if one.is_some() && many.is_some() || status.is_some() && (one.is_some() || many.is_some()) {
        return Err(Refusal::combination());
    }
    let asked: Option<Vec<Symbol>> = one.map(|symbol| vec![symbol]).or(many);
    let is_listed = |symbol: &Symbol| state.market.visibility(symbol) == Visibility::Listed;
    if asked.iter().flatten().any(|symbol| !is_listed(symbol)) {
        return Err(Refusal::invalid_symbol());
    }
    let held = state.market.symbols().into_iter();
    let recorded = state.recorded_symbols();
    Ok(held
        .filter(|(symbol, _)| is_listed(symbol))
        .filter(|(symbol, _)| asked.as_ref().is_none_or(|asked| asked.contains(symbol)))
        .filter(|(_, held)| status.is_none_or(|status| status == held))
        .map(|(symbol, status)| describe(recorded, &symbol, &status))
        .collect())
}

/// Reads `["A","B"]`.
fn several(text: &str) -> Result<Vec<Symbol>, Refusal> {
    let names: Vec<String> = serde_json::from_str(text).map_err(|_| {
        Refusal::illegal_characters("symbols", "^\\[(\"[A-Z0-9-_.]{1,20}\"(,\"[A-Z0-9-_.]{1,20}\"){0,}){0,1}\\]$")
    })?;
    names.iter().map(|name| symbol(name)).collect()
}

fn describe(recorded: &RecordedSymbols, symbol: &Symbol, status: &str) -> Value {
    let mut described = recorded.get(symbol.as_str()).cloned().unwrap_or_else(|| invented(symbol));
    described["status"] = status.into();
    // Newer answers carry sets of permissions beside the old list.
    described["permissionSets"] = json!([described["permissions"]]);
    described
}

fn invented(symbol: &Symbol) -> Value {
    let name = symbol.as_str();
    let quote = QUOTE_ASSETS.into_iter().find(|quote| name.len() > quote.len() && name.ends_with(quote));
    let (base, quote) = quote.map_or((name, "USDT"), |quote| (&name[..name.len() - quote.len()], quote));
    json!({
        "symbol": name,
        "status": "TRADING",
        "baseAsset": base,
        "baseAssetPrecision": 8,
        "quoteAsset": quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
        "icebergAllowed": true,
        "ocoAllowed": true,
        "quoteOrderQtyMarketAllowed": true,
        "isSpotTradingAllowed": true,
        "isMarginTradingAllowed": false,
        "filters": [
            { "filterType": "PRICE_FILTER", "minPrice": "0.01000000", "maxPrice": "1000000.00000000", "tickSize": "0.01000000" },
            { "filterType": "LOT_SIZE", "minQty": "0.00001000", "maxQty": "9000.00000000", "stepSize": "0.00001000" },
            { "filterType": "MIN_NOTIONAL", "minNotional": "10.00000000", "applyToMarket": true, "avgPriceMins": 5 },
        ],
        "permissions": ["SPOT"],
    })
}
