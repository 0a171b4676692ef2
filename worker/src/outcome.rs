//! What a job's attempt comes to, and what happens next.

use candlemill_db::StoreError;
use candlemill_exchanges::{Disposition, ExchangeError};
use candlemill_shared::children::Children;
use candlemill_shared::task::{FetchResult, TaskError};
use std::time::Duration;

/// How an attempt ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// All is done.
    Done(FetchResult),
    /// Not this time; again after `after`, or after the policy's own delay.
    Retry {
        /// Why.
        error: TaskError,
        /// What was done so far.
        so_far: FetchResult,
        /// At least this long from now.
        after: Option<Duration>,
    },
    /// Others do the rest: the task waits for them.
    Parts(Children, FetchResult),
    /// Asking again brings the same.
    Fail(TaskError, FetchResult),
    /// Poisonous, or tried often enough: kept for its owner's look.
    Dead(TaskError, FetchResult),
    /// Its owner wanted no more.
    Cancelled(FetchResult),
    /// The worker stops; another one takes over at once.
    HandBack(FetchResult),
    /// A later attempt runs, or the task has ended elsewhere: nothing may be written.
    Overtaken,
}

/// The outcome of an exchange's error.
pub(crate) fn of_exchange(error: &ExchangeError, so_far: FetchResult) -> Outcome {
    let told = TaskError::new(error.code(), with_causes(error));
    match error.disposition() {
        Disposition::Permanent => Outcome::Fail(told, so_far),
        Disposition::Transient => Outcome::Retry { error: told, so_far, after: None },
        Disposition::Throttled { wait } => Outcome::Retry { error: told, so_far, after: Some(wait) },
    }
}

/// The outcome of a store's error.
pub(crate) fn of_store(error: &StoreError, so_far: FetchResult) -> Outcome {
    let told = TaskError::new(format!("{}_failed", error.store()), with_causes(error));
    if error.is_unavailable() {
        Outcome::Retry { error: told, so_far, after: None }
    } else {
        Outcome::Fail(told, so_far)
    }
}

/// An error and what it comes from, on one line.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |told, cause| format!("{told}: {cause}"))
}
