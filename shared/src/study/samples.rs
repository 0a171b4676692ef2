//! How a series is cut into the sample that a rule may be chosen on, and the one that tells whether it holds.

use std::ops::Range;

/// Rows of the two samples. The last part is out of sample; the embargo before it belongs to neither, so that no window of an
/// indicator reaches from the one into the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Samples {
    /// Rows in sample; empty when embargo and last part leave none.
    pub in_sample: Range<u64>,
    /// Rows out of sample.
    pub out_of_sample: Range<u64>,
}

impl Samples {
    /// `candles` rows, of which the last `share` (0 to 1, rounded to whole candles) is out of sample, after `embargo` candles that
    /// count for neither.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share of a number of candles, kept within it"
    )]
    pub fn of(candles: u64, share: f64, embargo: u32) -> Self {
        let last = ((candles as f64 * share).round() as u64).min(candles);
        let border = candles - last;
        Self { in_sample: 0..border.saturating_sub(u64::from(embargo)), out_of_sample: border..candles }
    }

    /// The least number of candles of which the in-sample part has `enough` and the other at least 2.
    #[must_use]
    pub fn min_candles(enough: u64, share: f64, embargo: u32) -> u64 {
        let suffices = |candles| {
            let samples = Self::of(candles, share, embargo);
            samples.in_sample.end >= enough && samples.out_of_sample.end - samples.out_of_sample.start >= 2
        };
        // Both lengths never shrink as candles are added.
        let mut high = enough.max(1);
        while !suffices(high) && high < u64::MAX / 4 {
            high *= 2;
        }
        let mut low = 0;
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if suffices(middle) { high = middle } else { low = middle }
        }
        high
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn cuts() {
        assert_eq!(Samples::of(10, 0.3, 2), Samples { in_sample: 0..5, out_of_sample: 7..10 });
        assert_eq!(Samples::of(10, 0.3, 9), Samples { in_sample: 0..0, out_of_sample: 7..10 });
        assert_eq!(Samples::of(0, 0.3, 9), Samples { in_sample: 0..0, out_of_sample: 0..0 });
        assert_eq!(Samples::of(1_000, 0.05, 0), Samples { in_sample: 0..950, out_of_sample: 950..1_000 });
    }

    proptest! {
        #[test]
        fn the_least_number_is_the_least(enough in 1u64..3_000, share in 0.05f64..=0.95, embargo in 0u32..3_000) {
            let least = Samples::min_candles(enough, share, embargo);
            let suffices = |candles| {
                let cut = Samples::of(candles, share, embargo);
                cut.in_sample.end >= enough && cut.out_of_sample.end - cut.out_of_sample.start >= 2
            };
            prop_assert!(suffices(least) && !suffices(least - 1));
        }
    }
}
