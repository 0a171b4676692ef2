//! What earlier programs stored is read and run; what a newer one stored waits for a newer worker.

use crate::harness::{Harness, fetch, recorded, result_of, terms};
use crate::whole::redis_of;
use candlemill_client::fetch_request;
use candlemill_devkit::Stack;
use candlemill_shared::job::{Envelope, Job, Probe};
use candlemill_shared::range::rfc3339;
use candlemill_shared::retry::codes;
use candlemill_shared::task::{TaskId, TaskRecord, TaskState};
use candlemill_shared::{Clock, Interval, SystemClock};
use candlemill_tasks::ReplayOutcome;
use candlemill_worker::KnownJobs;
use mongodb::bson::{self, Document, doc};
use serde_json::Value;

const START: i64 = 1_577_836_800_000;
const HOUR: i64 = 3_600_000;

/// Records as each form of them was written by the program of its time, oldest first.
const STORED: [(&str, &str); 5] = [
    ("the first", include_str!("../../fixtures/records/1-first.json")),
    ("with pages_total", include_str!("../../fixtures/records/2-pages-total.json")),
    ("with running_at_once and pools", include_str!("../../fixtures/records/3-running-at-once.json")),
    ("with dead_letter", include_str!("../../fixtures/records/4-dead-letters.json")),
    ("without what is not there", include_str!("../../fixtures/records/5-without-nothings.json")),
];

/// Runs what an earlier program left behind: its Redis is gone, its worker dead.
async fn check(name: &str, stored: &str) {
    let harness = Harness::start(recorded()).await;
    let stored: Vec<Value> = serde_json::from_str(stored).unwrap();
    let documents: Vec<Document> = stored.iter().map(|one| bson::serialize_to_document(one).unwrap()).collect();
    harness.documents().await.insert_many(documents).await.unwrap();
    harness.tasks.tidy_up().await.unwrap();
    let _worker = harness.worker().await;
    let mut seen = Vec::new();
    for one in &stored {
        let id: TaskId = one["_id"].as_str().unwrap().parse().unwrap();
        let (state, attempt) = (one["state"].as_str().unwrap(), one["attempt"].as_u64().unwrap());
        let ended = harness.end_of(id).await;
        let expected = if state == "dead" { TaskState::Dead } else { TaskState::Succeeded };
        assert_eq!(ended.state, expected, "{name}, {state}: {ended:#?}");
        let was_ended = matches!(state, "dead" | "succeeded");
        assert_eq!(u64::from(ended.attempt), attempt + u64::from(!was_ended), "{name}, {state}");
        assert_eq!(ended.attempts.len(), ended.attempt as usize, "{name}, {state}: earlier attempts are kept");
        match state {
            "running" => {
                let lost = &ended.attempts[0].error;
                assert_eq!(lost.as_ref().unwrap().code, codes::WORKER_LOST, "{name}: its worker is dead");
                let result = result_of(&ended);
                assert_eq!(result.inserted + result.duplicate, 60 + 120, "{name}: goes on from what it did");
            }
            "dead" => replay(&harness, name, &ended).await,
            _ => {}
        }
        seen.push(state);
    }
    for state in ["queued", "running", "retrying", "dead", "succeeded"] {
        assert!(seen.contains(&state), "{name} has one that is {state}");
    }
    assert_eq!(harness.candles("BTCUSDT", Interval::Minute1).await.len(), 180, "{name}: three hours of minutes");
}

/// Dead letters of every age can be replayed.
async fn replay(harness: &Harness, name: &str, dead: &TaskRecord) {
    let outcome = harness.tasks.replay(dead.id, &dead.owner, &terms(10)).await.unwrap();
    assert!(matches!(outcome, ReplayOutcome::Replayed(_)), "{name}: {outcome:?}");
    let ended = harness.end_of(dead.id).await;
    let replays = dead.dead_letter.replays + 1;
    assert_eq!((ended.state, ended.dead_letter.replays), (TaskState::Succeeded, replays), "{name}: replayed");
}

#[tokio::test(flavor = "multi_thread")]
async fn records_of_every_earlier_form_run() {
    for (name, stored) in STORED {
        check(name, stored).await;
    }
}

/// Members that the answer about every task has.
const SHOWN: [&str; 8] = ["task_id", "kind", "state", "request", "tier", "attempt", "attempts", "created_at"];
/// Members that the progress of every task has, and those of fetches beside them.
const PROGRESS: [&str; 5] = ["done", "total", "unit", "percent", "rate"];
const OF_FETCHES: [&str; 4] = ["pages_done", "pages_total", "candles_stored", "duplicates"];

