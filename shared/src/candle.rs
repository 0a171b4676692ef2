//! Candles (klines) and the checks that every one of them passes before it is stored.

use crate::range::rfc3339;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// One closed candle, in the precision in which the source printed it (`7195.24000000` keeps its zeros).
///
/// Prices are in the quote asset, volumes in the asset that their name says, times in UTC milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Candle {
    /// First millisecond of the candle; unique per symbol and interval. Usually, not always, on the interval's grid.
    pub open_time: i64,
    /// First price.
    pub open: Decimal,
    /// Highest price.
    pub high: Decimal,
    /// Lowest price.
    pub low: Decimal,
    /// Last price.
    pub close: Decimal,
    /// Traded amount, base asset.
    pub volume: Decimal,
    /// Last millisecond of the candle. Earlier than the interval's end where trading stopped inside it.
    pub close_time: i64,
    /// Traded amount, quote asset.
    pub quote_volume: Decimal,
    /// Number of trades.
    pub trades: u64,
    /// Amount bought by takers, base asset.
    pub taker_buy_volume: Decimal,
    /// Amount bought by takers, quote asset.
    pub taker_buy_quote_volume: Decimal,
}

/// Why a row cannot be a candle of this market.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CandleFault {
    /// High below low, or open or close outside of them.
    #[error("open, high, low and close contradict each other (low ≤ open, close ≤ high must hold)")]
    PricesDisagree,
    /// A price of zero or less.
    #[error("a price is not above zero")]
    PriceNotPositive,
    /// An amount below zero.
    #[error("an amount is below zero")]
    NegativeAmount,
    /// Takers bought more than was traded.
    #[error("the taker buy volume exceeds the volume")]
    TakerExceedsVolume,
    /// The candle ends before it starts.
    #[error("the close time lies before the open time")]
    ClosesBeforeOpening,
}

impl Candle {
    /// Checks what holds for every real candle.
    ///
    /// Rows of an outage carry an early `close_time` (one in the recorded history closes at its own open time) and rows
    /// of a quiet market have no trade at all: both are real and pass.
    ///
    /// # Errors
    /// The first [`CandleFault`] found.
    pub fn check(&self) -> Result<(), CandleFault> {
        if self.low <= Decimal::ZERO {
            return Err(CandleFault::PriceNotPositive);
        }
        let inside = |price: Decimal| self.low <= price && price <= self.high;
        if !(inside(self.open) && inside(self.close)) {
            return Err(CandleFault::PricesDisagree);
        }
        let amounts = [self.volume, self.quote_volume, self.taker_buy_volume, self.taker_buy_quote_volume];
        if amounts.iter().any(Decimal::is_sign_negative) {
            return Err(CandleFault::NegativeAmount);
        }
        if self.taker_buy_volume > self.volume || self.taker_buy_quote_volume > self.quote_volume {
            return Err(CandleFault::TakerExceedsVolume);
        }
        if self.close_time < self.open_time {
            return Err(CandleFault::ClosesBeforeOpening);
        }
        Ok(())
    }

    /// Whether the candle can no longer change: its close time lies before the exchange's own time.
    #[must_use]
    pub const fn is_closed_at(&self, exchange_now_ms: i64) -> bool {
        self.close_time < exchange_now_ms
    }
}

/// A row that was refused, as results and gaps name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectedRow {
    /// Open time that the row gave, UTC ms.
    pub open_time: i64,
    /// What was wrong.
    pub why: String,
}

impl RejectedRow {
    /// Names the row and its fault.
    #[must_use]
    pub fn new(open_time: i64, fault: CandleFault) -> Self {
        Self { open_time, why: format!("candle {}: {fault}", rfc3339(open_time)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first minute of 2020 of BTCUSDT, as the exchange's archive prints it.
    fn recorded() -> Candle {
        let d = |text: &str| text.parse().unwrap();
        Candle {
            open_time: 1_577_836_800_000,
            open: d("7195.24000000"),
            high: d("7196.25000000"),
            low: d("7183.14000000"),
            close: d("7186.68000000"),
            volume: d("51.64281200"),
            close_time: 1_577_836_859_999,
            quote_volume: d("371233.51835535"),
            trades: 493,
            taker_buy_volume: d("19.59823000"),
            taker_buy_quote_volume: d("140888.41428273"),
        }
    }

    fn check(name: &str, spoil: impl FnOnce(&mut Candle), expected: Result<(), CandleFault>) {
        let mut candle = recorded();
        spoil(&mut candle);
        assert_eq!(candle.check(), expected, "{name}");
    }

    #[test]
    fn checks() {
        let below = "7183.13".parse().unwrap();
        check("as recorded", |_| {}, Ok(()));
        check("closes at its own open time", |c| c.close_time = c.open_time, Ok(()));
        check("no trade", |c| (c.volume, c.taker_buy_volume, c.trades) = (Decimal::ZERO, Decimal::ZERO, 0), Ok(()));
        check("low above the rest", |c| c.low = c.high + Decimal::ONE, Err(CandleFault::PricesDisagree));
        check("close below low", |c| c.close = below, Err(CandleFault::PricesDisagree));
        check("open below low", |c| c.open = below, Err(CandleFault::PricesDisagree));
        check("price zero", |c| c.low = Decimal::ZERO, Err(CandleFault::PriceNotPositive));
        check("negative", |c| c.quote_volume = -Decimal::ONE, Err(CandleFault::NegativeAmount));
        check("takers", |c| c.taker_buy_volume = c.volume + Decimal::ONE, Err(CandleFault::TakerExceedsVolume));
        check("backwards", |c| c.close_time = c.open_time - 1, Err(CandleFault::ClosesBeforeOpening));
    }

    #[test]
    fn decimals_keep_the_zeros_of_the_source() {
        assert_eq!(recorded().open.to_string(), "7195.24000000");
    }

    #[test]
    fn a_candle_is_closed_only_after_its_last_millisecond() {
        let candle = recorded();
        assert!(!candle.is_closed_at(candle.close_time));
        assert!(candle.is_closed_at(candle.close_time + 1));
    }
}
