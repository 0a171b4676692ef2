//! Rows that the exchange has corrected: served with other values than before.

use super::row_text::{candle_of, row_of};
use bytes::Bytes;
use candlemill_shared::{Candle, Decimal, Interval, Symbol};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A row that is served with another close and volume, as after a late correction. It stays a valid candle: high and low make
/// room for the close, the takers buy no more than the volume. Does nothing where there is no row of that open time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restatement {
    /// The row's symbol.
    pub symbol: Symbol,
    /// The row's interval.
    pub interval: Interval,
    /// The row's open time, UTC ms.
    pub open_time: i64,
    /// Its close from now on.
    pub close: Decimal,
    /// Its volume from now on.
    pub volume: Decimal,
}

impl Restatement {
    pub(super) fn is_of_the_same_row(&self, other: &Self) -> bool {
        (&self.symbol, self.interval, self.open_time) == (&other.symbol, other.interval, other.open_time)
    }

    fn of(&self, candle: &Candle) -> Candle {
        let (close, volume) = (printed(self.close), printed(self.volume));
        Candle {
            high: candle.high.max(close),
            low: candle.low.min(close),
            close,
            volume,
            taker_buy_volume: candle.taker_buy_volume.min(volume),
            ..*candle
        }
    }
}

/// With the eight decimals of the exchange.
fn printed(value: Decimal) -> Decimal {
    let mut value = value.trunc_with_scale(8);
    value.rescale(8);
    value
}

/// The body of a page with these rows restated.
pub(super) fn applied(pieces: Vec<Bytes>, restatements: &[Restatement]) -> Vec<Bytes> {
    let Ok(mut rows) = serde_json::from_slice::<Vec<Value>>(&pieces.concat()) else { return pieces };
    for row in &mut rows {
        let Some(candle) = candle_of(row) else { continue };
        if let Some(restatement) = restatements.iter().find(|one| one.open_time == candle.open_time) {
            *row = row_of(&restatement.of(&candle));
        }
    }
    vec![Value::from(rows).to_string().into()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_restated_row_is_a_valid_candle() {
        let row = json!([0, "7.1", "7.3", "7.0", "7.2", "3", 59_999, "21.6", 9, "2", "14.4", "0"]);
        for (close, volume) in [("7.25", "9"), ("8", "1"), ("6.5", "0")] {
            let restatement = Restatement {
                symbol: "GENUSDT".parse().unwrap(),
                interval: Interval::Minute1,
                open_time: 0,
                close: close.parse().unwrap(),
                volume: volume.parse().unwrap(),
            };
            let body = applied(vec![json!([row]).to_string().into()], std::slice::from_ref(&restatement)).concat();
            let rows: Vec<Value> = serde_json::from_slice(&body).unwrap();
            let candle = candle_of(&rows[0]).unwrap();
            assert_eq!((candle.check(), candle.close, candle.volume), (Ok(()), restatement.close, restatement.volume));
            assert_eq!((candle.open_time, candle.close_time, candle.open.to_string().as_str()), (0, 59_999, "7.1"));
        }
    }
}
