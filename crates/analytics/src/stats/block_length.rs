//! How long the blocks of a bootstrap must be.

/// Fewest values for which a length can be chosen: fewer leave no room for the quiet lags.
const FEWEST: usize = 9;

/// Mean block length of the stationary bootstrap for the mean of `series`: Politis and White (2004), Econometric Reviews 23, with the
/// correction of Patton, Politis and White (2009), Econometric Reviews 28, as the Python package `arch` 8 computes it.
///
/// With n values, k = max(5, ⌊log₁₀ n⌋) and M = ⌈√n⌉ + k: the first lag after which k autocorrelations in a row lie within
/// ±2√(log₁₀ n / n) is m̂ (autocorrelations over the two overlapping parts' own sums of squares); m = min(2·max(m̂, 1), M), or M if there
/// is none. Flat-top weights λ(x) = 1 up to ½, then 2(1 − x). With the autocovariances γ: g = Σ 2λ(k/m)·k·γ_k, σ² = γ_0 + Σ 2λ(k/m)·γ_k,
/// b = (2g²/(2σ⁴))^⅓·n^⅓, at most ⌈min(3√n, n/3)⌉. `None` of fewer than nine values, and where nothing varies.
pub(crate) fn optimal(series: &[f64]) -> Option<f64> {
    let count = series.len();
    if count < FEWEST {
        return None;
    }
    let n = count as f64;
    let mean = series.iter().sum::<f64>() / n;
    let deviations: Vec<f64> = series.iter().map(|value| value - mean).collect();
    let squares: f64 = deviations.iter().map(|deviation| deviation * deviation).sum();
    if squares.is_nan() || squares <= 1e-24 * mean * mean * n {
        return None;
    }
    let quiet_run = (n.log10() as usize).max(5);
    let max_lag = n.sqrt().ceil() as usize + quiet_run;
    let band = 2.0 * (n.log10() / n).sqrt();
    let mut covariances = Vec::new();
    // Sums of squares of the part before and the part after, one value shorter with each lag.
    let (mut early, mut late) = (squares, squares);
    let (mut quiet, mut first_quiet) = (0, None);
    for lag in 0..=max_lag {
        if lag >= quiet_run && quiet >= quiet_run {
            first_quiet = Some(lag - quiet_run);
            break;
        }
        let product = product(&deviations, lag);
        covariances.push(product / n);
        late -= deviations[lag].powi(2);
        early -= deviations[count - 1 - lag].powi(2);
        let correlation = product.abs() / (early.max(0.0) * late.max(0.0)).sqrt();
        quiet = if correlation < band { quiet + 1 } else { 0 };
    }
    let window = first_quiet.map_or(max_lag, |lag| 2 * lag.max(1)).min(max_lag);
    for lag in covariances.len()..=window {
        covariances.push(product(&deviations, lag) / n);
    }
    let (mut slope, mut variance) = (0.0, covariances[0]);
    for (lag, covariance) in covariances.iter().enumerate().take(window + 1).skip(1) {
        let share = lag as f64 / window as f64;
        let weight = if share <= 0.5 { 1.0 } else { 2.0 * (1.0 - share) };
        slope += 2.0 * weight * lag as f64 * covariance;
        variance += 2.0 * weight * covariance;
    }
    let length = (2.0 * slope * slope / (2.0 * variance * variance)).cbrt() * n.cbrt();
    length.is_finite().then(|| length.min((3.0 * n.sqrt()).min(n / 3.0).ceil()))
}

/// Σ of the products of values `lag` apart.
fn product(deviations: &[f64], lag: usize) -> f64 {
    deviations[lag..].iter().zip(deviations).map(|(now, then)| now * then).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_or_flat_series_have_none() {
        assert_eq!(optimal(&[1.0; 8]), None);
        assert_eq!(optimal(&[1.0; 100]), None);
    }

    #[test]
    fn dependence_lengthens_blocks() {
        let mut state = 1_u64;
        let mut noise = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as f64 / f64::from(1_u32 << 31) - 0.5
        };
        let white: Vec<f64> = (0..2_000).map(|_| noise()).collect();
        let mut level = 0.0;
        let slow: Vec<f64> = (0..2_000)
            .map(|_| {
                level = 0.9 * level + noise();
                level
            })
            .collect();
        let (white, slow) = (optimal(&white).unwrap(), optimal(&slow).unwrap());
        assert!(white < 8.0 && slow > 20.0, "{white} {slow}");
    }
}
