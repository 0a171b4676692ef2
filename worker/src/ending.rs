//! How an attempt ends.

use crate::context::WorkerContext;
use crate::jobs;
use crate::outcome::{Outcome, StoredOutcome};
use crate::retries;
use candlemill_shared::retry::codes;
use candlemill_shared::task::{TaskError, TaskRecord, TaskState};
use candlemill_tasks::Ending;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The ending of an attempt that needs no work, given its record as it begins.
pub(crate) fn ending_at_once(context: &WorkerContext, record: &TaskRecord) -> Option<Ending> {
    let outcome = if record.cancel_requested {
        Outcome::Cancelled(record.result.clone())
    } else if let Some(error) = retries::given_up_before(record) {
        Outcome::Dead(error, record.result.clone())
    } else {
        // What panics here is run as any other attempt, which counts it.
        catch_unwind(AssertUnwindSafe(|| jobs::at_once(context.known, record))).ok().flatten()?
    };
    let mut ending = ending_of(record, outcome, record.updated_at)?;
    // No work was done: there is no more to tell than there was.
    ending.result = ending.result.filter(|_| record.result.is_some());
    Some(ending)
}

/// How an attempt ends by its outcome. `None`: it does not end here.
pub(crate) fn ending_of(record: &TaskRecord, outcome: StoredOutcome, now: i64) -> Option<Ending> {
    let end = |state, result, error| Ending { state, result, error, run_at: None, at: now };
    let mut ending = match outcome {
        Outcome::Overtaken | Outcome::Parts(..) => return None,
        Outcome::Done(result) => end(TaskState::Succeeded, result, None),
        Outcome::Fail(error, result) => end(TaskState::Failed, result, Some(error)),
        Outcome::Dead(error, result) => end(TaskState::Dead, result, Some(error)),
        Outcome::Cancelled(result) => end(TaskState::Cancelled, result, None),
        Outcome::HandBack(result) => {
            let error =
                TaskError::new(codes::HANDED_BACK, "the worker was stopped; the next one goes on from the checkpoint");
            Ending { run_at: Some(now), ..end(TaskState::Retrying, result, Some(error)) }
        }
        Outcome::Retry { error, so_far, after } => retries::ending(record, error, so_far, after, now, rand::random()),
    };
    if let Some(kind) = record.kind() {
        let took_ms = u64::try_from(now - record.started_at.unwrap_or(now)).unwrap_or(0);
        ending.result = ending.result.map(|result| kind.note_duration(result, took_ms));
    }
    Some(ending)
}
