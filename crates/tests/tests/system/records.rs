//! What records promise when many change at once: each change reaches its task alone, and an attempt has one holder.

use crate::harness::{Harness, fetch};
use candlemill_shared::job::FetchResult;
use candlemill_shared::task::{TaskHead, TaskId, TaskRecord, TaskState};
use candlemill_shared::{Clock, Interval, SystemClock};
use candlemill_simulator::SimulatorConfig;
use candlemill_tasks::{Checkpoint, Claim, DeadLetterQuery, Ending, TaskEngine, TaskQuery};
use futures::TryStreamExt;
use futures::future::join_all;
use mongodb::bson::{self, doc};
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};

const HOUR: i64 = 3_600_000;
/// More than one group of statements holds.
const MANY: i64 = 600;

async fn waiting(harness: &Harness) -> Vec<TaskRecord> {
    let submitted = (0..MANY).map(|number| async move {
        let job = fetch("BTCUSDT", Interval::Minute1, number * HOUR, (number + 1) * HOUR);
        harness.submit("u", &job).await.record
    });
    join_all(submitted).await
}

async fn started(tasks: &TaskEngine, record: &TaskRecord, worker: &str) -> TaskRecord {
    match tasks.records().claim(record.id, worker, |_| None).await.unwrap() {
        Claim::Started(record) => *record,
        other => panic!("{}: {other:?}", record.id),
    }
}

fn found(candles: u64) -> Value {
    json!(FetchResult { inserted: candles, ..FetchResult::default() })
}

