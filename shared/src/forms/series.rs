//! Which series are stored, and which symbols the exchange lists.

use super::dead_letters::PageLimit;
use super::given::Given;
use super::number::Number;
use crate::interval::Interval;
use crate::series_name::{read_series_name, series_name};
use crate::symbol::{Exchange, Symbol};
use crate::timestamp::Timestamp;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{IntoParams, PartialSchema, ToSchema};

/// The series that a page ends with: `binance:BTCUSDT:1m`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SeriesCursor {
    /// Its exchange.
    pub exchange: Exchange,
    /// Its symbol.
    pub symbol: Symbol,
    /// Length of its candles.
    pub interval: Interval,
}

impl fmt::Display for SeriesCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&series_name(self.exchange, &self.symbol, self.interval))
    }
}

impl FromStr for SeriesCursor {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (exchange, symbol, interval) = read_series_name(text)
            .ok_or("is no cursor of this list; send next_cursor of the page before, as in binance:BTCUSDT:1m")?;
        Ok(Self { exchange, symbol, interval })
    }
}

impl TryFrom<String> for SeriesCursor {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<SeriesCursor> for String {
    fn from(cursor: SeriesCursor) -> Self {
        cursor.to_string()
    }
}

impl PartialSchema for SeriesCursor {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("The series that the page before ends with."))
            .examples(["binance:BTCUSDT:1m"])
            .into()
    }
}

impl ToSchema for SeriesCursor {
    fn name() -> Cow<'static, str> {
        "SeriesCursor".into()
    }
}

/// Which stored series.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct SeriesFilter {
    /// Only of this symbol.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<Symbol>, example = "BTCUSDT")]
    pub symbol: Option<Given<Symbol>>,
    /// Only of this interval.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<Interval>, example = "1m")]
    pub interval: Option<Given<Interval>>,
    /// `next_cursor` of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<SeriesCursor>)]
    pub cursor: Option<Given<SeriesCursor>>,
    /// Series of this page; 50 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<PageLimit>, inline)]
    pub limit: Option<Given<PageLimit>>,
}

/// A page of stored series.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SeriesList {
    /// In the order of the texts `binance:BTCUSDT:1m`, byte by byte.
    pub series: Vec<SeriesView>,
    /// `cursor` of the next page; null at the end.
    pub next_cursor: Option<SeriesCursor>,
}

/// What is stored of a series, by the coverage ledger. Candles that a task has stored and not yet recorded there are not counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SeriesView {
    /// The exchange.
    pub exchange: Exchange,
    /// The symbol.
    pub symbol: Symbol,
    /// Length of the candles.
    pub interval: Interval,
    /// Open time of the first bucket that holds a stored candle; null when none does.
    pub first: Option<Timestamp>,
    /// Open time of the last such bucket; null when there is none.
    pub last: Option<Timestamp>,
    /// Buckets that hold a stored candle: those of the verified ranges less the absent ones inside.
    pub count: u64,
    /// Runs of neighbouring buckets that are absent for one reason, settled or not. `GET /api/market-data/coverage` lists them.
    pub gaps: u64,
    /// Absent buckets: those of all gaps together.
    pub absent_buckets: u64,
    /// From `first` up to this open time, exclusive, every bucket holds a stored candle or stands in a settled gap; null when `first`
    /// is. What lies after it may be stored, and verified, too.
    pub verified_until: Option<Timestamp>,
    /// Seconds since the close of the last candle; null when there is none, and of a market that is known not to trade any more.
    pub lag_seconds: Option<u64>,
}

/// How many symbols one page may have.
pub type SymbolLimit = Number<1, 1_000>;

/// Which symbols.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct SymbolFilter {
    /// Only those that begin so; small letters are taken for capitals.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<Symbol>, example = "BTC")]
    pub prefix: Option<Given<Symbol>>,
    /// Only those of this base asset; small letters are taken for capitals.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<Symbol>, example = "BTC")]
    pub base: Option<Given<Symbol>>,
    /// Only those of this quote asset; small letters are taken for capitals.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<Symbol>, example = "USDT")]
    pub quote: Option<Given<Symbol>>,
    /// Only in this status, in the exchange's word; small letters are taken for capitals.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(example = "TRADING")]
    pub status: Option<String>,
    /// `next_cursor` of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<Symbol>)]
    pub cursor: Option<Given<Symbol>>,
    /// Symbols of this page; 100 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<SymbolLimit>, inline)]
    pub limit: Option<Given<SymbolLimit>>,
}

/// A page of the symbols that an exchange lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SymbolList {
    /// The exchange.
    pub exchange: Exchange,
    /// When a worker last renewed the list; null while there is none.
    pub listed_at: Option<Timestamp>,
    /// Ascending, byte by byte.
    pub symbols: Vec<SymbolView>,
    /// `cursor` of the next page; null at the end.
    pub next_cursor: Option<Symbol>,
}

/// A market, as its exchange lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SymbolView {
    /// The symbol.
    pub symbol: Symbol,
    /// What is bought and sold; null where the list does not say.
    #[schema(example = "BTC")]
    pub base: Option<String>,
    /// What it is paid with; null where the list does not say.
    #[schema(example = "USDT")]
    pub quote: Option<String>,
    /// The exchange's word: `TRADING`, `HALT`, `BREAK`, …
    #[schema(example = "TRADING")]
    pub status: String,
    /// Open time of the first candle that the exchange has, of the shortest interval of which a task has learnt it; null where none
    /// has.
    pub first_open: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_of_series() {
        for text in ["binance:BTCUSDT:1m", "binance:币安人生USDT:1M", "binance:GEN_1.X-Y:1s"] {
            let read: SeriesCursor = serde_json::from_value(text.into()).unwrap();
            assert_eq!(serde_json::to_value(&read).unwrap(), text);
        }
        for text in ["", "BTCUSDT:1m", "binance:BTCUSDT", "binance:BTCUSDT:7m", "nowhere:BTCUSDT:1m", "binance:B:1m:"] {
            assert!(text.parse::<SeriesCursor>().is_err(), "{text}");
        }
    }
}
