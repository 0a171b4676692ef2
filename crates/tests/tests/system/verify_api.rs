//! Verifications through the API: by users, by operators, and what is told of corrections.

use candlemill_client::{Api, fetch_request};
use candlemill_devkit::Stack;
use candlemill_shared::task::TaskState;
use mongodb::bson::{Document, doc};
use reqwest::Method;
use serde_json::{Value, json};

const TOKEN: &str = "a-token-of-operators-of-no-real-installation";
/// 2020-01-01, UTC ms.
const START: i64 = 1_577_836_800_000;
const HOUR: i64 = 3_600_000;
const FETCH: &str = "/api/market-data/fetch";
const VERIFY: &str = "/api/market-data/verify";
const OPERATORS: &str = "/api/admin/market-data/verify";

fn hours(count: i64) -> Value {
    json!({"symbol": "BTCUSDT", "interval": "1m", "start": START, "end": START + count * HOUR})
}

async fn post(api: &Api, path: &str, body: &Value, key: Option<&str>) -> (u16, Option<String>, Value) {
    let mut call = api.request(Method::POST, path).json(body);
    if let Some(key) = key {
        call = call.header("Idempotency-Key", key);
    }
    let answer = call.send().await.unwrap();
    let location = answer.headers().get("location").map(|value| value.to_str().unwrap().to_owned());
    (answer.status().as_u16(), location, answer.json().await.unwrap())
}

