//! Seasonality studies: pure functions on columns of candles. No clock, no store, no runtime.
//!
//! Every result depends on its arguments alone, however many threads compute it.

pub mod calendar;
mod candles;
mod control;
mod stats;
pub mod strategy;

pub use candlemill_columnar::CandleColumns;
pub use candles::{Candles, CandlesError};
pub use control::{Control, Stopped, ToTheEnd};
