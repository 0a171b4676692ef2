//! Values sorted into buckets.

/// One value for each observation in the order of time, and the bucket of each.
#[derive(Debug)]
pub(crate) struct Bucketed<'a> {
    /// The values.
    pub(crate) values: &'a [f64],
    /// Bucket of each: below `count`.
    pub(crate) codes: &'a [u8],
    /// Number of buckets; some may be empty.
    pub(crate) count: usize,
    /// Where each bucket begins in the two lists below; one more than buckets.
    offsets: Vec<usize>,
    /// Positions of each bucket's observations, ascending.
    positions: Vec<u32>,
    /// Their values.
    by_bucket: Vec<f64>,
}

impl<'a> Bucketed<'a> {
    /// Both slices are equally long, shorter than 2³².
    pub(crate) fn new(values: &'a [f64], codes: &'a [u8], count: usize) -> Self {
        let mut offsets = vec![0; count + 1];
        for &code in codes {
            offsets[usize::from(code) + 1] += 1;
        }
        for bucket in 0..count {
            offsets[bucket + 1] += offsets[bucket];
        }
        let mut next = offsets.clone();
        let mut positions = vec![0; codes.len()];
        let mut by_bucket = vec![0.0; codes.len()];
        for (position, (&code, &value)) in codes.iter().zip(values).enumerate() {
            let place = next[usize::from(code)];
            positions[place] = u32::try_from(position).unwrap_or(u32::MAX);
            by_bucket[place] = value;
            next[usize::from(code)] += 1;
        }
        Self { values, codes, count, offsets, positions, by_bucket }
    }

    /// Observations in all buckets.
    pub(crate) const fn len(&self) -> usize {
        self.values.len()
    }

    /// Where the bucket's observations stand, ascending.
    pub(crate) fn positions(&self, bucket: usize) -> &[u32] {
        &self.positions[self.offsets[bucket]..self.offsets[bucket + 1]]
    }

    /// The bucket's values, in the order of time.
    pub(crate) fn of(&self, bucket: usize) -> &[f64] {
        &self.by_bucket[self.offsets[bucket]..self.offsets[bucket + 1]]
    }

    /// The bucket's values out of a list that is sorted into buckets like this one.
    pub(crate) fn part_of<'b>(&self, list: &'b [f64], bucket: usize) -> &'b [f64] {
        &list[self.offsets[bucket]..self.offsets[bucket + 1]]
    }

    /// Where each bucket begins in a list sorted into buckets.
    pub(crate) fn offsets(&self) -> &[usize] {
        &self.offsets
    }

    /// Whether all values are one up to rounding: a test of them would test the rounding.
    pub(crate) fn is_flat(&self) -> bool {
        let (low, high) = self
            .values
            .iter()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &value| (low.min(value), high.max(value)));
        high - low <= 1e-12 * low.abs().max(high.abs()) || self.values.is_empty()
    }
}

/// Mean; `None` of nothing.
pub(crate) fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Standard deviation √(Σ(x − x̄)²/(n − 1)), in two passes; `None` of fewer than two.
pub(crate) fn deviation(values: &[f64]) -> Option<f64> {
    let mean = mean(values)?;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (values.len() > 1).then(|| (squares / (values.len() - 1) as f64).sqrt())
}
