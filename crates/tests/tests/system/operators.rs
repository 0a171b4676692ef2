//! Pauses in MongoDB and their mark in Redis.

use crate::harness::{Harness, fetch, recorded};
use candlemill_shared::Interval;
use candlemill_shared::job::Pool;
use candlemill_shared::task::TaskState;
use candlemill_tasks::queue::Depth;
use std::time::Duration;

const START: i64 = 1_577_836_800_000;
const HOUR: i64 = 3_600_000;
const LEASE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_later_word_holds_and_an_earlier_one_undoes_nothing() {
    let harness = Harness::start(recorded()).await;
    let (pauses, queue) = (harness.tasks.pauses(), harness.tasks.queue(Pool::Backfill));
    let first = pauses.pause(Pool::Backfill, "kim", Some("a move"), 1_000).await.unwrap();
    assert_eq!((first.since, first.by.as_str(), first.reason.as_deref()), (1_000, "kim", Some("a move")));
    let again = pauses.pause(Pool::Backfill, "sam", None, 2_000).await.unwrap();
    assert_eq!(again, first, "who is first stays");
    assert_eq!(pauses.all().await.unwrap().len(), 1, "the other pools are not paused");
    let submitted = harness.submit("u", &fetch("BTCUSDT", Interval::Minute1, START, START + HOUR)).await.record;
    assert_eq!(queue.claim("w", 1, LEASE).await.unwrap(), []);
    assert_eq!(queue.oldest_waiting().await.unwrap(), Some(submitted.created_at));

    harness.forget_redis().await;
    queue.enqueue(&[&submitted]).await.unwrap();
    pauses.restore().await.unwrap();
    assert!(queue.is_paused().await.unwrap(), "Redis is told again");
    assert_eq!(queue.claim("w", 1, LEASE).await.unwrap(), []);

    // A clock that is behind the one of the pause.
    pauses.resume(Pool::Backfill, 500).await.unwrap();
    assert!(!queue.is_paused().await.unwrap());
    // What an earlier look at the truth would have written.
    let mut connection = harness.redis().await;
    let mark = || redis::cmd("GET").arg("cm:{backfill}:paused").clone();
    assert_eq!(mark().query_async::<String>(&mut connection).await.unwrap(), "1001:0");
    pauses.restore().await.unwrap();
    assert!(!queue.is_paused().await.unwrap());
    pauses.pause(Pool::Backfill, "sam", None, 900).await.unwrap();
    assert_eq!(mark().query_async::<String>(&mut connection).await.unwrap(), "1002:1");
    let (one, two) = (pauses.resume(Pool::Backfill, 3_000), pauses.resume(Pool::Backfill, 3_000));
    let (one, two) = tokio::join!(one, two);
    one.and(two).unwrap();
    assert_eq!(queue.claim("w", 1, LEASE).await.unwrap().len(), 1);
    assert_eq!(queue.oldest_waiting().await.unwrap(), None, "none waits");
    assert_eq!(queue.depth().await.unwrap(), Depth { waiting: 0, delayed: 0, held: 1 });
}

#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_is_found_also_behind_an_owner_at_his_limit() {
    let harness = Harness::start(recorded()).await;
    let queue = harness.tasks.queue(Pool::Backfill);
    let task = |owner: &str, number: i64, created_at: i64| {
        let job = fetch("BTCUSDT", Interval::Minute1, START + number * HOUR, START + (number + 1) * HOUR);
        let mut record = harness.record(owner, &job);
        (record.created_at, record.running_at_once) = (created_at, 1);
        record
    };
    assert_eq!(queue.oldest_waiting().await.unwrap(), None);
    let all = [task("busy", 0, 1_000), task("busy", 1, 2_000), task("other", 2, 3_000)];
    queue.enqueue(&all.iter().collect::<Vec<_>>()).await.unwrap();
    assert_eq!(queue.oldest_waiting().await.unwrap(), Some(1_000));
    assert_eq!(queue.claim("w", 1, LEASE).await.unwrap()[0].task, all[0].id);
    assert_eq!(queue.oldest_waiting().await.unwrap(), Some(2_000), "the owner may run one, and so takes no turns now");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_starts_nothing_of_a_paused_pool_when_redis_has_forgotten_the_pause() {
    let harness = Harness::start(recorded()).await;
    let pauses = harness.tasks.pauses();
    pauses.pause(Pool::Backfill, "kim", None, 1_000).await.unwrap();
    harness.forget_redis().await;
    let _worker = harness.worker().await;
    let waits = harness.submit("u", &fetch("BTCUSDT", Interval::Minute1, START, START + HOUR)).await.record;
    for _ in 0..3 {
        // Nothing shows that something does not happen: several looks of the worker into the queue go by.
        tokio::time::sleep(Duration::from_millis(500)).await;
        harness.forget_redis().await;
        harness.tasks.queue(Pool::Backfill).enqueue(&[&waits]).await.unwrap();
    }
    let record = harness.tasks.records().get(waits.id).await.unwrap().unwrap();
    assert_eq!((record.state, record.attempt), (TaskState::Queued, 0));
    pauses.resume(Pool::Backfill, 2_000).await.unwrap();
    assert_eq!(harness.end_of(waits.id).await.state, TaskState::Succeeded);
}
