//! An answer of candles, read as it comes.

use crate::api::parse;
use crate::error::ApiError;
use bytes::Bytes;
use candlemill_shared::Timestamp;
use reqwest::Response;
use serde::de::DeserializeOwned;

/// An answer of candles, in the form that was asked for.
#[derive(Debug)]
pub struct Klines {
    answer: Response,
    base: String,
    next_cursor: Option<Timestamp>,
    corrections: u32,
}

impl Klines {
    pub(crate) fn new(answer: Response, base: &str) -> Self {
        let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok());
        let next_cursor = header("x-next-cursor").and_then(|cursor| cursor.parse().ok());
        let corrections = header("x-corrections").and_then(|number| number.parse().ok()).unwrap_or(0);
        Self { next_cursor, corrections, answer, base: base.to_owned() }
    }

    /// `cursor` of the next page, where a limit leaves candles over.
    #[must_use]
    pub const fn next_cursor(&self) -> Option<Timestamp> {
        self.next_cursor
    }

    /// Candles of the answer's range of which the exchange later gave other figures, counted up to 100.
    #[must_use]
    pub const fn corrections(&self) -> u32 {
        self.corrections
    }

    /// The next bytes; `None` at the end of a whole answer.
    ///
    /// # Errors
    /// An answer that breaks off: what came before is not all.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, ApiError> {
        let broken = |source| ApiError::Unreachable { base: self.base.clone(), source };
        self.answer.chunk().await.map_err(broken)
    }

    /// The whole answer as text.
    ///
    /// # Errors
    /// An answer that breaks off.
    pub async fn text(self) -> Result<String, ApiError> {
        let Self { answer, base, .. } = self;
        answer.text().await.map_err(|source| ApiError::Unreachable { base, source })
    }

    /// The whole answer as JSON.
    ///
    /// # Errors
    /// An answer that breaks off, or has another form.
    pub async fn json<T: DeserializeOwned>(self) -> Result<T, ApiError> {
        parse(&self.text().await?)
    }
}
