//! A task as the parent of others, and as the child of one.

use super::id::TaskId;
use super::record::{DeadLetter, TaskRecord};
use super::state::TaskState;
use crate::children::Shown;
use crate::job::{self, Envelope, EnvelopeError, JobKind};
use crate::percent::percent_of;
use serde_json::Value;

/// A child as its parent plans it.
#[derive(Debug, Clone, PartialEq)]
pub struct Child {
    /// Its task.
    pub id: TaskId,
    /// What it does.
    pub job: Envelope,
    /// Its share of the parent's progress.
    pub share: u64,
}

impl TaskRecord {
    /// Its kind, if this program knows it.
    #[must_use]
    pub fn kind(&self) -> Option<&'static JobKind> {
        job::kind(&self.job.kind)
    }

    /// The ids of the children that the record plans, in the order of the request; none when it has none.
    #[must_use]
    pub fn child_ids(&self) -> Vec<TaskId> {
        let Some(children) = &self.children else { return Vec::new() };
        (0..children.total).map(|index| TaskId::of_child(self.id, children.generation, index)).collect()
    }

    /// The children that the record plans; none when it has none.
    ///
    /// # Errors
    /// When the payload, or the plan, cannot be read.
    pub fn planned_children(&self) -> Result<Vec<Child>, EnvelopeError> {
        let Some(children) = &self.children else { return Ok(Vec::new()) };
        let kind = self.kind().ok_or_else(|| EnvelopeError::UnknownKind(self.job.kind.clone()))?;
        let parts = kind.parts(&self.job, &children.parts, self.created_at)?;
        let child = |(id, part): (TaskId, job::Part)| Child { id, job: part.job, share: part.share };
        Ok(self.child_ids().into_iter().zip(parts).map(child).collect())
    }

    /// Ends the record in `state` at `at` (UTC ms), or lets it wait for another attempt. The figures that a parent has shown are
    /// its figures for good, and none of them falls.
    pub fn end_as(&mut self, state: TaskState, result: Option<Value>, at: i64) {
        (self.state, self.updated_at, self.result) = (state, at, result);
        let kind = self.kind();
        let Some(children) = self.children.as_mut().filter(|_| state.is_end()) else { return };
        let figures = kind.zip(self.result.as_ref()).map(|(kind, result)| kind.figures(result)).unwrap_or_default();
        let (known, done) = (children.shown.clone().unwrap_or_default(), state == TaskState::Succeeded);
        // Of units only an attempt of its own knows how many there are in all.
        let by_units = percent_of(figures.done, figures.total).min(99.9);
        let mut shown = Shown {
            percent: if done { 100.0 } else { known.percent.max(by_units) },
            figures: known.figures.max(&figures),
        };
        let units = shown.figures.done;
        shown.figures.total = if done { units } else { shown.figures.total.max(units) };
        if let Some(kind) = kind {
            let result = self.result.take().unwrap_or_else(|| kind.no_result());
            self.result = Some(kind.keep_figures(result, &shown.figures));
        }
        children.shown = Some(shown);
    }

    /// The record of a child, as it waits for its first attempt from `now_ms` on.
    ///
    /// # Errors
    /// When the child is of a kind that this program does not know, or its payload cannot be read.
    pub fn child_record(&self, child: &Child, now_ms: i64) -> Result<Self, EnvelopeError> {
        let kind = job::kind(&child.job.kind).ok_or_else(|| EnvelopeError::UnknownKind(child.job.kind.clone()))?;
        Ok(Self {
            id: child.id,
            job: child.job.clone(),
            request: kind.kept_request(&child.job)?,
            fingerprint: kind.fingerprint(&child.job, &self.owner)?,
            pool: kind.pool,
            idempotency: None,
            state: TaskState::Queued,
            attempt: 0,
            attempts: Vec::new(),
            cancel_requested: false,
            updated_at: now_ms,
            started_at: None,
            ended_at: None,
            run_at: None,
            result: None,
            error: None,
            dead_letter: DeadLetter::default(),
            parent: Some(self.id),
            share: Some(child.share),
            schedule: None,
            children: None,
            webhook: None,
            // Neither payload nor plan of the parent is copied.
            owner: self.owner.clone(),
            tier: self.tier,
            priority: self.priority,
            running_at_once: self.running_at_once,
            created_at: self.created_at,
            trace_id: self.trace_id.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::children::Children;
    use crate::job::FetchHistory;
    use crate::range::TimeRange;
    use crate::task::tests::record;

    #[test]
    fn parts_are_fetches_of_the_same_series() {
        let mut parent = record();
        assert_eq!(parent.planned_children().unwrap(), []);
        let parts = vec![TimeRange::new(0, 60_000), TimeRange::new(120_000, 300_000)];
        let plan = serde_json::to_value(&parts).unwrap();
        parent.children = Some(Children { total: 2, parts: plan, ..Children::default() });
        let children = parent.planned_children().unwrap();
        for ((child, range), share) in children.iter().zip(parts).zip([1, 3]) {
            let job: FetchHistory = child.job.open().unwrap();
            assert_eq!((job.range_at(0), job.symbol.as_str(), child.share), (range, "BTCUSDT", share));
        }
        let child = parent.child_record(&children[1], 7).unwrap();
        assert_eq!(
            (child.parent, child.state, child.created_at, child.updated_at, child.share),
            (Some(parent.id), TaskState::Queued, 1, 7, Some(3))
        );
        assert_eq!((child.owner, child.children), (parent.owner, None));
        assert_eq!(child.job, children[1].job);
    }
}
