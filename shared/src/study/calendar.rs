//! What a calendar study finds.

use crate::interval::Interval;
use crate::timestamp::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How observations are sorted into buckets. All in the study's time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Grouping {
    /// Minute of the hour: `00` to `59`.
    MinuteOfHour,
    /// Hour of the day: `00` to `23`.
    Hour,
    /// Day of the week: `Mon` to `Sun`.
    Weekday,
    /// Hour of the week: `Mon 00` to `Sun 23`.
    HourOfWeek,
    /// Day of the month: `1` to `31`.
    DayOfMonth,
    /// Days about the turn of the month: `-1` (its last day), `+1`, `+2`, `+3`, and `other`.
    TurnOfMonth,
    /// Month of the year: `Jan` to `Dec`.
    Month,
    /// Quarter of the year: `Q1` to `Q4`.
    Quarter,
    /// Session of the day: `asia` from 09:00 in Tokyo, `europe` from 08:00 in London, `us` from 09:30 to 16:00 in New York, `off` from
    /// then to the next opening in Tokyo. Each follows its own daylight saving, whatever the study's zone, at weekends too.
    Session,
}

impl Grouping {
    /// Every grouping.
    pub const ALL: [Self; 9] = [
        Self::MinuteOfHour,
        Self::Hour,
        Self::Weekday,
        Self::HourOfWeek,
        Self::DayOfMonth,
        Self::TurnOfMonth,
        Self::Month,
        Self::Quarter,
        Self::Session,
    ];

    /// Whether observations of the grouping can be made of candles of `interval`.
    ///
    /// A candle must be no longer than the observation and must not reach far over its end: minutes of the hour want candles
    /// below an hour, hours and sessions at most an hour, days, months and quarters at most a day; months and quarters can be made of monthly
    /// candles too. Of three days and of weeks nothing can be made: they lie across days, weeks and months.
    #[must_use]
    pub fn fits(self, interval: Interval) -> bool {
        match self {
            Self::MinuteOfHour => interval < Interval::Hour1,
            Self::Hour | Self::HourOfWeek | Self::Session => interval <= Interval::Hour1,
            Self::Weekday | Self::DayOfMonth | Self::TurnOfMonth => interval <= Interval::Day1,
            Self::Month | Self::Quarter => interval <= Interval::Day1 || interval == Interval::Month1,
        }
    }

    /// Groupings of a study that names none: those that fit, without day of month (the turn of the month is the known
    /// effect of it) and quarter (a coarser month). Each bucket more makes the others harder to prove.
    #[must_use]
    pub fn defaults(interval: Interval) -> Vec<Self> {
        Self::ALL
            .into_iter()
            .filter(|grouping| grouping.fits(interval) && !matches!(grouping, Self::DayOfMonth | Self::Quarter))
            .collect()
    }

    /// Length of an observation.
    #[must_use]
    pub const fn observation(self) -> ObservationUnit {
        match self {
            Self::MinuteOfHour => ObservationUnit::Minute,
            Self::Hour | Self::HourOfWeek => ObservationUnit::Hour,
            Self::Session => ObservationUnit::Session,
            Self::Weekday | Self::DayOfMonth | Self::TurnOfMonth => ObservationUnit::Day,
            Self::Month => ObservationUnit::Month,
            Self::Quarter => ObservationUnit::Quarter,
        }
    }

    /// The unit above the bucket: the bootstrap draws it whole, and a share is taken of its mean.
    #[must_use]
    pub const fn unit(self) -> ObservationUnit {
        match self {
            Self::MinuteOfHour => ObservationUnit::Hour,
            Self::Hour | Self::Session => ObservationUnit::Day,
            Self::Weekday | Self::HourOfWeek => ObservationUnit::Week,
            Self::DayOfMonth | Self::TurnOfMonth => ObservationUnit::Month,
            Self::Month | Self::Quarter => ObservationUnit::Year,
        }
    }
}

/// What is measured of an observation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Log return from the close before it to its own close.
    Return,
    /// Absolute value of that return, as share of its unit's mean.
    AbsoluteReturn,
    /// Logarithm of highest over lowest price, as share of its unit's mean.
    Range,
    /// Volume in the base asset, as share of its unit's mean.
    Volume,
}

/// A stretch of time: an observation's length, or the unit over which shares are taken and which the bootstrap draws.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ObservationUnit {
    /// A minute, or a candle where that is longer.
    Minute,
    /// An hour.
    Hour,
    /// A session of a day.
    Session,
    /// A local day; of sessions, from one opening in Tokyo to the next.
    Day,
    /// A week from Monday to Sunday.
    Week,
    /// A month.
    Month,
    /// A quarter.
    Quarter,
    /// A year.
    Year,
}

impl Measure {
    /// Every measure.
    pub const ALL: [Self; 4] = [Self::Return, Self::AbsoluteReturn, Self::Range, Self::Volume];
}

/// What the figures of a bucket amount to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Holm p at most 0.05, the interval without 0 (if draws were asked for), the same sign in at least four of five
    /// sub-periods, and p at most 0.05 without the strongest of them.
    Stable,
    /// Holm p at most 0.05, but one of the others does not hold.
    Unstable,
    /// Fewer than 30 observations in the bucket.
    Insufficient,
    /// No more than chance.
    Chance,
}

/// What the study found.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CalendarReport {
    /// The rule of the verdicts.
    pub rule: String,
    /// One for each grouping and measure, in the order of the request.
    pub groupings: Vec<GroupingReport>,
}

