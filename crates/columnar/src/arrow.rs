//! Candles as an Arrow IPC stream.
//!
//! Times are `timestamp[ms, UTC]`; figures are `decimal128(38, 18)`, which holds every decimal of up to 18 places exactly
//! (exchanges print 8).

use arrow_array::builder::{Decimal128Builder, TimestampMillisecondBuilder, UInt64Builder};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef, TimeUnit};
use bytes::{BufMut, BytesMut};
use candlemill_shared::{Candle, Decimal};
use candlemill_store::StoreError;
use std::sync::Arc;

const PRECISION: u8 = 38;
const SCALE: u32 = 18;
const UTC: &str = "UTC";

/// An Arrow IPC stream; its schema is written with the first chunk.
#[derive(Default)]
pub(super) struct ArrowWriter {
    stream: Option<StreamWriter<Vec<u8>>>,
}

fn schema() -> SchemaRef {
    let time = || DataType::Timestamp(TimeUnit::Millisecond, Some(UTC.into()));
    let figure = || DataType::Decimal128(PRECISION, 18);
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

fn unwritable(error: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt { what: "a candle for Arrow".to_owned(), why: error.to_string() }
}

impl ArrowWriter {
    fn stream(&mut self) -> Result<&mut StreamWriter<Vec<u8>>, StoreError> {
        match &mut self.stream {
            Some(stream) => Ok(stream),
            none => Ok(none.insert(StreamWriter::try_new(Vec::new(), &schema()).map_err(unwritable)?)),
        }
    }

    pub(super) fn rows(&mut self, candles: &[Candle], out: &mut BytesMut) -> Result<(), StoreError> {
        let batch = batch(candles)?;
        let stream = self.stream()?;
        stream.write(&batch).map_err(unwritable)?;
        out.put_slice(&std::mem::take(stream.get_mut()));
        Ok(())
    }

    pub(super) fn end(&mut self, out: &mut BytesMut) -> Result<(), StoreError> {
        let stream = self.stream()?;
        stream.finish().map_err(unwritable)?;
        out.put_slice(&std::mem::take(stream.get_mut()));
        Ok(())
    }
}

fn batch(candles: &[Candle]) -> Result<RecordBatch, StoreError> {
    let figures = |of: fn(&Candle) -> Decimal| -> Result<ArrayRef, StoreError> {
        let mut column = Decimal128Builder::with_capacity(candles.len());
        for candle in candles {
            column.append_value(scaled(of(candle))?);
        }
        Ok(Arc::new(column.with_precision_and_scale(PRECISION, 18).map_err(unwritable)?.finish()))
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
    RecordBatch::try_new(schema(), columns).map_err(|error: ArrowError| unwritable(error))
}

/// The decimal in units of 10⁻¹⁸.
fn scaled(decimal: Decimal) -> Result<i128, StoreError> {
    let too_fine = || unwritable(format!("{decimal} has more than {SCALE} places or too many digits"));
    let places = SCALE.checked_sub(decimal.scale()).ok_or_else(too_fine)?;
    let units = decimal.mantissa().checked_mul(10_i128.pow(places)).ok_or_else(too_fine)?;
    // `i128` holds a little more than the 38 digits that readers rely on.
    if units.unsigned_abs() < 10_u128.pow(PRECISION.into()) { Ok(units) } else { Err(too_fine()) }
}

#[cfg(test)]
mod tests {
    use super::super::text::tests::candle;
    use super::*;
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
    fn figures_that_would_lose_digits_are_refused() {
        assert!(scaled("0.1234567890123456789".parse().unwrap()).is_err());
        assert!(scaled("150000000000000000000.00000000".parse().unwrap()).is_err(), "39 digits");
        assert!(scaled("99999999999999999999.99999999".parse().unwrap()).is_ok(), "38 digits");
        assert_eq!(scaled("-1.5".parse().unwrap()).unwrap(), -1_500_000_000_000_000_000);
    }
}
