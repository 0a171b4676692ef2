//! The forms that candles are answered in.

use super::arrow::ArrowWriter;
use super::text::{CsvWriter, JsonWriter};
use bytes::BytesMut;
use candlemill_shared::Candle;
use candlemill_store::StoreError;

/// A form of candles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// Arrays in the exchange's own order.
    Json,
    /// Objects with full names.
    Objects,
    /// With a header line.
    Csv,
    /// Arrow IPC stream.
    Arrow,
}

const ARROW: &str = "application/vnd.apache.arrow.stream";
const CSV: &str = "text/csv";

impl Format {
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "json" => Some(Self::Json),
            "objects" => Some(Self::Objects),
            "csv" => Some(Self::Csv),
            "arrow" => Some(Self::Arrow),
            _ => None,
        }
    }

    /// The form that an `Accept` header names; JSON when it names none of ours.
    pub(super) fn accepted(accept: Option<&str>) -> Self {
        let kinds = accept.unwrap_or_default().split(',').map(|kind| kind.split(';').next().unwrap_or_default().trim());
        kinds
            .filter_map(|kind| match kind {
                ARROW => Some(Self::Arrow),
                CSV => Some(Self::Csv),
                "application/json" => Some(Self::Json),
                _ => None,
            })
            .next()
            .unwrap_or(Self::Json)
    }

    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::Json | Self::Objects => "application/json",
            Self::Csv => "text/csv; charset=utf-8",
            Self::Arrow => ARROW,
        }
    }

    /// Whether an answer without a limit is a page rather than the whole range.
    pub(super) const fn is_paged(self) -> bool {
        matches!(self, Self::Json | Self::Objects)
    }

    pub(super) fn writer(self) -> Writer {
        match self {
            Self::Json => Writer::Json(JsonWriter::arrays()),
            Self::Objects => Writer::Json(JsonWriter::objects()),
            Self::Csv => Writer::Csv(CsvWriter::default()),
            Self::Arrow => Writer::Arrow(Box::default()),
        }
    }
}

/// Writes candles, chunk after chunk.
pub(super) enum Writer {
    Json(JsonWriter),
    Csv(CsvWriter),
    Arrow(Box<ArrowWriter>),
}

impl Writer {
    pub(super) fn rows(&mut self, candles: &[Candle], out: &mut BytesMut) -> Result<(), StoreError> {
        match self {
            Self::Json(writer) => writer.rows(candles, out),
            Self::Csv(writer) => writer.rows(candles, out),
            Self::Arrow(writer) => writer.rows(candles, out)?,
        }
        Ok(())
    }

    pub(super) fn end(&mut self, out: &mut BytesMut) -> Result<(), StoreError> {
        match self {
            Self::Json(writer) => writer.end(out),
            Self::Csv(writer) => writer.rows(&[], out),
            Self::Arrow(writer) => writer.end(out)?,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accept_headers() {
        for (accept, expected) in [
            (None, Format::Json),
            (Some("*/*"), Format::Json),
            (Some("text/html, text/csv;q=0.9"), Format::Csv),
            (Some("application/vnd.apache.arrow.stream"), Format::Arrow),
        ] {
            assert_eq!(Format::accepted(accept), expected, "{accept:?}");
        }
    }
}
