//! Computes the studies on a thread for busy work.

use super::progress::{Stage, StudyProgress};
use super::stop::StudyStop;
use crate::cpu::{CpuCancelled, CpuWork};
use crate::job_context::JobContext;
use candlemill_analytics::strategy::StrategyOutcome;
use candlemill_analytics::{Candles, Control, Stopped, calendar, strategy};
use candlemill_charts::{Chart, ChartContext};
use candlemill_shared::TimeRange;
use candlemill_shared::job::{SeasonalityStudy, StudyResult};
use candlemill_shared::study::{CalendarReport, Measure, Study, Verdict};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What was found.
#[derive(Default)]
pub(super) struct Computed {
    pub(super) calendar: Option<CalendarReport>,
    pub(super) sma_crossover: Option<StrategyOutcome>,
    pub(super) mean_reversion: Option<StrategyOutcome>,
    pub(super) charts: Vec<Chart>,
    /// Buckets whose return is stable.
    pub(super) stable: u64,
}

/// How far the study under way is: its number, and millionths of it.
#[derive(Default)]
struct Shown {
    study: AtomicU64,
    share: AtomicU64,
}

const MILLION: u64 = 1_000_000;

struct Watched<'a> {
    work: &'a CpuWork,
    shown: &'a Shown,
}

impl Control for Watched<'_> {
    fn may_go_on(&self) -> Result<(), Stopped> {
        self.work.may_go_on().map_err(|CpuCancelled| Stopped)
    }

    fn step(&self, done: u64, total: u64) {
        self.shown.share.store(done.saturating_mul(MILLION) / total.max(1), Ordering::Relaxed);
    }
}

/// Runs every study of `job` over `candles`, and draws the charts.
pub(super) async fn compute(
    context: &JobContext,
    job: &SeasonalityStudy,
    range: TimeRange,
    candles: Candles,
    progress: &mut StudyProgress<'_>,
    result: &mut StudyResult,
) -> Result<Computed, StudyStop> {
    let weights: Vec<f64> = job.studies.iter().map(|study| weight(study, job.draws)).collect();
    let shown = Arc::new(Shown::default());
    let computing = {
        let (job, shown) = (job.clone(), Arc::clone(&shown));
        context.compute(move |work| {
            let watched = Watched { work, shown: &shown };
            run(&job, range, &candles, &watched).map_err(|Stopped| CpuCancelled)
        })
    };
    let look = || {
        let at = usize::try_from(shown.study.load(Ordering::Relaxed)).unwrap_or(0).min(weights.len() - 1);
        #[expect(clippy::cast_precision_loss, reason = "millionths")]
        let share = shown.share.load(Ordering::Relaxed) as f64 / MILLION as f64;
        Ok((Stage::of_study(job.studies[at].name(), &weights, at), share))
    };
    Ok(progress.while_waiting(computing, look, result).await?)
}

/// How the studies' times compare.
fn weight(study: &Study, draws: u32) -> f64 {
    match study {
        Study::Calendar(_) => 2.0 + f64::from(draws) / 100.0,
        Study::SmaCrossover(_) | Study::MeanReversion(_) => 1.0,
    }
}

fn run(
    job: &SeasonalityStudy,
    range: TimeRange,
    candles: &Candles,
    watched: &Watched<'_>,
) -> Result<Computed, Stopped> {
    let mut computed = Computed::default();
    let zone = job.time_zone.as_str();
    let chart_context = ChartContext {
        symbol: job.symbol.as_str(),
        interval: job.interval.as_str(),
        time_zone: zone,
        from: range.start.into(),
        to: range.end.into(),
    };
    for (at, study) in job.studies.iter().enumerate() {
        watched.shown.share.store(0, Ordering::Relaxed);
        watched.shown.study.store(at as u64, Ordering::Relaxed);
        match study {
            Study::Calendar(request) => {
                let report = calendar::study(candles, request, &job.time_zone, job.draws, job.seed, watched)?;
                computed.charts.extend(candlemill_charts::calendar(&chart_context, &report));
                computed.stable = stable(&report);
                computed.calendar = Some(report);
            }
            Study::SmaCrossover(request) => {
                let outcome = strategy::sma_crossover(candles, request, watched)?;
                computed.charts.extend(candlemill_charts::strategy(&chart_context, study.name(), &outcome.report));
                computed.sma_crossover = Some(outcome);
            }
            Study::MeanReversion(request) => {
                let outcome = strategy::mean_reversion(candles, request, watched)?;
                computed.charts.extend(candlemill_charts::strategy(&chart_context, study.name(), &outcome.report));
                computed.mean_reversion = Some(outcome);
            }
        }
        watched.may_go_on()?;
    }
    Ok(computed)
}

/// Buckets whose return is stable.
fn stable(report: &CalendarReport) -> u64 {
    let of_returns = report.groupings.iter().filter(|grouping| grouping.measure == Measure::Return);
    of_returns.flat_map(|grouping| &grouping.buckets).filter(|bucket| bucket.verdict == Verdict::Stable).count() as u64
}
