//! Runs a batch: its first attempt leaves the fetches to tasks of their own, its last one sums them up.

use super::Run;
use crate::job_context::JobContext;
use crate::outcome::Outcome;
use candlemill_shared::children::{ChildCounts, Children};
use candlemill_shared::job::{FetchBatch, FetchResult};
use candlemill_shared::task::{TaskError, TaskRecord};

impl Run for FetchBatch {
    async fn run(self, context: JobContext) -> Outcome<FetchResult> {
        let (record, so_far) = (&context.record, context.result());
        let planned = || Children {
            total: u32::try_from(self.fetches.len()).unwrap_or(u32::MAX),
            generation: record.dead_letter.replays,
            ..Children::default()
        };
        let children = record.children.clone().unwrap_or_else(planned);
        let Some(counts) = children.ended else { return Outcome::Parts(children, so_far) };
        match incomplete(record, counts, children.total) {
            Some(error) => Outcome::Fail(error, so_far),
            None => Outcome::Done(so_far),
        }
    }
}

/// What did not succeed. What its owner cancelled is not missed.
fn incomplete(record: &TaskRecord, counts: ChildCounts, total: u32) -> Option<TaskError> {
    let ChildCounts { failed, dead, .. } = counts;
    (failed + dead > 0).then(|| {
        let told = format!(
            "{} of {total} fetches did not succeed ({failed} failed, {dead} dead): GET /api/tasks?parent={} tells which and \
             why; a replay of the batch fetches what is missing",
            failed + dead,
            record.id
        );
        TaskError::new("batch_incomplete", told)
    })
}
