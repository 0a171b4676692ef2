//! Shows how far an attempt is.

use crate::job_context::JobContext;
use crate::outcome::Stop;
use candlemill_shared::figures::Figures;
use candlemill_shared::percent::percent_of;
use candlemill_shared::progress::Progress;
use candlemill_shared::task::TaskState;
use tokio::time::Instant;

/// The snapshots of one attempt.
pub(crate) struct ProgressReporter<'a> {
    context: &'a JobContext,
    unit: &'static str,
    rated: &'static [&'static str],
    /// As the attempt began.
    before: Figures,
    started: Instant,
    step: u32,
    /// What watchers have seen already: a later attempt knows of less than the one that died, and shows no less.
    shown: f64,
}

impl<'a> ProgressReporter<'a> {
    /// Of an attempt that begins with the figures `before`.
    pub(crate) fn new(context: &'a JobContext, before: Figures) -> Self {
        let kind = context.record.kind();
        Self {
            context,
            unit: kind.map_or("", |kind| kind.unit),
            rated: kind.map_or(&[], |kind| kind.rated),
            before,
            started: Instant::now(),
            step: 1,
            shown: 0.0,
        }
    }

    /// Takes up where the snapshot of an earlier attempt left off, and shows that this one runs.
    ///
    /// # Errors
    /// As [`Self::show`].
    pub(crate) async fn begin(&mut self, figures: Figures) -> Result<(), Stop> {
        match self.context.tasks.progress().read(self.context.record.id).await {
            Ok(earlier) => self.shown = earlier.map_or(0.0, |snapshot| snapshot.percent),
            Err(error) => tracing::debug!(%error, "what was shown before is not known"),
        }
        self.show(figures, None).await
    }

    /// Share that watchers have seen, 0 to 100.
    pub(crate) const fn shown(&self) -> f64 {
        self.shown
    }

    /// Shows the progress. Redis may be away: progress is not the truth.
    ///
    /// # Errors
    /// [`Stop::Cancelled`] or [`Stop::Overtaken`], as Redis knows it: the attempt is to end.
    #[expect(clippy::cast_precision_loss, reason = "counts of work lie far below 2^52")]
    pub(crate) async fn show(&mut self, figures: Figures, stage: Option<&str>) -> Result<(), Stop> {
        let record = &self.context.record;
        let seconds = self.started.elapsed().as_secs_f64();
        let per_second = |done: u64| if seconds > 0.0 { done as f64 / seconds } else { 0.0 };
        let units_per_second = per_second(figures.done.saturating_sub(self.before.done));
        let left = figures.total.saturating_sub(figures.done);
        let rated = figures.sum_of(self.rated).saturating_sub(self.before.sum_of(self.rated));
        // What follows the last unit is still to be done: only the end state is whole.
        self.shown = percent_of(figures.done, figures.total).min(99.9).max(self.shown);
        let snapshot = Progress {
            task_id: record.id,
            owner: record.owner.clone(),
            state: TaskState::Running,
            percent: self.shown,
            figures,
            unit: self.unit.to_owned(),
            stage: stage.map(str::to_owned),
            rate: rounded(per_second(rated)),
            eta_seconds: (units_per_second > 0.0).then(|| rounded(left as f64 / units_per_second)),
            attempt: record.attempt,
            started_at: record.started_at,
            updated_at: self.context.clock().now_ms(),
            sequence: Progress::sequence_of(record.attempt, self.step),
            error: None,
        };
        self.step = self.step.saturating_add(1).min(Progress::LAST_STEP - 1);
        let written = self.context.tasks.progress().write(&snapshot).await;
        if let Some(parent) = record.parent {
            self.context.reconciler.note(parent);
        }
        match written {
            Ok(written) if written.cancel_requested => Err(Stop::Cancelled),
            Ok(written) if !written.accepted => Err(Stop::Overtaken),
            Ok(_) => Ok(()),
            Err(error) => {
                tracing::warn!(%error, "progress is not shown at the moment");
                Ok(())
            }
        }
    }
}

fn rounded(figure: f64) -> f64 {
    (figure * 10.0).round() / 10.0
}
