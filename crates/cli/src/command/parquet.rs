//! Candles as a Parquet file, made of the API's Arrow stream: one row group at a time, so that memory stays the same however many
//! candles there are.

use anyhow::{Context as _, Result};
use arrow_buffer::Buffer;
use arrow_ipc::reader::StreamDecoder;
use bytes::Bytes;
use candlemill_client::Api;
use candlemill_client::forms::KlinesQuery;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use std::io::Write;

/// Candles of one row group: some 10 MB while it is made.
const ROW_GROUP: usize = 65_536;

/// Writes the candles of `query`, which asks for Arrow. On an error what was written is no whole file.
pub(super) async fn write(api: &Api, query: &KlinesQuery, sink: &mut (impl Write + Send)) -> Result<()> {
    let mut answer = api.klines(query).await?;
    let mut file = ParquetFile::new(sink, ROW_GROUP);
    while let Some(chunk) = answer.chunk().await? {
        file.feed(chunk)?;
    }
    file.end()
}

/// A Parquet file under way.
struct ParquetFile<'a, W: Write + Send> {
    stream: StreamDecoder,
    sink: Option<&'a mut W>,
    writer: Option<ArrowWriter<&'a mut W>>,
    row_group: usize,
}

impl<'a, W: Write + Send> ParquetFile<'a, W> {
    fn new(sink: &'a mut W, row_group: usize) -> Self {
        Self { stream: StreamDecoder::new(), sink: Some(sink), writer: None, row_group }
    }

    /// Takes more bytes of the Arrow stream.
    fn feed(&mut self, bytes: Bytes) -> Result<()> {
        let mut bytes = Buffer::from(bytes);
        while !bytes.is_empty() {
            let batch = self.stream.decode(&mut bytes).context("reading the API's Arrow stream")?;
            // The schema comes first, in however many pieces.
            if let Some(schema) = self.stream.schema()
                && let Some(sink) = self.sink.take()
            {
                let properties = WriterProperties::builder()
                    .set_compression(Compression::SNAPPY)
                    .set_max_row_group_row_count(Some(self.row_group))
                    .build();
                self.writer = Some(ArrowWriter::try_new(sink, schema, Some(properties)).context("beginning the file")?);
            }
            if let (Some(batch), Some(writer)) = (batch, &mut self.writer) {
                writer.write(&batch).context("writing the candles")?;
            }
        }
        Ok(())
    }

    /// Writes what a Parquet file ends with.
    fn end(mut self) -> Result<()> {
        self.stream.finish().context("the API's Arrow stream is not whole")?;
        let writer = self.writer.context("the API's Arrow stream has no schema")?;
        writer.close().context("ending the file")?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::cast::AsArray as _;
    use arrow_array::types::{Decimal128Type, TimestampMillisecondType};
    use bytes::BytesMut;
    use candlemill_columnar::Format;
    use candlemill_shared::Candle;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    use parquet::file::metadata::RowGroupMetaData;
    use serde_json::json;

    fn candle(open_time: i64) -> Candle {
        serde_json::from_value(json!({
            "open_time": open_time, "open": "1.50000000", "high": "3.00000000", "low": "1.00000000", "close": "2.25000000",
            "volume": "10.00000000", "close_time": open_time + 59_999, "quote_volume": "20.00000000", "trades": 7,
            "taker_buy_volume": "5.00000000", "taker_buy_quote_volume": "10.00000000"}))
        .unwrap()
    }

    /// An Arrow stream of so many candles, a hundred in a batch.
    fn arrow(candles: i64) -> Bytes {
        let candles: Vec<Candle> = (0..candles).map(|number| candle(number * 60_000)).collect();
        let (mut writer, mut out) = (Format::Arrow.writer(), BytesMut::new());
        for batch in candles.chunks(100) {
            writer.rows(batch, &mut out).unwrap();
        }
        writer.end(&mut out).unwrap();
        out.freeze()
    }

    /// Feeds the stream in pieces of so many bytes; the file has these row groups.
    fn check(candles: i64, piece: usize, expected: &[i64]) {
        let (stream, mut written) = (arrow(candles), Vec::new());
        let mut file = ParquetFile::new(&mut written, 250);
        for start in (0..stream.len()).step_by(piece) {
            file.feed(stream.slice(start..stream.len().min(start + piece))).unwrap();
        }
        file.end().unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(written)).unwrap();
        let groups: Vec<i64> = reader.metadata().row_groups().iter().map(RowGroupMetaData::num_rows).collect();
        assert_eq!(groups, expected, "{candles} candles in pieces of {piece}");
        let mut read = Vec::new();
        for batch in reader.build().unwrap().map(Result::unwrap) {
            let (times, closes) = (
                batch["open_time"].as_primitive::<TimestampMillisecondType>(),
                batch["close"].as_primitive::<Decimal128Type>(),
            );
            assert_eq!((closes.precision(), closes.scale()), (38, 18));
            read.extend(times.values().iter().copied().zip(closes.values().iter().copied()));
        }
        let close = 2_250_000_000_000_000_000_i128;
        assert_eq!(read, (0..candles).map(|number| (number * 60_000, close)).collect::<Vec<_>>());
    }

    #[test]
    fn streams_become_files_however_they_are_cut() {
        check(0, 64, &[]);
        check(1, 7, &[1]);
        check(600, 1_000, &[250, 250, 100]);
        check(600, usize::MAX, &[250, 250, 100]);
    }

    #[test]
    fn a_stream_that_breaks_off_is_refused() {
        let (stream, mut written) = (arrow(10), Vec::new());
        let mut file = ParquetFile::new(&mut written, 250);
        file.feed(stream.slice(..stream.len() / 2)).unwrap();
        assert!(file.end().is_err());
        assert!(ParquetFile::new(&mut Vec::new(), 250).end().is_err());
    }
}
