//! Kline rows: arrays of exactly twelve values, prices and amounts as strings.

use super::limits::PAGE_CANDLES;
use candlemill_shared::{Candle, Decimal};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, SeqAccess, Visitor};
use std::fmt;

/// Values in a row.
const WIDTH: usize = 12;

/// Reads the body of a `klines` answer. Decimals keep the digits that the exchange printed, trailing zeros included.
///
/// # Errors
/// When the body is no array, a row has another number of values, or a value is no number or does not fit; the error
/// says which row and value, and where in the body.
pub fn parse_rows(body: &[u8]) -> Result<Vec<Candle>, serde_json::Error> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let rows = json.deserialize_seq(Rows)?;
    json.end()?;
    Ok(rows)
}

struct Rows;

impl<'de> Visitor<'de> for Rows {
    type Value = Vec<Candle>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of kline rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<Vec<Candle>, A::Error> {
        let mut candles = Vec::new();
        while let Some(candle) = rows.next_element_seed(Row(candles.len()))? {
            // Most answers are full pages.
            if candles.is_empty() {
                candles.reserve(PAGE_CANDLES as usize);
            }
            candles.push(candle);
        }
        Ok(candles)
    }
}

/// One row; holds its position for messages.
#[derive(Clone, Copy)]
struct Row(usize);

impl<'de> DeserializeSeed<'de> for Row {
    type Value = Candle;

    fn deserialize<D: Deserializer<'de>>(self, row: D) -> Result<Candle, D::Error> {
        row.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Row {
    type Value = Candle;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row {}, an array of {WIDTH} values", self.0)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Candle, A::Error> {
        let candle = Candle {
            open_time: self.value(&mut values, 0)?,
            open: self.decimal(&mut values, 1)?,
            high: self.decimal(&mut values, 2)?,
            low: self.decimal(&mut values, 3)?,
            close: self.decimal(&mut values, 4)?,
            volume: self.decimal(&mut values, 5)?,
            close_time: self.value(&mut values, 6)?,
            quote_volume: self.decimal(&mut values, 7)?,
            trades: self.value(&mut values, 8)?,
            taker_buy_volume: self.decimal(&mut values, 9)?,
            taker_buy_quote_volume: self.decimal(&mut values, 10)?,
        };
        let _unused: IgnoredAny = self.value(&mut values, 11)?;
        match values.next_element::<IgnoredAny>()? {
            None => Ok(candle),
            Some(_) => Err(A::Error::invalid_length(WIDTH + 1, &self)),
        }
    }
}

impl Row {
    fn value<'de, A: SeqAccess<'de>, T: serde::Deserialize<'de>>(
        self,
        values: &mut A,
        index: usize,
    ) -> Result<T, A::Error> {
        values.next_element()?.ok_or_else(|| A::Error::invalid_length(index, &self))
    }

    fn decimal<'de, A: SeqAccess<'de>>(self, values: &mut A, index: usize) -> Result<Decimal, A::Error> {
        let text: &str = self.value(values, index)?;
        Decimal::from_str_exact(text).map_err(|error| {
            A::Error::custom(format_args!("row {}, value {index}: {text:?} is no exact decimal ({error})", self.0))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: &str = r#"[1577836800000,"7195.24000000","7196.25000000","7183.14000000","7186.68000000","51.64281200",1577836859999,"371233.51835535",493,"19.59823000","140888.41428273","0"]"#;

    #[test]
    fn rows_keep_every_digit() {
        let rows = parse_rows(format!(" [{ROW},\n{ROW}] ").as_bytes()).unwrap();
        assert_eq!(rows.len(), 2);
        let row = &rows[1];
        assert_eq!((row.open_time, row.close_time, row.trades), (1_577_836_800_000, 1_577_836_859_999, 493));
        let printed: Vec<String> = [
            row.open,
            row.high,
            row.low,
            row.close,
            row.volume,
            row.quote_volume,
            row.taker_buy_volume,
            row.taker_buy_quote_volume,
        ]
        .iter()
        .map(ToString::to_string)
        .collect();
        let expected = [
            "7195.24000000",
            "7196.25000000",
            "7183.14000000",
            "7186.68000000",
            "51.64281200",
            "371233.51835535",
            "19.59823000",
            "140888.41428273",
        ];
        assert_eq!(printed, expected);
        assert_eq!(parse_rows(b"[]").unwrap(), []);
    }

    fn check(name: &str, body: &str, expected: &str) {
        let message = parse_rows(body.as_bytes()).unwrap_err().to_string();
        assert!(message.contains(expected), "{name}: {message}");
    }

    #[test]
    fn what_is_no_row_is_named_with_its_place() {
        let with = |from: &str, to: &str| format!("[{ROW},{}]", ROW.replacen(from, to, 1));
        check("eleven values", &with(",\"0\"]", "]"), "invalid length 11, expected row 1, an array of 12 values");
        check("thirteen values", &with(",\"0\"]", ",\"0\",1]"), "invalid length 13, expected row 1");
        check("empty row", "[[]]", "invalid length 0, expected row 0");
        check("no number", &with("\"7195.24000000\"", "\"abc\""), "row 1, value 1: \"abc\" is no exact decimal");
        check("empty", &with("\"7195.24000000\"", "\"\""), "row 1, value 1: \"\"");
        check("not a number", &with("\"51.64281200\"", "\"NaN\""), "row 1, value 5");
        let huge = "9".repeat(30);
        check("too large", &with("7195.24000000", &huge), "row 1, value 1");
        check("too many digits", &with("7195.24000000", "1.23456789012345678901234567891"), "row 1, value 1");
        check("number for string", &with("\"7195.24000000\"", "7195.24"), "expected a borrowed string");
        check("string for number", &with("1577836800000", "\"1577836800000\""), "expected i64");
        check("negative count", &with("493", "-1"), "expected u64");
        check("fraction of a time", &with("1577836800000", "1.5"), "expected i64");
        check("row is no array", "[5]", "expected row 0, an array");
        check("object", r#"{"code":-1121}"#, "expected an array of kline rows");
        check("truncated", &format!("[{ROW},[15778"), "EOF");
        check("page of a firewall", "<html></html>", "line 1 column 1");
        check("something behind", &format!("[{ROW}]x"), "trailing characters");
        check("nothing", "", "EOF");
    }
}
