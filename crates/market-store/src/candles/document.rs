//! A candle as a BSON document, written and read without an intermediate form.
//!
//! Decimals are stored as Decimal128 with the exponent of the source, so that `7195.24000000` comes back with its zeros
//! and aggregations can compute with it.

use crate::candle_id::candle_id;
use candlemill_db::StoreError;
use candlemill_shared::{Candle, Decimal};
use mongodb::bson::raw::{RawBsonRef, RawDocument};
use mongodb::bson::{Decimal128, RawDocumentBuf, cstr};

/// Exponent bias of Decimal128 (IEEE 754-2008, binary integer decimal).
const BIAS: u128 = 6_176;
/// Bits of the coefficient below the exponent, while the coefficient is under 2^113.
const COEFFICIENT_BITS: u32 = 113;
const SIGN: u128 = 1 << 127;

fn to_bson(decimal: Decimal) -> Decimal128 {
    let coefficient = decimal.mantissa().unsigned_abs();
    let exponent = BIAS - u128::from(decimal.scale());
    let sign = if decimal.is_sign_negative() { SIGN } else { 0 };
    Decimal128::from_bytes((sign | (exponent << COEFFICIENT_BITS) | coefficient).to_le_bytes())
}

fn from_bson(stored: Decimal128) -> Option<Decimal> {
    let bits = u128::from_le_bytes(stored.bytes());
    // The two bits after the sign mark infinities, NaN and coefficients that no candle has.
    if bits & (0b11 << 125) == 0b11 << 125 {
        return None;
    }
    let exponent = (bits & !SIGN) >> COEFFICIENT_BITS;
    let coefficient = i128::try_from(bits & ((1 << COEFFICIENT_BITS) - 1)).ok()?;
    let scale = u32::try_from(BIAS.checked_sub(exponent)?).ok()?;
    let signed = if bits & SIGN == 0 { coefficient } else { -coefficient };
    Decimal::try_from_i128_with_scale(signed, scale).ok()
}

/// The document of `candle`.
pub(super) fn encode(symbol: &str, candle: &Candle) -> Result<RawDocumentBuf, StoreError> {
    let trades = i64::try_from(candle.trades).map_err(|error| StoreError::corrupt("a trade count", error))?;
    let mut document = RawDocumentBuf::new();
    document.append(cstr!("_id"), candle_id(symbol, candle.open_time));
    document.append(cstr!("t"), mongodb::bson::DateTime::from_millis(candle.open_time));
    document.append(cstr!("o"), to_bson(candle.open));
    document.append(cstr!("h"), to_bson(candle.high));
    document.append(cstr!("l"), to_bson(candle.low));
    document.append(cstr!("c"), to_bson(candle.close));
    document.append(cstr!("v"), to_bson(candle.volume));
    document.append(cstr!("T"), mongodb::bson::DateTime::from_millis(candle.close_time));
    document.append(cstr!("q"), to_bson(candle.quote_volume));
    document.append(cstr!("n"), trades);
    document.append(cstr!("V"), to_bson(candle.taker_buy_volume));
    document.append(cstr!("Q"), to_bson(candle.taker_buy_quote_volume));
    Ok(document)
}

/// The candle of `document`.
pub(super) fn decode(document: &RawDocument) -> Result<Candle, StoreError> {
    let unreadable = |why: &str| StoreError::corrupt("a stored candle", why);
    let mut times = [None; 2];
    let mut decimals = [None; 8];
    let mut trades = None;
    for element in document.iter() {
        let (key, value) = element.map_err(|error| StoreError::corrupt("a stored candle", error))?;
        let decimal = match key.as_str() {
            "o" => 0,
            "h" => 1,
            "l" => 2,
            "c" => 3,
            "v" => 4,
            "q" => 5,
            "V" => 6,
            "Q" => 7,
            "t" | "T" => {
                let RawBsonRef::DateTime(at) = value else { return Err(unreadable("a time is no date")) };
                times[usize::from(key.as_str() == "T")] = Some(at.timestamp_millis());
                continue;
            }
            "n" => {
                trades = value.as_i64().and_then(|n| u64::try_from(n).ok());
                continue;
            }
            _ => continue,
        };
        let RawBsonRef::Decimal128(stored) = value else { return Err(unreadable("a figure is no decimal")) };
        decimals[decimal] = from_bson(stored);
    }
    let time = |index: usize| times[index].ok_or_else(|| unreadable("a time is missing"));
    let figure = |index: usize| decimals[index].ok_or_else(|| unreadable("a figure is missing or out of bounds"));
    Ok(Candle {
        open_time: time(0)?,
        open: figure(0)?,
        high: figure(1)?,
        low: figure(2)?,
        close: figure(3)?,
        volume: figure(4)?,
        close_time: time(1)?,
        quote_volume: figure(5)?,
        trades: trades.ok_or_else(|| unreadable("the trade count is missing"))?,
        taker_buy_volume: figure(6)?,
        taker_buy_quote_volume: figure(7)?,
    })
}

