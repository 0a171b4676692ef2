//! A candle for the tests of this crate.

use candlemill_shared::{Candle, Decimal};

/// The first minute of 2020 of BTCUSDT as the exchange's archive prints it, moved to another open time (UTC ms).
pub(crate) fn candle(open_time: i64) -> Candle {
    let d = |text: &str| text.parse::<Decimal>().unwrap();
    Candle {
        open_time,
        open: d("7195.24000000"),
        high: d("7196.25000000"),
        low: d("7183.14000000"),
        close: d("7186.68000000"),
        volume: d("51.64281200"),
        close_time: open_time + 59_999,
        quote_volume: d("371233.51835535"),
        trades: 493,
        taker_buy_volume: d("19.59823000"),
        taker_buy_quote_volume: d("140888.41428273"),
    }
}
