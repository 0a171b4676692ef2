//! Answers that are lost on their way: what was carried out is known, and is not done twice.

use crate::harness::{Harness, hours, recorded, until};
use candlemill_shared::children::Children;
use candlemill_shared::job::{Envelope, FetchBatch, FetchResult, Job};
use candlemill_shared::task::{TaskError, TaskId, TaskRecord, TaskState};
use candlemill_shared::{Clock, SystemClock};
use candlemill_simulator::SimulatorConfig;
use candlemill_tasks::{Claim, ClaimTries, Ending};
use mongodb::bson::doc;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_whose_answer_was_lost_is_the_same_attempt() {
    let harness = Harness::start(recorded()).await;
    let (proxy, tasks) = harness.store_behind_proxy().await;
    let _worker = harness.worker_on(tasks).await;
    // It is under way, with all connections that it needs.
    let warm = harness.submit("u", &hours(0, 1)).await.record.id;
    harness.end_of(warm).await;
    let records = harness.documents().await;
    for round in 1..=3 {
        proxy.delay(Duration::from_millis(400));
        let id = harness.submit("u", &hours(round, round + 1)).await.record.id;
        let begun = doc! { "_id": id.to_string(), "attempt": { "$gte": 1 } };
        until(async || records.find_one(begun.clone()).await.unwrap().is_some()).await;
        // The claim is applied; its answer is on the way back, and does not arrive.
        proxy.cut().await;
        sleep(Duration::from_millis(200)).await;
        proxy.restore().await;
        let ended = harness.end_of(id).await;
        assert_eq!((ended.state, ended.attempt, ended.attempts.len()), (TaskState::Succeeded, 1, 1), "{ended:#?}");
        assert_eq!(ended.attempts[0].error, None);
    }
}

/// The same of an attempt that needs no work: it begins and ends in one change.
#[tokio::test(flavor = "multi_thread")]
async fn an_end_in_one_change_whose_answer_was_lost_is_known() {
    let harness = Harness::start(SimulatorConfig::default()).await;
    let (proxy, tasks) = harness.store_behind_proxy().await;
    let id = harness.submit("u", &hours(0, 1)).await.record.id;
    tasks.records().get(id).await.unwrap();
    proxy.delay(Duration::from_millis(400));
    let at_once = |begun: &TaskRecord| {
        let error = Some(TaskError::new("odd", "it cannot be read"));
        Some(Ending { state: TaskState::Dead, result: None, error, run_at: None, at: begun.updated_at })
    };
    let tries = Arc::new(ClaimTries::default());
    let (claiming, known) = (tasks.clone(), Arc::clone(&tries));
    let first = tokio::spawn(async move { claiming.records().claim_again(id, "w", &known, at_once).await });
    until(async || harness.tasks.records().get(id).await.unwrap().unwrap().state == TaskState::Dead).await;
    proxy.cut().await;
    assert!(first.await.unwrap().is_err(), "its answer is lost");
    proxy.restore().await;
    let claim = tasks.records().claim_again(id, "w", &tries, at_once).await.unwrap();
    let Claim::Ended(record, ending) = claim else { panic!("{claim:?}") };
    assert_eq!((record.attempt, ending.state), (1, TaskState::Dead));
    let other = tasks.records().claim_again(id, "w", &ClaimTries::default(), at_once).await.unwrap();
    assert_eq!(other, Claim::Stale, "another delivery has no part in it");
}

/// A worker that leaves a task to its children may not hear that it is written, and writes it once more when they have ended.
#[tokio::test(flavor = "multi_thread")]
async fn leaving_a_task_to_its_children_twice_takes_nothing_back() {
    let harness = Harness::start(SimulatorConfig::default()).await;
    let job = FetchBatch { fetches: vec![hours(0, 1), hours(1, 2)] };
    let job_of = Envelope::of(&job).unwrap();
    let record = TaskRecord { fingerprint: job.fingerprint("u"), job: job_of, ..harness.record("u", &hours(0, 1)) };
    let id = harness.accept(record).await.record.id;
    let Claim::Started(begun) = harness.tasks.records().claim(id, "w", |_| None).await.unwrap() else {
        panic!("it waits")
    };
    let (children, so_far) = (Children { total: 2, ..Children::default() }, FetchResult::default());
    let leave = async || {
        let now = SystemClock.now_ms();
        harness.tasks.records().await_children(&begun, &children, &serde_json::json!(so_far), now).await.unwrap()
    };
    assert!(leave().await.unwrap().awaits_children());
    harness.tasks.reconcile(id).await.unwrap();
    assert!(leave().await.unwrap().awaits_children(), "the same once more");
    for child in begun_children(&harness, id).await {
        harness.tasks.cancel(child, "u").await.unwrap();
    }
    let counted = harness.tasks.records().get(id).await.unwrap().unwrap();
    assert!(counted.is_called_back(), "{counted:?}");
    assert_eq!(leave().await.unwrap(), counted, "what was counted stays");
    assert_eq!(harness.tasks.records().get(id).await.unwrap().unwrap(), counted);
}

async fn begun_children(harness: &Harness, id: TaskId) -> Vec<TaskId> {
    let parent = harness.tasks.records().get(id).await.unwrap().unwrap();
    let children = harness.tasks.records().list_children(&parent, 0, 10).await.unwrap();
    children.into_iter().map(|child| child.id).collect()
}
