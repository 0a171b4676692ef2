//! Candles: fetching them, reading them, and what is known of their completeness.

pub mod batch;
pub mod coverage;
pub mod fetch;
pub mod klines;
mod run_at;
mod series_query;
pub mod submission;
pub mod verify;
pub(crate) mod wanted;
