//! Dead letters and delayed tasks through the API.

use candlemill_client::forms::FetchRequest;
use candlemill_client::{Api, fetch_request};
use candlemill_devkit::Stack;
use candlemill_shared::task::TaskState;
use mongodb::bson::{Bson, Document, doc};
use reqwest::Method;
use serde_json::{Value, json};

const LETTERS: &str = "/api/dead-letters";

fn day(day: u32) -> FetchRequest {
    let (from, to) = (format!("2020-01-0{day}"), format!("2020-01-0{}", day + 1));
    fetch_request("BTCUSDT", "1m", &from, Some(&to)).unwrap()
}

/// Lets waiting tasks look as if workers had given them up.
async fn kill(stack: &Stack, ids: &[String], code: &str) {
    let client = mongodb::Client::with_uri_str(stack.mongo_uri()).await.unwrap();
    let tasks = client.database(stack.database()).collection::<Document>("tasks");
    for id in ids {
        let set = doc! {
            "state": "dead", "buried": "$listed", "attempt": 3, "ended_at": 1_700_000_000_000_i64,
            "error": { "code": code, "message": "gave up" },
            "attempts": (1..=3).map(|number| Bson::from(doc! {
                "number": number, "worker": "w", "started_at": 1_i64, "ended_at": 2_i64,
                "error": { "code": code, "message": "" },
            })).collect::<Vec<_>>(),
        };
        let steps = vec![doc! { "$set": set }, doc! { "$unset": ["active"] }];
        let killed = tasks.update_one(doc! { "_id": id }, steps).await;
        assert_eq!(killed.unwrap().modified_count, 1);
    }
}

