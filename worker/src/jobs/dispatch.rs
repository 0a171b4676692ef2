//! Finds how a task is run.

use super::{RUNNERS, Runner};
use crate::context::KnownJobs;
use crate::job_context::JobContext;
use crate::outcome::{Outcome, StoredOutcome, with_causes};
use candlemill_shared::job::EnvelopeError;
use candlemill_shared::retry::codes;
use candlemill_shared::task::{TaskError, TaskRecord};

/// The outcome of an attempt that needs no work to be known: a payload that cannot be run, an empty task.
pub(crate) fn at_once(known: KnownJobs, record: &TaskRecord) -> Option<StoredOutcome> {
    let found = runner_of(known, record).and_then(|runner| (runner.at_once)(record));
    found.unwrap_or_else(|error| Some(unreadable(record, &error)))
}

/// Runs one attempt.
pub(crate) async fn run(known: KnownJobs, context: JobContext) -> StoredOutcome {
    let record = context.record.clone();
    let outcome = match runner_of(known, &record) {
        Ok(runner) => (runner.run)(context).await,
        Err(error) => Err(error),
    };
    outcome.unwrap_or_else(|error| unreadable(&record, &error))
}

fn runner_of(known: KnownJobs, record: &TaskRecord) -> Result<&'static Runner, EnvelopeError> {
    let (kind, found) = (record.job.kind.as_str(), record.job.version);
    if let Some(newest) = known.newest_version.filter(|newest| found > *newest) {
        return Err(EnvelopeError::NewerVersion { kind: "this worker's jobs", found, known: newest });
    }
    let runner = RUNNERS.iter().find(|runner| runner.kind.name == kind && known.but != Some(kind));
    runner.ok_or_else(|| EnvelopeError::UnknownKind(kind.to_owned()))
}

/// A payload that this program cannot run. Of a newer version, or of a kind that it does not know, it may be another worker's: then
/// it is handed on.
fn unreadable(record: &TaskRecord, error: &EnvelopeError) -> StoredOutcome {
    let so_far = record.result.clone();
    let told = |code| TaskError::new(code, with_causes(error));
    match error {
        EnvelopeError::NewerVersion { .. } => Outcome::Retry { error: told(codes::NEWER_VERSION), so_far, after: None },
        EnvelopeError::UnknownKind(_) => Outcome::Retry { error: told(codes::UNKNOWN_KIND), so_far, after: None },
        EnvelopeError::Undecodable { .. } | EnvelopeError::UnreadablePlan { .. } => {
            Outcome::Dead(told(codes::PAYLOAD_UNREADABLE), so_far)
        }
    }
}
