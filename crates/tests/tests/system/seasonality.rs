//! Studies from the request to the chart, on the whole product.

use candlemill_client::forms::{StudyFilter, StudyRequest, StudyTable, StudyView, TableFormat};
use candlemill_client::{Api, parse_start, parse_time};
use candlemill_devkit::Stack;
use candlemill_shared::study::{CalendarStudy, Grouping, Study};
use candlemill_shared::task::{TaskId, TaskState};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Recorded hours of BTCUSDT, with outages that the exchange really had.
const YEAR: (&str, &str) = ("2018-01-01", "2019-01-01");
/// Longest wait for a study.
const MAX_WAIT: Duration = Duration::from_secs(90);

fn hours((start, end): (&str, &str), draws: u32) -> StudyRequest {
    let request = StudyRequest::new("BTCUSDT".parse().unwrap(), "1h".parse().unwrap());
    let request = request.from(parse_start(start).unwrap()).until(parse_time(end).unwrap());
    StudyRequest { draws: Some(draws.into()), ..request }
}

async fn studied(api: &Api, request: &StudyRequest) -> StudyView {
    let id = api.study(request, None).await.unwrap().task_id;
    let task = tokio::time::timeout(MAX_WAIT, api.follow(id, |_| {})).await.expect("the study ends").unwrap();
    let record = api.task(id).await.unwrap();
    assert_eq!(task.state, TaskState::Succeeded, "{:?}", record.error);
    api.show_study(id).await.unwrap()
}

/// What a study found, without what tells one run from another.
fn figures(view: &StudyView) -> Value {
    let mut figures = serde_json::to_value(view).unwrap();
    let members = figures.as_object_mut().unwrap();
    members.remove("study_id");
    members.remove("created_at");
    figures
}

