//! Tasks that consist of others: batches of fetches, and a large fetch in parts that several workers run at once.

use crate::harness::{HOUR, Harness, START, fetch, hours, recorded, result_of, terms};
use candlemill_shared::children::{ChildCounts, Children};
use candlemill_shared::job::{Envelope, FetchBatch, FetchHistory, Job};
use candlemill_shared::progress::Progress;
use candlemill_shared::task::{TaskId, TaskRecord, TaskState};
use candlemill_shared::{Clock, Interval, SystemClock, TimeRange};
use candlemill_simulator::{Fault, FaultRule};
use candlemill_tasks::queue::Depth;
use candlemill_tasks::{CancelOutcome, ReplayOutcome};
use mongodb::bson::doc;
use std::collections::HashSet;
use std::time::Duration;

/// Minutes of the recorded days.
const MINUTES: u64 = 4_320;

fn batch(harness: &Harness, fetches: Vec<FetchHistory>) -> TaskRecord {
    let job = FetchBatch { fetches };
    TaskRecord {
        fingerprint: job.fingerprint("u"),
        job: Envelope::of(&job).unwrap(),
        ..harness.record("u", &hours(0, 1))
    }
}

async fn children_of(harness: &Harness, id: TaskId) -> Vec<TaskRecord> {
    let parent = harness.tasks.records().get(id).await.unwrap().unwrap();
    harness.tasks.records().list_children(&parent, 0, 1_000).await.unwrap()
}

