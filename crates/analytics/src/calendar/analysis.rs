//! All figures of one measure by one grouping, before the corrections over the family.

use super::buckets::Buckets;
use super::sample::{SUB_PERIODS, Sample};
use super::verdict::ENOUGH;
use super::work::{Work, analysis_cost, draw_cost};
use crate::control::{Control, Stopped};
use crate::stats::block_length::optimal;
use crate::stats::bootstrap::UnitSums;
use crate::stats::buckets::{Bucketed, deviation, mean};
use crate::stats::groups::{anova, rank};
use crate::stats::hac::{Contrast, Hac};
use crate::stats::quantile::quantile;
use crate::stats::wald::omnibus;
use candlemill_shared::Timestamp;
use candlemill_shared::study::{BucketReport, Grouping, GroupingReport, Measure, RawFigures, SubPeriod, Verdict};
use rayon::iter::{IntoParallelIterator, ParallelIterator};

/// What is analysed, and how often the bootstrap draws.
#[derive(Debug, Clone, Copy)]
pub(super) struct Analysis<'a> {
    pub(super) grouping: Grouping,
    pub(super) measure: Measure,
    pub(super) buckets: &'a Buckets,
    /// Observations that are not whole.
    pub(super) incomplete: u64,
    pub(super) draws: u32,
    pub(super) seed: u64,
}