/// Powers of ten that are exact as `f64`.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

/// The `f64` nearest to a stored decimal. Where coefficient and power of ten are exact, one division rounds once.
#[expect(
    clippy::cast_precision_loss,
    reason = "coefficients below 2^53 are exact; others take the way through the text"
)]
fn float_from_bson(stored: Decimal128) -> Option<f64> {
    let bits = u128::from_le_bytes(stored.bytes());
    let coefficient = bits & ((1 << COEFFICIENT_BITS) - 1);
    let exponent = (bits & !SIGN) >> COEFFICIENT_BITS;
    let scale = BIAS.checked_sub(exponent).and_then(|scale| usize::try_from(scale).ok());
    if let Some(power) = scale.and_then(|scale| POWERS.get(scale))
        && coefficient < 1 << 53
    {
        let float = coefficient as f64 / power;
        return Some(if bits & SIGN == 0 { float } else { -float });
    }
    from_bson(stored)?.to_string().parse().ok()
}

/// Open time, and open, high, low, close, volume of a document.
pub(super) fn decode_figures(document: &RawDocument) -> Result<(i64, [f64; 5]), StoreError> {
    let unreadable = |why: &str| StoreError::corrupt("a stored candle", why);
    let (mut open_time, mut figures) = (None, [None; 5]);
    for element in document.iter() {
        let (key, value) = element.map_err(|error| StoreError::corrupt("a stored candle", error))?;
        let figure = match (key.as_str(), value) {
            ("t", RawBsonRef::DateTime(at)) => {
                open_time = Some(at.timestamp_millis());
                continue;
            }
            ("o", RawBsonRef::Decimal128(stored)) => (0, stored),
            ("h", RawBsonRef::Decimal128(stored)) => (1, stored),
            ("l", RawBsonRef::Decimal128(stored)) => (2, stored),
            ("c", RawBsonRef::Decimal128(stored)) => (3, stored),
            ("v", RawBsonRef::Decimal128(stored)) => (4, stored),
            _ => continue,
        };
        figures[figure.0] = float_from_bson(figure.1);
    }
    let figure = |index: usize| figures[index].ok_or_else(|| unreadable("a figure is missing or out of bounds"));
    let open_time = open_time.ok_or_else(|| unreadable("the open time is missing, or no date"))?;
    Ok((open_time, [figure(0)?, figure(1)?, figure(2)?, figure(3)?, figure(4)?]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decimal() -> impl Strategy<Value = Decimal> {
        // 96 bits of coefficient: the bound of `Decimal`, far beyond any market's figures.
        (-(1i128 << 95)..(1i128 << 95), 0u32..=28).prop_map(|(m, s)| Decimal::from_i128_with_scale(m, s))
    }

    proptest! {
        #[test]
        fn decimals_come_back_to_the_digit(given in decimal()) {
            let back = from_bson(to_bson(given)).unwrap();
            prop_assert_eq!(back.to_string(), given.to_string());
            // The driver's own text form is the judge of the bits.
            let text = to_bson(given).to_string().parse::<Decimal>();
            if let Ok(text) = text {
                prop_assert_eq!(text, given);
            }
        }

        #[test]
        fn floats_are_the_nearest_ones(given in decimal()) {
            prop_assert_eq!(float_from_bson(to_bson(given)), given.to_string().parse::<f64>().ok());
        }

        #[test]
        fn prices_are_the_nearest_floats(mantissa in 0i64..1 << 53, scale in 0u32..=12) {
            let given = Decimal::new(mantissa, scale);
            prop_assert_eq!(float_from_bson(to_bson(given)), given.to_string().parse::<f64>().ok());
        }

        #[test]
        fn candles_come_back(open_time in 0i64..9_999_999_999_999, figures in prop::collection::vec(decimal(), 8), trades in 0u64..1 << 40) {
            let candle = Candle {
                open_time, close_time: open_time + 59_999, trades,
                open: figures[0], high: figures[1], low: figures[2], close: figures[3], volume: figures[4],
                quote_volume: figures[5], taker_buy_volume: figures[6], taker_buy_quote_volume: figures[7],
            };
            prop_assert_eq!(decode(&encode("BTCUSDT", &candle).unwrap()).unwrap(), candle);
        }
    }

    #[test]
    fn decimal_text_is_the_sources() {
        let given: Decimal = "371233.51835500".parse().unwrap();
        assert_eq!(to_bson(given).to_string(), "371233.51835500");
        assert_eq!(from_bson("NaN".parse().unwrap()), None);
        assert_eq!(from_bson("-Infinity".parse().unwrap()), None);
    }
}
