//! Bucket against rest with errors that allow for dependence over time.
//!
//! The model is a regression on a constant and "is in the bucket". Its slope d = z̄_b − z̄_r has the variance
//! V = Σ_{|l| ≤ L} (1 − |l|/(L + 1)) Σ_t u_t u_{t−l} with u_t = e_t/n_b inside the bucket, −e_t/n_r outside, e_t the residual: Bartlett's
//! kernel without small-sample correction. Newey and West (1987), Econometrica 55; statsmodels' `cov_type="HAC"`.
//!
//! Bartlett's weights make it a sum of squares of moving sums: (L + 1)·V = Σ_s W_s², W_s = u_s + … + u_{s−L}, with u = 0 outside the
//! series. The bucket's part of W_s changes only where one of its observations enters or leaves the window, so that a
//! bucket costs its own observations and all of them together cost T, whatever L and the number of buckets are.

use super::buckets::Bucketed;
use crate::control::{Control, Stopped};
use statrs::distribution::{ContinuousCDF, StudentsT};
use std::ops::Range;

/// Values between two questions whether to go on.
const BETWEEN_QUESTIONS: usize = 1 << 18;

/// The bucket's mean minus the mean of the rest.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Contrast {
    /// Observations in the bucket.
    pub(crate) n: usize,
    /// The difference; `None` when bucket or rest is empty.
    pub(crate) difference: Option<f64>,
    /// It over its standard error.
    pub(crate) t: Option<f64>,
    /// Two-sided p of t with T − 2 degrees of freedom.
    pub(crate) p: Option<f64>,
}

/// Lag of the estimate for `observations`: the larger of ⌊4(T/100)^{2/9}⌋ (Newey and West 1994) and one cycle.
pub(crate) fn lag(observations: usize, cycle: usize) -> usize {
    let rule = 4.0 * (observations as f64 / 100.0).powf(2.0 / 9.0);
    (rule.floor() as usize).max(cycle)
}

/// What all buckets of a part of the series share.
#[derive(Debug)]
pub(crate) struct Hac<'a, 'b> {
    bucketed: &'a Bucketed<'b>,
    /// The part: two stretches of positions, the second after the first; either may be empty.
    kept: [Range<usize>; 2],
    mean: f64,
    lag: usize,
    flat: bool,
    /// Sums of the moving sums Z_0 … Z_{s−1} of z = value − mean, for s = 0 … T + L.
    moving: Vec<f64>,
    /// Σ Z².
    squares: f64,
    /// Σ Z·N, N the number of observations in the window.
    crossed: f64,
}

impl<'a, 'b> Hac<'a, 'b> {
    /// Of the observations in `kept`, put together; `cycle` observations are one cycle of the buckets.
    pub(crate) fn of(
        bucketed: &'a Bucketed<'b>,
        kept: [Range<usize>; 2],
        cycle: usize,
        control: &impl Control,
    ) -> Result<Self, Stopped> {
        let parts = [&bucketed.values[kept[0].clone()], &bucketed.values[kept[1].clone()]];
        let count = parts[0].len() + parts[1].len();
        let lag = lag(count, cycle);
        let mean =
            if count == 0 { 0.0 } else { (parts[0].iter().sum::<f64>() + parts[1].iter().sum::<f64>()) / count as f64 };
        let at = |position: usize| -> f64 {
            let value = parts[0].get(position).or_else(|| parts[1].get(position - parts[0].len()));
            value.map_or(0.0, |value| value - mean)
        };
        let mut moving = Vec::with_capacity(count + lag + 1);
        moving.push(0.0);
        let (mut window, mut sum, mut squares, mut crossed) = (0.0, 0.0, 0.0, 0.0);
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for end in 0..if count == 0 { 0 } else { count + lag } {
            if end % BETWEEN_QUESTIONS == 0 {
                control.may_go_on()?;
            }
            if end < count {
                let entering = at(end);
                (low, high) = (low.min(entering), high.max(entering));
                window += entering;
            }
            if end > lag {
                window -= at(end - lag - 1);
            }
            sum += window;
            moving.push(sum);
            squares += window * window;
            crossed += window * in_window(end, count, lag);
        }
        let flat = high - low <= 1e-12 * mean.abs().max(low.abs()).max(high.abs());
        Ok(Self { bucketed, kept, mean, lag, flat, moving, squares, crossed })
    }

