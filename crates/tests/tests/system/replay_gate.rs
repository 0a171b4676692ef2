//! A replay passes the gate of the tier that its owner has now.

use candlemill_client::Api;
use candlemill_devkit::Stack;
use mongodb::bson::{Document, doc};
use reqwest::Method;
use serde_json::{Value, json};

/// 2020-01-01, UTC ms.
const START: i64 = 1_577_836_800_000;
const HOUR: i64 = 3_600_000;

async fn post(api: &Api, path: &str, body: &Value) -> (u16, Value) {
    let answer = api.request(Method::POST, path).json(body).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn submit(api: &Api, path: &str, body: &Value) -> String {
    let (status, accepted) = post(api, path, body).await;
    assert_eq!(status, 202, "{accepted}");
    accepted["task_id"].as_str().unwrap().to_owned()
}

fn minutes(symbol: &str, hours: i64) -> Value {
    json!({"symbol": symbol, "interval": "1m", "start": START, "end": START + hours * HOUR})
}

async fn tasks(stack: &Stack) -> mongodb::Collection<Document> {
    let client = mongodb::Client::with_uri_str(stack.mongo_uri()).await.unwrap();
    client.database(stack.database()).collection("tasks")
}

/// Lets waiting tasks look as if workers had given them up.
async fn kill(stack: &Stack, ids: &[&str]) {
    for id in ids {
        let set = doc! {
            "state": "dead", "buried": "$listed", "attempt": 1, "ended_at": 1_700_000_000_000_i64,
            "error": { "code": "exchange_unavailable", "message": "gave up" },
        };
        let steps = vec![doc! { "$set": set }, doc! { "$unset": ["active"] }];
        assert_eq!(tasks(stack).await.update_one(doc! { "_id": id }, steps).await.unwrap().modified_count, 1);
    }
}

/// The same user's next sign-in, after the subscription has changed.
async fn with_tier(stack: &Stack, tier: Option<&str>) -> Api {
    stack.simulator.post("/_simulator/users", &json!({"email": "pro@candlemill.test", "tier": tier})).await.unwrap();
    stack.client("pro").await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_is_bound_by_the_tier_of_now_and_runs_by_it() {
    let stack = Stack::builder().workers(0).start().await.unwrap();
    let pro = stack.client("pro").await.unwrap();
    let fetch = "/api/market-data/fetch";
    let large = submit(&pro, fetch, &minutes("BTCUSDT", 3_600)).await;
    let small = submit(&pro, fetch, &minutes("BTCUSDT", 1)).await;
    let batch = "/api/market-data/fetch/batch";
    let many: Vec<Value> = (1..=11).map(|hours| minutes("BTCUSDT", hours)).collect();
    let wide = submit(&pro, batch, &json!({"fetches": many})).await;
    let deep = submit(&pro, batch, &json!({"fetches": [minutes("ETHUSDT", 3_600), minutes("ETHUSDT", 1)]})).await;
    kill(&stack, &[&large, &small, &wide, &deep]).await;

    let free = with_tier(&stack, None).await;
    for (id, limit) in [(&large, "longest_range_candles"), (&wide, "batch_fetches"), (&deep, "longest_range_candles")] {
        let before = tasks(&stack).await.find_one(doc! { "_id": id }).await.unwrap();
        let (status, problem) = post(&free, &format!("/api/dead-letters/{id}/replay"), &json!({})).await;
        assert_eq!((status, &problem["code"], &problem["limit"]), (403, &json!("tier_limit"), &json!(limit)));
        assert_eq!(problem["lifted_by"], "pro", "{problem}");
        let after = tasks(&stack).await.find_one(doc! { "_id": id }).await.unwrap();
        assert_eq!(before, after, "a refused replay changes nothing");
    }
    let (status, told) = post(&free, "/api/dead-letters/replay", &json!({"all": true})).await;
    assert_eq!((status, &told["task_ids"]), (200, &json!([small])), "{told}");
    let refused = told["refused"].as_array().unwrap();
    assert!(refused.len() == 3 && refused.iter().all(|one| one["code"] == "tier_limit"), "{told}");
    assert_eq!(revived(&stack, &small).await, ("free".to_owned(), 1, 1));
    // A refused one holds no place: the tier has two, and one is taken.
    submit(&free, fetch, &minutes("ETHUSDT", 2)).await;

    let enterprise = with_tier(&stack, Some("enterprise")).await;
    for id in [&large, &wide, &deep] {
        let (status, task) = post(&enterprise, &format!("/api/dead-letters/{id}/replay"), &json!({})).await;
        assert_eq!((status, &task["tier"]), (202, &json!("enterprise")), "{task}");
        assert_eq!(revived(&stack, id).await, ("enterprise".to_owned(), 9, 64));
    }
}

/// Tier, priority and attempts at once of a record.
async fn revived(stack: &Stack, id: &str) -> (String, i64, i64) {
    let found = tasks(stack).await.find_one(doc! { "_id": id, "state": "queued" }).await.unwrap().unwrap();
    let number = |name: &str| found.get_i64(name).or_else(|_| found.get_i32(name).map(i64::from)).unwrap();
    (found.get_str("tier").unwrap().to_owned(), number("priority"), number("running_at_once"))
}
