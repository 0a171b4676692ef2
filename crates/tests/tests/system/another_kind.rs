//! A kind of job of its own: payload, result, parts, retries, progress and busy work stand in two files and a line, and all that
//! the engine promises holds for it.

use crate::harness::{Harness, recorded};
use candlemill_db::{Db, DbConfig};
use candlemill_devkit::Stack;
use candlemill_shared::env::Env;
use candlemill_shared::job::{Envelope, Exercise, Exercised, Job, Listings};
use candlemill_shared::progress::Progress;
use candlemill_shared::request::TaskRequest;
use candlemill_shared::retry::codes;
use candlemill_shared::task::{TaskId, TaskRecord, TaskState};
use candlemill_shared::tier::{Tier, TierTable};
use candlemill_shared::webhook::WebhookConfig;
use candlemill_shared::{Clock, SystemClock};
use candlemill_tasks::{Grant, ReplayOutcome, SubmitError, TaskEngine, TaskService, TasksConfig};
use candlemill_worker::KnownJobs;
use std::future::ready;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

fn exercise(name: &str, units: u64) -> Exercise {
    Exercise { name: name.to_owned(), units, busy_ms: 0, parts: 0, fails: false }
}

fn service(tasks: &TaskEngine) -> (TaskService, Grant) {
    let webhooks = WebhookConfig::from_env(&Env::default()).unwrap();
    let service = TaskService::start(tasks, Arc::new(TierTable::default()), webhooks);
    (service, Grant::of_token("u", Tier::Pro, SystemClock.now_ms()))
}

async fn submit(tasks: &TaskEngine, job: &Exercise) -> TaskId {
    let (service, grant) = service(tasks);
    let submitted = service.submit(&grant, &TaskRequest::of(job).unwrap(), &Listings::default()).await.unwrap();
    assert!(submitted.created);
    submitted.record.id
}

/// The engine over the servers of a whole product.
async fn engine_of(stack: &Stack) -> TaskEngine {
    let env = Env::of([
        ("REDIS_URL", stack.redis_url()),
        ("MONGODB_URI", stack.mongo_uri()),
        ("MONGODB_DATABASE", stack.database()),
    ]);
    let db = Db::connect(&DbConfig::from_env(&env).unwrap(), Arc::new(SystemClock)).await.unwrap();
    TaskEngine::new(&db, TasksConfig::from_env(&env).unwrap()).unwrap()
}

fn result(record: &TaskRecord) -> Exercised {
    serde_json::from_value(record.result.clone().unwrap()).unwrap()
}

/// The sum of the numbers up to `units`.
fn sum(units: u64) -> u64 {
    units * (units + 1) / 2
}

