//! What a terminal shows of Candlemill: progress bars, results in words, a candle chart.
//!
//! The program `candlemill` and the development kit are built on it; the API itself is `candlemill-client`'s.

pub mod bar;
pub mod chart;
pub mod report;
pub mod schedule_words;
pub mod study_words;
pub mod table;

pub use bar::{Bar, Bars};