impl Analysis<'_> {
    /// The report on `sample`; Holm's p, q, family and verdicts are still missing.
    pub(super) fn run<C: Control>(&self, sample: &Sample, work: &Work<'_, C>) -> Result<GroupingReport, Stopped> {
        let control = work.control();
        let quarter = analysis_cost(sample.values.len() as u64) / 4;
        let count = self.buckets.names.len();
        let bucketed = Bucketed::new(&sample.values, &sample.codes, count);
        control.may_go_on()?;
        let ranked = rank(&bucketed, control)?;
        let mut buckets = (0..count)
            .into_par_iter()
            .map(|bucket| {
                control.may_go_on()?;
                let sorted = bucketed.part_of(&ranked.sorted, bucket);
                Ok(self.describe(bucket, bucketed.of(bucket), sorted))
            })
            .collect::<Result<Vec<_>, Stopped>>()?;
        let kruskal_wallis = ranked.kruskal_wallis.filter(|_| !bucketed.is_flat());
        drop(ranked.sorted);
        self.raw_figures(&mut buckets, sample);
        work.done(quarter);

        let all = bucketed.len();
        let hac = Hac::of(&bucketed, [0..all, all..all], self.buckets.cycle, control)?;
        let lag = hac.lag();
        let whole = contrasts(&hac, 0..count, control)?;
        drop(hac);
        let omnibus = omnibus(&bucketed, lag, ENOUGH, control)?;
        work.done(quarter);

        let parts = (0..SUB_PERIODS)
            .into_par_iter()
            .map(|part| {
                let range = sample.parts[part].clone();
                let end = range.end;
                contrasts(&Hac::of(&bucketed, [range, end..end], self.buckets.cycle, control)?, 0..count, control)
            })
            .collect::<Result<Vec<_>, Stopped>>()?;
        work.done(quarter);
        let without = self.without_strongest(&bucketed, sample, &whole, &parts, control)?;
        for (bucket, report) in buckets.iter_mut().enumerate() {
            let Contrast { difference, t, p, .. } = whole[bucket];
            (report.difference, report.t, report.p) = (difference, t, p);
            report.sub_periods =
                (0..SUB_PERIODS).map(|part| sub_period(&sample.borders, part, parts[part][bucket])).collect();
            report.p_without_strongest = without[bucket];
        }
        work.done(quarter);

        let block_length = self.bootstrap(sample, &mut buckets, work)?;
        Ok(GroupingReport {
            grouping: self.grouping,
            measure: self.measure,
            observation: self.grouping.observation(),
            observations: all as u64,
            incomplete: self.incomplete + sample.left_out,
            unit: self.grouping.unit(),
            block_length,
            lag: lag as u64,
            family: 0,
            omnibus,
            kruskal_wallis,
            anova: anova(&bucketed),
            buckets,
        })
    }

    fn describe(&self, bucket: usize, values: &[f64], sorted: &[f64]) -> BucketReport {
        let returns = self.measure == Measure::Return;
        let wins = values.iter().filter(|value| **value > 0.0).count() as f64;
        BucketReport {
            bucket: self.buckets.names[bucket].clone(),
            n: values.len() as u64,
            mean: mean(values),
            median: quantile(sorted, 0.5),
            deviation: deviation(values),
            win_rate: (returns && !values.is_empty()).then(|| wins / values.len() as f64),
            q05: quantile(sorted, 0.05),
            q25: quantile(sorted, 0.25),
            q75: quantile(sorted, 0.75),
            q95: quantile(sorted, 0.95),
            raw: None,
            difference: None,
            t: None,
            p: None,
            holm_p: None,
            q: None,
            low: None,
            high: None,
            sub_periods: Vec::new(),
            p_without_strongest: None,
            verdict: Verdict::Chance,
        }
    }

    fn raw_figures(&self, buckets: &mut [BucketReport], sample: &Sample) {
        if sample.raw.is_empty() {
            return;
        }
        let raw = Bucketed::new(&sample.raw, &sample.codes, buckets.len());
        for (bucket, report) in buckets.iter_mut().enumerate() {
            let values = raw.of(bucket);
            report.raw = mean(values).zip(median(values)).map(|(mean, median)| RawFigures {
                mean,
                median,
                deviation: deviation(values),
            });
        }
    }

    /// p of each bucket without the sub-period whose t is the largest in the direction of its difference.
    fn without_strongest(
        &self,
        bucketed: &Bucketed<'_>,
        sample: &Sample,
        whole: &[Contrast],
        parts: &[Vec<Contrast>],
        control: &impl Control,
    ) -> Result<Vec<Option<f64>>, Stopped> {
        let strongest: Vec<Option<usize>> = whole
            .iter()
            .enumerate()
            .map(|(bucket, whole)| {
                let sign = whole.difference?.signum();
                let t = |part: &usize| parts[*part][bucket].t.map(|t| t * sign);
                (0..SUB_PERIODS)
                    .filter(|part| t(part).is_some())
                    .max_by(|a, b| t(a).partial_cmp(&t(b)).unwrap_or(std::cmp::Ordering::Equal))
            })
            .collect();
        let mut found = vec![None; whole.len()];
        let removals = (0..SUB_PERIODS)
            .into_par_iter()
            .map(|part| {
                let concerned: Vec<usize> =
                    (0..whole.len()).filter(|bucket| strongest[*bucket] == Some(part)).collect();
                if concerned.is_empty() {
                    return Ok(Vec::new());
                }
                let range = &sample.parts[part];
                let hac = Hac::of(bucketed, [0..range.start, range.end..bucketed.len()], self.buckets.cycle, control)?;
                let contrasts = contrasts(&hac, concerned.iter().copied(), control)?;
                Ok(concerned.into_iter().zip(contrasts).collect())
            })
            .collect::<Result<Vec<Vec<(usize, Contrast)>>, Stopped>>()?;
        for (bucket, contrast) in removals.into_iter().flatten() {
            found[bucket] = contrast.p;
        }
        Ok(found)
    }

    /// Sets the intervals, and returns the mean length of the blocks, in units.
    fn bootstrap<C: Control>(
        &self,
        sample: &Sample,
        buckets: &mut [BucketReport],
        work: &Work<'_, C>,
    ) -> Result<f64, Stopped> {
        let control = work.control();
        let sums = UnitSums::of(&sample.values, &sample.codes, &sample.units, buckets.len());
        let lengths = (0..buckets.len())
            .into_par_iter()
            .map(|bucket| {
                control.may_go_on()?;
                Ok(sums.influence(bucket).and_then(|series| optimal(&series)))
            })
            .collect::<Result<Vec<Option<f64>>, Stopped>>()?;
        let lengths: Vec<f64> = lengths.into_iter().flatten().collect();
        let length = mean(&lengths).unwrap_or(1.0).max(1.0);
        let cost = draw_cost(sums.units() as u64, buckets.len() as u64);
        let intervals = sums.intervals(length, self.draws, self.seed, control, &|draws| work.done(cost * draws))?;
        for (report, interval) in buckets.iter_mut().zip(intervals) {
            // Without a t there is nothing that an interval could be of: all values are one.
            if report.t.is_some()
                && let Some([low, high]) = interval
            {
                (report.low, report.high) = (Some(low), Some(high));
            }
        }
        Ok(length)
    }
}

fn contrasts(
    hac: &Hac<'_, '_>,
    buckets: impl Iterator<Item = usize>,
    control: &impl Control,
) -> Result<Vec<Contrast>, Stopped> {
    let buckets: Vec<usize> = buckets.collect();
    buckets
        .into_par_iter()
        .map(|bucket| {
            control.may_go_on()?;
            Ok(hac.contrast(bucket))
        })
        .collect()
}

fn sub_period(borders: &[i64], part: usize, contrast: Contrast) -> SubPeriod {
    let Contrast { n, difference, t, p } = contrast;
    SubPeriod {
        from: Timestamp::from(borders[part]),
        to: Timestamp::from(borders[part + 1]),
        n: n as u64,
        difference,
        t,
        p,
    }
}

/// Median without sorting all of the values.
fn median(values: &[f64]) -> Option<f64> {
    let mut values = values.to_vec();
    let middle = values.len().checked_sub(1)? / 2;
    let even = values.len().is_multiple_of(2);
    let (_, low, above) = values.select_nth_unstable_by(middle, f64::total_cmp);
    let high = if even { above.iter().copied().fold(f64::INFINITY, f64::min) } else { *low };
    Some((high - *low).mul_add(0.5, *low))
}
