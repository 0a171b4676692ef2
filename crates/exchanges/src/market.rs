//! What an exchange trades.

use candlemill_shared::{Assets, Symbol};
use std::fmt;

/// Whether a market trades.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MarketStatus {
    /// It does.
    Trading,
    /// It does not; the exchange's word for it (`HALT`, `BREAK`, `END_OF_DAY`, `CANCEL_ONLY`, …).
    Stopped(String),
}

impl MarketStatus {
    /// Reads the exchange's word.
    #[must_use]
    pub fn of(word: &str) -> Self {
        if word == "TRADING" { Self::Trading } else { Self::Stopped(word.to_owned()) }
    }

    /// Whether new candles are to be expected.
    #[must_use]
    pub const fn is_trading(&self) -> bool {
        matches!(self, Self::Trading)
    }
}

impl fmt::Display for MarketStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Trading => "TRADING",
            Self::Stopped(word) => word,
        })
    }
}

/// One market.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Market {
    /// Its name.
    pub symbol: Symbol,
    /// Whether it trades.
    pub status: MarketStatus,
    /// What is traded for what.
    pub assets: Assets,
}

/// What the exchange says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Markets {
    /// Request weight that one IP may use per minute, where the exchange names it.
    pub weight_per_minute: Option<u32>,
    /// Its markets. Those whose name is no [`Symbol`] are left out: no task could name them.
    pub markets: Vec<Market>,
    /// Number of markets that were left out for their names.
    pub skipped: usize,
}

impl Markets {
    /// The market of that name.
    #[must_use]
    pub fn get(&self, symbol: &Symbol) -> Option<&Market> {
        self.markets.iter().find(|market| market.symbol == *symbol)
    }
}
