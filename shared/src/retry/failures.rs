//! Which attempts count as failures.

use super::policy::Failures;
use crate::task::{Attempt, TaskError, TaskRecord};

/// Codes that attempts end with for reasons of their own.
pub mod codes {
    /// The worker stopped and another one takes over: no failure.
    pub const HANDED_BACK: &str = "handed_back";
    /// The worker is too old for the payload and leaves it to a newer one: no failure.
    pub const NEWER_VERSION: &str = "newer_version";
    /// The job panicked.
    pub const PANIC: &str = "panic";
    /// The attempt took longer than its kind allows.
    pub const TIMEOUT: &str = "timeout";
    /// The worker died, or was frozen for longer than its lease.
    pub const WORKER_LOST: &str = "worker_lost";
    /// No worker can ever read the payload.
    pub const PAYLOAD_UNREADABLE: &str = "payload_unreadable";
    /// A layer around the handler let the attempt not begin, or not end.
    pub const LAYER: &str = "layer_failed";
    /// No worker that had the task knows its kind: handed on, as a newer version is.
    pub const UNKNOWN_KIND: &str = "unknown_kind";
}

/// Attempts that a record keeps: more than any policy counts.
pub const MAX_KEPT_ATTEMPTS: usize = 50;

impl Failures {
    /// Of the attempts before the newest one, which runs.
    #[must_use]
    pub fn before(record: &TaskRecord) -> Self {
        let past = record.attempts.iter().filter(|one| one.number < record.attempt);
        let mut failures = Self::default();
        for attempt in past.filter(|one| counts(one, record.dead_letter.replayed_after)) {
            failures.add(attempt.error.as_ref().map_or(codes::WORKER_LOST, |error| &error.code));
        }
        failures
    }

    /// Of the attempts before the newest one, and of that one, which failed with `code`.
    #[must_use]
    pub fn with(record: &TaskRecord, code: &str) -> Self {
        let mut failures = Self::before(record);
        if is_failure(code) {
            failures.add(code);
        }
        failures
    }

    fn add(&mut self, code: &str) {
        self.all += 1;
        self.broken += u32::from(matches!(code, codes::PANIC | codes::TIMEOUT));
        self.lost += u32::from(code == codes::WORKER_LOST);
    }
}

/// Whether an attempt counts against the policy's bounds.
fn counts(attempt: &Attempt, replayed_after: u32) -> bool {
    attempt.number > replayed_after && attempt.error.as_ref().is_none_or(|error| is_failure(&error.code))
}

fn is_failure(code: &str) -> bool {
    !matches!(code, codes::HANDED_BACK | codes::NEWER_VERSION | codes::UNKNOWN_KIND)
}

/// Writes down of every attempt without an end that its worker was lost. To be called when the next one starts.
pub fn mark_lost(attempts: &mut [Attempt]) {
    for lost in attempts.iter_mut().filter(|one| one.ended_at.is_none() && one.error.is_none()) {
        lost.error =
            Some(TaskError::new(codes::WORKER_LOST, "its worker died, or was frozen for longer than its lease"));
    }
}

/// Drops what is more than [`MAX_KEPT_ATTEMPTS`]: the oldest, those first that count no more. The first of those that handed the
/// task on stays: it tells since when no worker knows its kind.
pub fn drop_surplus(attempts: &mut Vec<Attempt>, replayed_after: u32) {
    while attempts.len() > MAX_KEPT_ATTEMPTS {
        let past = &attempts[..attempts.len() - 1];
        let first_handed_on = past.len() - trailing(past, codes::UNKNOWN_KIND, replayed_after).len();
        let is_needless = |(at, one): (usize, &Attempt)| at != first_handed_on && !counts(one, replayed_after);
        let dropped = past.iter().enumerate().position(is_needless);
        attempts.remove(dropped.unwrap_or(0));
    }
}

