//! Axes: from figures to units of the page.

/// Largest figure that is drawn. Beyond it arithmetic on figures would overflow; such a figure counts as not defined.
const MAX_FIGURE: f64 = 1e100;

/// `figure`, where it is a number that can be drawn.
pub(crate) fn drawable(figure: Option<f64>) -> Option<f64> {
    figure.filter(|value| value.abs() <= MAX_FIGURE)
}

/// A straight axis.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Axis {
    low: f64,
    high: f64,
    start: f64,
    end: f64,
}

impl Axis {
    /// From `low` at `start` to `high` at `end`, both in units of the page.
    pub(crate) fn new(low: f64, high: f64, start: f64, end: f64) -> Self {
        let high = if high > low { high } else { low + 1.0 };
        Self { low, high, start, end }
    }

    /// An axis over `figures` and 0, with a tenth of room beyond the outer ones.
    pub(crate) fn about_zero(figures: impl Iterator<Item = f64>, start: f64, end: f64) -> Self {
        let (low, high) = figures.fold((0.0_f64, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
        if low == 0.0 && high == 0.0 {
            return Self::new(-1.0, 1.0, start, end);
        }
        let room = (high - low) / 10.0;
        Self::new(if low < 0.0 { low - room } else { low }, if high > 0.0 { high + room } else { high }, start, end)
    }

    /// Where `value` stands; one beyond the ends stands at the end.
    pub(crate) fn at(&self, value: f64) -> f64 {
        let share = ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0);
        self.start + share * (self.end - self.start)
    }

    /// Round values at 1, 2 or 5 times a power of ten, at most `count` of them, and the step between them.
    pub(crate) fn ticks(&self, count: usize) -> (Vec<f64>, f64) {
        let rough = (self.high - self.low) / count as f64;
        let power = 10.0_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|times| times * power).find(|step| *step >= rough);
        let step = step.unwrap_or(10.0 * power);
        let first = (self.low / step).ceil();
        let values = (0..=count).map(|index| (first + index as f64) * step).filter(|value| *value <= self.high);
        (values.map(|value| if value == 0.0 { 0.0 } else { value }).collect(), step)
    }
}

/// Smallest of 1, 2, 2.5 or 5 times a power of ten that is not below `value`; 1 for 0.
pub(crate) fn round_up(value: f64) -> f64 {
    if value <= 0.0 {
        return 1.0;
    }
    let power = 10.0_f64.powf(value.log10().floor());
    let round = [1.0, 2.0, 2.5, 5.0].into_iter().map(|times| times * power).find(|round| *round >= value);
    round.unwrap_or(10.0 * power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_few() {
        for (low, high) in [(-7.3, 11.2), (0.0, 0.0), (-1e90, 1e90), (1e-12, 3e-12), (-5.0, -1.0)] {
            let (ticks, step) = Axis::new(low, high, 0.0, 1.0).ticks(5);
            assert!(!ticks.is_empty() && ticks.len() <= 6 && step > 0.0, "{low} to {high}: {ticks:?}");
        }
        assert_eq!(Axis::new(-7.3, 11.2, 0.0, 1.0).ticks(5).0, [-5.0, 0.0, 5.0, 10.0]);
    }

    #[test]
    fn what_can_not_be_drawn_is_not_defined() {
        for figure in [None, Some(f64::NAN), Some(f64::INFINITY), Some(f64::MAX)] {
            assert_eq!(drawable(figure), None);
        }
        assert_eq!(drawable(Some(-2.0)), Some(-2.0));
    }

    #[test]
    fn values_stay_on_the_page() {
        let axis = Axis::about_zero([3.0, -2.0].into_iter(), 100.0, 0.0);
        assert!(axis.at(1e9) == 0.0 && axis.at(-1e9) == 100.0);
        assert_eq!(round_up(7.2), 10.0);
        assert_eq!(round_up(0.0), 1.0);
    }
}
