//! What a failure leads to: another attempt, and when; or the dead letters.

use crate::outcome::Outcome;
use candlemill_shared::retry::{Failures, RetryPolicy, UNKNOWN_KIND_FOR_MS, codes, handed_on};
use candlemill_shared::task::{TaskError, TaskRecord, TaskState};
use candlemill_tasks::Ending;
use futures::FutureExt;
use serde_json::Value;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

/// Of a kind that this program does not know: it is only handed on.
const UNKNOWN_TIMEOUT: Duration = Duration::from_secs(60);

pub(crate) fn policy_of(record: &TaskRecord) -> RetryPolicy {
    record.kind().map_or(RetryPolicy::SHORT, |kind| kind.retry)
}

/// Longest time of one attempt.
pub(crate) fn timeout_of(record: &TaskRecord) -> Duration {
    record.kind().map_or(UNKNOWN_TIMEOUT, |kind| kind.timeout)
}

/// Why the attempt that is about to begin is one too many: the ones before killed their workers, or the policy has changed.
pub(crate) fn given_up_before(record: &TaskRecord) -> Option<TaskError> {
    // Of a kind that this program does not know it knows no bounds either.
    record.kind()?;
    let why = policy_of(record).given_up(Failures::before(record))?;
    let last = record.attempts.iter().rev().find(|one| one.number < record.attempt);
    let code = last.and_then(|one| one.error.as_ref()).map_or(codes::WORKER_LOST, |error| &error.code);
    Some(TaskError::new(code, why))
}

/// Runs a job under its time limit; a panic is an outcome.
/// `so_far` is asked for what was done until then.
pub(crate) async fn guarded<R>(
    timeout: Duration,
    so_far: impl FnOnce() -> R,
    job: impl Future<Output = Outcome<R>>,
) -> Outcome<R> {
    let error = match AssertUnwindSafe(tokio::time::timeout(timeout, job)).catch_unwind().await {
        Ok(Ok(outcome)) => return outcome,
        Ok(Err(_)) => {
            let seconds = timeout.as_secs();
            let told = format!("the attempt took longer than {seconds} s; the next one goes on from its checkpoint");
            TaskError::new(codes::TIMEOUT, told)
        }
        Err(panic) => {
            let said = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let said = said.or_else(|| panic.downcast_ref::<String>().cloned());
            let said = said.unwrap_or_else(|| "no message".to_owned());
            tracing::error!(panic = said, "the job panicked");
            TaskError::new(codes::PANIC, format!("the job broke off: {said}"))
        }
    };
    Outcome::Retry { error, so_far: so_far(), after: None }
}

