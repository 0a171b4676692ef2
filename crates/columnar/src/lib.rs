//! Stored candles as typed columns, and their written forms: Arrow IPC stream, CSV, JSON.
//!
//! Everything here works in memory: a writer appends bytes to a buffer and knows no file, no connection and no store.
//! Figures are exact: a form prints every digit that the source printed, or refuses the candle.

mod arrow;
mod columns;
mod error;
mod format;
#[cfg(test)]
mod sample;
mod table;
mod text;

pub use columns::CandleColumns;
pub use error::ColumnarError;
pub use format::{CandleWriter, Format};
pub use table::{ColumnKind, TableColumn, TableForm, TableWriter};
