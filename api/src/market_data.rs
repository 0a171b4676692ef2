//! Candles: fetching them, reading them, and what is known of their completeness.

pub mod batch;
pub mod coverage;
pub mod fetch;
pub mod klines;
pub(crate) mod listings;
pub(crate) mod run_at;
pub mod series;
mod series_query;
pub mod submission;
pub mod symbols;
pub mod verify;
pub(crate) mod wanted;
