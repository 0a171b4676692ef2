//! Ids of candles, and the collections that hold them.

use crate::series::Series;

/// Collection of a series' candles: `klines.binance.1m`.
pub(crate) fn collection(series: &Series) -> String {
    format!("klines.{}.{}", series.exchange, series.interval)
}

/// `BTCUSDT_1577836800000`: 13 digits hold every millisecond from 2001 to 2286, so text order is time order. A `_` of the
/// symbol is written `%5F`: otherwise the candles of `GENUSDT_240927` would lie among those of `GENUSDT`.
pub(crate) fn candle_id(symbol: &str, open_time: i64) -> String {
    if symbol.contains('_') {
        return format!("{}_{open_time:013}", symbol.replace('_', "%5F"));
    }
    format!("{symbol}_{open_time:013}")
}

/// Open time in an id that [`candle_id`] made.
pub(crate) fn open_time_of(id: &str) -> Option<i64> {
    id.rsplit_once('_')?.1.parse().ok()
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
        fn no_candle_lies_among_those_of_another_symbol(
            one in symbols(), other in symbols(), times in [0i64..9_999_999_999_999, 0i64..9_999_999_999_999, 0i64..9_999_999_999_999],
        ) {
            let [a, b, open] = times;
            let bounds = candle_id(&one, a.min(b))..candle_id(&one, a.max(b));
            let id = candle_id(&other, open);
            let is_inside = one == other && (a.min(b)..a.max(b)).contains(&open);
            prop_assert_eq!(bounds.contains(&id), is_inside, "{} among those of {}", id, one);
            prop_assert_eq!(open_time_of(&id), Some(open));
        }
    }
}
