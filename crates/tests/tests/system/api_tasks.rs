//! Submitting, following, stopping and reading through the API, where requests come together, break off and come again.

use crate::whole::{Source, wait_for_pages};
use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, TimestampMillisecondType, UInt64Type};
use arrow_ipc::reader::StreamReader;
use candlemill_client::{Api, fetch_request, fetch_result};
use candlemill_devkit::Stack;
use candlemill_shared::Decimal;
use candlemill_shared::task::TaskState;
use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::HashSet;

/// Eight years of hours: 2017-12-01 to 2026-04-01, UTC ms; the recorded ones begin with 2018.
const HOURS: (&str, &str) = ("1512086400000", "1775001600000");
const COLUMNS: [&str; 11] = [
    "open_time",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "close_time",
    "quote_volume",
    "trades",
    "taker_buy_volume",
    "taker_buy_quote_volume",
];
/// Those that hold a whole number.
const NUMBERS: [&str; 3] = ["open_time", "close_time", "trades"];

/// The recorded hours before the end of `HOURS`, without the column that nobody uses.
fn recorded_hours() -> Vec<Vec<String>> {
    let file = candlemill_devkit::project_root().join("data/klines/BTCUSDT_1h_2018_2026.csv.gz");
    let file = flate2::read::GzDecoder::new(std::fs::File::open(file).unwrap());
    let text = std::io::read_to_string(file).unwrap();
    let rows = text.lines().skip(1).map(|line| line.split(',').take(11).map(str::to_owned).collect::<Vec<_>>());
    rows.filter(|row| row[0].as_str() < HOURS.1).collect()
}

