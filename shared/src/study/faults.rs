//! What is wrong with the parameters of the strategies: every wrong field at once.

use super::request::{MeanReversion, SmaCrossover};
use super::samples::Samples;

/// Largest window and embargo, in candles.
const MAX_WINDOW: u32 = 100_000;

/// Largest fee of a fill, in basis points.
const MAX_FEE_BPS: f64 = 1_000.0;

/// Largest distance from the mean, in deviations.
const MAX_DISTANCE: f64 = 100.0;

/// A wrong field, and what is wrong with it.
type Fault = (&'static str, String);

impl SmaCrossover {
    /// Every wrong field with what is wrong; empty when all are right.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        window(&mut faults, "fast", self.fast, 1);
        window(&mut faults, "slow", self.slow, 2);
        if self.fast >= self.slow {
            faults.push(("fast", format!("must be below slow: {} is not below {}", self.fast, self.slow)));
        }
        accounting(&mut faults, self.fee_bps, self.out_of_sample, self.embargo);
        faults
    }

    /// Candles between the two samples: as given, else as many as the slow average has.
    #[must_use]
    pub fn embargo(&self) -> u32 {
        self.embargo.unwrap_or(self.slow)
    }

    /// Fewest candles with which the study says something: the in-sample part holds one window and the candle after it, at which a
    /// signal can be filled, the out-of-sample part two candles. Means something only without [faults](Self::faults).
    #[must_use]
    pub fn min_candles(&self) -> u64 {
        Samples::min_candles(u64::from(self.slow) + 1, self.out_of_sample, self.embargo())
    }
}

impl MeanReversion {
    /// Every wrong field with what is wrong; empty when all are right.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        window(&mut faults, "window", self.window, 2);
        distance(&mut faults, "entry", self.entry);
        distance(&mut faults, "exit", self.exit);
        if self.entry <= self.exit {
            faults.push(("entry", format!("must be above exit: {} is not above {}", self.entry, self.exit)));
        }
        // |z| of a value among n that it belongs to is at most (n − 1)/√n (Samuelson's inequality, with n − 1 below the line).
        let farthest = f64::from(self.window.saturating_sub(1)) / f64::from(self.window.max(1)).sqrt();
        if self.window >= 2 && self.entry > farthest && self.entry <= MAX_DISTANCE {
            faults.push((
                "entry",
                format!(
                    "is never reached: of {} candles the last one lies at most {farthest:.3} deviations from their mean",
                    self.window
                ),
            ));
        }
        accounting(&mut faults, self.fee_bps, self.out_of_sample, self.embargo);
        faults
    }

    /// Candles between the two samples: as given, else as many as the window has.
    #[must_use]
    pub fn embargo(&self) -> u32 {
        self.embargo.unwrap_or(self.window)
    }

    /// Fewest candles with which the study says something: the in-sample part holds one window and the candle after it, at which a
    /// signal can be filled, the out-of-sample part two candles. Means something only without [faults](Self::faults).
    #[must_use]
    pub fn min_candles(&self) -> u64 {
        Samples::min_candles(u64::from(self.window) + 1, self.out_of_sample, self.embargo())
    }
}

fn window(faults: &mut Vec<Fault>, field: &'static str, given: u32, min: u32) {
    if !(min..=MAX_WINDOW).contains(&given) {
        faults.push((field, format!("must lie between {min} and {MAX_WINDOW} candles: {given}")));
    }
}

fn distance(faults: &mut Vec<Fault>, field: &'static str, given: f64) {
    if !(0.0..=MAX_DISTANCE).contains(&given) {
        faults.push((field, format!("must lie between 0 and {MAX_DISTANCE} deviations: {given}")));
    }
}

fn accounting(faults: &mut Vec<Fault>, fee_bps: f64, out_of_sample: f64, embargo: Option<u32>) {
    // What is no number lies in no range.
    if !(0.0..=MAX_FEE_BPS).contains(&fee_bps) {
        faults.push(("fee_bps", format!("must lie between 0 and {MAX_FEE_BPS} basis points: {fee_bps}")));
    }
    if !(0.05..=0.95).contains(&out_of_sample) {
        faults.push(("out_of_sample", format!("must lie between 0.05 and 0.95: {out_of_sample}")));
    }
    if let Some(given) = embargo.filter(|given| *given > MAX_WINDOW) {
        faults.push(("embargo", format!("must be at most {MAX_WINDOW} candles: {given}")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_sma(change: impl FnOnce(&mut SmaCrossover), expected: &[&str]) {
        let mut request = SmaCrossover::default();
        change(&mut request);
        let fields: Vec<_> = request.faults().into_iter().map(|(field, _)| field).collect();
        assert_eq!(fields, expected, "{request:?}");
    }

    fn check_reversion(change: impl FnOnce(&mut MeanReversion), expected: &[&str]) {
        let mut request = MeanReversion::default();
        change(&mut request);
        let fields: Vec<_> = request.faults().into_iter().map(|(field, _)| field).collect();
        assert_eq!(fields, expected, "{request:?}");
    }

    #[test]
    fn crossover() {
        check_sma(|_| (), &[]);
        check_sma(|it| (it.fast, it.slow) = (1, 2), &[]);
        check_sma(|it| it.slow = 100_000, &[]);
        check_sma(|it| it.fast = 0, &["fast"]);
        check_sma(|it| it.fast = 100, &["fast"]);
        check_sma(|it| it.slow = 100_001, &["slow"]);
        check_sma(|it| (it.fast, it.slow) = (0, 0), &["fast", "slow", "fast"]);
        check_sma(|it| it.fee_bps = -0.1, &["fee_bps"]);
        check_sma(|it| it.fee_bps = f64::NAN, &["fee_bps"]);
        check_sma(|it| it.fee_bps = f64::INFINITY, &["fee_bps"]);
        check_sma(|it| it.fee_bps = 1_000.5, &["fee_bps"]);
        check_sma(|it| it.out_of_sample = 0.04, &["out_of_sample"]);
        check_sma(|it| it.out_of_sample = f64::NAN, &["out_of_sample"]);
        check_sma(|it| it.embargo = Some(100_001), &["embargo"]);
        check_sma(|it| it.embargo = Some(0), &[]);
    }

    #[test]
    fn reversion() {
        check_reversion(|_| (), &[]);
        check_reversion(|it| it.window = 1, &["window"]);
        check_reversion(|it| it.window = 100_001, &["window"]);
        check_reversion(|it| it.entry = 0.5, &["entry"]);
        check_reversion(|it| it.entry = f64::NAN, &["entry"]);
        check_reversion(|it| it.exit = -0.5, &["exit"]);
        check_reversion(|it| it.entry = 101.0, &["entry"]);
        check_reversion(|it| (it.window, it.entry) = (4, 1.6), &["entry"]);
        check_reversion(|it| (it.window, it.entry) = (4, 1.5), &[]);
        check_reversion(|it| (it.fee_bps, it.out_of_sample) = (-1.0, 1.0), &["fee_bps", "out_of_sample"]);
    }

    #[test]
    fn least_candles() {
        assert_eq!(SmaCrossover::default().min_candles(), 287);
        assert_eq!(MeanReversion::default().min_candles(), 138);
        let smallest = SmaCrossover { fast: 1, slow: 2, embargo: Some(0), ..SmaCrossover::default() };
        assert_eq!(smallest.min_candles(), 5);
    }
}
