//! What the queue promises, against a real Redis: turns, limits, leases, tokens. No worker runs here; the test claims.

use crate::harness::{Harness, fetch};
use candlemill_shared::job::Pool;
use candlemill_shared::task::{TaskRecord, TaskState};
use candlemill_shared::{Clock, Interval, SystemClock};
use candlemill_simulator::SimulatorConfig;
use candlemill_tasks::queue::{Delivery, Depth, Queue};
use candlemill_tasks::{Claim, Ending};
use std::collections::HashMap;
use std::time::Duration;

/// Longer than any of these tests.
const LONG: Duration = Duration::from_secs(60);
/// Runs out while a test waits for it.
const SHORT: Duration = Duration::from_millis(300);
const HOUR: i64 = 3_600_000;

async fn harness() -> Harness {
    Harness::start(SimulatorConfig::default()).await
}

/// A record of `owner` that is in no store.
fn record(harness: &Harness, owner: &str, number: i64) -> TaskRecord {
    harness.record(owner, &fetch("BTCUSDT", Interval::Minute1, number * HOUR, (number + 1) * HOUR))
}

async fn enqueue(queue: &Queue, records: &[TaskRecord]) {
    let all: Vec<&TaskRecord> = records.iter().collect();
    assert_eq!(queue.enqueue(&all).await.unwrap(), records.len() as u64);
    assert_eq!(queue.enqueue(&all).await.unwrap(), 0, "what is in the queue is not put in again");
}

async fn claim(queue: &Queue, most: usize, lease: Duration) -> Vec<Delivery> {
    queue.claim("w", most, lease).await.unwrap()
}

