//! Charts of studies as SVG: report forms in, text out. No clock, no store, no runtime.
//!
//! A chart is one file without script and without reference to anything outside it. It is 600 units wide: at 360 px a text of
//! 17 units is about 10 px high. Above 700 px its style shows more labels in smaller type. Colours follow the
//! reader's light or dark scheme, and no fact is told by colour alone. What the caller or a report gives is escaped in one
//! place, and a figure that is not defined is drawn as hatching or as nothing, never as a number.

mod bars;
mod calendar;
mod captions;
mod equity;
mod heat_map;
mod mark;
mod page;
mod scale;
mod stability;
mod strategy;
mod style;
mod text;
mod words;

use candlemill_shared::Timestamp;

pub use calendar::calendar;
pub use strategy::strategy;

/// Largest length of a chart's text, in bytes, whatever the report holds.
pub const MAX_BYTES: usize = 200 * 1024;

/// What a study looked at, for captions.
#[derive(Debug, Clone, Copy)]
pub struct ChartContext<'a> {
    /// The market, in any script.
    pub symbol: &'a str,
    /// Interval of the candles: `1h`.
    pub interval: &'a str,
    /// IANA name of the zone that buckets are in.
    pub time_zone: &'a str,
    /// Open time of the first candle.
    pub from: Timestamp,
    /// Close of the last candle (open time of the one after it).
    pub to: Timestamp,
}

/// A chart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chart {
    /// Its name in addresses, unique in a report: `[a-z0-9-]{1,64}`.
    pub name: String,
    /// Its heading, as plain text that is not escaped.
    pub title: String,
    /// The file, at most [`MAX_BYTES`].
    pub svg: String,
}
