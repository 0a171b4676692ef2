//! Confidence intervals by drawing blocks of whole units anew.

use super::quantile::quantile;
use crate::control::{Control, Stopped};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use std::collections::BTreeMap;

/// Draws whose sums are taken in one walk over the units.
const DRAWS_AT_ONCE: usize = 16;

/// Units that are walked over for all of those draws, while they are in the processor's cache.
const UNITS_AT_ONCE: usize = 256;

/// Sums of each unit's observations by bucket: all that a draw needs.
#[derive(Debug)]
pub(crate) struct UnitSums {
    /// Number of buckets.
    buckets: usize,
    /// Number of units.
    units: usize,
    /// Sums of values, unit by unit.
    sums: Vec<f64>,
    /// Sum and number of each unit's observations in all buckets.
    totals: Vec<(f64, f64)>,
    /// Observations by bucket of the units that are all alike: most of them.
    usual: Vec<u32>,
    /// How the other units differ from it: unit, bucket, observations more (or fewer).
    unusual: Vec<(usize, usize, f64)>,
}

impl UnitSums {
    /// Of observations in the order of time: value, bucket, and unit (0, 1, … without a gap).
    pub(crate) fn of(values: &[f64], codes: &[u8], units: &[u32], buckets: usize) -> Self {
        let count = units.last().map_or(0, |last| *last as usize + 1);
        let mut sums = vec![0.0; count * buckets];
        let mut sizes = vec![0_u32; count * buckets];
        for ((value, code), unit) in values.iter().zip(codes).zip(units) {
            let place = *unit as usize * buckets + usize::from(*code);
            sums[place] += value;
            sizes[place] += 1;
        }
        let mut patterns: BTreeMap<&[u32], usize> = BTreeMap::new();
        for pattern in sizes.chunks(buckets.max(1)) {
            *patterns.entry(pattern).or_default() += 1;
        }
        let usual =
            patterns.iter().max_by_key(|(_, often)| **often).map_or_else(Vec::new, |(pattern, _)| pattern.to_vec());
        let mut unusual = Vec::new();
        for (unit, pattern) in sizes.chunks(buckets.max(1)).enumerate() {
            for (bucket, (own, usual)) in
                pattern.iter().zip(&usual).enumerate().filter(|(_, (own, usual))| own != usual)
            {
                unusual.push((unit, bucket, f64::from(*own) - f64::from(*usual)));
            }
        }
        let totals = sums
            .chunks(buckets.max(1))
            .zip(sizes.chunks(buckets.max(1)))
            .map(|(sums, sizes)| (sums.iter().sum(), f64::from(sizes.iter().sum::<u32>())))
            .collect();
        Self { buckets, units: count, sums, totals, usual, unusual }
    }

    /// Number of units.
    pub(crate) const fn units(&self) -> usize {
        self.units
    }

    /// Each unit's part in the bucket's difference to the rest: its Σ u of the HAC estimate, to be tested for dependence.
    pub(crate) fn influence(&self, bucket: usize) -> Option<Vec<f64>> {
        let usual = f64::from(*self.usual.get(bucket)?);
        let mut sizes = vec![usual; self.units];
        for &(unit, _, more) in self.unusual.iter().filter(|(_, of, _)| *of == bucket) {
            sizes[unit] += more;
        }
        let sums = self.sums.iter().skip(bucket).step_by(self.buckets);
        let n = sizes.iter().sum::<f64>();
        let rest = self.totals.iter().map(|total| total.1).sum::<f64>() - n;
        if n == 0.0 || rest == 0.0 {
            return None;
        }
        let mean = sums.clone().sum::<f64>() / n;
        let rest_mean = (self.totals.iter().map(|total| total.0).sum::<f64>() - mean * n) / rest;
        let parts = sums.zip(&sizes).zip(&self.totals).map(|((sum, own), (all_sum, all))| {
            (sum - own * mean) / n - (all_sum - sum - (all - own) * rest_mean) / rest
        });
        Some(parts.collect())
    }

    /// Ends of the 95 % interval of each bucket's mean minus the mean of the rest. Draws that leave one of them empty are left out;
    /// `None` where more than one in twenty is.
    ///
    /// Stationary bootstrap of Politis and Romano (1994), JASA 89: blocks of successive units, begun anywhere, round the end
    /// to the beginning, with lengths of a geometric distribution of mean `length`; all buckets of a unit stay together. The interval
    /// is from quantile 2.5 % to 97.5 % of the draws. Each draw has a random stream of its own.
    pub(crate) fn intervals(
        &self,
        length: f64,
        draws: u32,
        seed: u64,
        control: &impl Control,
        drawn: &(impl Fn(u64) + Sync),
    ) -> Result<Vec<Option<[f64; 2]>>, Stopped> {
        if self.units == 0 || draws == 0 {
            return Ok(vec![None; self.buckets]);
        }
        let groups = (draws as usize).div_ceil(DRAWS_AT_ONCE);
        let differences: Result<Vec<Vec<Vec<f64>>>, Stopped> = (0..groups)
            .into_par_iter()
            .map(|group| {
                let first = group * DRAWS_AT_ONCE;
                let last = (first + DRAWS_AT_ONCE).min(draws as usize);
                let found = self.draw_group(first..last, length, seed, control)?;
                drawn((last - first) as u64);
                Ok(found)
            })
            .collect();
        let mut by_bucket = vec![Vec::with_capacity(draws as usize); self.buckets];
        for draw in differences?.into_iter().flatten() {
            for (of, difference) in by_bucket.iter_mut().zip(draw) {
                of.push(difference);
            }
        }
        Ok(by_bucket
            .into_iter()
            .map(|mut of| {
                of.retain(|difference| difference.is_finite());
                of.sort_unstable_by(f64::total_cmp);
                let defined = of.len() * 20 >= draws as usize * 19;
                defined.then(|| Some([quantile(&of, 0.025)?, quantile(&of, 0.975)?])).flatten()
            })
            .collect())
    }

