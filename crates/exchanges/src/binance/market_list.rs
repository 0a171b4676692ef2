//! `exchangeInfo` and `time`.

use crate::market::{Market, MarketStatus, Markets};
use candlemill_shared::Assets;
use serde::Deserialize;
use serde::de::Error;
use std::borrow::Cow;
use std::ops::Range;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExchangeInfo<'a> {
    #[serde(borrow, default)]
    rate_limits: Vec<RateLimit<'a>>,
    #[serde(borrow)]
    symbols: Vec<SymbolInfo<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RateLimit<'a> {
    #[serde(borrow)]
    rate_limit_type: Cow<'a, str>,
    #[serde(borrow)]
    interval: Cow<'a, str>,
    interval_num: u32,
    limit: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SymbolInfo<'a> {
    #[serde(borrow)]
    symbol: Cow<'a, str>,
    #[serde(borrow)]
    status: Cow<'a, str>,
    base_asset: String,
    quote_asset: String,
}

/// Reads the body of an `exchangeInfo` answer; unknown fields are left out.
pub(super) fn parse_markets(body: &[u8]) -> Result<Markets, serde_json::Error> {
    let info: ExchangeInfo<'_> = serde_json::from_slice(body)?;
    let weight_per_minute = info
        .rate_limits
        .iter()
        .find(|limit| {
            limit.rate_limit_type == "REQUEST_WEIGHT" && limit.interval == "MINUTE" && limit.interval_num == 1
        })
        .map(|limit| limit.limit);
    let listed = info.symbols.len();
    let markets: Vec<Market> = info
        .symbols
        .into_iter()
        .filter_map(|info| {
            let assets = Assets { base: info.base_asset, quote: info.quote_asset };
            Some(Market { symbol: info.symbol.parse().ok()?, status: MarketStatus::of(&info.status), assets })
        })
        .collect();
    Ok(Markets { weight_per_minute, skipped: listed - markets.len(), markets })
}

/// 2017-01-01, before the exchange began, to 2100-01-01, UTC ms. Times in another unit lie outside.
const PLAUSIBLE_TIMES: Range<i64> = 1_483_228_800_000..4_102_444_800_000;

/// Reads the body of a `time` answer: UTC ms.
pub(super) fn parse_time(body: &[u8]) -> Result<i64, serde_json::Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Time {
        server_time: i64,
    }
    let time = serde_json::from_slice::<Time>(body)?.server_time;
    if PLAUSIBLE_TIMES.contains(&time) {
        Ok(time)
    } else {
        Err(serde_json::Error::custom(format_args!("{time} is no time in ms between 2017 and 2100")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markets_and_the_weight_limit() {
        let body = r#"{"timezone":"UTC","serverTime":1,"rateLimits":[
            {"rateLimitType":"ORDERS","interval":"MINUTE","intervalNum":1,"limit":7},
            {"rateLimitType":"REQUEST_WEIGHT","interval":"MINUTE","intervalNum":1,"limit":6000}],"exchangeFilters":[],
            "symbols":[
            {"symbol":"ETHBTC","status":"TRADING","baseAsset":"ETH","quoteAsset":"BTC","filters":[{"x":[1,{"y":"z"}]}]},
            {"symbol":"BCCBTC","status":"BREAK","baseAsset":"BCC","quoteAsset":"BTC"},
            {"symbol":"测试USDT","status":"TRADING","baseAsset":"测试","quoteAsset":"USDT"},
            {"symbol":"A B","status":"TRADING","baseAsset":"A","quoteAsset":"B"}]}"#;
        let markets = parse_markets(body.as_bytes()).unwrap();
        assert_eq!(markets.weight_per_minute, Some(6_000));
        let names: Vec<_> = markets.markets.iter().map(|m| (m.symbol.as_str(), m.status.is_trading())).collect();
        assert_eq!(names, [("ETHBTC", true), ("BCCBTC", false), ("测试USDT", true)]);
        assert_eq!(markets.skipped, 1);
        let stopped = markets.get(&"BCCBTC".parse().unwrap()).unwrap();
        assert_eq!(stopped.status.to_string(), "BREAK");
        assert_eq!((stopped.assets.base.as_str(), stopped.assets.quote.as_str()), ("BCC", "BTC"));
        assert!(parse_markets(b"{}").is_err() && parse_markets(b"[]").is_err());
    }

    #[test]
    fn server_times() {
        assert_eq!(parse_time(br#"{"serverTime":1700000000123}"#).unwrap(), 1_700_000_000_123);
        assert!(parse_time(b"{}").is_err());
        for odd in ["1700000000123456", "1700000000", "0", "-1", "1483228799999", "4102444800000"] {
            let error = parse_time(format!(r#"{{"serverTime":{odd}}}"#).as_bytes()).unwrap_err();
            assert!(error.to_string().contains("between 2017 and 2100"), "{odd}: {error}");
        }
    }
}
