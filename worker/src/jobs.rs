//! Every job there is.

mod fetch_batch;
mod fetch_history;

use crate::context::JobContext;
use crate::outcome::{Outcome, with_causes};
use candlemill_shared::job::{EnvelopeError, FetchBatch, FetchHistory, Job, Probe};
use candlemill_shared::retry::codes;
use candlemill_shared::task::TaskError;

pub(crate) use fetch_history::Places;

/// Runs one attempt.
pub(crate) async fn run(context: JobContext) -> Outcome {
    let found = context.record.job.version;
    if let Some(known) = context.shop.newest_payload.filter(|known| found > *known) {
        return unreadable(&context, &EnvelopeError::NewerVersion { kind: "this worker's jobs", found, known });
    }
    match context.record.job.kind.as_str() {
        FetchHistory::KIND => match context.record.job.open::<FetchHistory>() {
            Ok(job) => fetch_history::run(context, job).await,
            Err(error) => unreadable(&context, &error),
        },
        FetchBatch::KIND => match context.record.job.open::<FetchBatch>() {
            Ok(job) => fetch_batch::run(&context.record, &job),
            Err(error) => unreadable(&context, &error),
        },
        Probe::KIND => match context.record.job.open::<Probe>() {
            Ok(_) => Outcome::Done(context.record.result.clone().unwrap_or_default()),
            Err(error) => unreadable(&context, &error),
        },
        other => unreadable(&context, &EnvelopeError::UnknownKind(other.to_owned())),
    }
}

/// A payload that this program cannot run. Of a newer version it may be another worker's, so it is tried again.
fn unreadable(context: &JobContext, error: &EnvelopeError) -> Outcome {
    let so_far = context.record.result.clone().unwrap_or_default();
    let told = |code| TaskError::new(code, with_causes(error));
    match error {
        EnvelopeError::NewerVersion { .. } => Outcome::Retry { error: told(codes::NEWER_VERSION), so_far, after: None },
        EnvelopeError::Undecodable { .. } => Outcome::Dead(told(codes::PAYLOAD_UNREADABLE), so_far),
        EnvelopeError::UnknownKind(_) => Outcome::Dead(told(codes::UNKNOWN_KIND), so_far),
    }
}