    /// Differences of each bucket in each of some draws.
    fn draw_group(
        &self,
        draws: std::ops::Range<usize>,
        length: f64,
        seed: u64,
        control: &impl Control,
    ) -> Result<Vec<Vec<f64>>, Stopped> {
        let often: Vec<Vec<u16>> = draws.map(|draw| how_often(self.units, length, seed, draw as u64)).collect();
        let mut sums = vec![vec![0.0; self.buckets]; often.len()];
        for (part, rows) in self.sums.chunks(self.buckets * UNITS_AT_ONCE).enumerate() {
            control.may_go_on()?;
            let start = part * UNITS_AT_ONCE;
            for (sums, often) in sums.iter_mut().zip(&often) {
                for (row, &times) in rows.chunks_exact(self.buckets).zip(&often[start..]) {
                    if times > 0 {
                        let times = f64::from(times);
                        for (sum, value) in sums.iter_mut().zip(row) {
                            *sum += times * value;
                        }
                    }
                }
            }
        }
        Ok(sums.into_iter().zip(&often).map(|(sums, often)| self.differences(&sums, often)).collect())
    }

    fn differences(&self, sums: &[f64], often: &[u16]) -> Vec<f64> {
        let mut sizes: Vec<f64> = self.usual.iter().map(|usual| f64::from(*usual) * self.units as f64).collect();
        for &(unit, bucket, more) in &self.unusual {
            sizes[bucket] += f64::from(often[unit]) * more;
        }
        let (all, all_size) = (sums.iter().sum::<f64>(), sizes.iter().sum::<f64>());
        sums.iter().zip(&sizes).map(|(sum, size)| sum / size - (all - sum) / (all_size - size)).collect()
    }
}

/// How often each of `units` occurs in draw number `draw`.
fn how_often(units: usize, length: f64, seed: u64, draw: u64) -> Vec<u16> {
    let mut random = Pcg64::seed_from_u64(mixed(seed) ^ draw);
    let mut often = vec![0_u16; units];
    // ln(1 − p) with p = 1/length, the chance that a block ends; −∞ when every block is one unit long.
    let goes_on = (1.0 - 1.0 / length.max(1.0)).ln();
    let mut left = units;
    while left > 0 {
        let start = random.random_range(0..units as u64) as usize;
        let chance: f64 = 1.0 - random.random::<f64>();
        let block = ((chance.ln() / goes_on).floor() as usize).saturating_add(1).min(left);
        for unit in start..start + block {
            let unit = &mut often[if unit < units { unit } else { unit - units }];
            *unit = unit.saturating_add(1);
        }
        left -= block;
    }
    often
}

/// Seeds that differ by little, far from each other: the last step of SplitMix64 (Steele, Lea and Flood 2014).
const fn mixed(seed: u64) -> u64 {
    let seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let seed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let seed = (seed ^ (seed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    seed ^ (seed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::ToTheEnd;

    #[test]
    fn a_draw_has_as_many_units_as_there_are() {
        for (units, length) in [(1, 1.0), (7, 1.0), (7, 3.5), (1_000, 12.0), (5, 1e9)] {
            for draw in 0..20 {
                let often = how_often(units, length, 7, draw);
                assert_eq!(often.iter().map(|times| usize::from(*times)).sum::<usize>(), units, "{units} {length}");
            }
        }
        assert_eq!(how_often(9, 2.0, 1, 5), how_often(9, 2.0, 1, 5));
        assert_ne!(how_often(50, 2.0, 1, 5), how_often(50, 2.0, 2, 5));
    }

    #[test]
    fn unusual_units_are_counted_as_they_are() {
        // Two buckets; the third unit lacks the second one.
        let values = [1.0, 2.0, 1.0, 2.0, 1.0, 1.0, 2.0];
        let codes = [0, 1, 0, 1, 0, 0, 1];
        let units = [0, 0, 1, 1, 2, 3, 3];
        let sums = UnitSums::of(&values, &codes, &units, 2);
        assert_eq!((sums.units(), sums.unusual.as_slice()), (4, [(2, 1, -1.0)].as_slice()));
        let intervals = sums.intervals(1.0, 200, 3, &ToTheEnd, &|_| ()).unwrap();
        // The means of the buckets do not vary, so neither does their difference, unless a draw holds the third unit alone.
        assert_eq!(intervals, [Some([-1.0, -1.0]), Some([1.0, 1.0])]);
        let influence = sums.influence(0).unwrap();
        assert!(influence.iter().all(|part| part.abs() < 1e-12));
    }
}
