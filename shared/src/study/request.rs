//! The studies that can be asked for.

use super::calendar::{Grouping, Measure};
use crate::interval::Interval;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Candles that a calendar study needs at least: two of the smallest groups that a verdict is passed on.
const MIN_CALENDAR_CANDLES: u64 = 60;

/// A study with its parameters. A parameter that is left out has a default that gives the useful answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "study", rename_all = "snake_case")]
pub enum Study {
    /// Whether returns, ranges and volume depend on hour, weekday, day of month and so on.
    Calendar(CalendarStudy),
    /// Trading on the crossings of two simple moving averages.
    SmaCrossover(SmaCrossover),
    /// Trading on the return of a rolling z-score to its mean.
    MeanReversion(MeanReversion),
}

impl Study {
    /// The study's name on the wire.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Calendar(_) => "calendar",
            Self::SmaCrossover(_) => "sma_crossover",
            Self::MeanReversion(_) => "mean_reversion",
        }
    }

    /// Every parameter that is wrong for candles of `interval`, and why.
    #[must_use]
    pub fn faults(&self, interval: Interval) -> Vec<(&'static str, String)> {
        match self {
            Self::Calendar(calendar) => calendar.faults(interval),
            Self::SmaCrossover(crossover) => crossover.faults(),
            Self::MeanReversion(reversion) => reversion.faults(),
        }
    }

    /// Candles that it needs at least.
    #[must_use]
    pub fn min_candles(&self) -> u64 {
        match self {
            Self::Calendar(_) => MIN_CALENDAR_CANDLES,
            Self::SmaCrossover(crossover) => crossover.min_candles(),
            Self::MeanReversion(reversion) => reversion.min_candles(),
        }
    }

    /// One of each, with default parameters.
    #[must_use]
    pub fn all() -> Vec<Self> {
        vec![
            Self::Calendar(CalendarStudy::default()),
            Self::SmaCrossover(SmaCrossover::default()),
            Self::MeanReversion(MeanReversion::default()),
        ]
    }
}

/// Calendar effects.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CalendarStudy {
    /// Groupings to look at; left out: those that the product looks at by default for the interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groupings: Option<Vec<Grouping>>,
    /// Measures to look at; left out: all four.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measures: Option<Vec<Measure>>,
}

impl CalendarStudy {
    /// Every parameter that is wrong for candles of `interval`, and why.
    #[must_use]
    pub fn faults(&self, interval: Interval) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        let groupings = self.groupings.as_deref().unwrap_or_default();
        for (at, grouping) in groupings.iter().enumerate() {
            if groupings[..at].contains(grouping) {
                faults.push(("groupings", format!("{} is asked for twice; once is enough", grouping.as_str())));
            }
            if !grouping.fits(interval) {
                let all = Grouping::ALL.into_iter().filter(|grouping| grouping.fits(interval));
                let fitting: Vec<_> = all.map(Grouping::as_str).collect();
                let told =
                    format!("{} makes no sense for {interval} candles; only {}", grouping.as_str(), fitting.join(" "));
                faults.push(("groupings", told));
            }
        }
        let measures = self.measures.as_deref().unwrap_or_default();
        if measures.iter().enumerate().any(|(at, measure)| measures[..at].contains(measure)) {
            faults.push(("measures", "one is asked for twice; once is enough".to_owned()));
        }
        for (field, none) in [
            ("groupings", self.groupings.as_ref().is_some_and(Vec::is_empty)),
            ("measures", self.measures.as_ref().is_some_and(Vec::is_empty)),
        ] {
            if none {
                faults.push((field, "must hold one at least; leave it out for all".to_owned()));
            }
        }
        if self.groupings.is_none() && !Grouping::ALL.into_iter().any(|grouping| grouping.fits(interval)) {
            faults.push(("groupings", format!("{interval} candles fit no grouping")));
        }
        faults
    }
}

/// Which positions a strategy may take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PositionSides {
    /// Long, or nothing.
    #[default]
    LongFlat,
    /// Long or short.
    LongShort,
}

/// One fast and one slow simple moving average of closes: long while the fast one is above, flat or short while it is below.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SmaCrossover {
    /// Candles of the fast average; below `slow`.
    #[schema(minimum = 1, maximum = 100_000, default = 20)]
    pub fast: u32,
    /// Candles of the slow average.
    #[schema(minimum = 2, maximum = 100_000, default = 100)]
    pub slow: u32,
    /// Positions that it may take.
    pub sides: PositionSides,
    /// Fee of each fill, in basis points (hundredths of a per cent) of its worth.
    #[schema(minimum = 0, maximum = 1_000, default = 10)]
    pub fee_bps: f64,
    /// Share of the candles, at the end, that is out of sample.
    #[schema(minimum = 0.05, maximum = 0.95, default = 0.3)]
    pub out_of_sample: f64,
    /// Candles between the two samples that count for neither; left out: as many as the slow average has.
    #[schema(minimum = 0, maximum = 100_000)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub embargo: Option<u32>,
}

impl Default for SmaCrossover {
    fn default() -> Self {
        Self { fast: 20, slow: 100, sides: PositionSides::LongFlat, fee_bps: 10.0, out_of_sample: 0.3, embargo: None }
    }
}

/// Rolling z-score of the close: long when it falls to `-entry`, out again at `-exit` or above; short the other way round.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MeanReversion {
    /// Candles of the rolling mean and deviation, the current one included.
    #[schema(minimum = 2, maximum = 100_000, default = 48)]
    pub window: u32,
    /// Distance from the mean, in deviations, at which a position is opened; above `exit`.
    #[schema(minimum = 0, maximum = 100, default = 2.0)]
    pub entry: f64,
    /// Distance from the mean, in deviations, at which it is closed.
    #[schema(minimum = 0, maximum = 100, default = 0.5)]
    pub exit: f64,
    /// Positions that it may take.
    pub sides: PositionSides,
    /// Fee of each fill, in basis points (hundredths of a per cent) of its worth.
    #[schema(minimum = 0, maximum = 1_000, default = 10)]
    pub fee_bps: f64,
    /// Share of the candles, at the end, that is out of sample.
    #[schema(minimum = 0.05, maximum = 0.95, default = 0.3)]
    pub out_of_sample: f64,
    /// Candles between the two samples that count for neither; left out: as many as the window has.
    #[schema(minimum = 0, maximum = 100_000)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub embargo: Option<u32>,
}

impl Default for MeanReversion {
    fn default() -> Self {
        Self {
            window: 48,
            entry: 2.0,
            exit: 0.5,
            sides: PositionSides::LongFlat,
            fee_bps: 10.0,
            out_of_sample: 0.3,
            embargo: None,
        }
    }
}
