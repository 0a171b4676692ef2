//! Every job there is.

mod fetch_batch;
mod fetch_history;

use crate::context::{JobContext, WorkerContext};
use crate::outcome::{Outcome, with_causes};
use candlemill_shared::job::{EnvelopeError, FetchBatch, FetchHistory, Job, Probe};
use candlemill_shared::retry::codes;
use candlemill_shared::task::{TaskError, TaskRecord};

pub(crate) use fetch_history::{PER_PAGE, PageLeases, PageSlots};

/// What is to be done, as a task's payload says.
enum Work {
    FetchHistory(FetchHistory),
    FetchBatch(FetchBatch),
    /// Nothing: the outcome is known.
    None(Box<Outcome>),
}

/// The outcome of an attempt that needs no work to be known: a payload that cannot be run, an empty task.
pub(crate) fn at_once(shop: &WorkerContext, record: &TaskRecord) -> Option<Outcome> {
    match work_of(shop, record) {
        Work::None(outcome) => Some(*outcome),
        Work::FetchHistory(_) | Work::FetchBatch(_) => None,
    }
}

/// Runs one attempt.
pub(crate) async fn run(context: JobContext) -> Outcome {
    match work_of(&context.shop, &context.record) {
        Work::FetchHistory(job) => fetch_history::run(context, job).await,
        Work::FetchBatch(job) => fetch_batch::run(&context.record, &job),
        Work::None(outcome) => *outcome,
    }
}

fn work_of(shop: &WorkerContext, record: &TaskRecord) -> Work {
    read(shop, record).unwrap_or_else(|error| Work::None(Box::new(unreadable(record, &error))))
}

fn read(shop: &WorkerContext, record: &TaskRecord) -> Result<Work, EnvelopeError> {
    let (job, found) = (&record.job, record.job.version);
    if let Some(known) = shop.newest_payload.filter(|known| found > *known) {
        return Err(EnvelopeError::NewerVersion { kind: "this worker's jobs", found, known });
    }
    let done = || Work::None(Box::new(Outcome::Done(record.result.clone().unwrap_or_default())));
    match job.kind.as_str() {
        FetchHistory::KIND => job.open().map(Work::FetchHistory),
        FetchBatch::KIND => job.open().map(Work::FetchBatch),
        Probe::KIND => job.open().map(|_: Probe| done()),
        other => Err(EnvelopeError::UnknownKind(other.to_owned())),
    }
}

/// A payload that this program cannot run. Of a newer version it may be another worker's, so it is tried again.
fn unreadable(record: &TaskRecord, error: &EnvelopeError) -> Outcome {
    let so_far = record.result.clone().unwrap_or_default();
    let told = |code| TaskError::new(code, with_causes(error));
    match error {
        EnvelopeError::NewerVersion { .. } => Outcome::Retry { error: told(codes::NEWER_VERSION), so_far, after: None },
        EnvelopeError::Undecodable { .. } => Outcome::Dead(told(codes::PAYLOAD_UNREADABLE), so_far),
        EnvelopeError::UnknownKind(_) => Outcome::Dead(told(codes::UNKNOWN_KIND), so_far),
    }
}
