//! What a job's attempt comes to, and what happens next.

use candlemill_exchanges::backoff::Delays;
use candlemill_exchanges::{Disposition, ExchangeError};
use candlemill_shared::task::{Attempt, FetchResult, TaskError};
use candlemill_store::StoreError;
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
    /// Asking again brings the same.
    Fail(TaskError, FetchResult),
    /// Its owner wanted no more.
    Cancelled(FetchResult),
    /// The worker stops; another one takes over at once.
    HandBack(FetchResult),
    /// A later attempt runs, or the task has ended elsewhere: nothing may be written.
    Overtaken,
}

/// Attempts that may fail before a task is dead.
pub(crate) const MOST_FAILURES: usize = 20;
const FIRST_DELAY: Duration = Duration::from_secs(5);
const LONGEST_DELAY: Duration = Duration::from_secs(600);

/// Code of an attempt that was handed back: no failure.
pub(crate) const HANDED_BACK: &str = "handed_back";

/// Attempts that failed or died with their worker.
pub(crate) fn failures(attempts: &[Attempt]) -> usize {
    attempts.iter().filter(|attempt| attempt.error.as_ref().is_none_or(|error| error.code != HANDED_BACK)).count()
}

/// The wait before the next attempt after `failures` failed ones: doubling from 5 s to 10 min, with jitter of half.
pub(crate) fn delay_after(failures: usize) -> Duration {
    let mut delays = Delays::new(FIRST_DELAY, LONGEST_DELAY);
    for _ in 1..failures {
        delays.next_delay();
    }
    delays.next_delay()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(number: u32, code: Option<&str>) -> Attempt {
        Attempt {
            number,
            worker: "w".into(),
            started_at: 0,
            ended_at: None,
            error: code.map(|c| TaskError::new(c, "")),
        }
    }

    #[test]
    fn a_deploy_costs_no_attempt() {
        let attempts = [attempt(1, Some(HANDED_BACK)), attempt(2, Some("exchange_unavailable")), attempt(3, None)];
        assert_eq!(failures(&attempts), 2);
    }

    #[test]
    fn an_outage_of_an_hour_kills_no_task() {
        // The shortest delays that jitter can draw: half of each middle.
        let shortest: f64 = (0..MOST_FAILURES - 1)
            .map(|n| (FIRST_DELAY.as_secs_f64() * f64::from(1 << n.min(20))).min(LONGEST_DELAY.as_secs_f64()) / 2.0)
            .sum();
        assert!(shortest > 3_600.0, "{shortest} s");
        for failures in 1..=MOST_FAILURES {
            assert!(delay_after(failures) <= LONGEST_DELAY * 3 / 2 + Duration::from_secs(1));
        }
    }
}