#[tokio::test(flavor = "multi_thread")]
async fn from_the_request_to_the_chart() {
    let stack = Stack::builder().start().await.unwrap();
    let api = stack.client("pro").await.unwrap();
    let id = api.study(&hours(YEAR, 200), None).await.unwrap().task_id;
    let mut seen = Vec::new();
    tokio::time::timeout(MAX_WAIT, api.follow(id, |progress| seen.push(progress.clone()))).await.unwrap().unwrap();
    assert!(seen.windows(2).all(|pair| pair[0].percent <= pair[1].percent), "{seen:?}");
    assert_eq!(seen.last().map(|last| (last.state, last.percent)), Some((TaskState::Succeeded, 100.0)));
    let stages: BTreeSet<&str> = seen.iter().filter_map(|progress| progress.stage.as_deref()).collect();
    assert!(
        stages.is_subset(&["fetch", "load", "calendar", "sma_crossover", "mean_reversion", "write"].into()),
        "{stages:?}"
    );

    let found = api.show_study(id).await.unwrap();
    let report = &found.report;
    assert_eq!((report.study_id, found.ledger_changed, found.corrections_since), (id, false, 0));
    // A year of hours, less what the exchange never had.
    assert_eq!(report.candles + report.absent_buckets, 8_760);
    assert!(report.absent_buckets > 0, "the recorded year has outages");
    let calendar = report.calendar.as_ref().unwrap();
    let hour = calendar.groupings.iter().find(|one| one.grouping == Grouping::Hour).unwrap();
    assert_eq!(hour.buckets.len(), 24);
    assert!(hour.buckets.iter().all(|bucket| bucket.n > 300 && bucket.low <= bucket.high), "{hour:?}");
    let crossover = report.sma_crossover.as_ref().unwrap();
    assert!(crossover.signals > 10 && crossover.strategy.out_of_sample.is_some(), "{crossover:?}");

    // Charts are pictures in which nothing runs.
    assert!(report.charts.len() > 4, "{:?}", report.charts);
    for name in &report.charts {
        let svg = api.study_chart(id, name).await.unwrap();
        assert!(svg.contains("<svg") && svg.contains("BTCUSDT") && !svg.contains("<script"), "{name}");
    }
    let chart = format!("/api/seasonality/{id}/charts/{}.svg", report.charts[0]);
    let answer = api.request(Method::GET, &chart).send().await.unwrap();
    let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "image/svg+xml");
    assert!(header("content-security-policy").starts_with("default-src 'none'"));

    // Tables: a page of rows, and the whole as text.
    let rows = api.study_rows(id, StudyTable::SmaCrossoverTrades, None).await.unwrap();
    assert_eq!(rows.rows.len() as u64, crossover.trades);
    let csv = api.study_table(id, StudyTable::Buckets, TableFormat::Csv).await.unwrap().text().await.unwrap();
    let buckets: usize = calendar.groupings.iter().map(|one| one.buckets.len()).sum();
    assert_eq!(csv.lines().count(), buckets + 1);
    assert!(csv.starts_with("grouping,measure,bucket,n,mean,"), "{}", &csv[..80]);

    // It is its owner's alone, and goes when the owner says so.
    let stranger = stack.client("enterprise").await.unwrap();
    assert_eq!(stranger.show_study(id).await.unwrap_err().status(), Some(404));
    assert_eq!(stranger.study_chart(id, &report.charts[0]).await.unwrap_err().status(), Some(404));
    assert_eq!(stranger.delete_study(id).await.unwrap_err().status(), Some(404));
    assert!(stranger.studies(&StudyFilter::default()).await.unwrap().studies.is_empty());
    let listed = api.studies(&StudyFilter::default()).await.unwrap();
    assert_eq!(
        listed.studies.iter().map(|one| (one.study_id, one.candles)).collect::<Vec<_>>(),
        [(id, report.candles)]
    );
    api.delete_study(id).await.unwrap();
    for gone in [api.show_study(id).await.map(drop), api.study_chart(id, &report.charts[0]).await.map(drop)] {
        assert_eq!(gone.unwrap_err().status(), Some(404));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_in_mid_study_changes_no_figure() {
    let mut stack = Stack::builder().start().await.unwrap();
    let api = stack.client("pro").await.unwrap();
    let expected = figures(&studied(&api, &hours(YEAR, 500)).await);
    let id = api.study(&hours(YEAR, 500), None).await.unwrap().task_id;
    wait_for_stage(&api, id, "calendar").await;
    let killed = api.task(id).await.unwrap().attempt;
    stack.workers[0].kill9().await.unwrap();
    stack.workers[0].restart().await.unwrap();
    tokio::time::timeout(MAX_WAIT, api.follow(id, |_| {})).await.unwrap().unwrap();
    assert!(api.task(id).await.unwrap().attempt > killed, "attempt {killed} was killed");
    assert_eq!(figures(&api.show_study(id).await.unwrap()), expected);
}

async fn wait_for_stage(api: &Api, id: TaskId, stage: &str) {
    let deadline = Instant::now() + MAX_WAIT;
    while api.progress(id).await.unwrap().stage.as_deref() != Some(stage) {
        assert!(Instant::now() < deadline, "the study never came to {stage}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Waits for the end; the API may be without a store for a moment.
async fn succeeds(api: &Api, id: TaskId) {
    let end = async {
        loop {
            if let Ok(task) = api.task(id).await
                && task.state.is_end()
            {
                assert_eq!(task.state, TaskState::Succeeded, "{:?}", task.error);
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(MAX_WAIT, end).await.expect("the study ends");
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_goes_away_while_a_study_computes() {
    let mut stack = Stack::builder().start().await.unwrap();
    let api = stack.client("pro").await.unwrap();
    let expected = figures(&studied(&api, &hours(YEAR, 2_000)).await);
    let id = api.study(&hours(YEAR, 2_000), None).await.unwrap().task_id;
    wait_for_stage(&api, id, "calendar").await;
    stack.redis().child().freeze().unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    stack.redis().child().thaw().unwrap();
    succeeds(&api, id).await;
    assert_eq!(figures(&api.show_study(id).await.unwrap()), expected, "frozen");

    let id = api.study(&hours(YEAR, 2_000), None).await.unwrap().task_id;
    wait_for_stage(&api, id, "calendar").await;
    stack.redis().kill9().await.unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    stack.redis().restart().await.unwrap();
    succeeds(&api, id).await;
    assert_eq!(figures(&api.show_study(id).await.unwrap()), expected, "killed");
}

#[tokio::test(flavor = "multi_thread")]
async fn mongodb_goes_away_while_a_study_loads_computes_and_writes() {
    let stack = Stack::builder().through_proxies().start().await.unwrap();
    let api = stack.client("pro").await.unwrap();
    let expected = figures(&studied(&api, &hours(YEAR, 500)).await);
    for after in [20_u64, 200, 600] {
        let id = api.study(&hours(YEAR, 500), None).await.unwrap().task_id;
        tokio::time::sleep(Duration::from_millis(after)).await;
        stack.links().mongo.cut().await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        stack.links().mongo.restore().await;
        succeeds(&api, id).await;
        assert_eq!(figures(&api.show_study(id).await.unwrap()), expected, "cut {after} ms after the request");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_study_is_cancelled_within_a_second() {
    let stack = Stack::builder().start().await.unwrap();
    let api = stack.client("enterprise").await.unwrap();
    studied(&api, &hours(YEAR, 0)).await;
    let id = api.study(&hours(YEAR, 100_000), None).await.unwrap().task_id;
    wait_for_stage(&api, id, "calendar").await;
    let asked = Instant::now();
    api.cancel(id).await.unwrap();
    tokio::time::timeout(MAX_WAIT, api.follow(id, |_| {})).await.unwrap().unwrap();
    assert_eq!(api.task(id).await.unwrap().state, TaskState::Cancelled);
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    assert_eq!(api.show_study(id).await.unwrap_err().status(), Some(404));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_study_keeps_no_health_page_waiting() {
    let stack = Stack::builder().start().await.unwrap();
    let api = stack.client("enterprise").await.unwrap();
    studied(&api, &hours(YEAR, 0)).await;
    let id = api.study(&hours(YEAR, 100_000), None).await.unwrap().task_id;
    wait_for_stage(&api, id, "calendar").await;
    let attempt = api.task(id).await.unwrap().attempt;
    let page = format!("{}/healthz", stack.workers[0].url());
    for _ in 0..50 {
        let answer = tokio::time::timeout(Duration::from_secs(1), reqwest::get(&page)).await;
        assert!(answer.expect("the page answers within a second").unwrap().status().is_success());
    }
    let task = api.task(id).await.unwrap();
    assert_eq!((task.state, task.attempt), (TaskState::Running, attempt), "its lease was renewed");
    api.cancel(id).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_never_be_studied_is_refused_before_any_work() {
    let stack = Stack::builder().workers(0).start().await.unwrap();
    let (free, pro) = (stack.client("free").await.unwrap(), stack.client("pro").await.unwrap());
    let post = async |api: &Api, body: &Value| {
        let answer = api.request(Method::POST, "/api/seasonality").json(body).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    let wrong = json!({
        "symbol": "BTC/USDT", "interval": "7m", "time_zone": "Mars", "draws": 1e9, "studies": [{"study": "calendar", "moon": 1}],
    });
    let (status, told) = post(&pro, &wrong).await;
    let fields: Vec<&str> =
        told["errors"].as_array().unwrap().iter().map(|one| one["field"].as_str().unwrap()).collect();
    assert_eq!((status, fields), (400, vec!["symbol", "interval", "time_zone", "studies[0]", "draws"]), "{told}");
    let short =
        json!({"symbol": "BTCUSDT", "interval": "1h", "start": "2019-12-31T00:00:00Z", "end": "2020-01-01T00:00:00Z"});
    let (status, told) = post(&pro, &short).await;
    assert_eq!(status, 400, "{told}");
    assert!(told["errors"][0]["message"].as_str().unwrap().contains("needs at least"), "{told}");
    let limits = [
        (json!({"symbol": "BTCUSDT", "interval": "1s"}), "intervals"),
        (json!({"symbol": "BTCUSDT", "interval": "1m", "start": "2018-01-01T00:00:00Z"}), "study_candles"),
        (json!({"symbol": "BTCUSDT", "interval": "1d", "draws": 50_000}), "study_draws"),
    ];
    for (body, limit) in limits {
        let (status, told) = post(&free, &body).await;
        assert_eq!((status, &told["limit"]), (403, &json!(limit)), "{told}");
    }
    assert!(pro.tasks(&Default::default()).await.unwrap().tasks.is_empty(), "nothing was stored");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_study_says_what_it_has_and_when_its_data_has_changed() {
    // The ledger is broken on purpose.
    let stack = Stack::builder().without_ledger_check().start().await.unwrap();
    let api = stack.client("pro").await.unwrap();
    let hours_alone = Study::Calendar(CalendarStudy { groupings: Some(vec![Grouping::Hour]), measures: None });
    let request =
        StudyRequest { studies: Some(vec![hours_alone.into()].into()), ..hours(("2019-01-01", "2019-03-01"), 0) };
    let found = studied(&api, &request).await;
    let id = found.report.study_id;
    assert!(!found.ledger_changed);
    assert_eq!(found.report.calendar.as_ref().unwrap().groupings.len(), 4, "one for each measure");
    let client = mongodb::Client::with_uri_str(stack.mongo_uri()).await.unwrap();
    let database = client.database(stack.database());
    let collection = |name: &str| database.collection::<mongodb::bson::Document>(name);
    // What it has is told without its report, and by the report of one that was stored before its document told so.
    let of_study = mongodb::bson::doc! { "_id": id.to_string() };
    for further in
        [mongodb::bson::doc! { "$set": { "kept": true } }, mongodb::bson::doc! { "$unset": { "contents": 1 } }]
    {
        let changed = collection("studies").update_one(of_study.clone(), further.clone()).await.unwrap();
        assert_eq!(changed.modified_count, 1, "{further}");
        assert_eq!(api.study_rows(id, StudyTable::Buckets, None).await.unwrap().rows.len(), 4 * 24, "{further}");
        let check = async |path: &str, code: &str, told: &str| {
            let path = format!("/api/seasonality/{id}{path}");
            let answer = api.request(Method::GET, &path).send().await.unwrap().json::<Value>().await.unwrap();
            assert_eq!((&answer["status"], &answer["code"]), (&json!(404), &json!(code)), "{further}: {answer}");
            assert!(answer["detail"].as_str().unwrap().contains(told), "{further}: {answer}");
        };
        check("?table=sma_crossover_trades", "table_not_found", "It has buckets.").await;
        check("/charts/moon.svg", "chart_not_found", &found.report.charts.join(", ")).await;
    }
    // A range of it is reopened, as an audit that finds a hole does.
    let of_series = mongodb::bson::doc! { "_id": { "$gte": "binance:BTCUSDT:1h", "$lt": "binance:BTCUSDT:1h~" } };
    assert!(collection("coverage_chunks").delete_many(of_series).await.unwrap().deleted_count > 0);
    assert!(api.show_study(id).await.unwrap().ledger_changed);
}
