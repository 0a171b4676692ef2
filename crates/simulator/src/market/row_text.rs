//! Rows read back: what a candle looks like while it forms.

use candlemill_shared::{Candle, Decimal};
use serde_json::{Value, json};

/// The candle of a printed row; `None` when it is not one.
pub(crate) fn candle_of(row: &Value) -> Option<Candle> {
    let decimal = |index: usize| row.get(index)?.as_str()?.parse::<Decimal>().ok();
    Some(Candle {
        open_time: row.get(0)?.as_i64()?,
        open: decimal(1)?,
        high: decimal(2)?,
        low: decimal(3)?,
        close: decimal(4)?,
        volume: decimal(5)?,
        close_time: row.get(6)?.as_i64()?,
        quote_volume: decimal(7)?,
        trades: row.get(8)?.as_u64()?,
        taker_buy_volume: decimal(9)?,
        taker_buy_quote_volume: decimal(10)?,
    })
}

/// The row of a candle, decimals as they are.
pub(crate) fn row_of(candle: &Candle) -> Value {
    json!([
        candle.open_time,
        candle.open.to_string(),
        candle.high.to_string(),
        candle.low.to_string(),
        candle.close.to_string(),
        candle.volume.to_string(),
        candle.close_time,
        candle.quote_volume.to_string(),
        candle.trades,
        candle.taker_buy_volume.to_string(),
        candle.taker_buy_quote_volume.to_string(),
        "0"
    ])
}

/// The candle as it stands half-way: every price half as far from the open, every amount half of what it becomes.
///
/// A valid candle that differs from its final form wherever there was a trade, so that storing it is noticed.
pub(crate) fn forming(last: &Candle) -> Candle {
    let price = |price: Decimal| half(price - last.open) + last.open;
    Candle {
        high: price(last.high),
        low: price(last.low),
        close: price(last.close),
        volume: half(last.volume),
        quote_volume: half(last.quote_volume),
        trades: last.trades / 2,
        taker_buy_volume: half(last.taker_buy_volume),
        taker_buy_quote_volume: half(last.taker_buy_quote_volume),
        ..*last
    }
}

/// Half of `value`, cut to the eight decimals of the exchange.
fn half(value: Decimal) -> Decimal {
    let mut half = (value / Decimal::TWO).trunc_with_scale(8);
    half.rescale(8);
    half
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forming_candle_is_valid_and_different() {
        let row = json!([0, "7.1", "7.3", "7.0", "7.2", "3", 59_999, "21.6", 9, "2", "14.4", "0"]);
        let candle = candle_of(&row).unwrap();
        assert_eq!(row_of(&candle), row);
        let half = forming(&candle);
        assert_eq!(half.check(), Ok(()));
        let expected = json!([
            0,
            "7.1",
            "7.20000000",
            "7.05000000",
            "7.15000000",
            "1.50000000",
            59_999,
            "10.80000000",
            4,
            "1.00000000",
            "7.20000000",
            "0"
        ]);
        assert_eq!(row_of(&half), expected);
    }
}