#[tokio::test(flavor = "multi_thread")]
async fn records_of_every_earlier_form_are_served_in_the_form_of_today() {
    let stack = Stack::builder().workers(0).start().await.unwrap();
    let api = stack.client("pro").await.unwrap();
    let client = mongodb::Client::with_uri_str(stack.mongo_uri()).await.unwrap();
    let records = client.database(stack.database()).collection::<Document>("tasks");
    let today = fetch_request("BTCUSDT", "1h", "2020-01-01", Some("2020-01-02")).unwrap();
    api.fetch(&today, None).await.unwrap();
    let owner = records.find_one(Document::new()).await.unwrap().unwrap().get_str("owner").unwrap().to_owned();
    for (name, stored) in STORED {
        let mut stored: Vec<Value> = serde_json::from_str(stored).unwrap();
        for one in &mut stored {
            one["owner"] = owner.clone().into();
            let id = one["_id"].as_str().unwrap().to_owned();
            // Forms share ids: each record is there alone.
            records.insert_one(bson::serialize_to_document(one).unwrap()).await.unwrap();
            let shown: Value = api.get(&format!("/api/task/{id}"), &[]).await.unwrap();
            let absent: Vec<_> = SHOWN.iter().filter(|member| shown[**member].is_null()).collect();
            assert!(absent.is_empty(), "{name}: {absent:?} of {shown}");
            assert_eq!((&shown["task_id"], &shown["state"]), (&one["_id"], &one["state"]), "{name}");
            let progress: Value = api.get(&format!("/api/task/{id}/progress"), &[]).await.unwrap();
            let absent: Vec<_> = PROGRESS.iter().filter(|member| progress[**member].is_null()).collect();
            assert!(absent.is_empty(), "{name}: {absent:?} of {progress}");
            if shown["kind"] == "fetch_history" {
                let start = rfc3339(one["job"]["payload"]["start"]["at"].as_i64().unwrap());
                assert_eq!(shown["request"]["start"], start, "{name}: {shown}");
                for counted in ["inserted", "duplicate", "pages", "gaps_total"] {
                    assert_eq!(shown["result"][counted], one["result"][counted], "{name}: {shown}");
                }
                let absent: Vec<_> = OF_FETCHES.iter().filter(|member| progress[**member].is_null()).collect();
                assert!(absent.is_empty(), "{name}: {absent:?} of {progress}");
                assert_eq!(
                    (&progress["unit"], &progress["done"]),
                    (&"pages".into(), &progress["pages_done"]),
                    "{name}"
                );
            }
            records.delete_one(doc! { "_id": id.clone() }).await.unwrap();
            redis::cmd("FLUSHALL").query_async::<()>(&mut redis_of(&stack).await).await.unwrap();
        }
    }
}

/// What the program of today writes is what the newest fixture has: a change of the form adds a fixture.
#[test]
fn the_newest_fixture_has_the_form_of_today() {
    let mut stored: Vec<Value> = serde_json::from_str(STORED[4].1).unwrap();
    for one in &mut stored {
        let document = one.as_object_mut().unwrap();
        document.remove("active");
        let record: TaskRecord = serde_json::from_value(one.clone()).unwrap();
        assert_eq!(serde_json::to_value(record).unwrap(), *one, "write down what is stored now as another fixture");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_worker_leaves_newer_payloads_to_a_newer_one() {
    let harness = Harness::start(recorded()).await;
    // Payloads of today are newer than all that this worker knows.
    let older =
        harness.older_worker(KnownJobs { newest_version: Some(Probe::VERSION - 1), ..KnownJobs::default() }).await;
    let probe = |number: u64| {
        let mut record = harness.record("u", &fetch("BTCUSDT", Interval::Minute1, START, START + HOUR));
        record.job = Envelope::of(&Probe { number }).unwrap();
        (record.pool, record.fingerprint) = (Probe::POOL, format!("probe-{number}"));
        record
    };
    // It is handed back more often than a task may fail: five times is the bound of its kind.
    let tried = codes::NEWER_VERSION;
    let first = harness.accept(probe(0)).await.record.id;
    let waits = harness.wait(first, |record| record.attempt >= 2 && record.state == TaskState::Retrying).await;
    assert_eq!(waits.error.as_ref().unwrap().code, tried);
    let wait = waits.run_at.unwrap() - SystemClock.now_ms();
    assert!(wait < 2_000, "a newer worker gets it soon, not in {wait} ms");

    let newer = harness.worker().await;
    let mut ids = vec![first];
    for number in 1..=20 {
        ids.push(harness.accept(probe(number)).await.record.id);
    }
    // Side by side for a while; then the deploy is over.
    while ended_of(&harness, &ids).await < ids.len() / 2 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    older.stop().await;
    let mut handed_on = 0;
    for id in ids {
        let ended = harness.end_of(id).await;
        assert_eq!((ended.state, &ended.error), (TaskState::Succeeded, &None), "{ended:#?}");
        let (last, earlier) = ended.attempts.split_last().unwrap();
        assert!(earlier.iter().all(|one| one.error.as_ref().is_some_and(|error| error.code == tried)), "{ended:#?}");
        assert!(earlier.iter().all(|one| one.worker != last.worker), "the newer one runs it: {ended:#?}");
        handed_on += usize::from(!earlier.is_empty());
    }
    assert!(handed_on > 0, "the older worker had its share of them");
    newer.stop().await;
}

async fn ended_of(harness: &Harness, ids: &[TaskId]) -> usize {
    let mut ended = 0;
    for id in ids {
        ended += usize::from(harness.tasks.records().get(*id).await.unwrap().unwrap().state.is_end());
    }
    ended
}