/// The buckets of a grouping by one measure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GroupingReport {
    /// How observations are sorted.
    pub grouping: Grouping,
    /// What is measured.
    pub measure: Measure,
    /// Length of an observation.
    pub observation: ObservationUnit,
    /// Observations that count.
    pub observations: u64,
    /// Observations left out: a candle is missing inside (the first and last of the range included), of returns also directly
    /// before, or a share's unit has the mean 0.
    pub incomplete: u64,
    /// The unit that the bootstrap draws whole, and whose mean a share is taken of.
    pub unit: ObservationUnit,
    /// Mean length of a block of the bootstrap, in units: the mean over the buckets of the length that their differences ask for.
    pub block_length: f64,
    /// Lag of the HAC estimate, in observations.
    pub lag: u64,
    /// Tests in the family of this measure: its buckets with at least 30 observations, in all groupings of the request.
    pub family: u64,
    /// HAC Wald test that all buckets have one mean: it decides whether there is any effect at all. Null when a bucket has fewer
    /// than 30 observations.
    pub omnibus: Option<TestStatistic>,
    /// Kruskal–Wallis test; assumes that observations are independent, and decides nothing.
    pub kruskal_wallis: Option<TestStatistic>,
    /// Analysis of variance; assumes that observations are independent, and decides nothing.
    pub anova: Option<FStatistic>,
    /// Every bucket, in the order of the calendar.
    pub buckets: Vec<BucketReport>,
}

/// A statistic that has a χ² distribution where nothing depends on the bucket.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TestStatistic {
    /// Its value.
    pub statistic: f64,
    /// Degrees of freedom.
    pub degrees: u64,
    /// Probability of such a value or a larger one by chance.
    pub p: f64,
}

/// A statistic that has an F distribution where nothing depends on the bucket.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FStatistic {
    /// Its value.
    pub statistic: f64,
    /// Degrees of freedom above the line.
    pub between: u64,
    /// Degrees of freedom below the line.
    pub within: u64,
    /// Probability of such a value or a larger one by chance.
    pub p: f64,
}

/// One bucket. Figures of absolute return, range and volume are shares of their unit's mean: 1 is as much as usual.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BucketReport {
    /// The bucket's name: `14`, `Mon`, `Mon 14`, `Q1`.
    pub bucket: String,
    /// Observations in it.
    pub n: u64,
    /// Their mean.
    pub mean: Option<f64>,
    /// Their median.
    pub median: Option<f64>,
    /// Their standard deviation, with n − 1 below the line.
    pub deviation: Option<f64>,
    /// Share of returns above 0; null of the other measures.
    pub win_rate: Option<f64>,
    /// Quantile 5 %, by linear interpolation.
    pub q05: Option<f64>,
    /// Quantile 25 %.
    pub q25: Option<f64>,
    /// Quantile 75 %.
    pub q75: Option<f64>,
    /// Quantile 95 %.
    pub q95: Option<f64>,
    /// The figures before they were made shares; null of returns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<RawFigures>,
    /// Mean of the bucket minus mean of all other observations.
    pub difference: Option<f64>,
    /// t of that difference, with HAC errors.
    pub t: Option<f64>,
    /// Two-sided p of t.
    pub p: Option<f64>,
    /// p with Holm's correction over the family: it decides. Null with fewer than 30 observations.
    pub holm_p: Option<f64>,
    /// q of Benjamini and Hochberg over the family: it informs.
    pub q: Option<f64>,
    /// Lower end of the 95 % bootstrap interval of the difference; null without draws.
    pub low: Option<f64>,
    /// Upper end of it.
    pub high: Option<f64>,
    /// The same difference in each of five equal parts of the time.
    pub sub_periods: Vec<SubPeriod>,
    /// p of the difference without the sub-period that speaks most for it: the one of the largest t in its direction.
    pub p_without_strongest: Option<f64>,
    /// What it amounts to.
    pub verdict: Verdict,
}

/// Figures in their own unit: of absolute return and range logarithms of price ratios, of volume the base asset.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RawFigures {
    /// Mean.
    pub mean: f64,
    /// Median.
    pub median: f64,
    /// Standard deviation, with n − 1 below the line.
    pub deviation: Option<f64>,
}

/// A fifth of the time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SubPeriod {
    /// Start of its first observation.
    pub from: Timestamp,
    /// Start of the first observation after it.
    pub to: Timestamp,
    /// Observations of the bucket in it.
    pub n: u64,
    /// Mean of the bucket minus mean of the rest, in it.
    pub difference: Option<f64>,
    /// t of that, with HAC errors.
    pub t: Option<f64>,
    /// Two-sided p of t.
    pub p: Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(interval: &str, fitting: &[Grouping]) {
        let interval = interval.parse().unwrap();
        let found: Vec<_> = Grouping::ALL.into_iter().filter(|grouping| grouping.fits(interval)).collect();
        assert_eq!(found, fitting, "{interval}");
        assert!(Grouping::defaults(interval).iter().all(|grouping| grouping.fits(interval)));
    }

    #[test]
    fn groupings_fit_candles_that_are_short_enough() {
        for interval in ["1s", "1m", "3m", "5m", "15m", "30m"] {
            check(interval, &Grouping::ALL);
        }
        check("1h", &Grouping::ALL[1..]);
        let days = [Grouping::Weekday, Grouping::DayOfMonth, Grouping::TurnOfMonth, Grouping::Month, Grouping::Quarter];
        for interval in ["2h", "4h", "6h", "8h", "12h", "1d"] {
            check(interval, &days);
        }
        check("3d", &[]);
        check("1w", &[]);
        check("1M", &[Grouping::Month, Grouping::Quarter]);
    }
}
