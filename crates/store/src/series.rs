//! What candles belong to.

use candlemill_shared::{Exchange, Interval, Symbol};
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

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.exchange, self.symbol, self.interval)
    }
}