/// The end of an attempt that failed for a passing reason. `jitter` (0 to 1) draws the wait, `after` is its lower bound.
pub(crate) fn ending(
    record: &TaskRecord,
    error: TaskError,
    so_far: Option<Value>,
    after: Option<Duration>,
    now_ms: i64,
    jitter: f64,
) -> Ending {
    let policy = policy_of(record);
    let failures = Failures::with(record, &error.code);
    if let Some(why) = policy.given_up(failures).filter(|_| record.kind().is_some()) {
        let message = format!("{why}; the last one: {}", error.message);
        let error = Some(TaskError::new(error.code, message));
        return Ending { state: TaskState::Dead, result: so_far, error, run_at: None, at: now_ms };
    }
    let is_handed_on = matches!(error.code.as_str(), codes::NEWER_VERSION | codes::UNKNOWN_KIND);
    let before = if is_handed_on { handed_on(record, &error.code) } else { &[] };
    let since = before.first().map_or(now_ms, |first| first.started_at);
    if error.code == codes::UNKNOWN_KIND && now_ms - since >= UNKNOWN_KIND_FOR_MS {
        let minutes = UNKNOWN_KIND_FOR_MS / 60_000;
        let message = format!("no worker knew its kind for {minutes} minutes; the last one: {}", error.message);
        let error = Some(TaskError::new(error.code, message));
        return Ending { state: TaskState::Dead, result: so_far, error, run_at: None, at: now_ms };
    }
    let wait = if is_handed_on {
        RetryPolicy::delay_to_newer(u32::try_from(before.len()).unwrap_or(u32::MAX).saturating_add(1), jitter)
    } else {
        policy.delay(failures.all, after, jitter)
    };
    let due = now_ms.saturating_add(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX));
    Ending { state: TaskState::Retrying, result: so_far, error: Some(error), run_at: Some(due), at: now_ms }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candlemill_shared::task::Attempt;
    use serde_json::json;

    /// A `fetch_history` whose newest attempt runs, after those that ended with `codes`.
    fn record(codes: &[&str]) -> TaskRecord {
        let attempt = |number: u32, error: Option<&str>| Attempt {
            number,
            worker: "w".into(),
            started_at: 0,
            ended_at: error.map(|_| 0),
            error: error.map(|code| TaskError::new(code, "")),
        };
        let running = u32::try_from(codes.len()).unwrap() + 1;
        let mut attempts: Vec<Attempt> = (1..).zip(codes).map(|(number, code)| attempt(number, Some(code))).collect();
        attempts.push(attempt(running, None));
        serde_json::from_value(json!({
            "id": "01JC5Y7V9N8B3M2K1H0G9F8E7D", "owner": "u", "tier": "pro", "pool": "backfill", "priority": 5,
            "job": {"kind": "fetch_history", "version": 1, "payload": null}, "fingerprint": "f", "state": "running",
            "attempt": running, "attempts": attempts, "created_at": 1, "updated_at": 1, "trace_id": "0",
        }))
        .unwrap()
    }

    const AWAY: &str = "exchange_unavailable";

    fn check(name: &str, before: &[&str], code: &str, after: Option<u64>, expected: Result<i64, &str>) {
        let error = TaskError::new(code, "told");
        let after = after.map(Duration::from_secs);
        let ending = ending(&record(before), error, None, after, 1_000, 0.5);
        match expected {
            Ok(due) => assert_eq!((ending.state, ending.run_at), (TaskState::Retrying, Some(due)), "{name}"),
            Err(why) => {
                let error = ending.error.unwrap();
                assert_eq!((ending.state, ending.run_at, error.code.as_str()), (TaskState::Dead, None, code), "{name}");
                assert!(error.message.contains(why) && error.message.ends_with("told"), "{name}: {}", error.message);
            }
        }
    }

    #[test]
    fn failures_lead_to_another_attempt_or_the_dead_letters() {
        check("first failure", &[], AWAY, None, Ok(1_000 + 2_500));
        check("third failure", &[AWAY, AWAY], AWAY, None, Ok(1_000 + 10_000));
        check("a demanded pause", &[], AWAY, Some(90), Ok(1_000 + 92_500));
        check("a deploy before", &[codes::HANDED_BACK; 45], AWAY, None, Ok(1_000 + 2_500));
        check("second panic", &[codes::PANIC], codes::PANIC, None, Ok(1_000 + 5_000));
        check("a worker that is too old", &[AWAY; 3], codes::NEWER_VERSION, None, Ok(1_000 + 500));
        check("a kind that is not known", &[AWAY; 3], codes::UNKNOWN_KIND, None, Ok(1_000 + 500));
        check("several of them", &[codes::NEWER_VERSION; 49], codes::NEWER_VERSION, None, Ok(1_000 + 15_000));
        check(
            "third panic",
            &[codes::PANIC, AWAY, codes::TIMEOUT],
            codes::PANIC,
            None,
            Err("3 attempts that panicked"),
        );
        check("fortieth failure", &[AWAY; 39], AWAY, None, Err("40 failed attempts"));
    }

    #[test]
    fn a_kind_that_no_worker_knows_is_given_up_after_ten_minutes() {
        let unknown = record(&[codes::UNKNOWN_KIND; 3]);
        let at = |now: i64| ending(&unknown, TaskError::new(codes::UNKNOWN_KIND, "told"), None, None, now, 0.5);
        assert_eq!(at(UNKNOWN_KIND_FOR_MS - 1).state, TaskState::Retrying);
        let dead = at(UNKNOWN_KIND_FOR_MS);
        let error = dead.error.unwrap();
        assert_eq!((dead.state, error.code.as_str()), (TaskState::Dead, codes::UNKNOWN_KIND));
        assert!(error.message.contains("10 minutes") && error.message.ends_with("told"), "{}", error.message);
        // A replay begins to count anew.
        let mut replayed = unknown.clone();
        replayed.dead_letter.replayed_after = 3;
        let told = TaskError::new(codes::UNKNOWN_KIND, "told");
        assert_eq!(ending(&replayed, told, None, None, UNKNOWN_KIND_FOR_MS, 0.5).state, TaskState::Retrying);
        // Another outcome in between: some worker did know it.
        let known = record(&[codes::UNKNOWN_KIND, AWAY, codes::UNKNOWN_KIND]);
        assert_eq!(handed_on(&known, codes::UNKNOWN_KIND).len(), 1);
    }

    /// By workers that know it, it may have failed more often than any policy here allows.
    #[test]
    fn a_worker_judges_no_kind_that_it_does_not_know() {
        let mut newer = record(&[AWAY; 30]);
        newer.job.kind = "from_a_later_release".to_owned();
        assert_eq!(given_up_before(&newer), None);
        let ending = ending(&newer, TaskError::new(codes::UNKNOWN_KIND, "told"), None, None, 1_000, 0.5);
        assert_eq!(ending.state, TaskState::Retrying);
    }

    #[test]
    fn a_task_that_killed_its_workers_is_not_begun_again() {
        assert_eq!(given_up_before(&record(&[codes::WORKER_LOST; 9])), None);
        let error = given_up_before(&record(&[codes::WORKER_LOST; 10])).unwrap();
        assert_eq!(error.code, codes::WORKER_LOST);
        assert!(error.message.contains("10 attempts whose worker died"), "{}", error.message);
    }

    async fn broken_off(timeout_ms: u64, job: impl Future<Output = Outcome<Option<Value>>>) -> String {
        match guarded(Duration::from_millis(timeout_ms), || None, job).await {
            Outcome::Retry { error, .. } => error.code,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn panics_and_timeouts_are_outcomes() {
        assert_eq!(broken_off(60_000, async { panic!("poison") }).await, codes::PANIC);
        assert_eq!(broken_off(1, std::future::pending()).await, codes::TIMEOUT);
    }
}
