//! The written forms of candles.

use crate::arrow::ArrowWriter;
use crate::error::ColumnarError;
use crate::text::{CsvWriter, JsonWriter};
use bytes::BytesMut;
use candlemill_shared::Candle;

/// A written form of candles. All hold the same columns in the same order, the exchange's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A JSON array with one array of twelve elements for each candle: times and trades as numbers, figures as texts, the
    /// last one always `"0"`.
    Json,
    /// A JSON array of objects with full names, as [`Candle`] is serialised.
    Objects,
    /// A header line, then a line with the twelve elements of [`Format::Json`] for each candle.
    Csv,
    /// Arrow IPC stream: times as `timestamp[ms, UTC]`, figures as `decimal128(38, 18)`, trades as `uint64`.
    Arrow,
}

impl Format {
    /// The form of this name: `json`, `objects`, `csv` or `arrow`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "json" => Some(Self::Json),
            "objects" => Some(Self::Objects),
            "csv" => Some(Self::Csv),
            "arrow" => Some(Self::Arrow),
            _ => None,
        }
    }

    /// The media type of the bytes, without parameters: `type/subtype`, in lower case.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Json | Self::Objects => "application/json",
            Self::Csv => "text/csv",
            Self::Arrow => "application/vnd.apache.arrow.stream",
        }
    }

    /// A writer of this form, for one sequence of candles.
    #[must_use]
    pub fn writer(self) -> CandleWriter {
        CandleWriter(match self {
            Self::Json => Writer::Json(JsonWriter::arrays()),
            Self::Objects => Writer::Json(JsonWriter::objects()),
            Self::Csv => Writer::Csv(CsvWriter::default()),
            Self::Arrow => Writer::Arrow(Box::default()),
        })
    }
}

/// Writes one sequence of candles, chunk after chunk: any number of [`rows`](Self::rows), then [`end`](Self::end) once.
///
/// What a sequence says does not depend on the chunks. After an error the sequence cannot be finished: what was written
/// so far must not pass for the whole.
pub struct CandleWriter(Writer);

enum Writer {
    Json(JsonWriter),
    Csv(CsvWriter),
    Arrow(Box<ArrowWriter>),
}

impl CandleWriter {
    /// Appends a chunk of candles to `out`, in the order given. Memory grows with the chunk only.
    ///
    /// # Errors
    /// Arrow only: a figure that its column cannot hold exactly. `out` is as before then.
    pub fn rows(&mut self, candles: &[Candle], out: &mut BytesMut) -> Result<(), ColumnarError> {
        match &mut self.0 {
            Writer::Json(writer) => writer.rows(candles, out),
            Writer::Csv(writer) => writer.rows(candles, out),
            Writer::Arrow(writer) => writer.rows(candles, out)?,
        }
        Ok(())
    }