/// Ticks until a tick takes something from a worker whose lease ran out.
async fn wait_for_abandoned(queue: &Queue, lease: Duration) -> u64 {
    let waiting = async {
        loop {
            let ticked = queue.tick(SystemClock.now_ms(), lease).await.unwrap();
            if ticked.abandoned > 0 {
                return ticked.abandoned;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), waiting).await.expect("the lease runs out")
}

#[tokio::test(flavor = "multi_thread")]
async fn one_task_of_one_user_does_not_wait_for_many_of_another() {
    let harness = harness().await;
    let queue = harness.tasks.queue(Pool::Backfill);
    let many: Vec<_> = (0..2_000).map(|number| record(&harness, "many", number)).collect();
    enqueue(queue, &many).await;
    // Some of them run already: the newcomer has not to make up for that.
    claim(queue, 10, LONG).await;
    let one = record(&harness, "one", 0);
    enqueue(queue, std::slice::from_ref(&one)).await;
    let next: Vec<_> = claim(queue, 2, LONG).await.into_iter().map(|delivery| delivery.task).collect();
    assert!(next.contains(&one.id), "it is among the next two");
}

#[tokio::test(flavor = "multi_thread")]
async fn turns_come_by_weight_and_everybodys_come() {
    let harness = harness().await;
    let queue = harness.tasks.queue(Pool::Backfill);
    let mut owners = HashMap::new();
    // Weights are priority + 1: 2, 6 and 10.
    for (owner, priority) in [("free", 1), ("pro", 5), ("enterprise", 9)] {
        let tasks: Vec<_> = (0..300)
            .map(|number| TaskRecord { priority, running_at_once: 1_000, ..record(&harness, owner, number) })
            .collect();
        owners.extend(tasks.iter().map(|task| (task.id, owner)));
        enqueue(queue, &tasks).await;
    }
    let mut turns: HashMap<&str, u32> = HashMap::new();
    for delivery in claim(queue, 180, LONG).await {
        *turns.entry(owners[&delivery.task]).or_default() += 1;
    }
    for (owner, expected) in [("free", 20), ("pro", 60), ("enterprise", 100)] {
        let had = turns[owner];
        assert!(had.abs_diff(expected) <= 3, "{owner} had {had} turns of 180, not about {expected}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_runs_no_more_than_his_tier_allows_and_the_oldest_first() {
    let harness = harness().await;
    let queue = harness.tasks.queue(Pool::Backfill);
    let tasks: Vec<_> = (0..5)
        .map(|number| {
            let task = record(&harness, "u", number);
            TaskRecord { running_at_once: 2, created_at: task.created_at + number, ..task }
        })
        .collect();
    enqueue(queue, &tasks).await;
    let first = claim(queue, 10, LONG).await;
    assert_eq!(first.iter().map(|d| d.task).collect::<Vec<_>>(), [tasks[0].id, tasks[1].id]);
    assert_eq!(claim(queue, 10, LONG).await, []);
    assert!(queue.settle(&tasks[1], &first[1].token).await.unwrap());
    let next = claim(queue, 10, LONG).await;
    assert_eq!(next.iter().map(|d| d.task).collect::<Vec<_>>(), [tasks[2].id]);
    assert_eq!(queue.depth().await.unwrap(), Depth { waiting: 2, delayed: 0, held: 2 });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_runs_out_passes_the_task_on_and_the_old_token_is_worth_nothing() {
    let harness = harness().await;
    let queue = harness.tasks.queue(Pool::Backfill);
    let submitted = harness.submit("u", &fetch("BTCUSDT", Interval::Minute1, 0, HOUR)).await.record;
    let frozen = claim(queue, 1, SHORT).await.remove(0);
    let now = SystemClock.now_ms();
    let Claim::Started(before) = harness.tasks.records().claim(frozen.task, "frozen", |_| None).await.unwrap() else {
        panic!("the first claim starts it")
    };
    assert_eq!(wait_for_abandoned(queue, SHORT).await, 1);
    let other = claim(queue, 1, LONG).await.remove(0);
    assert_eq!(other.task, submitted.id);
    assert_ne!(other.token, frozen.token);
    let Claim::Started(after) = harness.tasks.records().claim(other.task, "other", |_| None).await.unwrap() else {
        panic!("the successor starts it")
    };
    assert_eq!(after.attempt, before.attempt + 1);

    // The frozen worker wakes up.
    assert_eq!(queue.renew(std::slice::from_ref(&frozen), LONG).await.unwrap(), [frozen.token.as_str()]);
    let ending = Ending { state: TaskState::Succeeded, result: None, error: None, run_at: None, at: now };
    assert!(!harness.tasks.records().end(&before, &ending).await.unwrap(), "its end is refused");
    assert!(!queue.settle(&before, &frozen.token).await.unwrap(), "its token settles nothing");
    assert!(!queue.reschedule(&before, &frozen.token, now).await.unwrap());
    assert_eq!(queue.depth().await.unwrap().held, 1, "the successor still holds it");

    assert!(harness.tasks.records().end(&after, &ending).await.unwrap());
    assert!(harness.tasks.records().end(&after, &ending).await.unwrap(), "a repeated end is the same end");
    assert!(queue.settle(&after, &other.token).await.unwrap());
    assert_eq!(queue.depth().await.unwrap(), Depth::default());
    assert_eq!(harness.end_of(submitted.id).await.attempts.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_lease_stays_and_one_that_waits_again_is_taken_back() {
    let harness = harness().await;
    let queue = harness.tasks.queue(Pool::Backfill);
    enqueue(queue, &[record(&harness, "u", 0)]).await;
    let held = claim(queue, 1, SHORT).await;
    for _ in 0..10 {
        tokio::time::sleep(SHORT / 5).await;
        assert_eq!(queue.renew(&held, SHORT).await.unwrap(), [] as [&str; 0]);
        assert_eq!(queue.tick(SystemClock.now_ms(), SHORT).await.unwrap().abandoned, 0);
    }
    // Late, but nobody else has claimed it: the work that was done is not in vain.
    wait_for_abandoned(queue, SHORT).await;
    assert_eq!(queue.renew(&held, LONG).await.unwrap(), [] as [&str; 0]);
    assert_eq!(claim(queue, 1, LONG).await, [], "nobody else gets it");
    assert_eq!(queue.depth().await.unwrap(), Depth { waiting: 0, delayed: 0, held: 1 });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_forgot_everything_is_told_by_those_who_hold_tasks() {
    let harness = harness().await;
    let queue = harness.tasks.queue(Pool::Backfill);
    let task = record(&harness, "u", 0);
    enqueue(queue, std::slice::from_ref(&task)).await;
    assert!(queue.was_lost().await.unwrap(), "nobody has asked before");
    assert!(!queue.was_lost().await.unwrap());
    let held = claim(queue, 1, LONG).await;
    harness.forget_redis().await;
    assert!(queue.was_lost().await.unwrap());
    assert_eq!(queue.renew(&held, LONG).await.unwrap(), [] as [&str; 0]);
    assert_eq!(queue.enqueue(&[&task]).await.unwrap(), 0, "it is held again, not waiting");
    assert!(queue.settle(&task, &held[0].token).await.unwrap());
    assert_eq!(queue.depth().await.unwrap(), Depth::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn delayed_tasks_come_when_due_and_a_paused_queue_hands_out_nothing() {
    let harness = harness().await;
    let queue = harness.tasks.queue(Pool::Backfill);
    let due = SystemClock.now_ms() + HOUR;
    let task = TaskRecord { run_at: Some(due), ..record(&harness, "u", 0) };
    enqueue(queue, std::slice::from_ref(&task)).await;
    assert_eq!(queue.tick(due - 1, LONG).await.unwrap().due, 0);
    assert_eq!(claim(queue, 1, LONG).await, []);
    assert_eq!(queue.tick(due, LONG).await.unwrap().due, 1);
    queue.pause(true).await.unwrap();
    assert_eq!((claim(queue, 1, LONG).await, queue.is_paused().await.unwrap()), (Vec::new(), true));
    queue.pause(false).await.unwrap();
    let held = claim(queue, 1, LONG).await;
    assert_eq!(held.len(), 1);
    assert!(queue.reschedule(&task, &held[0].token, due + 5).await.unwrap());
    assert_eq!(queue.depth().await.unwrap(), Depth { waiting: 0, delayed: 1, held: 0 });
    queue.remove(&task).await.unwrap();
    assert_eq!(queue.depth().await.unwrap(), Depth::default());
}

/// Nothing new comes into a Redis without memory, but what it holds goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_redis_without_memory_loses_no_task_that_it_holds() {
    let harness = harness().await;
    let queue = harness.tasks.queue(Pool::Backfill);
    let records: Vec<_> = (0..3).map(|number| record(&harness, "u", number)).collect();
    enqueue(queue, &records).await;
    let mut redis = harness.redis().await;
    let mut limit = async |bytes: u64| {
        let mut command = redis::cmd("CONFIG");
        command.arg("SET").arg("maxmemory").arg(bytes).exec_async(&mut redis).await.unwrap();
    };
    limit(1).await;
    assert!(queue.enqueue(&[&record(&harness, "u", 9)]).await.is_err(), "it has no memory");
    let held = claim(queue, 2, LONG).await;
    assert_eq!(held.len(), 2);
    assert_eq!(queue.depth().await.unwrap(), Depth { waiting: 1, delayed: 0, held: 2 });
    assert_eq!(queue.renew(&held, LONG).await.unwrap(), Vec::<String>::new(), "leases are prolonged");
    let of = |delivery: &Delivery| records.iter().find(|record| record.id == delivery.task).unwrap();
    assert!(queue.reschedule(of(&held[0]), &held[0].token, 1).await.unwrap(), "a retry waits for its time");
    assert!(queue.settle(of(&held[1]), &held[1].token).await.unwrap(), "an end leaves the queue");
    assert_eq!(queue.depth().await.unwrap(), Depth { waiting: 1, delayed: 1, held: 0 });
    assert_eq!(queue.tick(SystemClock.now_ms(), LONG).await.unwrap().due, 1, "its time comes");
    let rest: Vec<_> = claim(queue, 9, LONG).await.iter().map(|delivery| delivery.task).collect();
    assert_eq!(rest.len(), 2, "the retry and the one that waited: {rest:?}");
    limit(0).await;
}
