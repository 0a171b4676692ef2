//! The values of one measure, ready to be tested.

use super::observations::Observations;
use candlemill_shared::study::Measure;
use std::ops::Range;

/// Number of sub-periods.
pub(super) const SUB_PERIODS: usize = 5;

/// What is tested: one value for each observation that counts, in the order of time.
#[derive(Debug)]
pub(super) struct Sample {
    /// Returns, or shares of the unit's mean.
    pub(super) values: Vec<f64>,
    /// The figures before they were made shares; empty of returns.
    pub(super) raw: Vec<f64>,
    /// Bucket of each.
    pub(super) codes: Vec<u8>,
    /// Unit of each: 0, 1, … without a gap.
    pub(super) units: Vec<u32>,
    /// Observations of each sub-period.
    pub(super) parts: Vec<Range<usize>>,
    /// Where the sub-periods begin and end, UTC ms: one more than sub-periods.
    pub(super) borders: Vec<i64>,
    /// Whole observations that do not count: the return would span a gap, or the unit's mean is 0.
    pub(super) left_out: u64,
}

impl Sample {
    /// The measure of `observations` with their buckets and units.
    pub(super) fn of(measure: Measure, observations: &Observations, codes: &[u8], units: &[i64]) -> Self {
        let mut kept = Vec::with_capacity(codes.len());
        let mut raw = Vec::with_capacity(codes.len());
        for at in 0..codes.len() {
            if let Some(value) = observations.measure(measure, at) {
                kept.push(at);
                raw.push(value);
            }
        }
        let mut values = Vec::new();
        if measure != Measure::Return {
            (kept, raw, values) = shares(&kept, &raw, units);
        }
        let mut compact = Vec::with_capacity(kept.len());
        let mut unit = 0_u32;
        for (index, at) in kept.iter().enumerate() {
            unit += u32::from(index > 0 && units[kept[index - 1]] != units[*at]);
            compact.push(unit);
        }
        let starts = |index: usize| kept.get(index).map_or(observations.end, |at| observations.starts[*at]);
        let (parts, borders) = sub_periods(kept.len(), starts(0), observations.end, starts);
        let left_out = (codes.len() - kept.len()) as u64;
        let codes = kept.iter().map(|at| codes[*at]).collect();
        if measure == Measure::Return {
            std::mem::swap(&mut values, &mut raw);
        }
        Self { values, raw, codes, units: compact, parts, borders, left_out }
    }
}

/// Each figure over the mean of its unit, without the units whose mean is 0.
fn shares(kept: &[usize], raw: &[f64], units: &[i64]) -> (Vec<usize>, Vec<f64>, Vec<f64>) {
    let (mut left, mut figures, mut values) =
        (Vec::with_capacity(kept.len()), Vec::with_capacity(kept.len()), Vec::with_capacity(kept.len()));
    let mut start = 0;
    while start < kept.len() {
        let unit = units[kept[start]];
        let end = start + kept[start..].iter().take_while(|at| units[**at] == unit).count();
        let mean = raw[start..end].iter().sum::<f64>() / (end - start) as f64;
        if mean > 0.0 {
            left.extend_from_slice(&kept[start..end]);
            figures.extend_from_slice(&raw[start..end]);
            values.extend(raw[start..end].iter().map(|figure| figure / mean));
        }
        start = end;
    }
    (left, figures, values)
}

/// Five parts of equal time from `first` to `end`: an observation belongs to the part in which it starts.
fn sub_periods(count: usize, first: i64, end: i64, starts: impl Fn(usize) -> i64) -> (Vec<Range<usize>>, Vec<i64>) {
    let border = |part: usize| first + (i128::from(end - first) * part as i128 / SUB_PERIODS as i128) as i64;
    let mut cuts = vec![0];
    for part in 1..SUB_PERIODS {
        let (mut low, mut high) = (cuts[part - 1], count);
        while low < high {
            let middle = low.midpoint(high);
            if starts(middle) < border(part) { low = middle + 1 } else { high = middle }
        }
        cuts.push(low);
    }
    cuts.push(count);
    let borders = cuts.iter().map(|cut| starts(*cut)).collect();
    (cuts.windows(2).map(|pair| pair[0]..pair[1]).collect(), borders)
}
