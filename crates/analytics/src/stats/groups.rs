//! Tests that all buckets are alike, for independent observations.

use super::buckets::{Bucketed, mean};
use crate::control::{Control, Stopped};
use candlemill_shared::study::{FStatistic, TestStatistic};
use rayon::slice::ParallelSliceMut;
use statrs::distribution::{ChiSquared, ContinuousCDF, FisherSnedecor};

/// Probability that χ² with `degrees` of freedom is at least `statistic`.
pub(crate) fn chi_squared(statistic: f64, degrees: usize) -> Option<TestStatistic> {
    if !statistic.is_finite() {
        return None;
    }
    let p = ChiSquared::new(degrees as f64).ok()?.sf(statistic);
    p.is_finite().then_some(TestStatistic { statistic, degrees: degrees as u64, p })
}

/// Each bucket's values in ascending order, one bucket after the other, and the Kruskal–Wallis test from the same sorting.
#[derive(Debug)]
pub(crate) struct Ranked {
    /// Values as `Bucketed` lists them, but ascending within each bucket.
    pub(crate) sorted: Vec<f64>,
    /// Kruskal–Wallis; `None` with fewer than two buckets occupied, or when all values are one.
    pub(crate) kruskal_wallis: Option<TestStatistic>,
}

/// Sorts the values and ranks them: tied values get the mean of their ranks.
///
/// Kruskal–Wallis: H = 12/(N(N + 1))·Σ n_b(R̄_b − (N + 1)/2)², over 1 − Σ(t³ − t)/(N³ − N) for ties of t values; χ² with one
/// degree less than buckets. Kruskal and Wallis (1952), JASA 47.
pub(crate) fn rank(bucketed: &Bucketed<'_>, control: &impl Control) -> Result<Ranked, Stopped> {
    let mut all: Vec<(f64, u8)> = bucketed.values.iter().copied().zip(bucketed.codes.iter().copied()).collect();
    all.par_sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    control.may_go_on()?;
    let mut next = bucketed.offsets().to_vec();
    let mut sorted = vec![0.0; all.len()];
    // Twice the sum of ranks of each bucket: whole numbers, exact in any order.
    let mut ranks = vec![0_u64; bucketed.count];
    let (mut start, mut ties) = (0, 0.0_f64);
    while start < all.len() {
        let value = all[start].0;
        let mut end = start + 1;
        while end < all.len() && all[end].0 == value {
            end += 1;
        }
        for &(value, code) in &all[start..end] {
            sorted[next[usize::from(code)]] = value;
            next[usize::from(code)] += 1;
            ranks[usize::from(code)] += (start + 1 + end) as u64;
        }
        let tied = (end - start) as f64;
        ties += tied * tied * tied - tied;
        start = end;
    }
    Ok(Ranked { sorted, kruskal_wallis: kruskal_wallis(bucketed, &ranks, ties) })
}

fn kruskal_wallis(bucketed: &Bucketed<'_>, twice_ranks: &[u64], ties: f64) -> Option<TestStatistic> {
    let all = bucketed.len() as f64;
    let (mut spread, mut occupied) = (0.0, 0_usize);
    for (bucket, &twice) in twice_ranks.iter().enumerate() {
        let n = bucketed.of(bucket).len() as f64;
        if n > 0.0 {
            occupied += 1;
            spread += n * (twice as f64 / 2.0 / n - (all + 1.0) / 2.0).powi(2);
        }
    }
    let correction = 1.0 - ties / (all * all * all - all);
    let degrees = occupied.checked_sub(1).filter(|degrees| *degrees > 0)?;
    (correction > 0.0).then(|| chi_squared(12.0 / (all * (all + 1.0)) * spread / correction, degrees)).flatten()
}

/// One-way analysis of variance: F = (Σ n_b(x̄_b − x̄)²/(k − 1)) / (ΣΣ(x − x̄_b)²/(N − k)). Fisher (1925), Statistical Methods
/// for Research Workers. `None` with fewer than two buckets occupied, or when nothing varies within them.
pub(crate) fn anova(bucketed: &Bucketed<'_>) -> Option<FStatistic> {
    let all = mean(bucketed.values)?;
    let (mut among, mut inside, mut occupied) = (0.0, 0.0, 0_usize);
    for bucket in 0..bucketed.count {
        let values = bucketed.of(bucket);
        let Some(own) = mean(values) else { continue };
        occupied += 1;
        among += values.len() as f64 * (own - all).powi(2);
        inside += values.iter().map(|value| (value - own).powi(2)).sum::<f64>();
    }
    let between = occupied.checked_sub(1).filter(|degrees| *degrees > 0)?;
    let within = bucketed.len().checked_sub(occupied).filter(|degrees| *degrees > 0)?;
    let statistic = (among / between as f64) / (inside / within as f64);
    if !statistic.is_finite() || bucketed.is_flat() {
        return None;
    }
    let p = FisherSnedecor::new(between as f64, within as f64).ok()?.sf(statistic);
    p.is_finite().then_some(FStatistic { statistic, between: between as u64, within: within as u64, p })
}
