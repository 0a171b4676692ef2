//! The name of a series in keys and cursors: `binance:BTCUSDT:1m`. No exchange, symbol or interval holds a colon.

use crate::interval::Interval;
use crate::symbol::{Exchange, Symbol};

/// The name of the candles of `symbol` and `interval` on `exchange`.
#[must_use]
pub fn series_name(exchange: Exchange, symbol: &Symbol, interval: Interval) -> String {
    format!("{exchange}:{symbol}:{interval}")
}

/// What a name tells; `None`: it is no name of a series, or a later version's.
#[must_use]
pub fn read_series_name(name: &str) -> Option<(Exchange, Symbol, Interval)> {
    let mut parts = name.split(':');
    let (exchange, symbol, interval) = (parts.next()?, parts.next()?, parts.next()?);
    let read = (exchange.parse().ok()?, symbol.parse().ok()?, interval.parse().ok()?);
    parts.next().is_none().then_some(read)
}
