//! Words and figures of charts.

use candlemill_shared::study::{Grouping, Measure, ObservationUnit, Verdict};

/// The grouping in a heading.
pub(crate) const fn grouping(grouping: Grouping) -> &'static str {
    match grouping {
        Grouping::MinuteOfHour => "minute of the hour",
        Grouping::Hour => "hour of the day",
        Grouping::Weekday => "weekday",
        Grouping::HourOfWeek => "hour of the week",
        Grouping::DayOfMonth => "day of the month",
        Grouping::TurnOfMonth => "turn of the month",
        Grouping::Month => "month",
        Grouping::Quarter => "quarter",
        Grouping::Session => "session",
    }
}

/// The grouping in a chart's name.
pub(crate) const fn grouping_name(grouping: Grouping) -> &'static str {
    match grouping {
        Grouping::MinuteOfHour => "minute-of-hour",
        Grouping::Hour => "hour",
        Grouping::Weekday => "weekday",
        Grouping::HourOfWeek => "hour-of-week",
        Grouping::DayOfMonth => "day-of-month",
        Grouping::TurnOfMonth => "turn-of-month",
        Grouping::Month => "month",
        Grouping::Quarter => "quarter",
        Grouping::Session => "session",
    }
}

/// The measure in a heading.
pub(crate) const fn measure(measure: Measure) -> &'static str {
    match measure {
        Measure::Return => "Return",
        Measure::AbsoluteReturn => "Absolute return",
        Measure::Range => "Range",
        Measure::Volume => "Volume",
    }
}

/// The measure in a chart's name.
pub(crate) const fn measure_name(measure: Measure) -> &'static str {
    match measure {
        Measure::Return => "return",
        Measure::AbsoluteReturn => "absolute-return",
        Measure::Range => "range",
        Measure::Volume => "volume",
    }
}

/// The length of an observation.
pub(crate) const fn unit(unit: ObservationUnit) -> &'static str {
    match unit {
        ObservationUnit::Minute => "minute",
        ObservationUnit::Hour => "hour",
        ObservationUnit::Session => "session",
        ObservationUnit::Day => "day",
        ObservationUnit::Week => "week",
        ObservationUnit::Month => "month",
        ObservationUnit::Quarter => "quarter",
        ObservationUnit::Year => "year",
    }
}

/// The verdict, as the API writes it.
pub(crate) const fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Stable => "stable",
        Verdict::Unstable => "unstable",
        Verdict::Insufficient => "insufficient",
        Verdict::Chance => "chance",
    }
}

/// What the figures of a chart are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Hundredths of a per cent.
    BasisPoints,
    /// Hundredths.
    PerCent,
    /// Shares of what is usual.
    Usual,
}

impl Unit {
    /// The unit of `measure` where the largest difference is `max`: returns from 2 % on are no longer basis points.
    pub(crate) fn of(measure: Measure, max: f64) -> Self {
        match measure {
            Measure::Return if max < 0.02 => Self::BasisPoints,
            Measure::Return => Self::PerCent,
            Measure::AbsoluteReturn | Measure::Range | Measure::Volume => Self::Usual,
        }
    }

    /// The figure 1 in this unit.
    pub(crate) const fn factor(self) -> f64 {
        match self {
            Self::BasisPoints => 10_000.0,
            Self::PerCent => 100.0,
            Self::Usual => 1.0,
        }
    }

    /// What stands behind a figure.
    pub(crate) const fn suffix(self) -> &'static str {
        match self {
            Self::BasisPoints => " bp",
            Self::PerCent => " %",
            Self::Usual => "×usual",
        }
    }

    /// The unit in words, for axes.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::BasisPoints => "basis points (bp)",
            Self::PerCent => "per cent",
            Self::Usual => "×usual",
        }
    }

    /// `value`, in this unit, with sign and suffix.
    pub(crate) fn signed(self, value: Option<f64>) -> String {
        value.map_or_else(|| "n/a".to_owned(), |value| format!("{}{}", signed(value), self.suffix()))
    }
}

/// `value` to three significant digits.
pub(crate) fn figure(value: f64) -> String {
    let size = value.abs();
    let text = if size == 0.0 {
        "0".to_owned()
    } else if !(1e-4..1e6).contains(&size) {
        format!("{value:.2e}")
    } else {
        let digits = (2.0 - size.log10().floor()).clamp(0.0, 6.0) as usize;
        format!("{value:.digits$}")
    };
    text.replace('-', "−")
}

/// [`figure`] with its sign.
pub(crate) fn signed(value: f64) -> String {
    if value > 0.0 { format!("+{}", figure(value)) } else { figure(value) }
}

/// A tick's label, as exact as the step between ticks asks for.
pub(crate) fn tick(value: f64, step: f64) -> String {
    if !(1e-5..1e5).contains(&step) && value != 0.0 {
        return format!("{value:.0e}").replace('-', "−");
    }
    let digits = (-step.log10().floor()).clamp(0.0, 6.0) as usize;
    let text = format!("{value:.digits$}").replace('-', "−");
    if value > 0.0 { format!("+{text}") } else { text }
}

/// A worth on a logarithmic axis: `0.5`, `1`, `20`.
pub(crate) fn worth(value: f64) -> String {
    if !(1e-3..1e5).contains(&value) {
        return format!("{value:.0e}").replace('-', "−");
    }
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A share in per cent, without sign: `0.25` is `25.0 %`.
pub(crate) fn per_cent(share: f64) -> String {
    format!("{}\u{a0}%", figure(share * 100.0))
}

/// `count` with a comma at the thousands.
pub(crate) fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `count` in at most five characters: `8.7k`.
pub(crate) fn short_count(count: u64) -> String {
    let value = count as f64;
    match count {
        0..1_000 => count.to_string(),
        1_000..9_950 => format!("{:.1}k", value / 1e3),
        9_950..1_000_000 => format!("{:.0}k", value / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1}M", value / 1e6),
        _ => format!("{value:.0e}"),
    }
}

/// A probability: `0.031`, or `< 0.0001`.
pub(crate) fn probability(p: Option<f64>) -> String {
    match p {
        Some(p) if p.is_finite() && p < 0.0001 => "< 0.0001".to_owned(),
        Some(p) if p.is_finite() => format!("{p:.4}"),
        _ => "n/a".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        let shown = [0.0, 3.214_5, -0.042, 123_456.7, 1e80, -2e-9].map(signed);
        assert_eq!(shown, ["0", "+3.21", "−0.0420", "+123457", "+1.00e80", "−2.00e−9"]);
        assert_eq!([0, 999, 8_712, 61_320, 2_600_000].map(short_count), ["0", "999", "8.7k", "61k", "2.6M"]);
        assert_eq!(count(2_600_000), "2,600,000");
        assert_eq!([tick(-0.5, 0.5), tick(10.0, 5.0), tick(0.0, 5.0)], ["−0.5", "+10", "0"]);
        assert_eq!(probability(Some(0.000_01)), "< 0.0001");
    }

    #[test]
    fn large_returns_are_per_cent() {
        assert_eq!(Unit::of(Measure::Return, 0.001), Unit::BasisPoints);
        assert_eq!(Unit::of(Measure::Return, 0.2), Unit::PerCent);
        assert_eq!(Unit::of(Measure::Volume, 0.2), Unit::Usual);
    }
}
