//! The coverage ledger: which ranges of a series are complete, and why buckets inside them are absent.
//!
//! A series is cut into chunks on a fixed grid, one document each. A change reads its chunk and replaces it only as it was
//! read, so writers on one series need no lock, and the rules of a chunk (`chunk.rs`) hold at every moment.

mod audit;
mod change;
mod chunk;
mod corrections;
mod document;
mod earlier;
mod ledger;
mod series_list;
mod summary;

pub use audit::Audited;
pub use chunk::Observation;
pub use ledger::{Coverage, Known};
pub use series_list::{SeriesPage, SeriesSelection};
pub use summary::SeriesSummary;
