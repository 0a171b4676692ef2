//! A client of the Candlemill API and what a terminal shows of it: progress bar, result, candle chart.
//!
//! The program `candlemill` and the development kit are built on it. It uses the public API only.

pub mod api;
pub mod bar;
pub mod candles;
pub mod chart;
pub mod events;
pub mod report;
pub mod wire;

pub use api::{Api, ApiError};
pub use bar::Bar;
pub use wire::{Accepted, BatchRequest, FetchRequest, Instant, ProgressView, TaskView};
