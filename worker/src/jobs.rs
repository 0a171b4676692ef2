//! Every job there is.

mod fetch_history;

use crate::context::JobContext;
use crate::outcome::{Outcome, with_causes};
use candlemill_shared::job::{EnvelopeError, FetchHistory, Job, Probe};
use candlemill_shared::task::TaskError;
use std::time::Duration;

/// Longest attempt of a kind that is not known here: it fails at once anyway.
const UNKNOWN_KIND: Duration = Duration::from_secs(60);

pub(crate) use fetch_history::Places;

/// Longest time of one attempt.
pub(crate) fn timeout_of(kind: &str) -> Duration {
    match kind {
        FetchHistory::KIND => FetchHistory::TIMEOUT,
        Probe::KIND => Probe::TIMEOUT,
        _ => UNKNOWN_KIND,
    }
}

/// Runs one attempt.
pub(crate) async fn run(context: JobContext) -> Outcome {
    match context.record.job.kind.as_str() {
        FetchHistory::KIND => match context.record.job.open::<FetchHistory>() {
            Ok(job) => fetch_history::run(context, job).await,
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
    let told = TaskError::new("payload_unreadable", with_causes(error));
    match error {
        EnvelopeError::NewerVersion { .. } => Outcome::Retry { error: told, so_far, after: None },
        EnvelopeError::UnknownKind(_) | EnvelopeError::Undecodable { .. } => Outcome::Fail(told, so_far),
    }
}