async fn submit(api: &Api, path: &str, body: &Value) -> String {
    let (status, _, accepted) = post(api, path, body, None).await;
    assert_eq!((status, &accepted["created"]), (202, &json!(true)), "{accepted}");
    accepted["task_id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verification_is_a_fetch_of_its_own_with_the_same_gate() {
    let stack = Stack::builder().workers(0).start().await.unwrap();
    let (free, pro) = (stack.client("free").await.unwrap(), stack.client("pro").await.unwrap());
    let fetch = submit(&pro, FETCH, &hours(1)).await;
    let verify = submit(&pro, VERIFY, &hours(1)).await;
    assert_ne!(fetch, verify, "another request than the fetch");
    let (status, location, again) = post(&pro, VERIFY, &hours(1), None).await;
    assert_eq!((status, &again["task_id"], &again["created"]), (202, &json!(verify), &json!(false)));
    assert_eq!(location, Some(format!("/api/task/{verify}")));
    let task = async |id: &str| pro.get::<Value>(&format!("/api/task/{id}"), &[]).await.unwrap();
    let (fetched, verified) = (task(&fetch).await, task(&verify).await);
    assert_eq!((&verified["kind"], &verified["request"]["mode"]), (&json!("fetch_history"), &json!("verify")));
    let fields: Vec<&String> = fetched["request"].as_object().unwrap().keys().collect();
    assert_eq!(fields, ["end", "exchange", "interval", "start", "symbol"], "nothing new is said of a fetch");

    let (_, _, first) = post(&pro, VERIFY, &hours(2), Some("k")).await;
    let (_, _, same) = post(&pro, VERIFY, &hours(2), Some("k")).await;
    assert_eq!(first["task_id"], same["task_id"]);
    let (status, _, problem) = post(&pro, FETCH, &hours(2), Some("k")).await;
    assert_eq!((status, &problem["code"]), (409, &json!("idempotency_conflict")), "the fetch is another request");
    let long = hours(834);
    let (status, _, problem) = post(&free, VERIFY, &long, None).await;
    assert_eq!(
        (status, &problem["code"], &problem["limit"]),
        (403, &json!("tier_limit"), &json!("longest_range_candles"))
    );
    let wrong = json!({"symbol": "BTC/USDT", "interval": "7m", "start": "x", "mode": "fetch"});
    assert_eq!(post(&free, VERIFY, &wrong, None).await.0, 400);
    let later =
        json!({"symbol": "BTCUSDT", "interval": "1m", "start": START, "run_at": "2020-01-01T00:00:00Z", "end": START});
    let (status, _, problem) = post(&free, VERIFY, &later, None).await;
    assert_eq!((status, &problem["errors"][0]["field"]), (400, &json!("start")), "{problem}");
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_verify_in_their_own_name() {
    let stack = Stack::builder().workers(1).api_env("ADMIN_TOKEN", TOKEN).start().await.unwrap();
    let (operator, pro) = (Api::new(stack.api_url(), TOKEN), stack.client("enterprise").await.unwrap());
    let (status, location, accepted) = post(&operator, OPERATORS, &hours(1), None).await;
    assert_eq!((status, &accepted["events_url"]), (202, &Value::Null), "{accepted}");
    let id = accepted["task_id"].as_str().unwrap();
    let path = format!("/api/admin/task/{id}");
    assert_eq!((location.as_deref(), accepted["progress_url"].as_str()), (Some(&*path), Some(&*path)));
    let ended = async {
        loop {
            let task: Value = operator.get(&path, &[]).await.unwrap();
            if task["ended_at"].is_string() {
                return task;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    };
    let task = tokio::time::timeout(std::time::Duration::from_secs(60), ended).await.unwrap();
    assert_eq!((&task["state"], &task["tier"]), (&json!("succeeded"), &json!("enterprise")), "{task}");
    assert_eq!(task["request"]["mode"], "verify");
    let users = submit(&pro, VERIFY, &hours(1)).await;
    for (api, path) in [(&pro, format!("/api/task/{id}")), (&operator, format!("/api/admin/task/{users}"))] {
        let refused = api.get::<Value>(&path, &[]).await.unwrap_err();
        assert_eq!((refused.status(), refused.code()), (Some(404), Some("task_not_found")), "{path}");
    }
    let (status, _, problem) = post(&pro, OPERATORS, &hours(1), None).await;
    assert_eq!((status, &problem["code"]), (401, &json!("invalid_admin_token")));
}

#[tokio::test(flavor = "multi_thread")]
async fn corrections_and_confirmations_are_told() {
    let stack = Stack::builder().start().await.unwrap();
    let api = stack.client("pro").await.unwrap();
    let request = fetch_request("BTCUSDT", "1m", "2020-01-01", Some("2020-01-02")).unwrap();
    assert_eq!(api.fetch_and_wait(&request).await.unwrap().state, TaskState::Succeeded);
    let client = mongodb::Client::with_uri_str(stack.mongo_uri()).await.unwrap();
    let database = client.database(stack.database());
    let candle = doc! {
        "open_time": START + HOUR, "open": "1.0", "high": "1.0", "low": "1.0", "close": "1.0", "volume": "1.0",
        "close_time": START + HOUR + 59_999, "quote_volume": "1.0", "trades": 1_i64, "taker_buy_volume": "1.0",
        "taker_buy_quote_volume": "1.0",
    };
    let id = format!("binance:BTCUSDT:1m_{}", START + HOUR);
    let correction = doc! { "_id": &id, "stored": candle.clone(), "now": candle, "seen_at": START };
    database.collection::<Document>("candle_corrections").insert_one(correction).await.unwrap();
    let gap = |number: i64| {
        let (start, end) = (START + number * HOUR, START + number * HOUR + 60_000);
        doc! { "start": start, "end": end, "buckets": 1_i64, "reason": "unpublished" }
    };
    let mut dated = gap(26);
    dated.extend(doc! { "seen_at": START, "confirmed_at": START });
    let chunks = database.collection::<Document>("coverage_chunks");
    let added = doc! { "$push": { "gaps": { "$each": [dated, gap(30)] } }, "$inc": { "rev": 1_i64 } };
    assert_eq!(chunks.update_one(doc! {}, added).await.unwrap().modified_count, 1);

    let told = async |query: &str| {
        let path = format!("/api/market-data/klines?symbol=BTCUSDT&interval=1m&{query}");
        let answer = api.request(Method::GET, &path).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 200, "{query}");
        answer.headers().get("x-corrections").map(|value| value.to_str().unwrap().to_owned())
    };
    assert_eq!(told(&format!("start={START}&limit=1000")).await.as_deref(), Some("1"));
    assert_eq!(told(&format!("start={START}&limit=1000&format=csv")).await.as_deref(), Some("1"));
    assert_eq!(told(&format!("start={START}&limit=60")).await, None, "it lies after this page");
    assert_eq!(told("limit=1000").await, None, "it lies before the newest candles");
    let coverage: Value =
        api.get("/api/market-data/coverage", &[("symbol", "BTCUSDT".into()), ("interval", "1m".into())]).await.unwrap();
    let seen = json!("2020-01-01T00:00:00Z");
    assert_eq!((&coverage["gaps"][0]["seen_at"], &coverage["gaps"][0]["confirmed_at"]), (&seen, &seen), "{coverage}");
    let old = coverage["gaps"][1].as_object().unwrap();
    assert_eq!((&old["seen_at"], &old["confirmed_at"]), (&Value::Null, &Value::Null));
    assert_eq!(coverage["corrections"][0]["stored"]["open_time"], json!(START + HOUR), "{coverage}");
}
