//! Candles as JSON and CSV.

use bytes::{BufMut, BytesMut};
use candlemill_shared::Candle;
use std::fmt::Write as _;

/// JSON, as arrays or objects.
pub(crate) struct JsonWriter {
    objects: bool,
    begun: bool,
}

impl JsonWriter {
    /// The exchange's twelve elements in its own order; the last one, which it does not use either, is "0".
    pub(crate) const fn arrays() -> Self {
        Self { objects: false, begun: false }
    }

    /// Objects with full names, in the same order.
    pub(crate) const fn objects() -> Self {
        Self { objects: true, begun: false }
    }

    /// Appends the candles, and the opening bracket before the first one.
    pub(crate) fn rows(&mut self, candles: &[Candle], out: &mut BytesMut) {
        out.reserve(candles.len() * if self.objects { 320 } else { 200 });
        for candle in candles {
            out.put_u8(if self.begun { b',' } else { b'[' });
            self.begun = true;
            let c = candle;
            // Numbers and decimals need no escaping; writing to memory does not fail.
            let written = if self.objects {
                write!(
                    out,
                    "{{\"open_time\":{},\"open\":\"{}\",\"high\":\"{}\",\"low\":\"{}\",\"close\":\"{}\",\"volume\":\"{}\",\"close_time\":{},\"quote_volume\":\"{}\",\"trades\":{},\"taker_buy_volume\":\"{}\",\"taker_buy_quote_volume\":\"{}\"}}",
                    c.open_time,
                    c.open,
                    c.high,
                    c.low,
                    c.close,
                    c.volume,
                    c.close_time,
                    c.quote_volume,
                    c.trades,
                    c.taker_buy_volume,
                    c.taker_buy_quote_volume
                )
            } else {
                write!(
                    out,
                    "[{},\"{}\",\"{}\",\"{}\",\"{}\",\"{}\",{},\"{}\",{},\"{}\",\"{}\",\"0\"]",
                    c.open_time,
                    c.open,
                    c.high,
                    c.low,
                    c.close,
                    c.volume,
                    c.close_time,
                    c.quote_volume,
                    c.trades,
                    c.taker_buy_volume,
                    c.taker_buy_quote_volume
                )
            };
            debug_assert!(written.is_ok(), "memory takes every text");
        }
    }

    /// Appends what closes the array.
    pub(crate) fn end(&mut self, out: &mut BytesMut) {
        out.put_slice(if self.begun { b"]" } else { b"[]" });
    }
}

/// CSV with the columns of the recorded candles: the twelve elements of the JSON arrays.
#[derive(Default)]
pub(crate) struct CsvWriter {
    begun: bool,
}

const HEADER: &[u8] =
    b"open_time,open,high,low,close,volume,close_time,quote_volume,trades,taker_buy_volume,taker_buy_quote_volume,ignore\n";

impl CsvWriter {
    /// Appends the candles, and the header line with the first call, also of a call without candles.
    pub(crate) fn rows(&mut self, candles: &[Candle], out: &mut BytesMut) {
        if !std::mem::replace(&mut self.begun, true) {
            out.put_slice(HEADER);
        }
        out.reserve(candles.len() * 160);
        for c in candles {
            let written = writeln!(
                out,
                "{},{},{},{},{},{},{},{},{},{},{},0",
                c.open_time,
                c.open,
                c.high,
                c.low,
                c.close,
                c.volume,
                c.close_time,
                c.quote_volume,
                c.trades,
                c.taker_buy_volume,
                c.taker_buy_quote_volume
            );
            debug_assert!(written.is_ok(), "memory takes every text");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::candle;

    fn json(mut writer: JsonWriter, chunks: &[&[Candle]]) -> serde_json::Value {
        let mut out = BytesMut::new();
        chunks.iter().for_each(|chunk| writer.rows(chunk, &mut out));
        writer.end(&mut out);
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn arrays_are_the_exchanges_own() {
        let expected = serde_json::json!([
            1_577_836_800_000_i64,
            "7195.24000000",
            "7196.25000000",
            "7183.14000000",
            "7186.68000000",
            "51.64281200",
            1_577_836_859_999_i64,
            "371233.51835535",
            493,
            "19.59823000",
            "140888.41428273",
            "0"
        ]);
        let (one, two) = ([candle(1_577_836_800_000)], [candle(1), candle(2)]);
        let rows = json(JsonWriter::arrays(), &[&one, &two]);
        assert_eq!((rows.as_array().unwrap().len(), &rows[0]), (3, &expected));
        assert_eq!(json(JsonWriter::arrays(), &[]), serde_json::json!([]));
    }

    #[test]
    fn objects_read_back_as_the_candle() {
        let rows = json(JsonWriter::objects(), &[&[candle(7)]]);
        assert_eq!(serde_json::from_value::<Vec<Candle>>(rows).unwrap(), [candle(7)]);
    }

    #[test]
    fn csv_has_one_header_and_the_decimals_of_the_source() {
        let (mut writer, mut out) = (CsvWriter::default(), BytesMut::new());
        writer.rows(&[candle(1)], &mut out);
        writer.rows(&[candle(2)], &mut out);
        let mut reader = csv::Reader::from_reader(&out[..]);
        let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        assert_eq!((rows.len(), &rows[1][0], &rows[0][1], rows[0].len()), (2, "2", "7195.24000000", 12));
        let (mut writer, mut out) = (CsvWriter::default(), BytesMut::new());
        writer.rows(&[], &mut out);
        assert_eq!(&out[..], HEADER);
    }
}
