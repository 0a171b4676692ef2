//! Rolling mean and standard deviation of the last values, the current one included, by Polars.
//!
//! Neither drifts. Polars 0.55 keeps Welford's moments of both halves of a window and merges them (Chan, Golub, LeVeque 1983), so that
//! equal values deviate by exactly 0; its mean is a running sum with Kahan's compensation, whose parts here begin anew. After a fall of
//! prices from 80 to 0.00001 it was measured to be right to 5e-15.

use super::rows::ROWS_PER_STEP;
use crate::control::{Control, Stopped};
use polars::prelude::{NamedFrom, PolarsResult, RollingOptionsFixedWindow, Series};
use polars_time::prelude::SeriesOpsTime;

/// Calls `each` with every row from `window` − 1 (`window` at least 1) on and the mean of the `window` values that end there.
pub(super) fn means(
    values: &[f64],
    window: usize,
    control: &impl Control,
    each: impl FnMut(usize, f64),
) -> Result<(), Stopped> {
    by_parts(values, window, control, |column, options| column.rolling_mean(options), each)
}

/// Calls `each` with every row from `window` − 1 (`window` at least 2) on and the standard deviation, n − 1 below the line, of the
/// `window` values that end there.
pub(super) fn deviations(
    values: &[f64],
    window: usize,
    control: &impl Control,
    each: impl FnMut(usize, f64),
) -> Result<(), Stopped> {
    by_parts(values, window, control, |column, options| column.rolling_std(options), each)
}

/// Parts of a fixed length are computed for themselves, each with the window before it: what a row gets depends on the values up to it
/// alone, and the question whether to go on is asked in between.
fn by_parts(
    values: &[f64],
    window: usize,
    control: &impl Control,
    compute: impl Fn(&Series, RollingOptionsFixedWindow) -> PolarsResult<Series>,
    mut each: impl FnMut(usize, f64),
) -> Result<(), Stopped> {
    let options = || RollingOptionsFixedWindow { window_size: window, min_periods: window, ..Default::default() };
    let length = ROWS_PER_STEP.max(window);
    for start in (0..values.len()).step_by(length) {
        control.may_go_on()?;
        let from = start.saturating_sub(window - 1);
        let end = (start + length).min(values.len());
        let column = Series::new("close".into(), &values[from..end]);
        let figures = compute(&column, options()).expect("the window is not shorter than its fewest values");
        let figures = figures.f64().expect("figures of floats are floats");
        for (row, figure) in (from..end).zip(figures.iter()).skip(start - from) {
            if let Some(figure) = figure {
                each(row, figure);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::ToTheEnd;
    use proptest::prelude::*;

    fn all(
        values: &[f64],
        compute: impl Fn(&[f64], &mut dyn FnMut(usize, f64)) -> Result<(), Stopped>,
    ) -> Vec<Option<f64>> {
        let mut found = vec![None; values.len()];
        compute(values, &mut |row, value| found[row] = Some(value)).unwrap();
        found
    }

    fn check(values: &[f64], window: usize) {
        let means = all(values, |values, each| means(values, window, &ToTheEnd, each));
        let deviations = all(values, |values, each| deviations(values, window, &ToTheEnd, each));
        for row in 0..values.len() {
            if row + 1 < window {
                assert_eq!((means[row], deviations[row]), (None, None));
                continue;
            }
            let part = &values[row + 1 - window..=row];
            let mean = part.iter().sum::<f64>() / window as f64;
            let squares: f64 = part.iter().map(|value| (value - mean).powi(2)).sum();
            let deviation = (squares / (window as f64 - 1.0)).sqrt();
            let (found_mean, found_deviation) = (means[row].unwrap(), deviations[row].unwrap());
            assert!((found_mean / mean - 1.0).abs() < 1e-12, "mean of {window} at {row}: {found_mean} for {mean}");
            // Rounding of the mean limits a deviation that is small beside it.
            let bound = 1e-11 * deviation + 1e-15 * mean;
            assert!((found_deviation - deviation).abs() <= bound, "deviation of {window} at {row}");
        }
    }

    #[test]
    fn after_a_crash_nothing_of_the_high_prices_is_left() {
        let values: Vec<f64> = (0..60_000)
            .map(|row| {
                let wave = 1.0 + 0.1 * f64::from(row % 97).sin();
                if row < 50_000 { 80.0 * wave } else { 1e-5 * wave }
            })
            .collect();
        check(&values, 2);
        check(&values, 100);
        check(&values, 7_001);
    }

    #[test]
    fn equal_values_deviate_by_nothing() {
        let mut values = vec![0.1, 12_345.678_9, 0.3];
        values.extend([0.1; 50]);
        let deviations = all(&values, |values, each| deviations(values, 10, &ToTheEnd, each));
        assert!(deviations[12..].iter().all(|deviation| *deviation == Some(0.0)), "{deviations:?}");
    }

    proptest! {
        #[test]
        fn as_two_passes_find_it(values in prop::collection::vec(0.01f64..1e5, 0..200), window in 2usize..40) {
            check(&values, window);
        }
    }
}