    /// Appends what completes the sequence. One without candles is `[]`, a header line, or a stream of a schema alone.
    ///
    /// # Errors
    /// Arrow only: the stream cannot be finished.
    pub fn end(&mut self, out: &mut BytesMut) -> Result<(), ColumnarError> {
        match &mut self.0 {
            Writer::Json(writer) => writer.end(out),
            Writer::Csv(writer) => writer.rows(&[], out),
            Writer::Arrow(writer) => writer.end(out)?,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::cast::AsArray;
    use arrow_array::types::{Decimal128Type, TimestampMillisecondType, UInt64Type};
    use arrow_array::{ArrayRef, RecordBatch};
    use arrow_ipc::reader::StreamReader;
    use arrow_schema::DataType;
    use candlemill_shared::Decimal;
    use serde_json::Value;

    #[test]
    fn names() {
        for (name, expected) in [
            ("json", Some(Format::Json)),
            ("objects", Some(Format::Objects)),
            ("csv", Some(Format::Csv)),
            ("arrow", Some(Format::Arrow)),
            ("CSV", None),
            ("", None),
        ] {
            assert_eq!(Format::named(name), expected, "{name:?}");
        }
    }

    /// Figures that a form could spoil: trailing zeros, many places, none at all, large ones, below zero.
    fn edges() -> Vec<Candle> {
        let texts = ["0", "0.00000000", "1.10", "-3.5", "0.000000000000000001", "99999999999999999999.99999999", "7e3"];
        let figure = |n: usize| -> Decimal {
            let text = texts[n % texts.len()];
            text.parse().or_else(|_| Decimal::from_scientific(text)).unwrap()
        };
        let candle = |n: usize| Candle {
            open_time: i64::try_from(n).unwrap() * 60_000,
            open: figure(n),
            high: figure(n + 1),
            low: figure(n + 2),
            close: figure(n + 3),
            volume: figure(n + 4),
            close_time: 9_999_999_999_999,
            quote_volume: figure(n + 5),
            trades: if n == 0 { u64::MAX } else { 0 },
            taker_buy_volume: figure(n + 6),
            taker_buy_quote_volume: figure(n * 2),
        };
        (0..50).map(candle).collect()
    }

    fn write(format: Format, candles: &[Candle], chunk: usize) -> BytesMut {
        let (mut writer, mut out) = (format.writer(), BytesMut::new());
        candles.chunks(chunk).for_each(|rows| writer.rows(rows, &mut out).unwrap());
        writer.end(&mut out).unwrap();
        out
    }

    /// The columns as texts, in the exchange's order.
    fn columns(candle: &Candle) -> [String; 11] {
        let Candle { open_time, open, high, low, close, volume, close_time, quote_volume, trades, .. } = candle;
        let (base, quote) = (candle.taker_buy_volume, candle.taker_buy_quote_volume);
        [
            open_time.to_string(),
            open.to_string(),
            high.to_string(),
            low.to_string(),
            close.to_string(),
            volume.to_string(),
            close_time.to_string(),
            quote_volume.to_string(),
            trades.to_string(),
            base.to_string(),
            quote.to_string(),
        ]
    }

    fn read(format: Format, bytes: &[u8]) -> Vec<Vec<String>> {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        match format {
            Format::Json => {
                let rows: Vec<Vec<Value>> = serde_json::from_slice(bytes).unwrap();
                rows.iter().map(|row| row[..11].iter().map(text).collect()).collect()
            }
            Format::Objects => {
                let rows: Vec<Candle> = serde_json::from_slice(bytes).unwrap();
                rows.iter().map(|candle| columns(candle).to_vec()).collect()
            }
            Format::Csv => {
                let mut reader = csv::Reader::from_reader(bytes);
                reader.records().map(|row| row.unwrap().iter().take(11).map(str::to_owned).collect()).collect()
            }
            Format::Arrow => {
                let batches = StreamReader::try_new(bytes, None).unwrap().map(Result::unwrap);
                batches
                    .flat_map(|batch| (0..batch.num_rows()).map(|n| arrow_row(&batch, n)).collect::<Vec<_>>())
                    .collect()
            }
        }
    }

    fn arrow_row(batch: &RecordBatch, row: usize) -> Vec<String> {
        let cell = |column: &ArrayRef| match column.data_type() {
            DataType::Timestamp(..) => column.as_primitive::<TimestampMillisecondType>().value(row).to_string(),
            DataType::UInt64 => column.as_primitive::<UInt64Type>().value(row).to_string(),
            _ => column.as_primitive::<Decimal128Type>().value_as_string(row),
        };
        batch.columns().iter().map(cell).collect()
    }

    #[test]
    fn every_form_reads_back_whatever_its_chunks() {
        let candles = edges();
        let printed: Vec<_> = candles.iter().map(|candle| columns(candle).to_vec()).collect();
        // Arrow has one number of places for all figures: the value is the same, its zeros are not.
        let number =
            |text: &String| text.parse::<Decimal>().map_or_else(|_| text.clone(), |n| n.normalize().to_string());
        let numbers = |rows: &[Vec<String>]| -> Vec<Vec<String>> {
            rows.iter().map(|row| row.iter().map(number).collect()).collect()
        };
        for chunk in [1, 7, 50] {
            for format in [Format::Json, Format::Objects, Format::Csv] {
                assert_eq!(read(format, &write(format, &candles, chunk)), printed, "{format:?} by {chunk}");
            }
            let arrow = read(Format::Arrow, &write(Format::Arrow, &candles, chunk));
            assert_eq!(numbers(&arrow), numbers(&printed), "Arrow by {chunk}");
        }
    }
}
