//! What a job's attempt comes to, and what happens next.

use candlemill_db::StoreError;
use candlemill_exchanges::{Disposition, ExchangeError};
use candlemill_shared::children::Children;
use candlemill_shared::task::TaskError;
use serde_json::Value;
use std::time::Duration;

/// How an attempt ended. `R` is what it did, over all attempts of the task.
#[derive(Debug)]
pub(crate) enum Outcome<R> {
    /// All is done.
    Done(R),
    /// Not this time; again after `after`, or after the policy's own delay.
    Retry {
        /// Why.
        error: TaskError,
        /// What was done so far.
        so_far: R,
        /// At least this long from now.
        after: Option<Duration>,
    },
    /// Others do the rest: the task waits for them.
    Parts(Children, R),
    /// Asking again brings the same.
    Fail(TaskError, R),
    /// Poisonous, or tried often enough: kept for its owner's look.
    Dead(TaskError, R),
    /// Its owner wanted no more.
    Cancelled(R),
    /// The worker stops; another one takes over at once.
    HandBack(R),
    /// A later attempt runs, or the task has ended elsewhere: nothing may be written.
    Overtaken,
}

/// The outcome as it is stored: the result is a document of the kind, absent where it has no JSON form.
pub(crate) type StoredOutcome = Outcome<Option<Value>>;

impl<R> Outcome<R> {
    /// The same of another form of result.
    pub(crate) fn map<S>(self, form: impl FnOnce(R) -> S) -> Outcome<S> {
        match self {
            Self::Done(result) => Outcome::Done(form(result)),
            Self::Retry { error, so_far, after } => Outcome::Retry { error, so_far: form(so_far), after },
            Self::Parts(children, so_far) => Outcome::Parts(children, form(so_far)),
            Self::Fail(error, result) => Outcome::Fail(error, form(result)),
            Self::Dead(error, result) => Outcome::Dead(error, form(result)),
            Self::Cancelled(result) => Outcome::Cancelled(form(result)),
            Self::HandBack(result) => Outcome::HandBack(form(result)),
            Self::Overtaken => Outcome::Overtaken,
        }
    }
}

/// Why a job stops before its end, whatever it does.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Its owner wants no more.
    Cancelled,
    /// The worker stops.
    Draining,
    /// A later attempt runs, or the task has ended.
    Overtaken,
    /// A store failed.
    Store(StoreError),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Stop {
    /// The outcome of an attempt that stopped so. `draining`: whether the worker stops.
    pub(crate) fn outcome<R>(self, so_far: R, draining: bool) -> Outcome<R> {
        match self {
            Self::Cancelled => Outcome::Cancelled(so_far),
            Self::Draining => Outcome::HandBack(so_far),
            Self::Overtaken => Outcome::Overtaken,
            Self::Store(error) if draining && error.is_unavailable() => Outcome::HandBack(so_far),
            Self::Store(error) => of_store(&error, so_far),
        }
    }
}

/// The outcome of an exchange's error.
pub(crate) fn of_exchange<R>(error: &ExchangeError, so_far: R) -> Outcome<R> {
    let told = TaskError::new(error.code(), with_causes(error));
    match error.disposition() {
        Disposition::Permanent => Outcome::Fail(told, so_far),
        Disposition::Transient => Outcome::Retry { error: told, so_far, after: None },
        Disposition::Throttled { wait } => Outcome::Retry { error: told, so_far, after: Some(wait) },
    }
}

/// The outcome of a store's error.
fn of_store<R>(error: &StoreError, so_far: R) -> Outcome<R> {
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
