//! What the exchange says of its markets is believed slowly, and shuts nobody out.

use crate::harness::{Harness, fetch, recorded, result_of, series};
use crate::whole::{redis_of, wait_for_markets};
use candlemill_client::Api;
use candlemill_db::StoreError;
use candlemill_devkit::Stack;
use candlemill_market_store::{Market, MarketLookup, MarketStore};
use candlemill_shared::task::TaskState;
use candlemill_shared::{Exchange, Interval};
use candlemill_simulator::{Fault, FaultRule};
use futures::future::join_all;
use mongodb::bson::{Bson, DateTime, Document, doc};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// 2020-01-01, UTC ms.
const START: i64 = 1_577_836_800_000;
const HOUR: i64 = 3_600_000;
const INFO: &str = "/api/v3/exchangeInfo";

/// The list of an exchange that trades just these.
fn list_of(symbols: &[&str]) -> String {
    let markets: Vec<Value> = symbols
        .iter()
        .map(|symbol| json!({"symbol": symbol, "status": "TRADING", "baseAsset": "A", "quoteAsset": "B"}))
        .collect();
    let limits = json!([{"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000}]);
    json!({"timezone": "UTC", "serverTime": 1, "rateLimits": limits, "exchangeFilters": [], "symbols": markets})
        .to_string()
}

fn answers(status: u16, body: String) -> Fault {
    Fault::Status { status, body, headers: BTreeMap::new() }
}

/// Submits an hour of minutes.
async fn post(api: &Api, symbol: &str, hour: i64) -> (u16, Value) {
    let start = START + hour * HOUR;
    let body = json!({"symbol": symbol, "interval": "1m", "start": start, "end": start + HOUR});
    let answer = api.request(Method::POST, "/api/market-data/fetch").json(&body).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn stored(stack: &Stack, name: &str) -> mongodb::Collection<Document> {
    let client = mongodb::Client::with_uri_str(stack.mongo_uri()).await.unwrap();
    client.database(stack.database()).collection(name)
}

async fn stored_list(stack: &Stack) -> Document {
    stored(stack, "markets").await.find_one(doc! { "_id": "binance" }).await.unwrap().unwrap()
}

/// Starts a worker that leads, as after the leader's death.
async fn another_leader(stack: &mut Stack) {
    redis::cmd("DEL").arg("cm:lease:markets:binance").query_async::<()>(&mut redis_of(stack).await).await.unwrap();
    stack.add_worker().await.unwrap();
}

/// The list once `fits` says so.
async fn wait_for_list(stack: &Stack, what: &str, fits: impl Fn(&Document) -> bool) -> Document {
    let waiting = async {
        loop {
            let list = stored_list(stack).await;
            if fits(&list) {
                return list;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.unwrap_or_else(|_| panic!("in vain: {what}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_made_up_list_of_markets_shuts_nobody_out_and_is_believed_only_after_a_minute() {
    let mut stack = Stack::builder().start().await.unwrap();
    wait_for_markets(&stack).await;
    let markets = stored(&stack, "markets").await;
    let known = stored_list(&stack).await.get_array("markets").unwrap().clone();
    assert!(known.len() > 1, "{known:?}");
    let has_assets = |market: &Bson| market.as_document().is_some_and(|m| m.contains_key("b") && m.contains_key("q"));
    assert!(known.iter().all(has_assets), "{known:?}");
    let rule = FaultRule::on(INFO, answers(200, list_of(&["MADEUPCOIN"])));
    stack.simulator.post("/_simulator/faults", &json!(rule)).await.unwrap();
    markets.update_one(doc! {}, doc! { "$inc": { "updated_at": -HOUR } }).await.unwrap();
    let old = stored_list(&stack).await.get_i64("updated_at").unwrap();
    another_leader(&mut stack).await;
    let list = wait_for_list(&stack, "the new list is looked at", |list| {
        list.contains_key("doubt") || list.get_i64("updated_at").unwrap() != old
    })
    .await;
    // A process that has not read any list before.
    let url = stack.add_api().await.unwrap().url().to_owned();
    let api = Api::new(&url, &stack.token("pro").await.unwrap());
    let (status, accepted) = post(&api, "BTCUSDT", 0).await;
    assert_eq!(status, 202, "{accepted}");
    assert_eq!(list.get_array("markets").unwrap(), &known, "the list before stays");
    let end = api.follow(accepted["task_id"].as_str().unwrap(), |_| {}).await.unwrap();
    assert_eq!((end.state, end.detail("candles_stored")), (TaskState::Succeeded, 60));

    // Another leader sees the same list, but too soon.
    another_leader(&mut stack).await;
    stack.simulator.post("/_simulator/wait", &json!({"path": INFO, "calls": 3, "timeout_ms": 20_000})).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(stored_list(&stack).await, list, "nothing changes before the minute is over");
    // A minute later it is believed.
    markets.update_one(doc! {}, doc! { "$inc": { "doubt.seen_at": -60_000 } }).await.unwrap();
    another_leader(&mut stack).await;
    let list = wait_for_list(&stack, "it is believed", |list| !list.contains_key("doubt")).await;
    assert_eq!(list.get_array("markets").unwrap().len(), 1);
    // What the list lacks is asked for by its name.
    stack.simulator.post("/_simulator/reset", &Value::Null).await.unwrap();
    let url = stack.add_api().await.unwrap().url().to_owned();
    let api = Api::new(&url, &stack.token("pro").await.unwrap());
    let (status, accepted) = post(&api, "BTCUSDT", 1).await;
    assert_eq!(status, 202, "{accepted}");
    let end = api.follow(accepted["task_id"].as_str().unwrap(), |_| {}).await.unwrap();
    assert_eq!((end.state, end.detail("candles_stored")), (TaskState::Succeeded, 60));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_name_is_asked_for_and_refused_for_ten_minutes_after_the_exchange_said_so() {
    let stack = Stack::builder().start().await.unwrap();
    wait_for_markets(&stack).await;
    let api = stack.client("pro").await.unwrap();
    let expire = async |verdict: &Document| {
        let expires_at = verdict.get_datetime("expires_at").unwrap().timestamp_millis();
        let past = doc! { "$set": { "expires_at": DateTime::from_millis(expires_at - 600_000) } };
        let which = doc! { "_id": verdict.get_str("_id").unwrap() };
        stored(&stack, "market_verdicts").await.update_one(which, past).await.unwrap();
    };
    let with_key = async || -> (u16, Value) {
        let body = json!({"symbol": "NOSUCHCOIN", "interval": "1h", "start": START, "end": START + HOUR});
        let call = api.request(Method::POST, "/api/market-data/fetch").header("Idempotency-Key", "k").json(&body);
        let answer = call.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    };
    let keyed = with_key().await.1["task_id"].clone();
    api.follow(keyed.as_str().unwrap(), |_| {}).await.unwrap();
    let (status, same) = with_key().await;
    assert_eq!((status, &same["task_id"], &same["created"]), (202, &keyed, &json!(false)), "its task, not a refusal");
    expire(&stored(&stack, "market_verdicts").await.find_one(doc! {}).await.unwrap().unwrap()).await;
    for round in 1..=2 {
        let (status, accepted) = post(&api, "NOSUCHCOIN", 0).await;
        assert_eq!(status, 202, "round {round}: {accepted}");
        let id = accepted["task_id"].as_str().unwrap();
        api.follow(id, |_| {}).await.unwrap();
        let task: Value = api.get(&format!("/api/task/{id}"), &[]).await.unwrap();
        assert_eq!(
            (&task["state"], &task["attempt"], &task["error"]["code"]),
            (&json!("failed"), &json!(1), &json!("unknown_symbol")),
            "{task}"
        );
        let (status, problem) = post(&api, "NOSUCHCOIN", 0).await;
        assert_eq!(
            (status, &problem["code"], &problem["symbol"]),
            (422, &json!("unknown_symbol"), &json!("NOSUCHCOIN"))
        );
        let verdicts = stored(&stack, "market_verdicts").await;
        let verdict = verdicts.find_one(doc! { "_id": "binance:NOSUCHCOIN" }).await.unwrap().unwrap();
        let asked_at = candlemill_shared::range::rfc3339(verdict.get_i64("asked_at").unwrap());
        assert!(problem["detail"].as_str().unwrap().contains(&asked_at), "{problem}");
        let batch =
            json!({"symbols": ["BTCUSDT", "NOSUCHCOIN"], "interval": "1m", "start": START, "end": START + HOUR});
        let answer = api.request(Method::POST, "/api/market-data/fetch/batch").json(&batch).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 422);
        // Ten minutes later it is asked again, also where MongoDB has not removed the verdict yet.
        expire(&verdict).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_list_lacks_is_fetched_whether_listed_today_or_delisted() {
    let harness = Harness::start(recorded()).await;
    let control = harness.simulator.control();
    // The first call is that of the list; the next are about single symbols.
    control.add_fault(FaultRule::on(INFO, answers(200, list_of(&["OTHERCOIN"]))).times(1));
    let unknown = r#"{"code":-1121,"msg":"Invalid symbol."}"#.to_owned();
    control.add_fault(FaultRule::on(INFO, answers(400, unknown)).containing("symbol=ETHUSDT"));
    let _worker = harness.worker().await;
    control.wait_for_calls(INFO, 1, Duration::from_secs(20)).await.unwrap();
    let status = async |symbol: &str| {
        let verdicts = harness.collection("market_verdicts").await;
        let found = verdicts.find_one(doc! { "_id": format!("binance:{symbol}") }).await.unwrap();
        found.unwrap_or_else(|| panic!("{symbol} is remembered")).get_str("status").unwrap().to_owned()
    };
    let listed = harness.submit("u", &fetch("BTCUSDT", Interval::Minute1, START, START + HOUR)).await.record.id;
    let ended = harness.end_of(listed).await;
    assert_eq!((ended.state, result_of(&ended).inserted), (TaskState::Succeeded, 60), "{:?}", ended.error);
    assert_eq!(status("BTCUSDT").await, "TRADING");
    let known = harness.market.markets().lookup(Exchange::Binance, &"BTCUSDT".parse().unwrap()).await.unwrap();
    let MarketLookup::Listed(Market { assets: Some(assets), .. }) = known else { panic!("{known:?}") };
    assert_eq!((assets.base.as_str(), assets.quote.as_str()), ("BTC", "USDT"));
    // Ended long ago, and no longer on the list, but its candles can be had.
    let delisted = harness.submit("u", &fetch("ETHUSDT", Interval::Day1, START, START + 48 * HOUR)).await.record.id;
    let ended = harness.end_of(delisted).await;
    assert_eq!((ended.state, result_of(&ended).inserted), (TaskState::Succeeded, 2), "{:?}", ended.error);
    assert_eq!(status("ETHUSDT").await, "DELISTED");
    let asked = control.calls(INFO).len();
    let again = harness.submit("u", &fetch("ETHUSDT", Interval::Day1, START, START + 72 * HOUR)).await.record.id;
    assert_eq!(harness.end_of(again).await.state, TaskState::Succeeded);
    assert_eq!(control.calls(INFO).len(), asked, "what was learnt is not asked again");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_candle_is_asked_for_once_and_the_oldest_is_kept() {
    let harness = Harness::start(recorded()).await;
    let (minutes, markets) = (series("BTCUSDT", Interval::Minute1), harness.market.markets());
    let asked = AtomicU32::new(0);
    let ask = || async {
        asked.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(50)).await;
        Ok::<_, StoreError>(Some(START))
    };
    let told = join_all((0..8).map(|_| markets.first_open_or(&minutes, ask))).await;
    assert!(told.iter().all(|one| matches!(one, Ok(Some(START)))), "{told:?}");
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    let none = || async { Ok::<_, StoreError>(None) };
    assert_eq!(markets.first_open_or(&series("ETHUSDT", Interval::Minute1), none).await.unwrap(), None);
    // The exchange may add candles before those that it had; it never takes the first ones away.
    let another = harness.another_store().await;
    for (told, kept) in [(START + HOUR, START), (START - HOUR, START - HOUR), (START, START - HOUR)] {
        markets.remember_first_open(&minutes, told).await.unwrap();
        assert_eq!(markets.first_open(&minutes).await.unwrap(), Some(kept), "{told}");
    }
    assert_eq!(MarketStore::new(another.db()).markets().first_open(&minutes).await.unwrap(), Some(START - HOUR));
}
