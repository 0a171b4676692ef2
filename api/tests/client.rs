//! The client has a method for every operation of the OpenAPI document, and each makes the call that the document describes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use candlemill_client::{Api, OPERATIONS, fetch_request, klines_query};
use candlemill_shared::forms::{
    BatchRequest, CoverageQuery, DeadLetterFilter, DiscardRequest, FetchRequest, FireFilter, PauseRequest,
    ReplayRequest, ScheduleChange, ScheduleFilter, SeriesFilter, StudyFilter, StudyRequest, SymbolFilter, TaskFilter,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

/// Stands for every parameter of a path.
const NAME: &str = "01JC5Y7V9N8B3M2K1H0G9F8E7D";

/// Calls that are for the dashboard's pages alone: programs sign in at Supabase, and follow the tasks that they submitted.
const OF_PAGES: [&str; 5] = ["sign_in", "refresh_session", "sign_out", "follow_tasks", "list_owners_tasks"];

type Calls = Arc<Mutex<Vec<String>>>;

async fn record(State(calls): State<Calls>, request: Request) -> StatusCode {
    // A picture is asked for with its ending.
    let path = request.uri().path().trim_end_matches(".svg");
    calls.lock().unwrap().push(format!("{} {path}", request.method()));
    StatusCode::IM_A_TEAPOT
}

/// Of every operation its method and path.
fn described() -> BTreeMap<String, String> {
    let document = serde_json::to_value(candlemill_api::openapi::document()).unwrap();
    let mut all = BTreeMap::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let parts = path.split('/').map(|part| if part.starts_with('{') { NAME } else { part });
        let path = parts.collect::<Vec<_>>().join("/");
        for (method, operation) in item.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap().to_owned();
            if OF_PAGES.contains(&id.as_str()) {
                continue;
            }
            assert_eq!(all.insert(id, format!("{} {path}", method.to_uppercase())), None);
        }
    }
    all
}

/// Makes the call that the client has for an operation.
async fn call(api: &Api, operation: &str) {
    let fetch: FetchRequest = fetch_request("BTCUSDT", "1h", "2020-01-01", None).unwrap();
    match operation {
        "submit_fetch" => drop(api.fetch(&fetch, Some("key")).await),
        "submit_batch" => drop(api.fetch_batch(&BatchRequest::of_fetches(Vec::new()), None).await),
        "submit_verification" => drop(api.verify(&fetch, None).await),
        "list_tasks" => drop(api.tasks(&TaskFilter::default()).await),
        "show_task" => drop(api.task(NAME).await),
        "cancel_task" => drop(api.cancel(NAME).await),
        "show_progress" => drop(api.progress(NAME).await),
        "follow_task" => drop(api.events(NAME, None).await),
        "read_klines" => drop(api.klines(&klines_query("BTCUSDT".parse().unwrap(), "1h".parse().unwrap())).await),
        "read_coverage" => drop(api.coverage(&CoverageQuery::default()).await),
        "list_series" => drop(api.series(&SeriesFilter::default()).await),
        "submit_study" => {
            let request = StudyRequest::new("BTCUSDT".parse().unwrap(), "1h".parse().unwrap());
            drop(api.study(&request, None).await);
        }
        "list_studies" => drop(api.studies(&StudyFilter::default()).await),
        "show_study" => drop(api.show_study(NAME).await),
        "show_study_chart" => drop(api.study_chart(NAME, NAME).await),
        "delete_study" => drop(api.delete_study(NAME).await),
        "create_schedule" => drop(api.create_schedule(&ScheduleChange::default()).await),
        "preview_schedule" => drop(api.preview_schedule(&ScheduleChange::default()).await),
        "list_schedules" => drop(api.schedules(&ScheduleFilter::default()).await),
        "show_schedule" => drop(api.schedule(NAME).await),
        "change_schedule" => drop(api.change_schedule(NAME, &ScheduleChange::default()).await),
        "delete_schedule" => drop(api.delete_schedule(NAME).await),
        "run_schedule" => drop(api.run_schedule(NAME, None).await),
        "list_fires" => drop(api.fires(NAME, &FireFilter::default()).await),
        "list_all_schedules" => drop(api.all_schedules(&ScheduleFilter::default()).await),
        "pause_schedule" => drop(api.pause_schedule(NAME).await),
        "resume_schedule" => drop(api.resume_schedule(NAME).await),
        "delete_any_schedule" => drop(api.delete_any_schedule(NAME).await),
        "list_symbols" => drop(api.symbols(&SymbolFilter::default()).await),
        "list_dead_letters" => drop(api.dead_letters(&DeadLetterFilter::default()).await),
        "replay_dead_letters" => drop(api.replay_many(&ReplayRequest::all(None)).await),
        "replay_dead_letter" => drop(api.replay(NAME).await),
        "discard_dead_letter" => drop(api.discard(NAME, &DiscardRequest::new("why")).await),
        "show_webhook_secret" => drop(api.webhook_secret().await),
        "list_queues" => drop(api.queues().await),
        "pause_queue" => drop(api.pause_queue(NAME, &PauseRequest::default()).await),
        "resume_queue" => drop(api.resume_queue(NAME).await),
        "drain_worker" => drop(api.drain_worker(NAME).await),
        "submit_operators_verification" => drop(api.operators_verify(&fetch, None).await),
        "show_operators_task" => drop(api.operators_task(NAME).await),
        "healthz" => drop(api.health().await),
        "readyz" => drop(api.readiness().await),
        "metrics" => drop(api.metrics().await),
        "problems" => drop(api.problems().await),
        unknown => panic!("say here which method of the client makes the call {unknown}"),
    }
}

#[tokio::test]
async fn every_operation_has_a_method_that_makes_its_call() {
    let described = described();
    let known: BTreeSet<&str> = OPERATIONS.iter().copied().collect();
    assert_eq!(known.len(), OPERATIONS.len(), "an operation stands twice");
    assert_eq!(known, described.keys().map(String::as_str).collect(), "the client's table against the document");
    let calls = Calls::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let api = Api::new(&format!("http://{}", listener.local_addr().unwrap()), "token");
    let app = Router::new().fallback(record).with_state(Arc::clone(&calls));
    tokio::spawn(async move { axum::serve(listener, app).await });
    for (operation, expected) in described {
        call(&api, &operation).await;
        assert_eq!(std::mem::take(&mut *calls.lock().unwrap()), [expected], "{operation}");
    }
}
