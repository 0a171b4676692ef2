//! What candles belong to.

use candlemill_shared::{Exchange, Interval, Symbol, read_series_name, series_name};
use std::fmt;

/// The candles of one symbol and interval on one exchange.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Series {
    /// Where.
    pub exchange: Exchange,
    /// What.
    pub symbol: Symbol,
    /// Length of the candles.
    pub interval: Interval,
}

impl Series {
    /// The series of these three.
    #[must_use]
    pub const fn new(exchange: Exchange, symbol: Symbol, interval: Interval) -> Self {
        Self { exchange, symbol, interval }
    }
}

impl Series {
    /// `binance:BTCUSDT:1m`: the series in keys of both stores.
    pub(crate) fn id(&self) -> String {
        series_name(self.exchange, &self.symbol, self.interval)
    }

    /// `binance:BTCUSDT:1m_1577836800000`. No symbol holds a `:`, and what follows the last one no `_` but this.
    pub(crate) fn id_at(&self, start: i64) -> String {
        format!("{}_{start:013}", self.id())
    }

    /// The series that `binance:BTCUSDT:1m_1577836800000` belongs to.
    pub(crate) fn of_id(id: &str) -> Option<Self> {
        Self::named(id.rsplit_once('_')?.0)
    }

    /// The series that is called `binance:BTCUSDT:1m`.
    pub(crate) fn named(id: &str) -> Option<Self> {
        let (exchange, symbol, interval) = read_series_name(id)?;
        Some(Self::new(exchange, symbol, interval))
    }
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.exchange, self.symbol, self.interval)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Symbols that begin alike, with separators, digits and signs of other scripts in them.
    fn symbols() -> impl Strategy<Value = String> {
        "(GENUSDT|币安人生USDT|G)(_[0-9]{0,14}|[0-9]{0,6}|-[A-Z]|_|\\.[A-Z_]{0,3}){0,2}"
            .prop_filter("at most 20 characters", |symbol| symbol.chars().count() <= 20)
    }

    proptest! {
        #[test]
        fn no_range_of_the_ledger_lies_among_those_of_another_series(
            one in symbols(), other in symbols(), a in 0usize..16, b in 0usize..16, open in 0i64..9_999_999_999_999,
        ) {
            let series = |symbol: &str, index: usize| {
                symbol.parse::<Symbol>().ok().map(|symbol| Series::new(Exchange::Binance, symbol, Interval::ALL[index]))
            };
            if let (Some(one), Some(other)) = (series(&one, a), series(&other, b)) {
                let bounds = one.id_at(0)..one.id_at(9_999_999_999_999);
                prop_assert_eq!(bounds.contains(&other.id_at(open)), one == other);
            }
        }
    }
}