    /// The lag, in observations.
    pub(crate) const fn lag(&self) -> usize {
        self.lag
    }

    /// Observations of the part.
    fn count(&self) -> usize {
        self.kept[0].len() + self.kept[1].len()
    }

    /// Places (in the part) and values (minus the mean) of the bucket's observations.
    fn members(&self, bucket: usize) -> (Vec<usize>, Vec<f64>) {
        let (positions, values) = (self.bucketed.positions(bucket), self.bucketed.of(bucket));
        let mut places = Vec::with_capacity(positions.len());
        let mut centred = Vec::with_capacity(positions.len());
        for (part, shift) in
            [(&self.kept[0], self.kept[0].start), (&self.kept[1], self.kept[1].start.wrapping_sub(self.kept[0].len()))]
        {
            let from = positions.partition_point(|position| (*position as usize) < part.start);
            let to = positions.partition_point(|position| (*position as usize) < part.end);
            let to = to.max(from);
            places.extend(positions[from..to].iter().map(|position| (*position as usize).wrapping_sub(shift)));
            centred.extend(values[from..to].iter().map(|value| value - self.mean));
        }
        (places, centred)
    }

    /// The bucket against all other observations of the part.
    pub(crate) fn contrast(&self, bucket: usize) -> Contrast {
        let (places, values) = self.members(bucket);
        let (n, count) = (places.len(), self.count());
        if n == 0 || n == count {
            return Contrast { n, ..Contrast::default() };
        }
        let (inside, outside) = (1.0 / n as f64, 1.0 / (count - n) as f64);
        let own = values.iter().sum::<f64>() * inside;
        let rest = -own * n as f64 * outside;
        let difference = own - rest;
        let variance = self.variance(&places, &values, own, rest);
        let t = Some(difference / variance.sqrt()).filter(|t| t.is_finite() && variance > 0.0 && !self.flat);
        let p = t.and_then(|t| two_sided(t, count.checked_sub(2)?));
        Contrast { n, difference: Some(difference), t: t.filter(|_| p.is_some()), p }
    }

    /// V of the module's formula. W = G + F: G = −(Z − z̄_r·N)/n_r of all observations, F what the bucket's differ by.
    fn variance(&self, places: &[usize], values: &[f64], own: f64, rest: f64) -> f64 {
        let count = self.count();
        let (inside, outside) = (1.0 / places.len() as f64, 1.0 / (count - places.len()) as f64);
        let width = self.lag + 1;
        let (mut entered, mut left, mut since) = (0, 0, 0);
        let (mut sum, mut products, mut squares) = (0.0, 0.0, 0.0);
        while left < places.len() {
            let leaving = places[left] + width;
            let at = places.get(entered).map_or(leaving, |entering| leaving.min(*entering));
            if entered > left && at > since {
                let members = (entered - left) as f64;
                let bucket = (inside + outside) * sum - (own * inside + rest * outside) * members;
                let all = (self.moving[at] - self.moving[since])
                    - rest * (windows_before(at, count, self.lag) - windows_before(since, count, self.lag));
                products -= bucket * outside * all;
                squares += bucket * bucket * (at - since) as f64;
            }
            since = at;
            while places.get(entered) == Some(&at) {
                sum += values[entered];
                entered += 1;
            }
            while left < entered && places[left] + width == at {
                sum -= values[left];
                left += 1;
            }
            if left == entered {
                sum = 0.0;
            }
        }
        let sizes: f64 = squared_windows(count, self.lag);
        let all = outside * outside * (self.squares - 2.0 * rest * self.crossed + rest * rest * sizes);
        (all + 2.0 * products + squares) / width as f64
    }
}

/// Two-sided p of `t` with `degrees` of freedom.
fn two_sided(t: f64, degrees: usize) -> Option<f64> {
    let p = 2.0 * StudentsT::new(0.0, 1.0, degrees as f64).ok()?.sf(t.abs());
    p.is_finite().then_some(p.min(1.0))
}

