//! Batches through the API: submitted, followed, listed, cancelled and refused.

use candlemill_client::Api;
use candlemill_devkit::Stack;
use candlemill_shared::task::TaskState;
use reqwest::Method;
use serde_json::{Value, json};

async fn post(api: &Api, body: &Value, key: Option<&str>) -> (u16, Value) {
    let mut request = api.request(Method::POST, "/api/market-data/fetch/batch").json(body);
    if let Some(key) = key {
        request = request.header("Idempotency-Key", key);
    }
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

/// Each of these hours of the recorded days.
fn hours(count: u32) -> Value {
    let hour = |hour: u32| {
        let at = |hour: u32| format!("2020-01-0{}T{:02}:00:00Z", hour / 24 + 1, hour % 24);
        json!({"symbol": "BTCUSDT", "interval": "1m", "start": at(hour), "end": at(hour + 1)})
    };
    json!({"fetches": (0..count).map(hour).collect::<Vec<_>>()})
}

async fn children(api: &Api, parent: &str, query: &[(&str, &str)]) -> Value {
    let mut all = vec![("parent", parent.to_owned())];
    all.extend(query.iter().map(|(name, value)| (*name, (*value).to_owned())));
    api.get("/api/tasks", &all).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_followed_to_its_end_and_its_tasks_are_listed_in_order() {
    let stack = Stack::builder().start().await.unwrap();
    let api = stack.client("pro").await.unwrap();
    let (status, accepted) = post(&api, &hours(60), Some("k1")).await;
    assert_eq!((status, &accepted["status"]), (202, &json!("queued")), "{accepted}");
    let id = accepted["task_id"].as_str().unwrap().to_owned();
    let again = post(&api, &hours(60), Some("k1")).await;
    assert_eq!((again.0, &again.1["task_id"], &again.1["created"]), (202, &json!(id), &json!(false)));
    let other = post(&api, &hours(59), Some("k1")).await;
    assert_eq!((other.0, &other.1["code"]), (409, &json!("idempotency_conflict")));

    let mut percents = Vec::new();
    let end = api.follow(&id, |seen| percents.push(seen.percent)).await.unwrap();
    assert_eq!((end.state, end.detail("candles_stored")), (TaskState::Succeeded, 3_600));
    assert!(percents.windows(2).all(|pair| pair[0] <= pair[1]), "{percents:?}");
    let task: Value = api.get(&format!("/api/task/{id}"), &[]).await.unwrap();
    assert_eq!((&task["kind"], &task["request"]["fetches"]), (&json!("fetch_batch"), &json!(60)));
    assert_eq!((&task["children"]["total"], &task["children"]["states"]["succeeded"]), (&json!(60), &json!(60)));
    assert_eq!(task["result"]["inserted"], 3_600);

    let first = children(&api, &id, &[("limit", "25")]).await;
    assert_eq!((first["tasks"].as_array().unwrap().len(), &first["next_cursor"]), (25, &json!("25")));
    let last = children(&api, &id, &[("limit", "25"), ("cursor", "50")]).await;
    assert_eq!((last["tasks"].as_array().unwrap().len(), &last["next_cursor"]), (10, &Value::Null));
    assert_eq!(last["tasks"][9]["request"]["start"], "2020-01-03T11:00:00Z");
    assert_eq!(last["tasks"][9]["parent"], json!(id));

    // Its children are listed there alone.
    let own: Value = api.get("/api/tasks", &[]).await.unwrap();
    let own: Vec<&Value> = own["tasks"].as_array().unwrap().iter().map(|task| &task["task_id"]).collect();
    assert_eq!(own, [&json!(id)]);
    let of_symbol: Value = api.get("/api/tasks", &[("symbol", "BTCUSDT".to_owned())]).await.unwrap();
    assert_eq!(of_symbol["tasks"], json!([]));

    let stranger = stack.client("enterprise").await.unwrap();
    let refused = stranger.get::<Value>("/api/tasks", &[("parent", id.clone())]).await.unwrap_err();
    assert_eq!((refused.status(), refused.code()), (Some(404), Some("task_not_found")));
    for query in [("state", "queued"), ("cursor", "x"), ("limit", "0")] {
        let query = [("parent", id.clone()), (query.0, query.1.to_owned())];
        let refused = api.get::<Value>("/api/tasks", &query).await.unwrap_err();
        assert_eq!((refused.status(), refused.code()), (Some(400), Some("invalid_request")), "{query:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_batch_is_refused_before_any_work() {
    let stack = Stack::builder().start().await.unwrap();
    let (pro, free) = (stack.client("pro").await.unwrap(), stack.client("free").await.unwrap());
    let symbols = |symbols: &[&str]| json!({"symbols": symbols, "interval": "1m", "start": "2020-01-01T00:00:00Z", "end": "2020-01-02T00:00:00Z"});
    let cases = [
        ("an odd one", &pro, symbols(&["BTCUSDT", "BTC/USDT"]), 400, "invalid_request"),
        ("none", &pro, symbols(&[]), 400, "invalid_request"),
        ("an unknown field", &pro, json!({"symbol": "BTCUSDT"}), 400, "invalid_request"),
        ("too many for the tier", &free, hours(11), 403, "tier_limit"),
        (
            "too long a range for the tier",
            &free,
            json!({"symbols": ["BTCUSDT"], "interval": "1m", "start": "listing"}),
            403,
            "tier_limit",
        ),
        (
            "far too large",
            &pro,
            json!({"symbols": ["A".repeat(3 << 20)], "interval": "1m", "start": 1}),
            413,
            "body_too_large",
        ),
    ];
    for (name, api, body, status, code) in cases {
        let (got, problem) = post(api, &body, None).await;
        assert_eq!((got, &problem["code"]), (status, &json!(code)), "{name}: {problem}");
    }
    let (_, problem) = post(&free, &hours(11), None).await;
    assert_eq!((&problem["limit"], &problem["lifted_by"]), (&json!("batch_fetches"), &json!("pro")), "{problem}");
    let (_, problem) = post(&pro, &symbols(&["BTCUSDT", "BTC/USDT"]), None).await;
    assert_eq!(problem["errors"][0]["field"], "symbols[1]");
    for api in [&pro, &free] {
        let tasks: Value = api.get("/api/tasks", &[]).await.unwrap();
        assert_eq!(tasks["tasks"], json!([]));
    }
}
