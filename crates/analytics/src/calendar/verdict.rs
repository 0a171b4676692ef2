//! What the figures of a bucket amount to.

use crate::stats::multiple::{benjamini_hochberg, holm};
use candlemill_shared::study::{BucketReport, GroupingReport, Verdict};

/// Observations that a bucket must have to be tested.
pub(super) const ENOUGH: usize = 30;

/// Largest p that counts.
const LEVEL: f64 = 0.05;

/// Sub-periods in which the difference must have its sign.
const SAME_SIGN: usize = 4;

/// The rule as the report states it.
pub(super) fn rule(draws: u32) -> String {
    let interval = if draws > 0 {
        "the 95 % bootstrap interval without 0, "
    } else {
        "(the interval is not asked, since there were no bootstrap draws) "
    };
    format!(
        "stable: Holm p at most {LEVEL}, {interval}the same sign in at least {SAME_SIGN} of 5 sub-periods, and p at most {LEVEL} without the \
         strongest sub-period. unstable: Holm p at most {LEVEL} alone. insufficient: fewer than {ENOUGH} observations in the bucket; it \
         is not tested. chance: all others."
    )
}

/// Corrects p over the families (one for each measure, across all groupings), and gives the verdicts.
pub(super) fn decide(groupings: &mut [GroupingReport], draws: u32) {
    for measure in candlemill_shared::study::Measure::ALL {
        let mut family: Vec<&mut BucketReport> = Vec::new();
        let mut size = 0_u64;
        let of_measure = groupings.iter_mut().filter(|report| report.measure == measure);
        for report in of_measure {
            for bucket in &mut report.buckets {
                if bucket.n >= ENOUGH as u64 && bucket.p.is_some() {
                    family.push(bucket);
                    size += 1;
                }
            }
        }
        let p: Vec<f64> = family.iter().filter_map(|bucket| bucket.p).collect();
        for ((bucket, holm_p), q) in family.iter_mut().zip(holm(&p)).zip(benjamini_hochberg(&p)) {
            bucket.holm_p = Some(holm_p);
            bucket.q = Some(q);
        }
        for report in groupings.iter_mut().filter(|report| report.measure == measure) {
            report.family = size;
            for bucket in &mut report.buckets {
                bucket.verdict = verdict(bucket, draws > 0);
            }
        }
    }
}

fn verdict(bucket: &BucketReport, drawn: bool) -> Verdict {
    if bucket.n < ENOUGH as u64 {
        return Verdict::Insufficient;
    }
    let small = |p: Option<f64>| p.is_some_and(|p| p <= LEVEL);
    if !small(bucket.holm_p) {
        return Verdict::Chance;
    }
    let without_0 = bucket.low.zip(bucket.high).is_some_and(|(low, high)| low > 0.0 || high < 0.0);
    let sign = bucket.difference.unwrap_or_default();
    let same = bucket.sub_periods.iter().filter(|part| part.difference.is_some_and(|own| own * sign > 0.0)).count();
    if (without_0 || !drawn) && same >= SAME_SIGN && small(bucket.p_without_strongest) {
        Verdict::Stable
    } else {
        Verdict::Unstable
    }
}