/// Observations in the window that ends at `end`: N_s.
fn in_window(end: usize, count: usize, lag: usize) -> f64 {
    (end + 1).min(count).min(lag + 1).min(count + lag - end) as f64
}

/// N_0 + … + N_{end−1}: a trapezoid.
fn windows_before(end: usize, count: usize, lag: usize) -> f64 {
    let height = count.min(lag + 1);
    let all = count + lag;
    let rising = |steps: usize| steps as f64 * (steps + 1) as f64 / 2.0;
    if end <= height {
        rising(end)
    } else if end <= all - height {
        rising(height) + (end - height) as f64 * height as f64
    } else {
        count as f64 * (lag + 1) as f64 - rising(all - end)
    }
}

/// Σ N².
fn squared_windows(count: usize, lag: usize) -> f64 {
    let height = count.min(lag + 1) as f64;
    let steps = height - 1.0;
    let ramp = steps * (steps + 1.0) * (2.0 * steps + 1.0) / 6.0;
    2.0 * ramp + height * height * ((count + lag) as f64 - 2.0 * steps)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::ToTheEnd;
    use proptest::prelude::*;

    /// The definition, term by term.
    fn plainly(values: &[f64], codes: &[u8], bucket: u8, lag: usize) -> Option<(f64, f64)> {
        let inside: Vec<f64> =
            values.iter().zip(codes).filter(|(_, code)| **code == bucket).map(|(value, _)| *value).collect();
        let outside: Vec<f64> =
            values.iter().zip(codes).filter(|(_, code)| **code != bucket).map(|(value, _)| *value).collect();
        if inside.is_empty() || outside.is_empty() {
            return None;
        }
        let own = inside.iter().sum::<f64>() / inside.len() as f64;
        let rest = outside.iter().sum::<f64>() / outside.len() as f64;
        let u: Vec<f64> = values
            .iter()
            .zip(codes)
            .map(|(value, code)| {
                if *code == bucket {
                    (value - own) / inside.len() as f64
                } else {
                    -(value - rest) / outside.len() as f64
                }
            })
            .collect();
        let mut variance = u.iter().map(|u| u * u).sum::<f64>();
        for back in 1..=lag.min(values.len() - 1) {
            let product: f64 = u[back..].iter().zip(&u).map(|(now, then)| now * then).sum();
            variance += 2.0 * (1.0 - back as f64 / (lag + 1) as f64) * product;
        }
        Some((own - rest, variance))
    }

    proptest! {
        #[test]
        fn equals_the_definition(
            rows in proptest::collection::vec((-1.0..1.0_f64, 0..5_u8), 3..120),
            cycle in 1..140_usize,
            cut in (0.0..1.0_f64, 0.0..1.0_f64),
        ) {
            let values: Vec<f64> = rows.iter().map(|row| row.0 + 3.0).collect();
            let codes: Vec<u8> = rows.iter().map(|row| row.1).collect();
            let bucketed = Bucketed::new(&values, &codes, 5);
            let ends = [(cut.0 * values.len() as f64) as usize, (cut.1 * values.len() as f64) as usize];
            let (from, to) = (ends[0].min(ends[1]), ends[0].max(ends[1]));
            let kept_values = [&values[..from], &values[to..]].concat();
            let kept_codes = [&codes[..from], &codes[to..]].concat();
            let hac = Hac::of(&bucketed, [0..from, to..values.len()], cycle, &ToTheEnd).unwrap();
            for bucket in 0..5 {
                let got = hac.contrast(usize::from(bucket));
                let expected = if kept_values.is_empty() { None } else { plainly(&kept_values, &kept_codes, bucket, hac.lag()) };
                prop_assert_eq!(got.difference.is_some(), expected.is_some());
                let Some((difference, variance)) = expected else { continue };
                prop_assert!((got.difference.unwrap() - difference).abs() < 1e-12);
                if let Some(t) = got.t && variance > 1e-9 {
                    prop_assert!((t - difference / variance.sqrt()).abs() < 1e-8 * (1.0 + t.abs()), "{} {}", t, difference / variance.sqrt());
                }
            }
        }
    }
}
