//! Tasks through the API: submitting, watching, listing, cancelling, reading.

use crate::whole::Source;
use candlemill_client::fetch_request;
use candlemill_client::forms::FetchRequest;
use candlemill_devkit::Stack;
use candlemill_shared::task::TaskState;
use serde_json::Value;

fn day(day: u32) -> FetchRequest {
    let (from, to) = (format!("2020-01-0{day}"), format!("2020-01-0{}", day + 1));
    fetch_request("BTCUSDT", "1m", &from, Some(&to)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_in_flight_is_the_same_task_and_keys_outlive_it() {
    let mut stack = Stack::builder().workers(0).start().await.unwrap();
    let api = stack.client("pro").await.unwrap();
    let first = api.fetch(&day(1), Some("key-1")).await.unwrap().task_id.to_string();
    assert_eq!(api.fetch(&day(1), None).await.unwrap().task_id.to_string(), first, "the same request in flight");
    let conflict = api.fetch(&day(2), Some("key-1")).await.unwrap_err();
    assert_eq!((conflict.status(), conflict.code()), (Some(409), Some("idempotency_conflict")));
    let foreign = stack.client("enterprise").await.unwrap();
    assert_ne!(
        foreign.fetch(&day(1), None).await.unwrap().task_id.to_string(),
        first,
        "another user has a task of its own"
    );
    for path in ["", "/progress", "/events"] {
        let answer = foreign.get::<Value>(&format!("/api/task/{first}{path}"), &[]).await.unwrap_err();
        assert_eq!((answer.status(), answer.code()), (Some(404), Some("task_not_found")), "{path}");
    }
    assert_eq!(foreign.cancel(&first).await.unwrap_err().status(), Some(404));

    stack.add_worker().await.unwrap();
    assert_eq!(api.follow(&first, |_| {}).await.unwrap().state, TaskState::Succeeded);
    assert_eq!(api.fetch(&day(1), Some("key-1")).await.unwrap().task_id.to_string(), first, "the key after the end");
    assert_ne!(api.fetch(&day(1), None).await.unwrap().task_id.to_string(), first, "without the key it is a new one");
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_never_runs_backwards_and_ends_at_100() {
    let stack = Stack::builder().simulator_env("SIMULATOR_LATENCY_MS", "10").start().await.unwrap();
    let source = Source::minutes(&stack, 50_000).await;
    let api = stack.client("enterprise").await.unwrap();
    let task = api.fetch(&source.request(), None).await.unwrap().task_id.to_string();
    let mut seen = Vec::new();
    let end = api.follow(&task, |progress| seen.push((progress.percent, progress.done))).await.unwrap();
    // Pages lie on a grid: the first and the last are parts of pages.
    assert_eq!((end.state, end.done), (TaskState::Succeeded, 51));
    assert!((end.percent - 100.0).abs() < f64::EPSILON);
    assert!(seen.len() > 3, "a real figure, not a spinner: {seen:?}");
    assert!(seen.windows(2).all(|pair| pair[0] <= pair[1]), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_tasks_are_listed_cancelled_and_may_be_submitted_again() {
    let stack = Stack::builder().workers(0).start().await.unwrap();
    let api = stack.client("pro").await.unwrap();
    let mut ids = Vec::new();
    for number in 1..=3 {
        ids.push(api.fetch(&day(number), None).await.unwrap().task_id.to_string());
    }
    let cancelled = api.cancel(&ids[1]).await.unwrap();
    assert_eq!(cancelled.state, TaskState::Cancelled);
    let again = api.cancel(&ids[1]).await.unwrap_err();
    assert_eq!((again.status(), again.code()), (Some(409), Some("task_ended")));

    let list = async |query: &[(&str, &str)]| -> (Vec<String>, Option<String>) {
        let query: Vec<_> = query.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let page: Value = api.get("/api/tasks", &query).await.unwrap();
        let ids = page["tasks"].as_array().unwrap().iter().map(|task| task["task_id"].as_str().unwrap().to_owned());
        (ids.collect(), page["next_cursor"].as_str().map(str::to_owned))
    };
    let (first, cursor) = list(&[("limit", "2")]).await;
    assert_eq!(first, [ids[2].clone(), ids[1].clone()], "newest first");
    let (second, end) = list(&[("limit", "2"), ("cursor", &cursor.unwrap())]).await;
    assert_eq!((second, end), (vec![ids[0].clone()], None));
    assert_eq!(list(&[("state", "cancelled")]).await.0, [ids[1].clone()]);
    assert_eq!(list(&[("symbol", "ETHUSDT")]).await.0, [] as [String; 0]);

    let renewed = api.fetch(&day(2), None).await.unwrap().task_id.to_string();
    assert_ne!(renewed, ids[1], "a cancelled task stands in nobody's way");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tier_bounds_tasks_at_once_and_what_is_refused_leaves_nothing() {
    let stack = Stack::builder().workers(0).start().await.unwrap();
    let api = stack.client("free").await.unwrap();
    let first = api.fetch(&day(1), None).await.unwrap().task_id.to_string();
    api.fetch(&day(2), None).await.unwrap();
    let refused = api.fetch(&day(3), None).await.unwrap_err();
    assert_eq!((refused.status(), refused.code()), (Some(403), Some("tier_limit")), "{refused}");
    let year = fetch_request("BTCUSDT", "1m", "2019-01-01", Some("2020-01-01")).unwrap();
    assert_eq!(api.fetch(&year, None).await.unwrap_err().code(), Some("tier_limit"));
    let seconds = fetch_request("BTCUSDT", "1s", "2020-01-01", Some("2020-01-02")).unwrap();
    assert_eq!(api.fetch(&seconds, None).await.unwrap_err().code(), Some("tier_limit"));
    let tasks: Value = api.get("/api/tasks", &[]).await.unwrap();
    assert_eq!(tasks["tasks"].as_array().unwrap().len(), 2);
    api.cancel(&first).await.unwrap();
    api.fetch(&day(3), None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn stored_candles_equal_the_recorded_ones_page_by_page_and_in_every_format() {
    let stack = Stack::builder().start().await.unwrap();
    let api = stack.client("pro").await.unwrap();
    let all = fetch_request("BTCUSDT", "1m", "2020-01-01", Some("2020-01-04")).unwrap();
    assert_eq!(api.fetch_and_wait(&all).await.unwrap().state, TaskState::Succeeded);

    let file = candlemill_devkit::project_root().join("data/klines/BTCUSDT_1m.csv.gz");
    let recorded = std::io::read_to_string(flate2::read::GzDecoder::new(std::fs::File::open(file).unwrap())).unwrap();
    let query = |more: &[(&'static str, &str)]| -> Vec<(&'static str, String)> {
        let base = [("symbol", "BTCUSDT"), ("interval", "1m"), ("start", "2020-01-01T00:00:00Z")];
        base.iter().chain(more).map(|(name, value)| (*name, (*value).to_owned())).collect()
    };
    let csv = api.stream("/api/market-data/klines", &query(&[("format", "csv")])).await.unwrap();
    // The file calls two columns otherwise.
    let named = recorded.replacen("taker_base,taker_quote", "taker_buy_volume,taker_buy_quote_volume", 1);
    assert!(csv.text().await.unwrap() == named, "the CSV is the file, to the digit");

    let (mut rows, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let mut query = query(&[("limit", "1000")]);
        query.extend(cursor.take().map(|cursor| ("cursor", cursor)));
        let answer = api.stream("/api/market-data/klines", &query).await.unwrap();
        let next = answer.headers().get("x-next-cursor").map(|next| next.to_str().unwrap().to_owned());
        rows.extend(answer.json::<Vec<Vec<Value>>>().await.unwrap());
        match next {
            Some(next) => cursor = Some(next),
            None => break,
        }
    }
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let lines: Vec<String> = rows.iter().map(|row| row.iter().map(text).collect::<Vec<_>>().join(",")).collect();
    assert!(lines.iter().map(String::as_str).eq(recorded.lines().skip(1)), "the pages hold every row once");

    let arrow = api.stream("/api/market-data/klines", &query(&[("format", "arrow")])).await.unwrap();
    assert_eq!(arrow.headers()["content-type"], "application/vnd.apache.arrow.stream");
    assert!(arrow.bytes().await.unwrap().len() > 4_320 * 11 * 8);
    let empty: Value =
        api.get("/api/market-data/klines", &[("symbol", "ETHUSDT".into()), ("interval", "1d".into())]).await.unwrap();
    assert_eq!(empty, Value::Array(Vec::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_open_pages_answer_without_a_token() {
    let stack = Stack::builder().start().await.unwrap();
    let get = async |path: &str| {
        let answer = reqwest::get(format!("{}{path}", stack.api_url())).await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    assert_eq!(get("/healthz").await, (200, "ok\n".to_owned()));
    assert_eq!(get("/readyz").await.0, 200);
    let document: Value = serde_json::from_str(&get("/api-docs/openapi.json").await.1).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    for path in ["/api/market-data/fetch", "/api/task/{id}/events", "/api/tasks", "/api/market-data/coverage"] {
        assert!(document["paths"][path].is_object(), "{path}");
    }
    assert!(get("/docs/").await.1.contains("swagger"));
    assert!(get("/problems").await.1.contains("id=\"tier_limit\""));
    assert!(get("/metrics").await.1.contains("candlemill_api_requests_total"));
    assert_eq!(get("/api/tasks").await.0, 401);
}
