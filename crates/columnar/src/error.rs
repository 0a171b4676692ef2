//! Why candles cannot be written.

use arrow_schema::ArrowError;
use candlemill_shared::Decimal;

/// Candles that a form cannot hold. Trying again does not help. JSON and CSV take every candle.
#[derive(Debug, thiserror::Error)]
pub enum ColumnarError {
    /// A price or an amount that the column type of Arrow cannot hold exactly.
    #[error("{0} has more than 18 places, or more than 20 digits before them: decimal128(38, 18) cannot hold it")]
    Inexact(Decimal),
    /// Arrow refused the columns or could not write the stream.
    #[error("candles cannot be written as an Arrow stream")]
    Arrow(#[from] ArrowError),
}