fn hours(more: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
    let base = [("symbol", "BTCUSDT"), ("interval", "1h")];
    base.iter().chain(more).map(|(name, value)| (*name, (*value).to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_years_of_hours_come_back_to_the_digit_with_every_outage() {
    let stack = Stack::builder().start().await.unwrap();
    let api = stack.client("pro").await.unwrap();
    let request = fetch_request("BTCUSDT", "1h", HOURS.0, Some(HOURS.1)).unwrap();
    assert_eq!(api.fetch_and_wait(&request).await.unwrap().state, TaskState::Succeeded);
    let recorded = recorded_hours();
    let (objects, pages) = objects_by_pages(&api, 7_777).await;
    assert_eq!(pages, recorded.len().div_ceil(7_777));
    assert!(objects == recorded, "objects, page by page");
    assert!(arrow_rows(&api).await == recorded, "the Arrow stream");
    outages(&api, &recorded).await;
}

async fn objects_by_pages(api: &Api, limit: u32) -> (Vec<Vec<String>>, usize) {
    let (mut rows, mut pages, mut cursor) = (Vec::new(), 0, None::<String>);
    loop {
        let mut query = hours(&[("format", "objects"), ("start", HOURS.0), ("limit", &limit.to_string())]);
        query.extend(cursor.take().map(|cursor| ("cursor", cursor)));
        let answer = api.stream("/api/market-data/klines", &query).await.unwrap();
        cursor = answer.headers().get("x-next-cursor").map(|next| next.to_str().unwrap().to_owned());
        for object in answer.json::<Vec<Value>>().await.unwrap() {
            assert_eq!(object.as_object().unwrap().len(), COLUMNS.len());
            let cell = |name: &&str| match &object[*name] {
                Value::String(figure) if !NUMBERS.contains(name) => figure.clone(),
                Value::Number(number) if NUMBERS.contains(name) => number.to_string(),
                other => panic!("{name}: {other}"),
            };
            rows.push(COLUMNS.iter().map(cell).collect());
        }
        pages += 1;
        if cursor.is_none() {
            return (rows, pages);
        }
    }
}

async fn arrow_rows(api: &Api) -> Vec<Vec<String>> {
    let query = hours(&[("format", "arrow"), ("start", HOURS.0)]);
    let bytes = api.stream("/api/market-data/klines", &query).await.unwrap().bytes().await.unwrap();
    let mut rows = Vec::new();
    for batch in StreamReader::try_new(&bytes[..], None).unwrap().map(Result::unwrap) {
        assert_eq!(batch.schema().fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>(), COLUMNS);
        for row in 0..batch.num_rows() {
            let cell = |(index, name): (usize, &&str)| {
                let column = batch.column(index);
                assert!(!column.is_null(row), "{name} of row {row}");
                match *name {
                    "open_time" | "close_time" => {
                        column.as_primitive::<TimestampMillisecondType>().value(row).to_string()
                    }
                    "trades" => column.as_primitive::<UInt64Type>().value(row).to_string(),
                    _ => {
                        let mut figure =
                            Decimal::from_i128_with_scale(column.as_primitive::<Decimal128Type>().value(row), 18);
                        let exact = figure;
                        figure.rescale(8);
                        assert_eq!(figure, exact, "{name} of row {row} has digits that the exchange never printed");
                        figure.to_string()
                    }
                }
            };
            rows.push(COLUMNS.iter().enumerate().map(cell).collect());
        }
    }
    rows
}

/// The ledger, read a few gaps at a time, holds exactly the holes of the recorded file.
async fn outages(api: &Api, recorded: &[Vec<String>]) {
    const HOUR: i64 = 3_600_000;
    let opens: Vec<i64> = recorded.iter().map(|row| row[0].parse().unwrap()).collect();
    let holes = opens.windows(2).filter(|pair| pair[1] - pair[0] > HOUR);
    let expected: Vec<(i64, i64)> = holes.map(|pair| (pair[0] + HOUR, pair[1])).collect();
    assert_eq!(expected.len(), 27);
    let (mut found, mut cursor, mut listing) = (Vec::new(), None::<String>, 0);
    loop {
        let mut query = hours(&[("limit", "5")]);
        query.extend(cursor.take().map(|cursor| ("cursor", cursor)));
        let report: Value = api.get("/api/market-data/coverage", &query).await.unwrap();
        let verified = json!([{"start": "2017-12-01T00:00:00Z", "end": "2026-04-01T00:00:00Z", "buckets": 73_032}]);
        assert_eq!(report["verified"], verified);
        let gaps = report["gaps"].as_array().unwrap();
        assert!(gaps.len() <= 5);
        for gap in gaps {
            let time = |name: &str| ms(gap[name].clone());
            match gap["reason"].as_str().unwrap() {
                "before_listing" => listing += gap["buckets"].as_i64().unwrap(),
                reason => {
                    assert_eq!(reason, "outage");
                    assert_eq!(gap["buckets"], (time("end") - time("start")) / HOUR);
                    found.push((time("start"), time("end")));
                }
            }
        }
        cursor = report["next_cursor"].as_str().map(str::to_owned);
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(found, expected);
    assert_eq!(listing, 31 * 24, "the month before the first recorded hour");
}

/// UTC ms of an RFC 3339 text.
fn ms(time: Value) -> i64 {
    serde_json::from_value::<candlemill_shared::Timestamp>(time).unwrap().ms()
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_come_together_are_one_task() {
    let mut stack = Stack::builder().workers(0).start().await.unwrap();
    let api = stack.client("pro").await.unwrap();
    let post = async |day: u32, key: Option<&str>| {
        let body = json!({"symbol": "BTCUSDT", "interval": "1m", "start": format!("2020-01-0{day}T00:00:00Z"), "end": format!("2020-01-0{}T00:00:00Z", day + 1)});
        let mut call = api.request(Method::POST, "/api/market-data/fetch").json(&body);
        if let Some(key) = key {
            call = call.header("Idempotency-Key", key);
        }
        let answer = call.send().await.unwrap();
        let (status, location) = (answer.status().as_u16(), answer.headers().get("location").cloned());
        let body: Value = answer.json().await.unwrap();
        let id = body["task_id"].as_str().unwrap_or_default().to_owned();
        if status == 202 {
            assert_eq!(location.unwrap().to_str().unwrap(), format!("/api/task/{id}"));
            assert_eq!(body["progress_url"], format!("/api/task/{id}/progress"));
        }
        (status, id, body["created"] == true)
    };
    let same = join_all((0..50).map(|_| post(1, None))).await;
    assert!(same.iter().all(|answer| answer.0 == 202), "{same:?}");
    assert_eq!(same.iter().map(|answer| &answer.1).collect::<HashSet<_>>().len(), 1, "{same:?}");
    assert_eq!(same.iter().filter(|answer| answer.2).count(), 1, "one of them created it");
    let keyed = join_all((0..50).map(|_| post(2, Some("one key")))).await;
    assert_eq!(keyed.iter().map(|answer| &answer.1).collect::<HashSet<_>>().len(), 1, "{keyed:?}");
    let mixed = join_all((0..40).map(|number| post(3 + number % 2, Some("another key")))).await;
    let won: HashSet<_> = mixed.iter().filter(|answer| answer.0 == 202).map(|answer| &answer.1).collect();
    assert_eq!(won.len(), 1, "one of two requests has the key: {mixed:?}");
    assert_eq!(mixed.iter().filter(|answer| answer.0 == 409).count(), 20, "the other one conflicts: {mixed:?}");
    let list: Value = api.get("/api/tasks", &[]).await.unwrap();
    assert_eq!(list["tasks"].as_array().unwrap().len(), 3, "{list}");
    stack.add_worker().await.unwrap();
    for id in [&same[0].1, &keyed[0].1, won.iter().next().unwrap()] {
        assert_eq!(api.follow(id, |_| {}).await.unwrap().state, TaskState::Succeeded);
    }
}

/// Neither takes a request that is no further task a place from another one, nor does a place come from requests that are
/// being refused at the same moment.
#[tokio::test(flavor = "multi_thread")]
async fn requests_that_come_together_keep_to_the_number_of_the_tier() {
    const AT_ONCE: usize = 2;
    let stack = Stack::builder().workers(0).start().await.unwrap();
    let free = stack.client("free").await.unwrap();
    let post = async |day: usize| {
        let body = json!({"symbol": "BTCUSDT", "interval": "1h", "start": format!("2020-01-{day:02}T00:00:00Z"), "end": format!("2020-01-{:02}T00:00:00Z", day + 1)});
        let answer = free.request(Method::POST, "/api/market-data/fetch").json(&body).send().await.unwrap();
        let (status, body) = (answer.status().as_u16(), answer.json::<Value>().await.unwrap());
        let refused = if status == 202 { Value::Null } else { body["limit"].clone() };
        ((status, refused), body["task_id"].as_str().unwrap_or_default().to_owned())
    };
    let accepted = |answers: &[((u16, Value), String)]| {
        answers.iter().filter(|(answer, _)| answer.0 == 202).map(|(_, id)| id.clone()).collect::<HashSet<_>>()
    };
    let same = join_all((0..12).map(|_| post(1))).await;
    assert!(same.iter().all(|(answer, _)| *answer == (202, Value::Null)), "{same:?}");
    let different = join_all((0..24).map(|number| post(1 + number % 20))).await;
    let (first, mut all) = (accepted(&same), accepted(&different));
    assert!(
        different.iter().all(|(answer, _)| answer.0 == 202 || *answer == (403, json!("jobs_at_once"))),
        "{different:?}"
    );
    assert_eq!((first.len(), all.len()), (1, AT_ONCE), "{different:?}");
    assert!(all.is_superset(&first), "the same request again is no further task");
    all.extend(accepted(&join_all((20..28).map(post)).await));
    assert_eq!(all.len(), AT_ONCE, "no more while these wait");
    let list: Value = free.get("/api/tasks", &[]).await.unwrap();
    assert_eq!(list["tasks"].as_array().unwrap().len(), AT_ONCE, "{list}");
}

/// Ids and data of every event of a stream, as text.
async fn events(api: &Api, task: &str, last: Option<&str>) -> Vec<(u64, Value)> {
    let mut call = api.request(Method::GET, &format!("/api/task/{task}/events"));
    if let Some(last) = last {
        call = call.header("Last-Event-ID", last);
    }
    let answer = call.send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let text = answer.text().await.unwrap();
    let blocks = text.split("\n\n").filter(|block| block.contains("data:"));
    let field = |block: &str, name: &str| {
        let line =
            block.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{name} of {block}"));
        line.trim().to_owned()
    };
    blocks
        .map(|block| {
            assert_eq!(field(block, "event:"), "progress");
            (field(block, "id:").parse().unwrap(), serde_json::from_str(&field(block, "data:")).unwrap())
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_events_ends_with_the_task_and_is_resumed_where_it_broke() {
    let stack = Stack::builder()
        .simulator_env("SIMULATOR_LATENCY_MS", "15")
        .worker_env("BACKFILL_PAGE_CONCURRENCY", "2")
        .start()
        .await
        .unwrap();
    let source = Source::minutes(&stack, 50_000).await;
    let api = stack.client("enterprise").await.unwrap();
    let task = api.fetch(&source.request(), None).await.unwrap().task_id.to_string();
    // Two watch at once, and both see the end.
    let (one, other) = tokio::join!(events(&api, &task, None), events(&api, &task, None));
    for seen in [&one, &other] {
        assert!(seen.windows(2).all(|pair| pair[0].0 < pair[1].0), "ids rise: {seen:?}");
        let percent: Vec<f64> = seen.iter().map(|event| event.1["percent"].as_f64().unwrap()).collect();
        assert!(
            percent.is_sorted() && percent.iter().all(|percent| (percent * 10.0).fract().abs() < 1e-6),
            "{percent:?}"
        );
        let last = &seen.last().unwrap().1;
        assert_eq!((&last["state"], &last["percent"]), (&json!("succeeded"), &json!(100.0)));
        assert_eq!((&last["candles_stored"], &last["pages_done"]), (&json!(50_000), &json!(51)));
        assert_eq!(seen.iter().filter(|event| event.1["state"] == "succeeded").count(), 1);
    }
    assert!(one.len() > 5, "{one:?}");
    for last in [one[0].0, one[one.len() / 2].0, one.last().unwrap().0] {
        let again = events(&api, &task, Some(&last.to_string())).await;
        assert_eq!(again.len(), 1, "only the end is left: {again:?}");
        assert_eq!(again[0], *one.last().unwrap());
    }
    assert_eq!(events(&api, &task, Some("rubbish")).await.len(), 1, "an id that is none is passed over");
    let record: Value = api.get(&format!("/api/task/{task}"), &[]).await.unwrap();
    assert_eq!(record["result"]["inserted"], 50_000, "{record}");
    for member in ["duplicate", "pages", "calls", "weight", "retries", "ranges", "gaps"] {
        assert!(!record["result"][member].is_null(), "{member} of {record}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn running_work_stops_within_a_page_and_goes_on_where_it_was() {
    let stack = Stack::builder()
        .simulator_env("SIMULATOR_LATENCY_MS", "25")
        .worker_env("BACKFILL_PAGE_CONCURRENCY", "2")
        .start()
        .await
        .unwrap();
    let source = Source::minutes(&stack, 60_000).await;
    let api = stack.client("enterprise").await.unwrap();
    let task = api.fetch(&source.request(), None).await.unwrap().task_id.to_string();
    wait_for_pages(&api, &task, 5).await;
    let before = api.progress(&task).await.unwrap().done;
    let answer = api.request(Method::DELETE, &format!("/api/task/{task}")).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 202, "it is told to stop");
    let end = api.follow(&task, |_| {}).await.unwrap();
    assert_eq!(end.state, TaskState::Cancelled);
    assert!(end.percent < 100.0 && end.done <= before + 8, "{before} pages, then {end:?}");
    let cancelled = fetch_result(&api.task(&task).await.unwrap()).unwrap().result;
    assert_eq!(cancelled.inserted, end.detail("candles_stored"), "the record says what the last snapshot said");
    let again = api.fetch_and_wait(&source.request()).await.unwrap();
    let result = fetch_result(&again).unwrap().result;
    assert_eq!(again.state, TaskState::Succeeded);
    // Pages that were stored when the stop came, but not yet counted, are fetched again and found there.
    let all = cancelled.inserted + result.inserted + result.duplicate;
    assert_eq!(all, 60_000, "{cancelled:?} {result:?}");
    assert!(result.duplicate <= 4_000, "no more than was under way is fetched twice: {result:?}");
    source.check_stored(&stack, "cancelled and submitted again").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_lists_every_call_and_what_it_may_answer() {
    let stack = Stack::builder().workers(0).api_env("ADMIN_TOKEN", &"a".repeat(32)).start().await.unwrap();
    let open = async |path: &str| reqwest::get(format!("{}{path}", stack.api_url())).await.unwrap();
    let document: Value = open("/api-docs/openapi.json").await.json().await.unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1."));
    let mut calls: Vec<String> = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            assert!(!operation["responses"].as_object().unwrap().is_empty(), "{method} {path}");
            let method = method.to_uppercase();
            let url = format!("{}{}", stack.api_url(), path.replace("{id}", "01JC5Y7V9N8B3M2K1H0G9F8E7D"));
            let answer = reqwest::Client::new().request(method.parse().unwrap(), url).send().await.unwrap();
            // What is documented with a token needs one; what is not answers without.
            // Sessions are for the service's own pages.
            let expected = match operation["security"].as_array() {
                _ if path.starts_with("/api/session") => 403,
                Some(_) => 401,
                None => 200,
            };
            assert_eq!(answer.status().as_u16(), expected, "{method} {path}");
            calls.push(format!("{method} {path}"));
        }
    }
    calls.sort();
    let expected = [
        "DELETE /api/admin/schedules/{id}",
        "DELETE /api/schedules/{id}",
        "DELETE /api/seasonality/{id}",
        "DELETE /api/session",
        "DELETE /api/task/{id}",
        "GET /api/admin/queues",
        "GET /api/admin/schedules",
        "GET /api/admin/task/{id}",
        "GET /api/admin/tasks",
        "GET /api/dead-letters",
        "GET /api/events",
        "GET /api/market-data/coverage",
        "GET /api/market-data/klines",
        "GET /api/market-data/series",
        "GET /api/market-data/symbols",
        "GET /api/schedules",
        "GET /api/schedules/{id}",
        "GET /api/schedules/{id}/fires",
        "GET /api/seasonality",
        "GET /api/seasonality/{id}",
        "GET /api/seasonality/{id}/charts/{name}",
        "GET /api/task/{id}",
        "GET /api/task/{id}/events",
        "GET /api/task/{id}/progress",
        "GET /api/tasks",
        "GET /api/webhooks/secret",
        "GET /healthz",
        "GET /metrics",
        "GET /problems",
        "GET /readyz",
        "PATCH /api/schedules/{id}",
        "POST /api/admin/market-data/verify",
        "POST /api/admin/queues/{pool}/pause",
        "POST /api/admin/queues/{pool}/resume",
        "POST /api/admin/schedules/{id}/pause",
        "POST /api/admin/schedules/{id}/resume",
        "POST /api/admin/workers/{id}/drain",
        "POST /api/dead-letters/replay",
        "POST /api/dead-letters/{id}/discard",
        "POST /api/dead-letters/{id}/replay",
        "POST /api/market-data/fetch",
        "POST /api/market-data/fetch/batch",
        "POST /api/market-data/verify",
        "POST /api/schedules",
        "POST /api/schedules/preview",
        "POST /api/schedules/{id}/run",
        "POST /api/seasonality",
        "POST /api/session",
        "POST /api/session/refresh",
    ];
    assert_eq!(calls, expected);
    // Every reference leads somewhere.
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        assert!(document.pointer(reference).is_some(), "{reference}");
    }
    let page = open("/docs/").await;
    assert!(page.headers()["content-type"].to_str().unwrap().starts_with("text/html"));
}
