//! How far a study is: each stage has its share of the whole.

use crate::job_context::JobContext;
use crate::outcome::Stop;
use crate::progress_reporter::ProgressReporter;
use candlemill_shared::job::{Job, SeasonalityStudy, StudyResult};
use std::time::Duration;
use tokio::time::MissedTickBehavior;

/// Time between two looks of somebody who waits for a stage.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// A part of the work: its name, and where it ends, in thousandths of what follows the fetch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stage {
    pub(super) name: &'static str,
    from: f64,
    to: f64,
}

/// Reading candles.
pub(super) const LOAD: Stage = Stage { name: "load", from: 0.0, to: 0.3 };
/// Storing what was found.
pub(super) const WRITE: Stage = Stage { name: "write", from: 0.95, to: 1.0 };
/// Where the studies themselves lie.
const STUDIES: (f64, f64) = (LOAD.to, WRITE.from);

impl Stage {
    /// Study number `at` of those whose work is in the ratio of `weights`.
    pub(super) fn of_study(name: &'static str, weights: &[f64], at: usize) -> Self {
        let all: f64 = weights.iter().sum();
        let before: f64 = weights[..at].iter().sum();
        let (start, width) = (STUDIES.0, STUDIES.1 - STUDIES.0);
        let place = |sum: f64| start + width * sum / all;
        Self { name, from: place(before), to: place(before + weights[at]) }
    }
}

/// Shows the progress of one attempt.
pub(super) struct StudyProgress<'a> {
    reporter: ProgressReporter<'a>,
    /// Thousandths that the fetch counted for.
    fetched: u64,
    /// What was shown before is not taken back.
    least: u64,
}

impl<'a> StudyProgress<'a> {
    pub(super) async fn begin(context: &'a JobContext, result: &mut StudyResult) -> Result<Self, Stop> {
        let figures = SeasonalityStudy::figures(result);
        let mut reporter = ProgressReporter::new(context, figures.clone());
        reporter.begin(figures).await?;
        let fetched = if context.record.children.is_some() {
            SeasonalityStudy::PARTS_SHARE.map_or(0, |(share, _)| share)
        } else {
            0
        };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1,000")]
        let least = (reporter.shown() * 10.0) as u64;
        Ok(Self { reporter, fetched, least })
    }

    /// Shows that `share` (0 to 1) of a stage is done.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "thousandths"
    )]
    pub(super) async fn show(&mut self, stage: Stage, share: f64, result: &mut StudyResult) -> Result<(), Stop> {
        let whole = (1_000 - self.fetched) as f64;
        let done = self.fetched + (whole * (stage.from + (stage.to - stage.from) * share.clamp(0.0, 1.0))) as u64;
        result.done = result.done.max(done).max(self.least).min(1_000);
        self.reporter.show(SeasonalityStudy::figures(result), Some(stage.name)).await
    }

    /// Waits for work and shows meanwhile how far `look` says that it is: a stage, and the share of it that is done.
    ///
    /// # Errors
    /// Those of the work, of `look`, and as [`Self::show`]; the work is dropped then.
    pub(super) async fn while_waiting<T, E: Into<Stop>>(
        &mut self,
        work: impl Future<Output = Result<T, E>>,
        look: impl Fn() -> Result<(Stage, f64), Stop>,
        result: &mut StudyResult,
    ) -> Result<T, Stop> {
        tokio::pin!(work);
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                done = &mut work => return done.map_err(Into::into),
                _ = looks.tick() => {
                    let (stage, share) = look()?;
                    self.show(stage, share, result).await?;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_follow_each_other_without_a_hole() {
        let weights = [6.0, 1.0, 1.0];
        let studies: Vec<Stage> = (0..3).map(|at| Stage::of_study("one", &weights, at)).collect();
        let mut stages = vec![LOAD];
        stages.extend(studies);
        stages.push(WRITE);
        assert!(stages.windows(2).all(|pair| (pair[0].to - pair[1].from).abs() < 1e-12));
        assert!(stages.iter().all(|stage| stage.from < stage.to));
    }
}
