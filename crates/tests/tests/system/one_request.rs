//! One request is one task, whatever fails meanwhile: its key, its record, its place in the queue.

use crate::harness::{Harness, hours, recorded, until};
use candlemill_devkit::FaultProxy;
use candlemill_shared::job::{FetchHistory, Job, Pool};
use candlemill_shared::task::{TaskId, TaskRecord, TaskState};
use candlemill_shared::{Clock, Interval, SystemClock};
use candlemill_simulator::SimulatorConfig;
use candlemill_tasks::{Submissions, SubmitError, TaskEngine, TaskQuery};
use mongodb::bson::{Document, doc};
use redis::AsyncCommands;
use std::collections::HashSet;
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// Longest time from a record's being stored to its being in the queue.
const QUEUED_WITHIN: Duration = Duration::from_secs(10);

fn with_key(harness: &Harness, job: &FetchHistory, key: &str) -> TaskRecord {
    TaskRecord { idempotency: Some(key.to_owned()), ..harness.record("u", job) }
}

async fn all_of(tasks: &TaskEngine, owner: &str) -> Vec<TaskId> {
    let query = TaskQuery {
        owner: owner.to_owned(),
        state: None,
        kind: None,
        symbol: None,
        interval: None,
        before: None,
        limit: 100,
    };
    tasks.records().list(&query).await.unwrap().into_iter().map(|record| record.id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_stands_for_the_task_that_it_was_answered_with() {
    let harness = Harness::start(SimulatorConfig::default()).await;
    let (job, other) = (hours(0, 1), hours(1, 2));
    let first = harness.submit("u", &job).await.record.id;
    // Many at once, with several keys, join the task under way.
    let joined = (0..12).map(|number| harness.accept(with_key(&harness, &job, &format!("k{}", number % 3))));
    for joined in futures::future::join_all(joined).await {
        assert_eq!((joined.record.id, joined.created), (first, false));
    }
    let check = async |name: &str| {
        let again = harness.accept(with_key(&harness, &job, "k1")).await;
        assert_eq!((again.record.id, again.created), (first, false), "{name}");
        let foreign = harness.try_accept(with_key(&harness, &other, "k1")).await;
        assert!(matches!(foreign, Err(SubmitError::IdempotencyConflict(id)) if id == first), "{name}: {foreign:?}");
    };
    check("while it is under way").await;
    harness.tasks.cancel(first, "u").await.unwrap();
    check("after its end").await;
    let free = harness.accept(harness.record("u", &other)).await;
    assert!(free.created, "the refused body left nothing");
    let without = harness.accept(harness.record("u", &job)).await;
    assert!(without.created, "without a key it is a new one");
}

/// One key for two bodies at the same moment, each of which is under way: only one of them gets it.
#[tokio::test(flavor = "multi_thread")]
async fn one_key_is_bound_to_one_of_two_tasks() {
    let harness = Harness::start(SimulatorConfig::default()).await;
    let jobs = [hours(0, 1), hours(1, 2)];
    for job in &jobs {
        harness.submit("u", job).await;
    }
    for round in 0..20 {
        let key = format!("k{round}");
        let both = jobs.each_ref().map(|job| harness.try_accept(with_key(&harness, job, &key)));
        let answers = futures::future::join_all(both).await;
        let accepted: Vec<TaskId> = answers.iter().flatten().map(|answer| answer.record.id).collect();
        let holder = accepted.first().copied();
        assert_eq!(accepted.len(), 1, "{answers:?}");
        for refused in answers.iter().filter_map(|answer| answer.as_ref().err()) {
            assert!(matches!(refused, SubmitError::IdempotencyConflict(id) if Some(*id) == holder), "{refused}");
        }
    }
}

/// Submits `record` by a process whose link to MongoDB holds everything back by `stall` from when the keys are taken.
async fn submit_with_a_stall(
    harness: &Harness,
    record: &TaskRecord,
    stall: Duration,
) -> (FaultProxy, tokio::task::JoinHandle<Result<candlemill_tasks::Submitted, SubmitError>>, Instant) {
    const WAY: Duration = Duration::from_millis(300);
    let (proxy, tasks) = harness.store_behind_proxy().await;
    // The connections are there.
    let _ = futures::future::join_all((0..4).map(|_| tasks.records().get(record.id))).await;
    proxy.delay(WAY);
    let submissions = Submissions::start(&tasks);
    let given = record.clone();
    let answer = tokio::spawn(async move { submissions.submit(given, 1_000).await });
    let keys = harness.collection("task_keys").await;
    let taken = doc! { "task": record.id.to_string() };
    until(async || keys.find_one(taken.clone()).await.unwrap().is_some()).await;
    let taken_at = Instant::now();
    // The answer about the keys is on its way back by now; what is sent after it is held back.
    sleep(WAY / 2).await;
    proxy.delay(stall);
    (proxy, answer, taken_at)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_insert_never_makes_a_second_task() {
    let harness = Harness::start(recorded()).await;
    let _worker = harness.worker().await;
    let job = hours(0, 1);
    let stalled = with_key(&harness, &job, "k");
    let (_proxy, answer, taken_at) = submit_with_a_stall(&harness, &stalled, Duration::from_secs(12)).await;
    sleep_until(taken_at + Duration::from_millis(10_500)).await;
    let second = harness.accept(with_key(&harness, &job, "k")).await.record.id;
    harness.end_of(second).await;
    let first = timeout(Duration::from_secs(30), answer).await.unwrap().unwrap();
    // The late record has arrived by now.
    sleep_until(taken_at + Duration::from_secs(18)).await;
    let told: HashSet<TaskId> = first.iter().map(|answer| answer.record.id).chain([second]).collect();
    assert_eq!(told, HashSet::from([second]), "{first:?}");
    assert_eq!(all_of(&harness.tasks, "u").await, [second], "no other record is there");
    let again = harness.accept(with_key(&harness, &job, "k")).await;
    assert_eq!((again.record.id, again.created), (second, false));
    let mut redis = harness.redis().await;
    let places = redis.zrange::<_, Vec<String>>("cm:{owner:u}:tasks", 0, -1).await.unwrap();
    assert_eq!(places, [] as [String; 0], "nothing keeps a place");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_arrives_late_is_queued_though_its_api_died() {
    let harness = Harness::start(recorded()).await;
    let _worker = harness.worker().await;
    let record = harness.record("u", &hours(0, 1));
    let (proxy, answer, _) = submit_with_a_stall(&harness, &record, Duration::from_secs(7)).await;
    let records = harness.documents().await;
    let this = doc! { "_id": record.id.to_string() };
    until(async || records.find_one(this.clone()).await.unwrap().is_some()).await;
    // The process hears of nothing more.
    proxy.cut().await;
    let ended = timeout(QUEUED_WITHIN, harness.end_of(record.id)).await.expect("whatever is durable is queued");
    assert_eq!(ended.state, TaskState::Succeeded);
    assert!(timeout(Duration::from_secs(30), answer).await.unwrap().unwrap().is_err(), "nobody was told of it");
}

/// As a store that stalls in the middle leaves them: their time of queueing is long past when they come to be there.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_stored_is_in_the_queue_within_ten_seconds() {
    let harness = Harness::start(recorded()).await;
    let records = harness.documents().await;
    let mut late: Vec<(TaskId, Document)> = Vec::new();
    let parent = harness.record("u", &hours(0, 40));
    for (number, age) in (0..).zip([1, 6, 7, 12, 19, 27, 36, 45, 55]) {
        let mut record = harness.record("u", &hours(number, number + 1));
        record.updated_at -= age * 1_000;
        record.parent = (number % 2 == 0).then_some(parent.id);
        harness.accept(record.clone()).await;
        let document = records.find_one(doc! { "_id": record.id.to_string() }).await.unwrap().unwrap();
        late.push((record.id, document));
    }
    records.delete_many(doc! {}).await.unwrap();
    harness.forget_redis().await;
    let _worker = harness.worker().await;
    // Somebody sweeps, and has looked at everything once.
    sleep(Duration::from_secs(3)).await;
    let arrived = SystemClock.now_ms();
    for (_, document) in &mut late {
        let age = document.get_i64("created_at").unwrap() - document.get_i64("queued_at").unwrap();
        document.insert("queued_at", arrived - age);
    }
    records.insert_many(late.iter().map(|(_, document)| document)).await.unwrap();
    for (id, document) in &late {
        let left = QUEUED_WITHIN.saturating_sub(Duration::from_millis((SystemClock.now_ms() - arrived).unsigned_abs()));
        let ended = timeout(left, harness.end_of(*id)).await;
        let age = arrived - document.get_i64("queued_at").unwrap();
        assert_eq!(ended.unwrap_or_else(|_| panic!("{age} ms late")).state, TaskState::Succeeded);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_joins_a_waiting_task_brings_it_into_the_queue() {
    let harness = Harness::start(SimulatorConfig::default()).await;
    let job = hours(0, 1);
    let first = harness.submit("u", &job).await.record.id;
    harness.forget_redis().await;
    assert_eq!(harness.tasks.queue(Pool::Backfill).depth().await.unwrap().waiting, 0);
    assert_eq!(harness.submit("u", &job).await.record.id, first);
    assert_eq!(harness.tasks.queue(Pool::Backfill).depth().await.unwrap().waiting, 1);
}

/// Its key went to another task while it was on its way: nobody was told of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_lost_its_key_goes_unrun() {
    let harness = Harness::start(recorded()).await;
    let (lost, kept) = (harness.submit("u", &hours(0, 1)).await.record, harness.submit("u", &hours(1, 2)).await.record);
    let keys = harness.collection("task_keys").await;
    let taken = keys
        .update_one(
            doc! { "_id": format!("active:{}", lost.fingerprint) },
            doc! { "$set": { "task": kept.id.to_string() } },
        )
        .await
        .unwrap();
    assert_eq!(taken.modified_count, 1);
    harness.forget_redis().await;
    let mut redis = harness.redis().await;
    redis.zadd::<_, _, _, ()>("cm:{owner:u}:tasks", lost.id.to_string(), 1).await.unwrap();
    let _worker = harness.worker().await;
    assert_eq!(harness.end_of(kept.id).await.state, TaskState::Succeeded);
    let gone = async || harness.tasks.records().get(lost.id).await.unwrap().is_none();
    timeout(QUEUED_WITHIN, until(gone)).await.expect("it is deleted");
    let freed = async || redis.clone().zcard::<_, u64>("cm:{owner:u}:tasks").await.unwrap() == 0;
    timeout(QUEUED_WITHIN, until(freed)).await.expect("its place is free");
    assert_eq!(harness.candles("BTCUSDT", Interval::Minute1).await.len(), 60, "it has not run");
}

/// Owners whose names begin alike, or hold what separates the parts of keys, have nothing in common.
#[tokio::test(flavor = "multi_thread")]
async fn owners_with_similar_names_are_kept_apart() {
    let owners =
        ["a", "a|", "a|b", "a~", "a:b", "a}", "a}:tasks", "a}:requests:1", "a\n", "a\nbinance", "a b", "|", "ä"];
    let harness = Harness::start(SimulatorConfig::default()).await;
    let job = hours(0, 1);
    let fingerprints: HashSet<String> = owners.iter().map(|owner| job.fingerprint(owner)).collect();
    assert_eq!(fingerprints.len(), owners.len());
    for owner in owners {
        harness.tasks.request_rate().count(owner, 10).await.unwrap();
    }
    let mut of_each: Vec<Vec<TaskId>> = Vec::new();
    for owner in owners {
        let mut ids = Vec::new();
        for number in 0..3 {
            let record = TaskRecord { priority: 5, ..harness.record(owner, &hours(number, number + 1)) };
            match harness.try_accept_within(2, record).await {
                Ok(accepted) => ids.insert(0, accepted.record.id),
                Err(error) => assert!(number == 2 && matches!(error, SubmitError::TooManyTasks), "{owner:?}: {error}"),
            }
        }
        assert_eq!(ids.len(), 2, "{owner:?} has places of its own");
        of_each.push(ids);
    }
    for (owner, ids) in owners.iter().zip(&of_each) {
        assert_eq!(all_of(&harness.tasks, owner).await, *ids, "{owner:?}");
        let decision = harness.tasks.request_rate().count(owner, 10).await.unwrap();
        assert_eq!(decision.remaining, 8, "{owner:?} has a request count of its own");
    }
    // Each has a turn of its own: the first claims take one task of each.
    let claimed = harness.tasks.queue(Pool::Backfill).claim("w", owners.len(), Duration::from_secs(60)).await.unwrap();
    let mut turns = HashSet::new();
    for delivery in claimed {
        turns.insert(of_each.iter().position(|ids| ids.contains(&delivery.task)).unwrap());
    }
    assert_eq!(turns.len(), owners.len());
    // A cancelled task frees the place of its own owner alone.
    for (owner, ids) in owners.iter().zip(&of_each) {
        harness.tasks.cancel(ids[0], owner).await.unwrap();
        let record = harness.record(owner, &hours(5, 6));
        harness.try_accept_within(2, record).await.unwrap();
        let full = harness.try_accept_within(2, harness.record(owner, &hours(6, 7))).await;
        assert!(matches!(full, Err(SubmitError::TooManyTasks)), "{owner:?}");
    }
}