async fn follow(tasks: &TaskEngine, id: TaskId) -> Vec<Progress> {
    let mut seen: Vec<Progress> = Vec::new();
    loop {
        if let Some(shown) = tasks.progress().read(id).await.unwrap()
            && seen.last() != Some(&shown)
        {
            let is_end = shown.state.is_end();
            seen.push(shown);
            if is_end {
                return seen;
            }
        }
        sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_submitted_runs_on_a_processor_of_its_own_and_shows_how_far_it_is() {
    let harness = Harness::start(recorded()).await;
    let _worker = harness.worker().await;
    let job = Exercise { busy_ms: 20, ..exercise("count", 25) };
    let id = submit(&harness.tasks, &job).await;
    let seen = timeout(Duration::from_secs(30), follow(&harness.tasks, id)).await.unwrap();
    assert!(seen.windows(2).all(|pair| pair[0].percent <= pair[1].percent && pair[0].sequence < pair[1].sequence));
    let under_way = seen.iter().find(|shown| shown.figures.done > 3).unwrap();
    assert_eq!(
        (under_way.unit.as_str(), under_way.figures.total, under_way.stage.as_deref()),
        ("numbers", 25, Some("add"))
    );
    assert_eq!(under_way.figures.details["sum"], sum(under_way.figures.done));
    assert!(under_way.rate > 0.0 && under_way.eta_seconds.is_some());
    let ended = harness.end_of(id).await;
    assert_eq!((ended.state, ended.attempt), (TaskState::Succeeded, 1));
    let done = result(&ended);
    assert_eq!((done.done, done.sum), (25, sum(25)));
    assert!(done.took_ms >= 500, "{done:?}");
    // The same request again is the same kind of task, but a new one: the first has ended.
    let again = submit(&harness.tasks, &job).await;
    assert_ne!(again, id);
    harness.tasks.cancel(again, "u").await.unwrap();
    assert_eq!(harness.end_of(again).await.state, TaskState::Cancelled);
}

#[tokio::test(flavor = "multi_thread")]
async fn its_parts_add_up_as_it_says() {
    let harness = Harness::start(recorded()).await;
    let _worker = harness.worker().await;
    let id = submit(&harness.tasks, &Exercise { parts: 3, busy_ms: 5, ..exercise("parts", 30) }).await;
    let seen = timeout(Duration::from_secs(30), follow(&harness.tasks, id)).await.unwrap();
    assert!(seen.windows(2).all(|pair| pair[0].percent <= pair[1].percent));
    let ended = harness.end_of(id).await;
    assert_eq!(ended.state, TaskState::Succeeded, "{:?}", ended.error);
    assert_eq!((result(&ended).done, result(&ended).sum, result(&ended).total), (30, 3 * sum(10), 30));
    let parts = harness.tasks.records().list_children(&ended, 0, 10).await.unwrap();
    assert_eq!(parts.iter().map(|part| part.job.open::<Exercise>().unwrap().units).collect::<Vec<_>>(), [10, 10, 10]);
    assert!(parts.iter().all(|part| part.pool == Exercise::POOL && part.share == Some(10)));
}

#[tokio::test(flavor = "multi_thread")]
async fn it_dies_by_its_own_policy_and_is_replayed() {
    let harness = Harness::start(recorded()).await;
    let _worker = harness.worker().await;
    let id = submit(&harness.tasks, &Exercise { fails: true, ..exercise("dies", 4) }).await;
    let dead = harness.end_of(id).await;
    assert_eq!((dead.state, dead.attempt), (TaskState::Dead, Exercise::RETRY.max_attempts));
    assert_eq!(dead.error.as_ref().unwrap().code, "exercise_failed");
    let (service, grant) = service(&harness.tasks);
    let stranger = Grant::of_token("stranger", Tier::Pro, 0);
    let nothing_known = |_: Envelope| ready(Ok(Listings::default()));
    assert_eq!(service.replay(&stranger, id, nothing_known).await.unwrap(), ReplayOutcome::NotFound);
    assert!(matches!(service.replay(&grant, id, nothing_known).await.unwrap(), ReplayOutcome::Replayed(_)));
    let done = harness.wait(id, |record| record.state == TaskState::Succeeded).await;
    assert_eq!((result(&done).sum, done.dead_letter.replays), (sum(4), 1));
    // What is wrong with a request is told before anything is stored.
    let mut wrong = TaskRequest::of(&exercise("wrong", 1)).unwrap();
    wrong.payload["units"] = "many".into();
    assert!(matches!(
        service.submit(&grant, &wrong, &Listings::default()).await,
        Err(SubmitError::Invalid { field: "payload", .. })
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_does_not_know_it_hands_it_on() {
    let harness = Harness::start(recorded()).await;
    let older = harness.older_worker(KnownJobs { but: Some(Exercise::KIND), ..KnownJobs::default() }).await;
    let id = submit(&harness.tasks, &exercise("unknown", 2)).await;
    let waits = harness.wait(id, |record| record.attempt >= 2 && record.state == TaskState::Retrying).await;
    assert_eq!(waits.error.unwrap().code, codes::UNKNOWN_KIND);
    let newer = harness.worker().await;
    let done = harness.end_of(id).await;
    assert_eq!((done.state, result(&done).sum), (TaskState::Succeeded, sum(2)), "{done:?}");
    newer.stop().await;
    // No worker knows it for ten minutes: it is dead, with its cause.
    let lost = submit(&harness.tasks, &exercise("lost", 2)).await;
    harness.wait(lost, |record| record.attempt >= 2 && record.state == TaskState::Retrying).await;
    let ago = mongodb::bson::doc! { "$inc": { "attempts.0.started_at": -600_000_i64 } };
    harness.documents().await.update_one(mongodb::bson::doc! { "_id": lost.to_string() }, ago).await.unwrap();
    let dead = harness.end_of(lost).await;
    assert_eq!(dead.state, TaskState::Dead);
    let error = dead.error.unwrap();
    assert_eq!(error.code, codes::UNKNOWN_KIND);
    assert!(error.message.contains("no worker knew its kind for 10 minutes"), "{}", error.message);
    older.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_killed_amid_busy_work_loses_nothing_of_it() {
    let mut stack = Stack::builder().workers(1).worker_env("WORKER_LEASE_SECONDS", "2").start().await.unwrap();
    let tasks = engine_of(&stack).await;
    let id = submit(&tasks, &Exercise { busy_ms: 50, ..exercise("killed", 40) }).await;
    let record = async || tasks.records().get(id).await.unwrap().unwrap();
    let until = async |fits: fn(&TaskRecord) -> bool| {
        let looking = async {
            loop {
                let now = record().await;
                if fits(&now) {
                    return now;
                }
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(60), looking).await.expect("it comes to that")
    };
    until(|record| record.result.is_some() && result(record).done >= 5).await;
    let kept = result(&record().await).done;
    stack.workers[0].kill9().await.unwrap();
    stack.add_worker().await.unwrap();
    let done = until(|record| record.state.is_end()).await;
    assert_eq!((done.state, done.attempt, result(&done).sum), (TaskState::Succeeded, 2, sum(40)), "{done:?}");
    assert_eq!(done.attempts[0].error.as_ref().unwrap().code, codes::WORKER_LOST);
    let second = done.attempts[1].ended_at.unwrap() - done.attempts[1].started_at;
    let left = i64::try_from(40 - kept).unwrap();
    assert!(second < (left + 4) * 50 * 4, "it went on from its checkpoint ({kept} of 40) and took {second} ms");
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_that_die_end_the_whole_and_its_replay_does_what_is_missing() {
    let harness = Harness::start(recorded()).await;
    let _worker = harness.worker().await;
    let id = submit(&harness.tasks, &Exercise { parts: 2, fails: true, ..exercise("parts that die", 8) }).await;
    let ended = harness.end_of(id).await;
    assert_eq!((ended.state, ended.error.as_ref().unwrap().code.as_str()), (TaskState::Failed, "exercise_incomplete"));
    let parts = harness.tasks.records().list_children(&ended, 0, 10).await.unwrap();
    assert!(parts.iter().all(|part| part.state == TaskState::Dead), "{parts:?}");
}

/// Work that is longer than the lease, and more of it than there are processors.
#[tokio::test(flavor = "multi_thread")]
async fn busy_work_delays_neither_leases_nor_health_pages() {
    let stack = Stack::builder().workers(2).worker_env("WORKER_LEASE_SECONDS", "2");
    let mut stack = stack.worker_env("WORKER_GRACE_SECONDS", "2").start().await.unwrap();
    let tasks = engine_of(&stack).await;
    let mut ids = Vec::new();
    for number in 0..6 {
        ids.push(submit(&tasks, &Exercise { busy_ms: 5_000, ..exercise(&format!("long {number}"), 1) }).await);
    }
    let mut slowest = Duration::ZERO;
    let record = async |id: TaskId| tasks.records().get(id).await.unwrap().unwrap();
    for id in &ids {
        while !record(*id).await.state.is_end() {
            let began = Instant::now();
            for worker in &stack.workers {
                let page = reqwest::get(format!("{}/healthz", worker.url())).await.unwrap();
                assert!(page.status().is_success());
            }
            slowest = slowest.max(began.elapsed());
            sleep(Duration::from_millis(100)).await;
        }
        let ended = record(*id).await;
        assert_eq!((ended.state, ended.attempt), (TaskState::Succeeded, 1), "no lease ran out: {ended:?}");
    }
    assert!(slowest < Duration::from_secs(3), "health pages took up to {slowest:?}");
    // A worker that is told to stop does not wait for the end of busy work, nor is that work lost.
    let long = submit(&tasks, &Exercise { busy_ms: 60_000, ..exercise("broken off", 1) }).await;
    while record(long).await.state != TaskState::Running {
        sleep(Duration::from_millis(20)).await;
    }
    let began = Instant::now();
    for worker in &mut stack.workers {
        worker.stop().await.unwrap();
    }
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    let left = record(long).await;
    assert!(!left.state.is_end(), "it waits for another worker: {left:?}");
}
