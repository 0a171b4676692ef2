//! Seasonality studies: what is asked for, and what is found.
//!
//! Figures are `f64`; one that is not defined (the deviation of one value, a ratio with nothing below the line) is null.

mod calendar;
mod faults;
mod names;
mod request;
mod samples;
mod strategy;

pub use calendar::{
    BucketReport, CalendarReport, FStatistic, Grouping, GroupingReport, Measure, ObservationUnit, RawFigures,
    SubPeriod, TestStatistic, Verdict,
};
pub use request::{CalendarStudy, MeanReversion, PositionSides, SmaCrossover, Study};
pub use samples::Samples;
pub use strategy::{EquityPoint, Performance, Phase, Phases, Position, Signal, StrategyReport, Trade};
