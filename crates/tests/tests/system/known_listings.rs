//! A fetch from the listing counts against the tier from the first candle, where that is recorded.

use candlemill_client::{Api, fetch_request};
use candlemill_devkit::Stack;
use candlemill_shared::task::TaskState;
use candlemill_shared::tier::TierTable;
use mongodb::bson::{Document, doc};
use reqwest::Method;
use serde_json::{Value, json};

const FETCH: &str = "/api/market-data/fetch";
const VERIFY: &str = "/api/market-data/verify";
const BATCH: &str = "/api/market-data/fetch/batch";
/// The first day of BTCUSDT: 2017-08-17, UTC ms.
const FIRST: i64 = 1_502_928_000_000;

async fn post(api: &Api, path: &str, body: &Value) -> (u16, Value) {
    let answer = api.request(Method::POST, path).json(body).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

/// From the listing to the day `end`, by days.
fn days(symbol: &str, end: &str) -> Value {
    json!({"symbol": symbol, "interval": "1d", "start": "listing", "end": format!("{end}T00:00:00Z")})
}

/// The free tier fetches at most 50 candles; days from 2017 to the listing are more.
fn small_tiers() -> TierTable {
    let mut tiers = TierTable::default();
    tiers.free.longest_range_candles = 50;
    tiers
}

/// The status and the limit that forbids it.
async fn check(name: &str, api: &Api, path: &str, body: &Value, expected: (u16, Option<&str>)) -> Value {
    let (status, answer) = post(api, path, body).await;
    assert_eq!((status, answer["limit"].as_str()), expected, "{name}: {answer}");
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_that_a_task_has_learnt_counts_for_every_call() {
    let (accepted, refused) = ((202, None), (403, Some("longest_range_candles")));
    let stack = Stack::builder().tiers(small_tiers()).start().await.unwrap();
    let (pro, free) = (stack.client("pro").await.unwrap(), stack.client("free").await.unwrap());
    let week = days("BTCUSDT", "2017-08-25");
    for path in [FETCH, VERIFY] {
        check("before it is known", &free, path, &week, refused).await;
    }
    check("a batch before it is known", &free, BATCH, &json!({"fetches": [week]}), refused).await;
    let learn = fetch_request("BTCUSDT", "1d", "listing", Some("2017-08-20")).unwrap();
    assert_eq!(pro.fetch_and_wait(&learn).await.unwrap().state, TaskState::Succeeded);

    let request = fetch_request("BTCUSDT", "1d", "listing", Some("2017-08-25")).unwrap();
    let ended = free.fetch_and_wait(&request).await.unwrap();
    assert_eq!(ended.state, TaskState::Succeeded, "{ended:?}");
    let task: Value = free.get(&format!("/api/task/{}", ended.task_id), &[]).await.unwrap();
    assert_eq!((&task["request"]["start"], &task["result"]["inserted"]), (&json!("listing"), &json!(5)), "{task}");
    check("verifying", &free, VERIFY, &week, accepted).await;
    check("a batch", &free, BATCH, &json!({"fetches": [week, days("BTCUSDT", "2017-08-26")]}), accepted).await;
    // From the first day on there are more than the tier allows; another symbol, or interval, is still unknown.
    let too_long = check("51 days", &free, FETCH, &days("BTCUSDT", "2017-10-07"), refused).await;
    assert!(too_long["detail"].as_str().unwrap().contains(" 51 1d candles"), "{too_long}");
    check("another symbol", &free, FETCH, &days("ETHUSDT", "2017-08-25"), refused).await;
    let hours = json!({"symbol": "BTCUSDT", "interval": "1h", "start": "listing", "end": "2017-08-18T00:00:00Z"});
    check("another interval", &free, FETCH, &hours, refused).await;
    let mixed = json!({"fetches": [week, days("ETHUSDT", "2017-08-25")]});
    check("a batch with one that is unknown", &free, BATCH, &mixed, refused).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_before_the_listing_is_accepted_and_has_nothing_to_fetch() {
    let stack = Stack::builder().tiers(small_tiers()).start().await.unwrap();
    let (pro, free) = (stack.client("pro").await.unwrap(), stack.client("free").await.unwrap());
    let learn = fetch_request("BTCUSDT", "1d", "listing", Some("2017-08-20")).unwrap();
    assert_eq!(pro.fetch_and_wait(&learn).await.unwrap().state, TaskState::Succeeded);
    let request = fetch_request("BTCUSDT", "1d", "listing", Some("2017-08-01")).unwrap();
    let ended = free.fetch_and_wait(&request).await.unwrap();
    assert_eq!(ended.state, TaskState::Succeeded, "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_counts_by_what_is_recorded_too() {
    let stack = Stack::builder().tiers(small_tiers()).workers(0).start().await.unwrap();
    let free = stack.client("free").await.unwrap();
    let client = mongodb::Client::with_uri_str(stack.mongo_uri()).await.unwrap();
    let database = client.database(stack.database());
    let (listings, tasks) = (database.collection::<Document>("listings"), database.collection::<Document>("tasks"));
    listings.insert_one(doc! { "_id": "binance:BTCUSDT:1d", "first_open": FIRST }).await.unwrap();
    let week = days("BTCUSDT", "2017-08-25");
    let bodies = [(FETCH, week.clone()), (BATCH, json!({"fetches": [week, days("BTCUSDT", "2017-08-26")]}))];
    let mut ids = Vec::new();
    for (path, body) in &bodies {
        let accepted = check(path, &free, path, body, (202, None)).await;
        ids.push(accepted["task_id"].as_str().unwrap().to_owned());
    }
    for id in &ids {
        let set = doc! {
            "state": "dead", "buried": "$listed", "attempt": 1, "ended_at": 1_700_000_000_000_i64,
            "error": { "code": "exchange_unavailable", "message": "gave up" },
        };
        let steps = vec![doc! { "$set": set }, doc! { "$unset": ["active"] }];
        assert_eq!(tasks.update_one(doc! { "_id": id }, steps).await.unwrap().modified_count, 1);
    }
    let refused = (403, Some("longest_range_candles"));
    listings.delete_one(doc! { "_id": "binance:BTCUSDT:1d" }).await.unwrap();
    for id in &ids {
        check("an unknown listing", &free, &format!("/api/dead-letters/{id}/replay"), &json!({}), refused).await;
    }
    listings.insert_one(doc! { "_id": "binance:BTCUSDT:1d", "first_open": FIRST }).await.unwrap();
    for id in &ids {
        check("a known listing", &free, &format!("/api/dead-letters/{id}/replay"), &json!({}), (202, None)).await;
    }
}
