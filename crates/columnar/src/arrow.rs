//! Candles as an Arrow IPC stream.
//!
//! Times are `timestamp[ms, UTC]`; figures are `decimal128(38, 18)`, which holds every decimal of up to 18 places exactly
//! (exchanges print 8).

use crate::error::ColumnarError;
use arrow_array::builder::{Decimal128Builder, TimestampMillisecondBuilder, UInt64Builder};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use bytes::{BufMut, BytesMut};
use candlemill_shared::{Candle, Decimal};
use std::sync::Arc;

/// Digits of a figure.
const PRECISION: u8 = 38;
/// Digits of a figure after the point.
const SCALE: i8 = 18;
const UTC: &str = "UTC";

/// An Arrow IPC stream; its schema is written with the first chunk.
#[derive(Default)]
pub(crate) struct ArrowWriter {
    stream: Option<StreamWriter<Vec<u8>>>,
}

fn schema() -> SchemaRef {
    let time = || DataType::Timestamp(TimeUnit::Millisecond, Some(UTC.into()));
    let figure = || DataType::Decimal128(PRECISION, SCALE);
    let field = |name: &str, kind: DataType| Field::new(name, kind, false);
    Arc::new(Schema::new(vec![
        field("open_time", time()),
        field("open", figure()),
        field("high", figure()),
        field("low", figure()),
        field("close", figure()),
        field("volume", figure()),
        field("close_time", time()),
        field("quote_volume", figure()),
        field("trades", DataType::UInt64),
        field("taker_buy_volume", figure()),
        field("taker_buy_quote_volume", figure()),
    ]))
}

impl ArrowWriter {
    fn stream(&mut self) -> Result<&mut StreamWriter<Vec<u8>>, ColumnarError> {
        match &mut self.stream {
            Some(stream) => Ok(stream),
            none => Ok(none.insert(StreamWriter::try_new(Vec::new(), &schema())?)),
        }
    }

    /// Appends the candles as one record batch. On an error `out` is as before.
    pub(crate) fn rows(&mut self, candles: &[Candle], out: &mut BytesMut) -> Result<(), ColumnarError> {
        let batch = batch(candles)?;
        let stream = self.stream()?;
        stream.write(&batch)?;
        out.put_slice(&std::mem::take(stream.get_mut()));
        Ok(())
    }

    /// Appends the end of the stream; of a stream without candles also its schema.
    pub(crate) fn end(&mut self, out: &mut BytesMut) -> Result<(), ColumnarError> {
        let stream = self.stream()?;
        stream.finish()?;
        out.put_slice(&std::mem::take(stream.get_mut()));
        Ok(())
    }
}

fn batch(candles: &[Candle]) -> Result<RecordBatch, ColumnarError> {
    let figures = |of: fn(&Candle) -> Decimal| -> Result<ArrayRef, ColumnarError> {
        let mut column = Decimal128Builder::with_capacity(candles.len());
        for candle in candles {
            column.append_value(scaled(of(candle))?);
        }
        Ok(Arc::new(column.with_precision_and_scale(PRECISION, SCALE)?.finish()))
    };
    let times = |of: fn(&Candle) -> i64| -> ArrayRef {
        let mut column = TimestampMillisecondBuilder::with_capacity(candles.len()).with_timezone(UTC);
        candles.iter().for_each(|candle| column.append_value(of(candle)));
        Arc::new(column.finish())
    };
    let mut trades = UInt64Builder::with_capacity(candles.len());
    candles.iter().for_each(|candle| trades.append_value(candle.trades));
    let columns: Vec<ArrayRef> = vec![
        times(|c| c.open_time),
        figures(|c| c.open)?,
        figures(|c| c.high)?,
        figures(|c| c.low)?,
        figures(|c| c.close)?,
        figures(|c| c.volume)?,
        times(|c| c.close_time),
        figures(|c| c.quote_volume)?,
        Arc::new(trades.finish()),
        figures(|c| c.taker_buy_volume)?,
        figures(|c| c.taker_buy_quote_volume)?,
    ];
    Ok(RecordBatch::try_new(schema(), columns)?)
}

/// The decimal in units of 10⁻¹⁸.
fn scaled(decimal: Decimal) -> Result<i128, ColumnarError> {
    let inexact = || ColumnarError::Inexact(decimal);
    let places = u32::from(SCALE.unsigned_abs()).checked_sub(decimal.scale()).ok_or_else(inexact)?;
    let units = decimal.mantissa().checked_mul(10_i128.pow(places)).ok_or_else(inexact)?;
    // `i128` holds a little more than the 38 digits that readers rely on.
    if units.unsigned_abs() < 10_u128.pow(PRECISION.into()) { Ok(units) } else { Err(inexact()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::candle;
    use arrow_array::cast::AsArray;
    use arrow_array::types::{Decimal128Type, TimestampMillisecondType};
    use arrow_ipc::reader::StreamReader;

    #[test]
    fn streams_read_back() {
        let (mut writer, mut out) = (ArrowWriter::default(), BytesMut::new());
        writer.rows(&[candle(1), candle(2)], &mut out).unwrap();
        writer.rows(&[candle(3)], &mut out).unwrap();
        writer.end(&mut out).unwrap();
        let batches: Vec<_> = StreamReader::try_new(&out[..], None).unwrap().map(Result::unwrap).collect();
        assert_eq!(batches.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [2, 1]);
        assert_eq!(batches[1].column(0).as_primitive::<TimestampMillisecondType>().value(0), 3);
        let open = batches[0].column(1).as_primitive::<Decimal128Type>().value(1);
        assert_eq!(Decimal::from_i128_with_scale(open, 18), candle(2).open);
    }

    #[test]
    fn an_empty_stream_has_its_schema() {
        let (mut writer, mut out) = (ArrowWriter::default(), BytesMut::new());
        writer.end(&mut out).unwrap();
        assert_eq!(StreamReader::try_new(&out[..], None).unwrap().schema(), schema());
    }

    #[test]
    fn a_refused_candle_leaves_the_output_as_it_was() {
        let (mut writer, mut out) = (ArrowWriter::default(), BytesMut::new());
        writer.rows(&[candle(1)], &mut out).unwrap();
        let before = out.clone();
        let close = "0.1234567890123456789".parse().unwrap();
        let refused = writer.rows(&[candle(2), Candle { close, ..candle(3) }], &mut out);
        assert!(matches!(refused, Err(ColumnarError::Inexact(figure)) if figure == close), "{refused:?}");
        assert_eq!(out, before);
    }

    #[test]
    fn figures_that_would_lose_digits_are_refused() {
        assert!(scaled("0.1234567890123456789".parse().unwrap()).is_err());
        assert!(scaled("150000000000000000000.00000000".parse().unwrap()).is_err(), "39 digits");
        assert!(scaled("99999999999999999999.99999999".parse().unwrap()).is_ok(), "38 digits");
        assert_eq!(scaled("-1.5".parse().unwrap()).unwrap(), -1_500_000_000_000_000_000);
    }
}
