//! Whether all buckets have one mean, with errors that allow for dependence over time.

use super::buckets::{Bucketed, mean};
use super::groups::chi_squared;
use crate::control::{Control, Stopped};
use candlemill_shared::study::TestStatistic;
use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::ParallelSlice;

/// Observations that one thread sums up before the sums are added in the order of time, whatever the number of threads is.
const CHUNK: usize = 1 << 15;

/// HAC Wald test that all buckets have one mean.
///
/// With the means m, their covariance C_ij = S_ij/(n_i·n_j), S the Bartlett estimate over the residuals e_t = value − mean of its bucket,
/// S_ij = Σ_{|l| ≤ L} (1 − |l|/(L + 1)) Σ_t e_t·e_{t−l} over t in i and t − l in j, and R the differences to the last bucket:
/// W = (Rm)ᵀ(R·C·Rᵀ)⁻¹(Rm), χ² with one degree less than buckets. Newey and West (1987); statsmodels' `wald_test` on dummies.
/// `None` when an occupied bucket has fewer than `enough` observations (the χ² would not hold), or the covariance is singular.
pub(crate) fn omnibus(
    bucketed: &Bucketed<'_>,
    lag: usize,
    enough: usize,
    control: &impl Control,
) -> Result<Option<TestStatistic>, Stopped> {
    let means: Vec<Option<f64>> = (0..bucketed.count).map(|bucket| mean(bucketed.of(bucket))).collect();
    let occupied: Vec<usize> = (0..bucketed.count).filter(|bucket| means[*bucket].is_some()).collect();
    let few = occupied.iter().any(|bucket| bucketed.of(*bucket).len() < enough);
    let Some(degrees) = occupied.len().checked_sub(1).filter(|degrees| *degrees > 0 && !few && !bucketed.is_flat())
    else {
        return Ok(None);
    };
    let means: Vec<f64> = means.into_iter().map(Option::unwrap_or_default).collect();
    let residuals: Vec<f64> =
        bucketed.values.iter().zip(bucketed.codes).map(|(value, code)| value - means[usize::from(*code)]).collect();
    let covariance = score_covariance(&residuals, bucketed.codes, bucketed.count, lag, control)?;
    let of_means = |i: usize, j: usize| {
        covariance[i * bucketed.count + j] / (bucketed.of(i).len() as f64 * bucketed.of(j).len() as f64)
    };
    let last = occupied[degrees];
    let mut matrix = Vec::with_capacity(degrees * degrees);
    for &i in &occupied[..degrees] {
        for &j in &occupied[..degrees] {
            matrix.push(of_means(i, j) - of_means(i, last) - of_means(last, j) + of_means(last, last));
        }
    }
    let differences = occupied[..degrees].iter().map(|bucket| means[*bucket] - means[last]).collect();
    Ok(quadratic_form(matrix, differences).and_then(|statistic| chi_squared(statistic, degrees)))
}

/// S of [`omnibus`], row by row.
///
/// Where the buckets follow each other in a circle, the bucket `l` observations before is known from the bucket itself:
/// there products are summed by bucket and lag, without looking at codes. Elsewhere (gaps, months) pair by pair.
fn score_covariance(
    residuals: &[f64],
    codes: &[u8],
    count: usize,
    lag: usize,
    control: &impl Control,
) -> Result<Vec<f64>, Stopped> {
    let width = lag + 1;
    let weights: Vec<f64> = (0..width).map(|back| 1.0 - back as f64 / width as f64).collect();
    let parts = codes
        .par_chunks(CHUNK)
        .enumerate()
        .map(|(chunk, own)| {
            control.may_go_on()?;
            let mut by_lag = vec![0.0; count * width];
            let mut by_pair = vec![0.0; count * count];
            let start = chunk * CHUNK;
            let follows = |at: usize| usize::from(codes[at]) == (usize::from(codes[at - 1]) + 1) % count;
            let mut regular = (1..=start).rev().take(lag).take_while(|at| follows(*at)).count();
            for at in start..start + own.len() {
                if at > start {
                    regular = if follows(at) { regular + 1 } else { 0 };
                }
                let (bucket, residual) = (usize::from(codes[at]), residuals[at]);
                if regular >= lag && at >= lag {
                    let sums = &mut by_lag[bucket * width..(bucket + 1) * width];
                    for (sum, before) in sums.iter_mut().zip(&residuals[at - lag..=at]) {
                        *sum += residual * before;
                    }
                } else {
                    for back in 0..width.min(at + 1) {
                        by_pair[bucket * count + usize::from(codes[at - back])] +=
                            weights[back] * residual * residuals[at - back] * if back == 0 { 0.5 } else { 1.0 };
                    }
                }
            }
            Ok((by_lag, by_pair))
        })
        .collect::<Result<Vec<_>, Stopped>>()?;
    let mut half = vec![0.0; count * count];
    for (by_lag, by_pair) in parts {
        for (sum, part) in half.iter_mut().zip(by_pair) {
            *sum += part;
        }
        for bucket in 0..count {
            for (back, weight) in weights.iter().enumerate() {
                let other = (bucket + back * (count - 1)) % count;
                let once = if back == 0 { 0.5 } else { 1.0 };
                half[bucket * count + other] += once * weight * by_lag[bucket * width + lag - back];
            }
        }
    }
    Ok((0..count * count).map(|at| half[at] + half[at % count * count + at / count]).collect())
}

