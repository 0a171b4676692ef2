//! Requests made of the words that a person writes.

use candlemill_shared::forms::{FetchRequest, FetchStart, KlinesQuery};
use candlemill_shared::interval::UnknownInterval;
use candlemill_shared::symbol::SymbolError;
use candlemill_shared::timestamp::{InvalidTimestamp, Timestamp};
use candlemill_shared::{Interval, Symbol};

/// A word that is not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum InvalidRequest {
    /// No symbol.
    #[error(transparent)]
    Symbol(#[from] SymbolError),
    /// No interval.
    #[error(transparent)]
    Interval(#[from] UnknownInterval),
    /// No time.
    #[error(transparent)]
    Time(#[from] InvalidTimestamp),
}

/// A time: a date (its midnight, UTC), RFC 3339, or UTC milliseconds.
///
/// ```
/// use candlemill_client::parse_time;
///
/// assert_eq!(parse_time("2020-01-01")?, parse_time("2020-01-01T00:00:00Z")?);
/// assert_eq!(parse_time("2020-01-01")?.ms(), 1_577_836_800_000);
/// # Ok::<(), candlemill_shared::timestamp::InvalidTimestamp>(())
/// ```
///
/// # Errors
/// What is none of these.
pub fn parse_time(text: &str) -> Result<Timestamp, InvalidTimestamp> {
    match text.parse::<chrono::NaiveDate>() {
        Ok(date) => format!("{date}T00:00:00Z").parse(),
        Err(_) => text.parse(),
    }
}

/// Where a fetch begins: a time as of [`parse_time`], or `listing`.
///
/// # Errors
/// What is neither.
pub fn parse_start(text: &str) -> Result<FetchStart, InvalidTimestamp> {
    if text == "listing" { Ok(FetchStart::Listing) } else { parse_time(text).map(FetchStart::At) }
}

/// The candles of `symbol` that open from `start` up to `end`; times as of [`parse_start`] and [`parse_time`].
///
/// # Errors
/// What is no symbol, no interval or no time.
pub fn fetch_request(
    symbol: &str,
    interval: &str,
    start: &str,
    end: Option<&str>,
) -> Result<FetchRequest, InvalidRequest> {
    let request = FetchRequest::new(symbol.parse()?, interval.parse()?, parse_start(start)?);
    Ok(match end {
        Some(end) => request.until(parse_time(end)?),
        None => request,
    })
}

/// The newest stored candles of `symbol`; bounds, limit and form are the query's other members.
#[must_use]
pub fn klines_query(symbol: Symbol, interval: Interval) -> KlinesQuery {
    KlinesQuery { symbol: Some(symbol.into()), interval: Some(interval.into()), ..KlinesQuery::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn requests_are_sent_as_they_were_written() {
        let check = |start: &str, end: Option<&str>, expected: serde_json::Value| {
            let request = fetch_request("btcusdt", "1h", start, end).unwrap();
            assert_eq!(serde_json::to_value(request).unwrap(), expected, "{start} {end:?}");
        };
        let base = |start: &str| json!({"symbol": "BTCUSDT", "interval": "1h", "start": start});
        check("1577836800000", None, base("2020-01-01T00:00:00Z"));
        check("2020-01-01T05:00:00+05:00", None, base("2020-01-01T00:00:00Z"));
        check("listing", None, base("listing"));
        let mut whole = base("2020-01-01T00:00:00Z");
        whole["end"] = "2020-01-04T00:00:00Z".into();
        check("2020-01-01", Some("2020-01-04"), whole);
    }

    #[test]
    fn wrong_words_are_named() {
        let check = |words: [&str; 3], expected: &str| {
            let refused = fetch_request(words[0], words[1], words[2], None).unwrap_err().to_string();
            assert!(refused.contains(expected), "{refused}");
        };
        check(["BTC/USDT", "1h", "2020-01-01"], "'/'");
        check(["BTCUSDT", "7h", "2020-01-01"], "7h");
        check(["BTCUSDT", "1h", "yesterday"], "yesterday");
    }
}
