//! The market: what is missing, what is restated, what is listed.

use super::{Control, ControlError};
use crate::market::{Outage, Restatement, Visibility};
use candlemill_shared::{Decimal, Interval, Symbol, TimeRange};

impl Control {
    /// Makes candles missing until [`Control::remove_outage`] or [`Control::restore_market`].
    pub fn add_outage(&self, outage: Outage) {
        self.0.market.add_outage(outage);
    }

    /// Ends this outage and leaves the others; whether it was there.
    pub fn remove_outage(&self, outage: &Outage) -> bool {
        self.0.market.remove_outage(outage)
    }

    /// Serves the row of this symbol, interval and open time (UTC ms) with another close and volume, until
    /// [`Control::reset`]. It stays a valid candle; see [`Restatement`].
    pub fn restate(&self, symbol: &Symbol, interval: Interval, open_time: i64, close: Decimal, volume: Decimal) {
        self.0.market.restate(Restatement { symbol: symbol.clone(), interval, open_time, close, volume });
    }

    /// Takes a symbol out of `exchangeInfo`, the list and the single answer; its candles still answer. Until
    /// [`Control::reveal`] or [`Control::reset`].
    pub fn delist(&self, symbol: &Symbol) {
        self.set_visibility(symbol, Visibility::Delisted);
    }

    /// The exchange does not know the symbol, neither in `exchangeInfo` nor by its candles, until [`Control::reveal`] or
    /// [`Control::reset`].
    pub fn hide(&self, symbol: &Symbol) {
        self.set_visibility(symbol, Visibility::Hidden);
    }

    /// Lists a symbol that was delisted or hidden.
    pub fn reveal(&self, symbol: &Symbol) {
        self.set_visibility(symbol, Visibility::Listed);
    }

    /// Changes where a symbol is to be seen.
    pub fn set_visibility(&self, symbol: &Symbol, visibility: Visibility) {
        self.0.market.set_visibility(symbol.clone(), visibility);
    }

    /// Shows a symbol with this status in `exchangeInfo`, e.g. `HALT` or `BREAK`.
    pub fn set_symbol_status(&self, symbol: Symbol, status: &str) {
        self.0.market.set_status(symbol, status.to_owned());
    }

    /// Ends every outage and shows every listed symbol as trading. Restated rows and hidden symbols stay.
    pub fn restore_market(&self) {
        self.0.market.restore();
    }

    /// Reads or computes candles ahead of the calls, so that a measurement does not include it; the number of rows.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn warm(&self, symbol: &Symbol, interval: Interval, range: TimeRange) -> Result<usize, ControlError> {
        Ok(self.0.market.warm(symbol, interval, range).await?)
    }
}
