//! Operators' calls through the API: pause, resume, drain, and what the list shows of them.

use crate::whole::{Source, redis_of, wait_for_pages};
use candlemill_client::forms::FetchRequest;
use candlemill_client::{Api, fetch_request};
use candlemill_devkit::{Service, Stack};
use candlemill_shared::task::TaskState;
use mongodb::bson::{Document, doc};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const TOKEN: &str = "a-token-of-operators-of-no-real-installation";
const QUEUES: &str = "/api/admin/queues";
/// Far less than the grace time.
const QUICKLY: Duration = Duration::from_secs(12);

/// A stack whose pages take a while.
async fn stack(workers: usize, concurrency: &str) -> (Stack, Api) {
    let stack = Stack::builder()
        .workers(workers)
        .api_env("ADMIN_TOKEN", TOKEN)
        .simulator_env("SIMULATOR_LATENCY_MS", "25")
        .worker_env("BACKFILL_PAGE_CONCURRENCY", "2")
        .worker_env("WORKER_CONCURRENCY", concurrency)
        .start()
        .await
        .unwrap();
    let operator = Api::new(stack.api_url(), TOKEN);
    (stack, operator)
}

async fn post(operator: &Api, path: &str, body: Option<Value>) -> (u16, Value) {
    let mut call = operator.request(Method::POST, &format!("/api/admin/{path}"));
    if let Some(body) = body {
        call = call.json(&body);
    }
    let answer = call.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn queue(operator: &Api, pool: &str) -> Value {
    let all: Value = operator.get(QUEUES, &[]).await.unwrap();
    let found = all["queues"].as_array().unwrap().iter().find(|queue| queue["pool"] == pool).cloned();
    found.unwrap_or_else(|| panic!("{pool} is listed: {all}"))
}

/// Looks until `fits` says so.
async fn wait<T>(what: &str, look: impl AsyncFn() -> T, fits: impl Fn(&T) -> bool) -> T {
    let looking = async {
        loop {
            let seen = look().await;
            if fits(&seen) {
                return seen;
            }
            // Operators have a bounded number of requests, too.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), looking).await.unwrap_or_else(|_| panic!("in vain: {what}"))
}

fn hour(number: u32) -> FetchRequest {
    let at = |hour: u32| (1_577_836_800_000 + i64::from(hour) * 3_600_000).to_string();
    fetch_request("BTCUSDT", "1m", &at(number), Some(&at(number + 1))).unwrap()
}

async fn submit(api: &Api, requests: impl IntoIterator<Item = FetchRequest>) -> Vec<String> {
    let mut ids = Vec::new();
    for request in requests {
        ids.push(api.fetch(&request, None).await.unwrap().task_id.to_string());
    }
    ids
}

async fn record(api: &Api, id: &str) -> Value {
    api.get(&format!("/api/task/{id}"), &[]).await.unwrap()
}

/// The worker of each attempt, which users are not shown.
async fn workers_of(stack: &Stack, id: &str) -> Vec<String> {
    let client = mongodb::Client::with_uri_str(stack.mongo_uri()).await.unwrap();
    let tasks = client.database(stack.database()).collection::<Document>("tasks");
    let record = tasks.find_one(doc! { "_id": id }).await.unwrap().unwrap();
    let attempts = record.get_array("attempts").unwrap().iter();
    attempts.map(|one| one.as_document().unwrap().get_str("worker").unwrap().to_owned()).collect()
}

async fn readiness(worker: &Service) -> (u16, Value) {
    let answer = reqwest::get(format!("{}/readyz", worker.url())).await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_queue_ends_what_runs_and_starts_nothing_until_it_is_resumed() {
    let (stack, operator) = stack(1, "2").await;
    let api = stack.client("enterprise").await.unwrap();
    let source = Source::minutes(&stack, 40_000).await;
    let runs = api.fetch(&source.request(), None).await.unwrap().task_id.to_string();
    wait_for_pages(&api, &runs, 2).await;

    let (status, paused) =
        post(&operator, "queues/backfill/pause", Some(json!({"reason": " a move ", "by": "kim"}))).await;
    assert_eq!((status, &paused["paused"]["by"], &paused["paused"]["reason"]), (200, &json!("kim"), &json!("a move")));
    let again = post(&operator, "queues/backfill/pause", None).await;
    assert_eq!((again.0, &again.1["paused"]), (200, &paused["paused"]), "a repetition changes nothing");
    let waiting = submit(&api, (0..3).map(hour)).await;
    // A slot is free all the time, and the one that runs frees another at its end.
    assert_eq!(api.follow(&runs, |_| {}).await.unwrap().state, TaskState::Succeeded, "what runs goes on");
    let list = wait("nothing runs", async || queue(&operator, "backfill").await, |queue| queue["running"] == 0).await;
    assert_eq!((&list["waiting"], &list["paused"]), (&json!(3), &paused["paused"]), "{list}");
    assert!(list["oldest_waiting_seconds"].as_f64().is_some_and(|age| (0.0..60.0).contains(&age)), "{list}");
    assert_eq!((&list["workers"][0]["state"], &list["workers"][0]["concurrency"]), (&json!("running"), &json!(2)));
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    for id in &waiting {
        let waits = record(&api, id).await;
        assert_eq!((&waits["state"], &waits["attempt"]), (&json!("queued"), &json!(0)), "{waits}");
    }
    assert_eq!(queue(&operator, "maintenance").await["paused"], Value::Null, "the others are not paused");
    assert_eq!(readiness(&stack.workers[0]).await.0, 200, "a worker is ready also when nothing may be taken");

    let (status, resumed) = post(&operator, "queues/backfill/resume", None).await;
    assert_eq!((status, &resumed["paused"]), (200, &Value::Null));
    assert_eq!(post(&operator, "queues/backfill/resume", None).await.0, 200, "a repetition is harmless");
    let mut started = Vec::new();
    for id in &waiting {
        assert_eq!(api.follow(id, |_| {}).await.unwrap().state, TaskState::Succeeded);
        let done = record(&api, id).await;
        started.push(serde_json::from_value::<candlemill_shared::Timestamp>(done["started_at"].clone()).unwrap().ms());
    }
    assert!(started[0] <= started[2] && started[1] <= started[2], "the youngest starts last: {started:?}");
    source.check_stored(&stack, "paused").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_outlives_redis_and_workers() {
    let (mut stack, operator) = stack(1, "4").await;
    let api = stack.client("pro").await.unwrap();
    assert_eq!(post(&operator, "queues/backfill/pause", None).await.0, 200);
    let mut ids = submit(&api, [hour(0)]).await;
    stack.redis().kill9().await.unwrap();
    stack.redis().restart().await.unwrap();
    stack.api.wait_for_readyz(200).await.unwrap();
    ids.extend(submit(&api, [hour(1)]).await);
    let mut redis = redis_of(&stack).await;
    redis::cmd("FLUSHALL").query_async::<()>(&mut redis).await.unwrap();
    ids.extend(submit(&api, [hour(2)]).await);
    stack.workers[0].kill9().await.unwrap();
    redis::cmd("FLUSHALL").query_async::<()>(&mut redis).await.unwrap();
    ids.extend(submit(&api, [hour(3)]).await);
    stack.workers[0].restart().await.unwrap();
    // The sweeper has brought back what was lost: all of them could be claimed now.
    let queue_of = async || queue(&operator, "backfill").await;
    let list = wait("all wait again", queue_of, |queue| queue["waiting"] == 4).await;
    assert_eq!(list["paused"]["by"], "an operator", "{list}");
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    for id in &ids {
        let waits = record(&api, id).await;
        assert_eq!((&waits["state"], &waits["attempt"]), (&json!("queued"), &json!(0)), "{waits}");
    }
    post(&operator, "queues/backfill/resume", None).await;
    for id in &ids {
        assert_eq!(api.follow(id, |_| {}).await.unwrap().state, TaskState::Succeeded);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drained_workers_tasks_go_to_another_without_loss() {
    let (mut stack, operator) = stack(1, "4").await;
    let api = stack.client("enterprise").await.unwrap();
    let source = Source::minutes(&stack, 60_000).await;
    let task = api.fetch(&source.request(), None).await.unwrap().task_id.to_string();
    wait_for_pages(&api, &task, 3).await;
    stack.add_worker().await.unwrap();
    let id = readiness(&stack.workers[0]).await.1["worker"].as_str().unwrap().to_owned();
    let workers = async || operator.get::<Value>(QUEUES, &[]).await.unwrap()["workers"].clone();
    let listed = wait("both are listed", workers, |list| list.as_array().unwrap().len() == 2).await;
    let first = &listed[0];
    assert_eq!((&first["id"], &first["state"], &first["version"]), (&json!(id), &json!("running"), &json!("0.1.0")));
    assert_eq!((&first["pid"], first["host"].is_string()), (&json!(stack.workers[0].pid()), true), "{first}");

    let path = format!("workers/{id}/drain");
    let asked = Instant::now();
    let (status, told) = post(&operator, &path, None).await;
    assert_eq!((status, &told["id"]), (202, &json!(id)), "{told}");
    let drained = wait("it is drained", workers, |list| list[0]["state"] == "drained").await;
    assert_eq!(
        (&drained[0]["id"], &drained[0]["running"], &drained[1]["state"]),
        (&json!(id), &json!(0), &json!("running"))
    );
    assert!(asked.elapsed() < QUICKLY, "the grace time of 25 s is not waited for when nothing runs any more");
    let (status, ready) = readiness(&stack.workers[0]).await;
    assert_eq!((status, &ready["state"], &ready["draining"]), (503, &json!("drained"), &json!(true)), "{ready}");
    assert_eq!(post(&operator, &path, None).await.0, 202, "a repetition is harmless");
    assert!(stack.workers[0].child().exited().unwrap().is_none(), "it lives until it is told to stop");

    assert_eq!(api.follow(&task, |_| {}).await.unwrap().state, TaskState::Succeeded);
    let done = record(&api, &task).await;
    let attempts = done["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 2, "{done}");
    assert_eq!(attempts[0]["error"]["code"], "handed_back", "{done}");
    source.check_stored(&stack, "drained").await;
    let other = drained[1]["id"].clone();
    for task in submit(&api, (0..4).map(hour)).await {
        assert_eq!(api.follow(&task, |_| {}).await.unwrap().state, TaskState::Succeeded);
        assert_eq!(json!(workers_of(&stack, &task).await), json!([other]));
    }

    let told = Instant::now();
    stack.workers[0].stop().await.unwrap();
    assert!(told.elapsed() < QUICKLY, "a drained worker ends at once");
    let left = wait("it is gone", workers, |list| list.as_array().unwrap().len() == 1).await;
    assert_eq!(left[0]["id"], other);
    let gone = post(&operator, &path, None).await;
    assert_eq!((gone.0, &gone.1["code"]), (404, &json!("worker_not_found")), "{gone:?}");
    // A worker that dies without a word is listed for some seconds.
    stack.workers[1].kill9().await.unwrap();
    wait("nobody lives", workers, |list| list.as_array().unwrap().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_client_knows_operators() {
    let (stack, operator) = stack(0, "1").await;
    let run = async |arguments: &[&str], status: i32, says: &str| {
        let program = candlemill_devkit::binary("candlemill").unwrap();
        let run = tokio::process::Command::new(program)
            .args(arguments)
            .env_clear()
            .envs([("CANDLEMILL_API_URL", stack.api_url()), ("CANDLEMILL_ADMIN_TOKEN", TOKEN)])
            .output();
        let run = run.await.unwrap();
        let told = format!("{}{}", String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
        assert_eq!(run.status.code(), Some(status), "{arguments:?}: {told}");
        assert!(told.contains(says) && !told.contains(TOKEN), "{arguments:?}: {told}");
    };
    run(&["pause", "backfill", "--reason", "a move", "--by", "kim"], 0, "paused since").await;
    assert_eq!(queue(&operator, "backfill").await["paused"]["reason"], "a move");
    run(&["queues", "--json"], 0, "\"by\":\"kim\"").await;
    run(&["queues"], 0, "by kim: a move").await;
    run(&["resume", "backfill"], 0, "goes on").await;
    assert_eq!(queue(&operator, "backfill").await["paused"], Value::Null);
    run(&["pause", "../../task"], 1, "There is no such queue").await;
    run(&["drain", "w-1"], 1, "There is no such worker").await;
    run(&["queues", "--admin-token", "guessed"], 1, "not the operators' token").await;
}