/// The attempts at the end of `past` that ended by this code, after the last replay.
fn trailing<'a>(past: &'a [Attempt], code: &str, replayed_after: u32) -> &'a [Attempt] {
    let is_other =
        |one: &Attempt| one.number <= replayed_after || one.error.as_ref().is_none_or(|error| error.code != code);
    &past[past.iter().rposition(is_other).map_or(0, |last| last + 1)..]
}

/// The attempts just before the newest one that left the task to other workers by this code, the oldest first; after a replay those
/// after it.
#[must_use]
pub fn handed_on<'a>(record: &'a TaskRecord, code: &str) -> &'a [Attempt] {
    let end = record.attempts.iter().take_while(|one| one.number < record.attempt).count();
    trailing(&record.attempts[..end], code, record.dead_letter.replayed_after)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{FetchHistory, Job, KINDS};
    use crate::retry::{MIN_DELAY, RetryPolicy};
    use proptest::prelude::*;
    use std::time::Duration;

    const HOUR: f64 = 3_600.0;

    fn attempt(number: u32, code: Option<&str>) -> Attempt {
        Attempt {
            number,
            worker: "w".into(),
            started_at: 0,
            ended_at: code.map(|_| 1),
            error: code.map(|code| TaskError::new(code, "")),
        }
    }

    /// The chance that the delays of `policy` together are shorter than `seconds`: Chernoff's upper bound, for attempts
    /// that take no time themselves.
    fn chance_to_die_within(policy: RetryPolicy, seconds: f64) -> f64 {
        let bounds: Vec<f64> =
            (1..policy.max_attempts).map(|failed| policy.delay(failed, None, 1.0).as_secs_f64()).collect();
        let at = |theta: f64| {
            let terms = bounds.iter().map(|bound| ((1.0 - (-theta * bound).exp()) / (theta * bound)).ln());
            (theta * seconds + terms.sum::<f64>()).exp()
        };
        (1..2_000).map(|step| at(f64::from(step) * 1e-4)).fold(1.0, f64::min)
    }

    #[test]
    fn records_keep_more_attempts_than_any_policy_counts() {
        assert!(KINDS.iter().all(|kind| (kind.retry.max_attempts as usize) < MAX_KEPT_ATTEMPTS));
    }

    #[test]
    fn an_outage_of_an_hour_kills_no_fetch() {
        let chance = chance_to_die_within(FetchHistory::RETRY, HOUR);
        assert!(chance < 1e-10, "{chance}");
        // The bound can fail: twenty attempts, as many as there once were, are too few for full jitter.
        let few = RetryPolicy { max_attempts: 20, ..FetchHistory::RETRY };
        assert!(chance_to_die_within(few, HOUR) > 1e-3);
    }

    proptest! {
        #[test]
        fn delays_are_drawn_from_nothing_to_their_bound(failed in 1u32..100, jitter in 0.0f64..=1.0, pause in 0u64..4_000) {
            let policy = FetchHistory::RETRY;
            let bound = policy.delay(failed, None, 1.0);
            prop_assert!(bound <= policy.max_delay);
            let drawn = policy.delay(failed, None, jitter);
            prop_assert!(MIN_DELAY <= drawn && drawn <= bound);
            prop_assert!((drawn.as_secs_f64() - bound.as_secs_f64() * jitter).abs() < 0.11, "evenly: jitter is the share");
            let pause = Duration::from_secs(pause);
            let asked = policy.delay(failed, Some(pause), jitter);
            prop_assert!(asked >= pause.max(drawn));
            prop_assert!(asked <= bound.max(pause + policy.first_delay));
        }

        #[test]
        fn what_is_dropped_never_counts_before_what_does(codes in prop::collection::vec(0usize..3, 0..120), replayed_after in 0u32..60) {
            let codes: Vec<_> = codes.iter().map(|at| [codes::HANDED_BACK, "exchange_unavailable", codes::PANIC][*at]).collect();
            let all: Vec<Attempt> = (1u32..).zip(&codes).map(|(number, code)| attempt(number, Some(code))).collect();
            let counted = |list: &[Attempt]| list.iter().filter(|one| counts(one, replayed_after)).count();
            let mut kept = Vec::new();
            for one in &all {
                kept.push(one.clone());
                drop_surplus(&mut kept, replayed_after);
            }
            prop_assert!(kept.len() == all.len().min(MAX_KEPT_ATTEMPTS));
            prop_assert!(kept.windows(2).all(|pair| pair[0].number < pair[1].number));
            prop_assert!(counted(&kept) + 1 >= counted(&all).min(MAX_KEPT_ATTEMPTS));
            prop_assert_eq!(kept.last(), all.last());
        }
    }

    #[test]
    fn the_first_that_handed_a_task_on_is_kept_among_many_failures() {
        let mut attempts: Vec<Attempt> = (1..=39).map(|number| attempt(number, Some("exchange_unavailable"))).collect();
        for number in 40..=400 {
            attempts.push(attempt(number, Some(codes::UNKNOWN_KIND)));
            drop_surplus(&mut attempts, 0);
        }
        let first =
            attempts.iter().find(|one| one.error.as_ref().is_some_and(|error| error.code == codes::UNKNOWN_KIND));
        assert_eq!((attempts.len(), first.map(|one| one.number)), (MAX_KEPT_ATTEMPTS, Some(40)));
    }

    #[test]
    fn delays_double() {
        let policy = FetchHistory::RETRY;
        let bounds: Vec<u64> = (1..=9).map(|failed| policy.delay(failed, None, 1.0).as_secs()).collect();
        assert_eq!(bounds, [5, 10, 20, 40, 80, 160, 320, 600, 600]);
        assert_eq!(policy.delay(1, None, 0.0), MIN_DELAY);
        assert_eq!(policy.delay(1, Some(Duration::from_secs(60)), 0.5), Duration::from_millis(62_500));
    }

    fn check(name: &str, codes: &[Option<&str>], replayed_after: u32, dead: bool) {
        let attempts: Vec<Attempt> = (1u32..).zip(codes).map(|(number, code)| attempt(number, *code)).collect();
        let mut record = crate::task::tests::record();
        record.attempt = u32::try_from(codes.len()).unwrap() + 1;
        record.attempts = attempts;
        record.dead_letter.replayed_after = replayed_after;
        let policy = FetchHistory::RETRY;
        assert_eq!(policy.given_up(Failures::before(&record)).is_some(), dead, "{name}");
    }

    #[test]
    fn few_broken_attempts_more_lost_ones_and_many_failures_are_enough() {
        let away = Some("exchange_unavailable");
        check("nothing yet", &[], 0, false);
        check("39 failures", &[away; 39], 0, false);
        check("40 failures", &[away; 40], 0, true);
        check("two panics among others", &[Some(codes::PANIC), away, Some(codes::PANIC)], 0, false);
        check("panics and a timeout", &[Some(codes::PANIC), Some(codes::TIMEOUT), away, Some(codes::PANIC)], 0, true);
        check("9 deaths, as old records have them", &[None; 9], 0, false);
        check("10 deaths", &[[None; 5], [Some(codes::WORKER_LOST); 5]].concat(), 0, true);
        check("a deploy costs nothing", &[Some(codes::HANDED_BACK); 49], 0, false);
        check("workers that were too old", &[Some(codes::NEWER_VERSION); 49], 0, false);
        check("before the replay", &[Some(codes::PANIC); 3], 3, false);
        check("after the replay", &[Some(codes::PANIC); 6], 3, true);
    }

    #[test]
    fn attempts_without_an_end_are_marked_as_lost() {
        let mut attempts = vec![attempt(1, Some(codes::HANDED_BACK)), attempt(2, None)];
        mark_lost(&mut attempts);
        let codes: Vec<_> = attempts.iter().map(|one| one.error.as_ref().unwrap().code.as_str()).collect();
        assert_eq!(codes, [codes::HANDED_BACK, codes::WORKER_LOST]);
    }
}