#[tokio::test(flavor = "multi_thread")]
async fn many_ends_at_once_reach_each_task_its_own() {
    let harness = Harness::start(SimulatorConfig::default()).await;
    let records = waiting(&harness).await;
    let tasks = harness.tasks.records();
    let running = join_all(records.iter().map(|record| started(&harness.tasks, record, "w"))).await;
    // Every third is asked to stop, every fifth is lost to another attempt.
    for (number, record) in running.iter().enumerate() {
        if number % 3 == 0 {
            harness.tasks.cancel(record.id, "u").await.unwrap();
        }
    }
    let overtaken = running.iter().enumerate().filter(|(number, _)| number % 5 == 0);
    join_all(overtaken.map(|(_, record)| started(&harness.tasks, record, "other"))).await;

    let results: Vec<Value> = (0..running.len()).map(|number| found(number as u64)).collect();
    let checkpoints = running.iter().zip(&results);
    let kept =
        join_all(checkpoints.map(|(record, result)| tasks.checkpoint(record.id, 1, result, SystemClock.now_ms())));
    for (number, kept) in kept.await.into_iter().enumerate() {
        let expected = match number {
            _ if number % 5 == 0 => Checkpoint::Overtaken,
            _ if number % 3 == 0 => Checkpoint::CancelRequested,
            _ => Checkpoint::Kept,
        };
        assert_eq!(kept.unwrap(), expected, "{number}");
    }
    let endings: Vec<Ending> = results
        .into_iter()
        .enumerate()
        .map(|(number, result)| {
            let state = if number % 2 == 0 { TaskState::Succeeded } else { TaskState::Failed };
            Ending { state, result: Some(result), error: None, run_at: None, at: SystemClock.now_ms() }
        })
        .collect();
    let ended = running.iter().zip(&endings).map(|(record, ending)| tasks.end(record, ending));
    for (number, ended) in join_all(ended).await.into_iter().enumerate() {
        assert_eq!(ended.unwrap(), number % 5 != 0, "{number}");
    }
    for (number, (record, ending)) in running.iter().zip(endings).enumerate() {
        let now = tasks.get(record.id).await.unwrap().unwrap();
        let expected = if number % 5 == 0 { (TaskState::Running, None, 2) } else { (ending.state, ending.result, 1) };
        assert_eq!((now.state, now.result, now.attempt), expected, "{number}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_has_one_holder_however_many_reach_for_it() {
    let harness = Harness::start(SimulatorConfig::default()).await;
    let records = waiting(&harness).await;
    let other = harness.another_store().await;
    // Twice by one process, once by another.
    let claims = records.iter().flat_map(|record| {
        [(&harness.tasks, "a"), (&harness.tasks, "b"), (&other, "c")]
            .map(|(tasks, worker)| started(tasks, record, worker))
    });
    let mut numbers: HashMap<_, Vec<u32>> = HashMap::new();
    for claimed in join_all(claims).await {
        numbers.entry(claimed.id).or_default().push(claimed.attempt);
    }
    for (id, mut numbers) in numbers {
        numbers.sort_unstable();
        assert_eq!(numbers, [1, 2, 3], "{id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_needs_no_work_begins_and_ends_once_whoever_reaches_for_it() {
    let harness = Harness::start(SimulatorConfig::default()).await;
    let records = waiting(&harness).await;
    let other = harness.another_store().await;
    let at_once = |record: &TaskRecord| {
        let (result, error) = (Some(found(u64::from(record.attempt))), None);
        Some(Ending { state: TaskState::Succeeded, result, error, run_at: None, at: record.updated_at })
    };
    let claims = records.iter().flat_map(|record| {
        [(&harness.tasks, "a"), (&harness.tasks, "b"), (&other, "c")].map(|(tasks, worker)| async move {
            (record.id, worker, tasks.records().claim(record.id, worker, at_once).await.unwrap())
        })
    });
    let mut winners = HashMap::new();
    for (id, worker, claimed) in join_all(claims).await {
        match claimed {
            Claim::Ended(record, _) => assert_eq!((record.attempt, winners.insert(id, worker)), (1, None), "{id}"),
            other => assert_eq!(other, Claim::Stale, "{id}"),
        }
    }
    for id in records.iter().map(|record| record.id) {
        let now = harness.tasks.records().get(id).await.unwrap().unwrap();
        assert_eq!((now.state, now.attempt, now.result), (TaskState::Succeeded, 1, Some(found(1))));
        let [attempt] = now.attempts.as_slice() else { panic!("{:?}", now.attempts) };
        assert_eq!((attempt.worker.as_str(), attempt.error.as_ref()), (winners[&id], None));
        assert_eq!((Some(attempt.started_at), attempt.ended_at), (now.started_at, now.ended_at));
        assert!(now.ended_at.is_some());
    }
    let tasks = harness.tasks.records();
    assert_eq!(tasks.unchanged_since(i64::MAX, 10).await.unwrap(), [], "nothing counts as begun");
    assert_eq!(tasks.in_flight(records.iter().map(|record| record.id)).await.unwrap(), HashSet::new());
}

/// All pages of one owner's list.
async fn listed(tasks: &TaskEngine, owner: &str, state: Option<TaskState>) -> Vec<TaskId> {
    let mut query =
        TaskQuery { owner: owner.to_owned(), state, kind: None, symbol: None, interval: None, before: None, limit: 70 };
    let mut all = Vec::new();
    loop {
        let page = tasks.records().list(&query).await.unwrap();
        all.extend(page.iter().map(|record| record.id));
        if page.len() < 70 {
            return all;
        }
        query.before = all.last().copied();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_hold_every_task_once_newest_first() {
    let harness = Harness::start(SimulatorConfig::default()).await;
    let records = waiting(&harness).await;
    let mut ids: Vec<TaskId> = records.iter().map(|record| record.id).collect();
    ids.sort_unstable_by(|one, other| other.cmp(one));
    // Of the last 32 digits of 600 ids some are zeros.
    assert!(ids.iter().any(|id| id.to_string().ends_with('0')), "no milestones");
    // Another owner whose name begins alike, and whose tasks lie between these.
    let job = fetch("ETHUSDT", Interval::Minute1, 0, HOUR);
    let foreign = harness.submit("u|0", &job).await.record.id;
    for number in [3, 300, 599] {
        harness.tasks.cancel(records[number].id, "u").await.unwrap();
    }
    assert_eq!(listed(&harness.tasks, "u", None).await, ids);
    assert_eq!(listed(&harness.tasks, "u|0", None).await, [foreign]);
    assert_eq!(listed(&harness.tasks, "nobody", None).await, []);
    let mut cancelled = [3, 300, 599].map(|number: usize| records[number].id);
    cancelled.sort_unstable_by(|one, other| other.cmp(one));
    assert_eq!(listed(&harness.tasks, "u", Some(TaskState::Cancelled)).await, cancelled);
    assert_eq!(listed(&harness.tasks, "u", Some(TaskState::Queued)).await.len(), ids.len() - 3);
    assert_eq!(listed(&harness.tasks, "u", Some(TaskState::Running)).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_earlier_version_wrote_is_listed_and_swept() {
    let harness = Harness::start(SimulatorConfig::default()).await;
    let job = |number: i64| fetch("BTCUSDT", Interval::Minute1, number * HOUR, (number + 1) * HOUR);
    let waits = harness.submit("u", &job(0)).await.record.id;
    let begun = started(&harness.tasks, &harness.submit("u", &job(1)).await.record, "w").await.id;
    let dead = started(&harness.tasks, &harness.submit("u", &job(2)).await.record, "w").await;
    let end = Ending { state: TaskState::Dead, result: None, error: None, run_at: None, at: SystemClock.now_ms() };
    assert!(harness.tasks.records().end(&dead, &end).await.unwrap());
    let later = doc! { "queued_at": "", "begun_at": "", "listed": "", "milestone": "", "buried": "", "mark": "" };
    let documents = harness.documents().await;
    documents.update_many(doc! {}, doc! { "$unset": later }).await.unwrap();
    // Some of them never took away the time at which a task was queued.
    let moved_on = doc! { "state": { "$ne": "queued" } };
    documents.update_many(moved_on, doc! { "$set": { "queued_at": 1_i64 } }).await.unwrap();
    assert_eq!(listed(&harness.tasks, "u", None).await, []);
    let letters = DeadLetterQuery { owner: "u".to_owned(), limit: 10, ..DeadLetterQuery::default() };
    assert_eq!(harness.tasks.records().dead_letters(&letters).await.unwrap(), []);

    harness.tasks.tidy_up().await.unwrap();
    assert_eq!(listed(&harness.tasks, "u", None).await, [dead.id, begun, waits]);
    let buried = harness.tasks.records().dead_letters(&letters).await.unwrap();
    assert_eq!(buried.iter().map(|letter| letter.id).collect::<Vec<_>>(), [dead.id]);
    assert_eq!(listed(&harness.tasks, "u", Some(TaskState::Running)).await, [begun]);
    let (tasks, now) = (harness.tasks.records(), SystemClock.now_ms());
    let ids = |heads: Vec<TaskHead>| heads.into_iter().map(|head| head.id).collect::<Vec<_>>();
    assert_eq!(ids(tasks.unchanged_since(now + 1, 10).await.unwrap()), [begun]);
    assert_eq!(ids(tasks.queued_between(1, now).await.unwrap().try_collect().await.unwrap()), [waits]);
    assert_eq!(ids(tasks.all_in_flight().await.unwrap().try_collect().await.unwrap()), [waits, begun]);
    assert_eq!(
        documents.count_documents(doc! { "_id": dead.id.to_string(), "queued_at": { "$exists": true } }).await.unwrap(),
        0
    );

    // A worker of an earlier version runs beside this one for a while.
    documents.update_one(doc! { "_id": dead.id.to_string() }, doc! { "$unset": { "buried": "" } }).await.unwrap();
    harness.tasks.tidy_up().await.unwrap();
    assert_eq!(harness.tasks.records().dead_letters(&letters).await.unwrap(), [], "once an hour");
    harness.let_an_hour_pass().await;
    harness.tasks.tidy_up().await.unwrap();
    assert_eq!(harness.tasks.records().dead_letters(&letters).await.unwrap().len(), 1);
}

/// A child of `parent` as it waits.
fn child_of(harness: &Harness, parent: &TaskRecord, index: u32) -> TaskRecord {
    let job = fetch("BTCUSDT", Interval::Minute1, i64::from(index) * HOUR, i64::from(index + 1) * HOUR);
    TaskRecord { id: TaskId::of_child(parent.id, 0, index), parent: Some(parent.id), ..harness.record("u", &job) }
}

#[tokio::test(flavor = "multi_thread")]
async fn children_are_in_no_list_and_those_of_an_earlier_version_leave_theirs() {
    const CHILDREN: u32 = 300;
    let harness = Harness::start(SimulatorConfig::default()).await;
    let job = |number: i64| fetch("ETHUSDT", Interval::Minute1, number * HOUR, (number + 1) * HOUR);
    let older = harness.submit("u", &job(0)).await.record.id;
    let parent = harness.submit("u", &job(1)).await.record;
    let children: Vec<TaskRecord> = (0..CHILDREN).map(|index| child_of(&harness, &parent, index)).collect();
    join_all(children.iter().map(|child| harness.accept(child.clone()))).await;
    let running = started(&harness.tasks, &children[0], "w").await;
    let dead = started(&harness.tasks, &children[1], "w").await;
    let end = Ending { state: TaskState::Dead, result: None, error: None, run_at: None, at: SystemClock.now_ms() };
    assert!(harness.tasks.records().end(&dead, &end).await.unwrap());
    let newer = harness.submit("u", &job(2)).await.record.id;
    let own = vec![newer, parent.id, older];
    let check = async |name: &str| {
        assert_eq!(listed(&harness.tasks, "u", None).await, own, "{name}");
        assert_eq!(listed(&harness.tasks, "u", Some(TaskState::Queued)).await, own, "{name}");
        for state in [TaskState::Running, TaskState::Dead] {
            assert_eq!(listed(&harness.tasks, "u", Some(state)).await, [], "{name}: {state:?}");
        }
        let letters = DeadLetterQuery { owner: "u".to_owned(), limit: 10, ..DeadLetterQuery::default() };
        let letters = harness.tasks.records().dead_letters(&letters).await.unwrap();
        assert_eq!(letters.iter().map(|letter| letter.id).collect::<Vec<_>>(), [dead.id], "{name}");
        assert_eq!(harness.tasks.records().get(running.id).await.unwrap().unwrap().parent, Some(parent.id));
    };
    check("as this version stores them").await;

    // As earlier versions stored them: listed, and one of them with a null for a parent that it does not have.
    let (documents, is_child) = (harness.documents().await, doc! { "parent": { "$exists": true } });
    let listing = doc! { "$set": { "listed": { "$concat": ["$owner", "|", "$_id"] } } };
    let earlier = documents.update_many(is_child.clone(), vec![listing, doc! { "$unset": "milestone" }]).await.unwrap();
    assert_eq!(earlier.modified_count, u64::from(CHILDREN));
    let null = doc! { "$set": { "parent": bson::Bson::Null } };
    documents.update_one(doc! { "_id": older.to_string() }, null).await.unwrap();
    check("as an earlier version stored them").await;
    harness.tasks.tidy_up().await.unwrap();
    check("as they are after tidying up").await;
    let filter = doc! { "parent": parent.id.to_string(), "listed": "" };
    assert_eq!(documents.count_documents(filter).await.unwrap(), u64::from(CHILDREN));
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_ended_tasks_left_behind_go_a_day_later() {
    let harness = Harness::start(SimulatorConfig::default()).await;
    let job = |number: i64| fetch("BTCUSDT", Interval::Minute1, number * HOUR, (number + 1) * HOUR);
    let waits = harness.submit("u", &job(0)).await.record;
    let ended = harness.submit("u", &job(1)).await.record;
    harness.tasks.cancel(ended.id, "u").await.unwrap();
    let (keys, now) = (harness.collection("task_keys").await, SystemClock.now_ms());
    let long_ago = now - 25 * HOUR;
    let key =
        |name: &str, task: TaskId, taken_at: i64| doc! { "_id": name, "task": task.to_string(), "taken_at": taken_at };
    keys.update_one(doc! { "task": waits.id.to_string() }, doc! { "$set": { "taken_at": long_ago } }).await.unwrap();
    let mut of_a_client = key("idempotency:1", ended.id, long_ago);
    of_a_client.insert("expires_at", bson::DateTime::from_millis(now + HOUR));
    let never_stored = TaskId::new(long_ago);
    let others =
        [key("active:1", ended.id, long_ago), key("active:2", never_stored, long_ago), key("active:3", ended.id, now)];
    keys.insert_many(others.into_iter().chain([of_a_client])).await.unwrap();

    harness.tasks.tidy_up().await.unwrap();
    let own = format!("active:{}", waits.fingerprint);
    for (name, stays) in
        [(own.as_str(), true), ("active:1", false), ("active:2", false), ("active:3", true), ("idempotency:1", true)]
    {
        assert_eq!(keys.find_one(doc! { "_id": name }).await.unwrap().is_some(), stays, "{name}");
    }
}
