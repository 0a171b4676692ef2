//! Tasks with a time to run, and keys with a time to live.

use crate::harness::{Harness, fetch, recorded};
use candlemill_shared::job::Pool;
use candlemill_shared::task::{TaskError, TaskRecord, TaskState};
use candlemill_shared::{Clock, Interval, SystemClock};
use candlemill_tasks::queue::Depth;
use candlemill_tasks::{Claim, Ending, SubmitError};
use std::time::Duration;

const START: i64 = 1_577_836_800_000;
const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

fn record(harness: &Harness, number: i64) -> TaskRecord {
    harness.record("u", &fetch("BTCUSDT", Interval::Minute1, START + number * HOUR, START + (number + 1) * HOUR))
}

#[tokio::test(flavor = "multi_thread")]
async fn delayed_tasks_start_at_their_time_also_when_redis_forgot_them() {
    let harness = Harness::start(recorded()).await;
    let _worker = harness.worker().await;
    let delayed = |number, delay| {
        let mut task = record(&harness, number);
        task.run_at = Some(task.created_at + delay);
        task
    };
    let soon = harness.accept(delayed(0, 1_500)).await.record;
    // Later than the sweeper's first look at it.
    let later = harness.accept(delayed(1, 14_000)).await.record;
    let never = harness.accept(delayed(2, DAY)).await.record;
    let done = harness.end_of(soon.id).await;
    let due = soon.run_at.unwrap();
    assert!((due..due + 3_000).contains(&done.started_at.unwrap()), "due at {due}: {done:?}");
    harness.forget_redis().await;
    let done = harness.end_of(later.id).await;
    let due = later.run_at.unwrap();
    assert!((due..due + 3_000).contains(&done.started_at.unwrap()), "due at {due}: {done:?}");
    let waits = harness.tasks.records().get(never.id).await.unwrap().unwrap();
    assert_eq!((waits.state, waits.attempt, waits.run_at), (TaskState::Queued, 0, never.run_at));
    // The sweeper has put it back.
    harness.wait_for_depth(Pool::Backfill, Depth { delayed: 1, ..Depth::default() }).await;
    harness.tasks.cancel(never.id, "u").await.unwrap();
    let depth = harness.tasks.queue(Pool::Backfill).depth().await.unwrap();
    assert_eq!(depth, Depth::default(), "a delayed task is cancelled at once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_waits_for_its_time_though_its_worker_died_before_the_queue_heard_of_it() {
    let harness = Harness::start(recorded()).await;
    let id = harness.accept(record(&harness, 0)).await.record.id;
    let queue = harness.tasks.queue(Pool::Backfill);
    let held = queue.claim("dies", 1, Duration::from_secs(1)).await.unwrap();
    assert_eq!(held.len(), 1);
    let Claim::Started(begun) = harness.tasks.records().claim(id, "dies", |_| None).await.unwrap() else {
        panic!("nobody else has it")
    };
    let now = SystemClock.now_ms();
    let due = now + 10_000;
    let error = Some(TaskError::new("exchange_unavailable", "it wants a pause"));
    let ending = Ending { state: TaskState::Retrying, result: None, error, run_at: Some(due), at: now };
    assert!(harness.tasks.records().end(&begun, &ending).await.unwrap());
    let worker = harness.worker().await;
    let done = harness.end_of(id).await;
    assert_eq!((done.state, done.attempt), (TaskState::Succeeded, 2), "{done:?}");
    let started = done.attempts[1].started_at;
    assert!((due..due + 3_000).contains(&started), "due at {due}, started at {started}");
    assert_eq!(worker.counted("attempts").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idempotency_key_is_kept_for_24_hours() {
    let harness = Harness::start(recorded()).await;
    let now = SystemClock.now_ms();
    let keyed = |number, key: &str, created_at| TaskRecord {
        idempotency: Some(key.into()),
        created_at,
        ..record(&harness, number)
    };
    let kept = harness.accept(keyed(0, "kept", now - DAY + 60_000)).await.record.id;
    let over = harness.accept(keyed(1, "over", now - DAY)).await.record.id;
    for id in [kept, over] {
        harness.tasks.cancel(id, "u").await.unwrap();
    }
    let same = harness.accept(keyed(0, "kept", now)).await;
    assert_eq!((same.created, same.record.id), (false, kept), "the same request stands for its task after the end");
    let other = harness.try_accept(keyed(2, "kept", now)).await;
    assert!(matches!(&other, Err(SubmitError::IdempotencyConflict(id)) if *id == kept), "{other:?}");
    let free = harness.accept(keyed(2, "over", now)).await;
    assert!(free.created, "after 24 hours the key is free, for another request too");
    let taken = harness.try_accept(keyed(3, "over", now)).await;
    assert!(matches!(&taken, Err(SubmitError::IdempotencyConflict(id)) if *id == free.record.id), "{taken:?}");
}