/// Follows a task's progress until its end: states and percents as they were shown.
async fn follow(harness: &Harness, id: TaskId) -> Vec<(u64, f64)> {
    let mut seen = Vec::new();
    loop {
        if let Some(shown) = harness.tasks.progress().read(id).await.unwrap() {
            seen.push((shown.sequence, shown.percent));
            if shown.state.is_end() {
                return seen;
            }
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn nothing_is_left(harness: &Harness, record: &TaskRecord) {
    harness.wait(record.id, |record| record.state.is_end()).await;
    harness.wait_for_depth(record.pool, Depth::default()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_has_one_progress_and_one_result() {
    let harness = Harness::start(recorded()).await;
    let _worker = harness.worker().await;
    let eth = fetch("ETHUSDT", Interval::Day1, START, START + 30 * 24 * HOUR);
    // Two of them overlap: what both want is stored once.
    let asked = vec![hours(0, 30), hours(24, 72), eth];
    let id = harness.accept(batch(&harness, asked.clone())).await.record.id;
    let seen = follow(&harness, id).await;
    assert!(seen.windows(2).all(|pair| pair[0].0 <= pair[1].0 && pair[0].1 <= pair[1].1), "never backwards: {seen:?}");
    assert_eq!(seen.last().unwrap().1, 100.0);
    let ended = harness.end_of(id).await;
    assert_eq!(ended.state, TaskState::Succeeded, "{:?}", ended.error);
    assert_eq!(ended.children.as_ref().unwrap().ended, Some(ChildCounts { succeeded: 3, ..ChildCounts::default() }));
    assert_eq!(harness.candles("BTCUSDT", Interval::Minute1).await.len() as u64, MINUTES);
    assert_eq!(harness.candles("ETHUSDT", Interval::Day1).await.len(), 30);
    let result = result_of(&ended);
    assert_eq!(result.inserted, MINUTES + 30);
    let children = children_of(&harness, id).await;
    let jobs: Vec<FetchHistory> = children.iter().map(|child| child.job.open().unwrap()).collect();
    assert_eq!(jobs, asked, "in the order of the request");
    for child in &children {
        assert_eq!((child.parent, child.state, child.owner.as_str()), (Some(id), TaskState::Succeeded, "u"));
    }
    let summed = children.iter().map(|child| result_of(child).pages).sum::<u64>();
    assert_eq!(result.pages, summed);
    nothing_is_left(&harness, &harness.end_of(id).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_fetch_is_run_by_several_workers_at_once() {
    let harness = Harness::start(recorded()).await;
    let few = [("BACKFILL_SPLIT_PAGES", "2"), ("WORKER_CONCURRENCY", "1")];
    harness.simulator.control().add_fault(FaultRule::on("/api/v3/klines", Fault::Latency { ms: 100 }));
    let _workers = (harness.worker_with(few).await, harness.worker_with(few).await);
    let id = harness.submit("u", &hours(0, 72)).await.record.id;
    let seen = follow(&harness, id).await;
    assert!(seen.windows(2).all(|pair| pair[0].0 <= pair[1].0 && pair[0].1 <= pair[1].1), "never backwards: {seen:?}");
    let ended = harness.end_of(id).await;
    assert_eq!(ended.state, TaskState::Succeeded, "{:?}", ended.error);
    let Children { parts, ended: counts, .. } = ended.children.clone().unwrap();
    let parts: Vec<TimeRange> = serde_json::from_value(parts).unwrap();
    assert_eq!(candlemill_shared::range::normalise(parts.clone()), [TimeRange::new(START, START + 72 * HOUR)]);
    assert_eq!((parts.len(), counts.unwrap().succeeded), (5, 5));
    let result = result_of(&ended);
    assert_eq!((result.inserted, result.duplicate, result.pages, result.gaps_total), (MINUTES, 0, 5, 0));
    assert_eq!(harness.candles("BTCUSDT", Interval::Minute1).await.len() as u64, MINUTES);
    let children = children_of(&harness, id).await;
    let workers: HashSet<&str> = children.iter().map(|child| child.attempts[0].worker.as_str()).collect();
    assert_eq!(workers.len(), 2, "{workers:?}");
    // Its last attempt found nothing missing.
    assert_eq!((ended.attempt, ended.attempts.iter().filter(|one| one.error.is_some()).count()), (2, 0));
    nothing_is_left(&harness, &ended).await;
    // The same again finds everything there, and is no parent.
    let again = harness.submit("u", &hours(0, 72)).await.record.id;
    assert_eq!(harness.end_of(again).await.children, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_a_batch_stops_everything_in_it() {
    let harness = Harness::start(recorded()).await;
    harness.simulator.control().add_fault(FaultRule::on("/api/v3/klines", Fault::Latency { ms: 300 }));
    let worker = harness.worker_with([("WORKER_CONCURRENCY", "2"), ("BACKFILL_PAGE_CONCURRENCY", "1")]).await;
    let record = batch(&harness, (0..12).map(|part| hours(part * 6, part * 6 + 6)).collect());
    let id = harness.accept(record).await.record.id;
    while !children_of(&harness, id).await.iter().any(|child| child.state == TaskState::Running) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(harness.tasks.cancel(id, "somebody else").await.unwrap(), CancelOutcome::NotFound);
    let outcome = harness.tasks.cancel(id, "u").await.unwrap();
    assert!(matches!(outcome, CancelOutcome::Requested(_) | CancelOutcome::Cancelled(_)), "{outcome:?}");
    let ended = harness.end_of(id).await;
    assert_eq!(ended.state, TaskState::Cancelled);
    let children = children_of(&harness, id).await;
    assert_eq!(children.len(), 12);
    for child in &children {
        assert!(matches!(child.state, TaskState::Cancelled | TaskState::Succeeded), "{child:?}");
    }
    assert!(children.iter().filter(|child| child.state == TaskState::Cancelled).count() >= 8);
    nothing_is_left(&harness, &ended).await;
    // Of one that waits without any worker, all of it is cancelled at once.
    worker.stop().await;
    let mut record = batch(&harness, vec![hours(0, 1), hours(1, 2)]);
    (record.state, record.attempt) = (TaskState::Running, 1);
    record.children = Some(Children { total: 2, ..Children::default() });
    let id = harness.accept(record.clone()).await.record.id;
    harness.tasks.queue(record.pool).remove(&record).await.unwrap();
    harness.tasks.reconcile(id).await.unwrap();
    assert_eq!(harness.tasks.queue(record.pool).depth().await.unwrap().waiting, 2);
    assert!(matches!(harness.tasks.cancel(id, "u").await.unwrap(), CancelOutcome::Cancelled(_)));
    assert!(children_of(&harness, id).await.iter().all(|child| child.state == TaskState::Cancelled));
    nothing_is_left(&harness, &record).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_worker_left_half_done_is_finished_by_others() {
    let harness = Harness::start(recorded()).await;
    // Its worker died after it had written down the children, before it stored more than the first of them.
    let mut record = batch(&harness, (0..4).map(|part| hours(part * 18, part * 18 + 18)).collect());
    (record.state, record.attempt) = (TaskState::Running, 1);
    record.children = Some(Children { total: 4, ..Children::default() });
    record.updated_at = SystemClock.now_ms() - 60_000;
    let first = record.child_record(&record.planned_children().unwrap()[0], record.updated_at).unwrap();
    let id = harness.accept(record.clone()).await.record.id;
    harness.accept(first).await;
    harness.forget_redis().await;
    let _worker = harness.worker().await;
    let ended = harness.end_of(id).await;
    assert_eq!(ended.state, TaskState::Succeeded, "{:?}", ended.error);
    let children = children_of(&harness, id).await;
    assert_eq!((children.len(), result_of(&ended).inserted), (4, MINUTES));
    assert!(children.iter().all(|child| child.attempt == 1), "none ran twice");
    assert_eq!(harness.candles("BTCUSDT", Interval::Minute1).await.len() as u64, MINUTES);
    nothing_is_left(&harness, &ended).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_with_a_failure_says_so_and_its_replay_fetches_the_rest() {
    let harness = Harness::start(recorded()).await;
    let _worker = harness.worker().await;
    let unknown = fetch("NOSUCHUSDT", Interval::Minute1, START, START + HOUR);
    let id = harness.accept(batch(&harness, vec![hours(0, 72), unknown])).await.record.id;
    let ended = harness.end_of(id).await;
    let error = ended.error.clone().unwrap();
    assert_eq!((ended.state, error.code.as_str()), (TaskState::Failed, "batch_incomplete"));
    assert!(error.message.contains("1 of 2 fetches") && error.message.contains(&id.to_string()), "{}", error.message);
    assert_eq!(result_of(&ended).inserted, MINUTES);
    // What did not succeed is not done: 4,320 of 4,380 minutes.
    assert_eq!(Progress::from_record(&ended).percent, 98.6);
    let before: Vec<TaskId> = children_of(&harness, id).await.iter().map(|child| child.id).collect();
    let calls = harness.simulator.control().calls("/api/v3/klines").len();
    let outcome = harness.tasks.replay(id, "u", &terms(20)).await.unwrap();
    assert!(matches!(outcome, ReplayOutcome::Replayed(_)), "{outcome:?}");
    let ended = harness.end_of(id).await;
    assert_eq!((ended.state, ended.dead_letter.replays), (TaskState::Failed, 1));
    let after = children_of(&harness, id).await;
    assert!(after.iter().all(|child| !before.contains(&child.id)), "a replay has children of its own");
    assert_eq!(after[0].state, TaskState::Succeeded);
    assert!(
        harness.simulator.control().calls("/api/v3/klines").len() - calls <= 2,
        "what is stored is not fetched again"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ended_child_stays_as_long_as_its_parent_waits() {
    let harness = Harness::start(recorded()).await;
    let control = harness.simulator.control();
    control.add_fault(FaultRule::on("/api/v3/klines", Fault::status(503)).containing("ETHUSDT"));
    let _worker = harness.worker_with([("BINANCE_CALL_ATTEMPTS", "1")]).await;
    let eth = fetch("ETHUSDT", Interval::Day1, START, START + 30 * 24 * HOUR);
    let parent = harness.accept(batch(&harness, vec![hours(0, 1), eth])).await.record.id;
    harness.wait(parent, |record| record.children.is_some()).await;
    let first = harness.tasks.records().get(parent).await.unwrap().unwrap().child_ids()[0];
    // The parent names its children before they are stored.
    while harness.tasks.records().get(first).await.unwrap().is_none() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    harness.end_of(first).await;
    // Its time is nearly over, and its sibling is far from done.
    let soon = mongodb::bson::DateTime::from_millis(SystemClock.now_ms() + 60_000);
    let documents = harness.documents().await;
    let of_it = doc! { "_id": first.to_string() };
    documents.update_one(of_it.clone(), doc! { "$set": { "expires_at": soon } }).await.unwrap();
    let kept = async {
        while *documents.find_one(of_it.clone()).await.unwrap().unwrap().get_datetime("expires_at").unwrap() <= soon {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), kept).await.expect("it is to stay longer");
    control.clear_faults();
    assert_eq!(harness.end_of(parent).await.state, TaskState::Succeeded);
    assert_eq!(harness.tasks.records().get(first).await.unwrap().unwrap().attempt, 1, "it ran once");
}