/// xᵀM⁻¹x of a symmetric positive definite M (row by row), by Cholesky's M = LLᵀ: |L⁻¹x|². `None` when M is not definite to
/// within rounding.
fn quadratic_form(mut matrix: Vec<f64>, mut vector: Vec<f64>) -> Option<f64> {
    let size = vector.len();
    for column in 0..size {
        let diagonal = matrix[column * size + column];
        let rest = diagonal - (0..column).map(|k| matrix[column * size + k].powi(2)).sum::<f64>();
        if rest.is_nan() || rest <= diagonal * 1e-12 {
            return None;
        }
        let root = rest.sqrt();
        matrix[column * size + column] = root;
        for row in column + 1..size {
            let dot: f64 = (0..column).map(|k| matrix[row * size + k] * matrix[column * size + k]).sum();
            matrix[row * size + column] = (matrix[row * size + column] - dot) / root;
        }
        let dot: f64 = (0..column).map(|k| matrix[column * size + k] * vector[k]).sum();
        vector[column] = (vector[column] - dot) / root;
    }
    Some(vector.iter().map(|value| value * value).sum())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::ToTheEnd;
    use proptest::prelude::*;

    #[test]
    fn quadratic_forms() {
        assert_eq!(quadratic_form(vec![4.0], vec![2.0]), Some(1.0));
        let form = quadratic_form(vec![2.0, 1.0, 1.0, 2.0], vec![1.0, 0.0]).unwrap();
        assert!((form - 2.0 / 3.0).abs() < 1e-14);
        assert_eq!(quadratic_form(vec![1.0, 1.0, 1.0, 1.0], vec![1.0, 0.0]), None);
    }

    proptest! {
        #[test]
        fn regular_and_irregular_stretches_give_the_definition(
            residuals in proptest::collection::vec(-1.0..1.0_f64, 2..200),
            skips in proptest::collection::vec(0..40_u8, 200),
            count in 2..7_usize,
            lag in 1..20_usize,
        ) {
            let mut code = 0;
            let codes: Vec<u8> = residuals.iter().zip(&skips).map(|(_, skip)| {
                code = (code + 1 + usize::from(*skip == 0)) % count;
                u8::try_from(code).unwrap()
            }).collect();
            let got = score_covariance(&residuals, &codes, count, lag, &ToTheEnd).unwrap();
            let mut expected = vec![0.0; count * count];
            for t in 0..residuals.len() {
                for back in 0..=lag.min(t) {
                    let product = (1.0 - back as f64 / (lag + 1) as f64) * residuals[t] * residuals[t - back];
                    let (i, j) = (usize::from(codes[t]), usize::from(codes[t - back]));
                    expected[i * count + j] += product;
                    if back > 0 {
                        expected[j * count + i] += product;
                    }
                }
            }
            for (got, expected) in got.iter().zip(&expected) {
                prop_assert!((got - expected).abs() < 1e-10, "{} {}", got, expected);
            }
        }
    }
}