async fn post(api: &Api, path: &str, body: &Value) -> (u16, Value) {
    let answer = api.request(Method::POST, &format!("{LETTERS}{path}")).json(body).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn list(api: &Api, query: &[(&str, &str)]) -> (Vec<String>, Option<String>) {
    let query: Vec<_> = query.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    let page: Value = api.get(LETTERS, &query).await.unwrap();
    let ids = page["dead_letters"].as_array().unwrap().iter().map(|one| one["task_id"].as_str().unwrap().to_owned());
    (ids.collect(), page["next_cursor"].as_str().map(str::to_owned))
}

#[track_caller]
fn refused(name: &str, (status, body): &(u16, Value), code: &str) {
    assert_eq!((*status, &body["code"]), (409, &json!(code)), "{name}: {body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_listed_discarded_and_replayed() {
    let mut stack = Stack::builder().workers(0).start().await.unwrap();
    let api = stack.client("pro").await.unwrap();
    let mut ids = Vec::new();
    for number in 1..=5 {
        ids.push(api.fetch(&day(number), None).await.unwrap().task_id.to_string());
    }
    kill(&stack, &ids[..3], "exchange_unavailable").await;
    kill(&stack, &ids[3..4], "panic").await;

    let page: Value = api.get(LETTERS, &[]).await.unwrap();
    let newest = &page["dead_letters"][0];
    assert_eq!((&newest["task_id"], &newest["kind"]), (&json!(ids[3]), &json!("fetch_history")), "{page}");
    assert_eq!(newest["cause"], json!({"code": "panic", "message": "gave up"}));
    assert_eq!((&newest["payload"]["symbol"], &newest["payload_version"]), (&json!("BTCUSDT"), &json!(1)));
    assert_eq!((newest["attempts"].as_array().unwrap().len(), &newest["discarded"]), (3, &Value::Null));
    assert_eq!(newest["died_at"], "2023-11-14T22:13:20Z");
    let (first, cursor) = list(&api, &[("limit", "3")]).await;
    assert_eq!(first, [ids[3].clone(), ids[2].clone(), ids[1].clone()]);
    assert_eq!(list(&api, &[("cursor", &cursor.unwrap())]).await, (vec![ids[0].clone()], None));
    assert_eq!(list(&api, &[("code", "panic")]).await.0, [ids[3].clone()]);
    assert_eq!(list(&api, &[("kind", "probe")]).await.0, [] as [String; 0]);
    let stranger = stack.client("enterprise").await.unwrap();
    assert_eq!(list(&stranger, &[]).await.0, [] as [String; 0]);
    for (path, body) in [("replay", json!({})), ("discard", json!({"reason": "mine"}))] {
        let (status, problem) = post(&stranger, &format!("/{}/{path}", ids[0]), &body).await;
        assert_eq!((status, &problem["code"]), (404, &json!("task_not_found")), "{path}");
    }

    discarding(&api, &ids).await;
    refused("a queued one", &post(&api, &format!("/{}/replay", ids[4]), &json!({})).await, "task_not_replayable");
    let ended = api.cancel(&ids[0]).await.unwrap_err();
    assert_eq!((ended.status(), ended.code()), (Some(409), Some("task_ended")), "a dead one is not cancelled");

    let same = api.fetch(&day(1), None).await.unwrap().task_id.to_string();
    let under_way = post(&api, &format!("/{}/replay", ids[0]), &json!({})).await;
    refused("the same under way", &under_way, "task_under_way");
    assert_eq!(under_way.1["task_id"], json!(same));

    let (status, task) = post(&api, &format!("/{}/replay", ids[1]), &json!({})).await;
    assert_eq!(
        (status, &task["state"], &task["replays"], &task["attempt"]),
        (202, &json!("queued"), &json!(1), &json!(3))
    );
    assert_eq!(api.progress(&ids[1]).await.unwrap().state, TaskState::Queued);
    let (status, many) = post(&api, "/replay", &json!({"task_ids": [ids[0], ids[1], ids[2]]})).await;
    assert_eq!((status, &many["replayed"], &many["task_ids"]), (200, &json!(1), &json!([ids[2]])), "{many}");
    let codes: Vec<_> = many["refused"].as_array().unwrap().iter().map(|one| one["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["task_under_way", "task_not_replayable"]);
    api.cancel(&same).await.unwrap();
    let (status, all) = post(&api, "/replay", &json!({"all": true, "code": "exchange_unavailable"})).await;
    assert_eq!((status, &all["task_ids"], &all["more"]), (200, &json!([ids[0]]), &json!(false)), "{all}");

    stack.add_worker().await.unwrap();
    for id in &ids[..3] {
        let end = api.follow(id, |_| {}).await.unwrap();
        assert_eq!((end.state, end.attempt), (TaskState::Succeeded, 4), "attempts go on to be numbered");
    }
}

async fn discarding(api: &Api, ids: &[String]) {
    let path = format!("/{}/discard", ids[3]);
    for reason in [String::new(), "  ".to_owned(), "x".repeat(501)] {
        let (status, problem) = post(api, &path, &json!({"reason": reason})).await;
        assert_eq!((status, &problem["errors"][0]["field"]), (400, &json!("reason")), "{problem}");
    }
    refused(
        "a queued one",
        &post(api, &format!("/{}/discard", ids[4]), &json!({"reason": "no"})).await,
        "task_not_dead",
    );
    let (status, letter) = post(api, &path, &json!({"reason": "nobody needs it"})).await;
    assert_eq!((status, &letter["discarded"]["reason"]), (200, &json!("nobody needs it")), "{letter}");
    assert_eq!(list(api, &[]).await.0.len(), 3, "it is listed no more");
    assert_eq!(list(api, &[("discarded", "true")]).await.0, [ids[3].clone()]);
    let task: Value = api.get(&format!("/api/task/{}", ids[3]), &[]).await.unwrap();
    assert_eq!((&task["state"], &task["discarded"]["reason"]), (&json!("dead"), &json!("nobody needs it")));
    let again = post(api, &format!("/{}/replay", ids[3]), &json!({})).await;
    refused("a discarded one", &again, "task_not_replayable");
    assert_eq!((&again.1["state"], &again.1["discarded"]), (&json!("dead"), &json!(true)));
}

#[tokio::test(flavor = "multi_thread")]
async fn all_dead_letters_are_replayed_a_hundred_at_a_time() {
    let stack = Stack::builder().workers(0).start().await.unwrap();
    let api = stack.client("enterprise").await.unwrap();
    let hour = |number: i64| 1_577_836_800_000 + number * 3_600_000;
    let posts = (0..120).map(|number| {
        let api = api.clone();
        let request =
            fetch_request("GENUSDT", "1m", &hour(number).to_string(), Some(&hour(number + 1).to_string())).unwrap();
        async move { api.fetch(&request, None).await.unwrap().task_id.to_string() }
    });
    let ids = futures::future::join_all(posts).await;
    kill(&stack, &ids, "exchange_unavailable").await;
    let (_, first) = post(&api, "/replay", &json!({"all": true})).await;
    assert_eq!((&first["replayed"], &first["more"]), (&json!(100), &json!(true)), "{first}");
    let (_, rest) = post(&api, "/replay", &json!({"all": true, "cursor": first["next_cursor"]})).await;
    assert_eq!((&rest["replayed"], &rest["more"], &rest["next_cursor"]), (&json!(20), &json!(false), &Value::Null));
    assert_eq!(list(&api, &[]).await.0, [] as [String; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_waits_for_its_time() {
    let stack = Stack::builder().start().await.unwrap();
    let api = stack.client("pro").await.unwrap();
    let now = now_ms();
    let body = |run_at: Value| json!({"symbol": "BTCUSDT", "interval": "1m", "start": "2020-01-01T00:00:00Z", "end": "2020-01-02T00:00:00Z", "run_at": run_at});
    let submit = async |run_at: Value| -> Value {
        let answer = api.request(Method::POST, "/api/market-data/fetch").json(&body(run_at)).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 202);
        answer.json().await.unwrap()
    };
    let later = submit(json!(now + 86_400_000)).await;
    assert_eq!((&later["status"], later["run_at"].is_string()), (&json!("queued"), true), "{later}");
    let again = submit(json!(now + 86_400_000)).await;
    assert_eq!((&again["task_id"], &again["created"]), (&later["task_id"], &json!(false)));
    let soon = submit(json!(now + 3_000)).await;
    assert_ne!(soon["task_id"], later["task_id"], "another time is another request");
    let id = soon["task_id"].as_str().unwrap();
    let waits: Value = api.get(&format!("/api/task/{id}"), &[]).await.unwrap();
    assert_eq!((&waits["state"], &waits["run_at"]), (&json!("queued"), &soon["run_at"]));
    assert_eq!(api.follow(id, |_| {}).await.unwrap().state, TaskState::Succeeded);
    let done: Value = api.get(&format!("/api/task/{id}"), &[]).await.unwrap();
    let started = serde_json::from_value::<candlemill_shared::Timestamp>(done["started_at"].clone()).unwrap();
    assert!(started.ms() >= now + 3_000, "{done}");
    let past = submit(json!("2020-01-05T00:00:00Z")).await;
    assert_eq!(past["run_at"], Value::Null, "a time that has passed means now");
    let cancelled = api.cancel(later["task_id"].as_str().unwrap()).await.unwrap();
    assert_eq!(cancelled.state, TaskState::Cancelled);
    let month = api.request(Method::POST, "/api/market-data/fetch").json(&body(json!(now + 31 * 86_400_000)));
    let problem: Value = month.send().await.unwrap().json().await.unwrap();
    assert_eq!(problem["errors"][0]["field"], "run_at", "{problem}");
}

fn now_ms() -> i64 {
    candlemill_shared::Clock::now_ms(&candlemill_shared::SystemClock)
}
