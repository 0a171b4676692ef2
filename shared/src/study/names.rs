//! Names on the wire.

use super::calendar::{Grouping, Measure, Verdict};

impl Grouping {
    /// The grouping's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MinuteOfHour => "minute_of_hour",
            Self::Hour => "hour",
            Self::Weekday => "weekday",
            Self::HourOfWeek => "hour_of_week",
            Self::DayOfMonth => "day_of_month",
            Self::TurnOfMonth => "turn_of_month",
            Self::Month => "month",
            Self::Quarter => "quarter",
            Self::Session => "session",
        }
    }
}

impl Measure {
    /// The measure's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Return => "return",
            Self::AbsoluteReturn => "absolute_return",
            Self::Range => "range",
            Self::Volume => "volume",
        }
    }
}

impl Verdict {
    /// The verdict's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stable => "stable",
            Self::Unstable => "unstable",
            Self::Insufficient => "insufficient",
            Self::Chance => "chance",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_wire() {
        for grouping in Grouping::ALL {
            assert_eq!(serde_json::to_value(grouping).unwrap(), grouping.as_str());
        }
        for measure in [Measure::Return, Measure::AbsoluteReturn, Measure::Range, Measure::Volume] {
            assert_eq!(serde_json::to_value(measure).unwrap(), measure.as_str());
        }
        for verdict in [Verdict::Stable, Verdict::Unstable, Verdict::Insufficient, Verdict::Chance] {
            assert_eq!(serde_json::to_value(verdict).unwrap(), verdict.as_str());
        }
    }
}
