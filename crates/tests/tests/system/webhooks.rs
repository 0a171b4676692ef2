//! Webhooks: the owner is told of the end of a task, whatever the receiver does and whatever dies.

use crate::harness::{Harness, RunningWorker, fetch, recorded, terms};
use crate::receiver::{Receiver, Step, answer, answer_with};
use candlemill_client::Api;
use candlemill_devkit::Stack;
use candlemill_shared::job::FetchResult;
use candlemill_shared::task::{TaskError, TaskId, TaskRecord, TaskState};
use candlemill_shared::webhook::{MasterSecret, Webhook, WebhookState};
use candlemill_shared::{Clock, Interval, SystemClock};
use candlemill_tasks::{Claim, Ending, ReplayOutcome};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::HashSet;

const START: i64 = 1_577_836_800_000;
const HOUR: i64 = 3_600_000;
const SECRET: (&str, &str) = ("WEBHOOK_SECRET", "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
const HTTP: (&str, &str) = ("WEBHOOK_ALLOW_HTTP", "true");
const PRIVATE: (&str, &str) = ("WEBHOOK_ALLOW_PRIVATE", "true");

async fn worker(harness: &Harness) -> RunningWorker {
    harness.worker_with([SECRET, HTTP, PRIVATE]).await
}

/// One hour of minutes for `owner`, who wants to be told at `url`.
async fn submit(harness: &Harness, owner: &str, number: i64, url: String) -> TaskId {
    let job = fetch("BTCUSDT", Interval::Minute1, START + number * HOUR, START + (number + 1) * HOUR);
    let record = harness.record(owner, &job);
    harness.accept(TaskRecord { webhook: Some(Webhook::new(url)), ..record }).await.record.id
}

fn secret_of(owner: &str) -> String {
    SECRET.1.parse::<MasterSecret>().unwrap().of_owner(owner).reveal()
}

async fn webhook(harness: &Harness, id: TaskId, fits: impl Fn(&Webhook) -> bool) -> Webhook {
    harness.wait(id, |record| record.webhook.as_ref().is_some_and(&fits)).await.webhook.unwrap()
}

fn code(webhook: &Webhook) -> &str {
    webhook.last_error.as_ref().map_or("", |error| error.code.as_str())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_message_comes_at_once_and_again_until_it_is_accepted() {
    let (harness, receiver) = (Harness::start(recorded()).await, Receiver::start(vec![answer(500), answer(200)]).await);
    let _worker = worker(&harness).await;
    let id = submit(&harness, "u", 0, receiver.url("/hooks?key=1")).await;
    let ended = harness.end_of(id).await.ended_at.unwrap();
    let told = receiver.wait(2).await;
    assert!(told[0].at - ended < 1_000, "ended {ended}, told {}", told[0].at);
    assert!(told[1].at - told[0].at >= 2_400, "the second try waits");
    for one in &told {
        assert_eq!((one.path.as_str(), &one.headers["webhook-id"]), ("/hooks?key=1", &format!("{id}_0")));
        assert!(one.is_signed_with(&secret_of("u")) && !one.is_signed_with(&secret_of("v")), "{one:?}");
        let timestamp: i64 = one.headers["webhook-timestamp"].parse().unwrap();
        assert!((one.at / 1_000 - timestamp).abs() <= 1, "the time is that of the try");
        let body = one.json();
        assert_eq!((&body["type"], &body["task_id"]), (&json!("task.succeeded"), &json!(id)));
        assert_eq!((&body["result"]["inserted"], &body["error"]), (&json!(60), &Value::Null));
    }
    let mut forged = told[0].clone();
    forged.body[20] ^= 1;
    assert!(!forged.is_signed_with(&secret_of("u")), "the check can fail");
    let settled = webhook(&harness, id, |webhook| webhook.state == WebhookState::Delivered).await;
    assert_eq!((settled.attempts, settled.last_status, settled.next_at, code(&settled)), (2, Some(200), None, ""));
}

/// What the record says after the first try at a receiver that does `step`.
async fn check(harness: &Harness, number: i64, step: Step, expected: (WebhookState, Option<u16>, &str, Option<i64>)) {
    let receiver = Receiver::start(vec![step.clone()]).await;
    let id = submit(harness, "u", number, receiver.url("/")).await;
    let after = webhook(harness, id, |webhook| webhook.last_status.is_some() || webhook.last_error.is_some()).await;
    let (state, status, why, wait) = expected;
    assert_eq!((after.state, after.last_status, code(&after), after.attempts), (state, status, why, 1), "{step:?}");
    let waits = after.next_at.map(|next| next - receiver.told()[0].at);
    match (waits, wait) {
        (Some(waits), Some(wait)) => assert!((wait..wait + 5_000).contains(&waits), "{step:?}: {waits}"),
        (waits, wait) => assert_eq!(waits, wait, "{step:?}"),
    }
    assert_eq!(receiver.told().len(), 1, "{step:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_decide() {
    let (harness, elsewhere) = (Harness::start(recorded()).await, Receiver::start(vec![answer(200)]).await);
    let _worker = worker(&harness).await;
    let moved = answer_with(307, &format!("location: {}\r\n", elsewhere.url("/")));
    let not_accepted = "webhook_not_accepted";
    check(&harness, 0, answer(204), (WebhookState::Delivered, Some(204), "", None)).await;
    check(&harness, 1, answer(410), (WebhookState::Failed, Some(410), "webhook_gone", None)).await;
    check(&harness, 2, moved, (WebhookState::Pending, Some(307), not_accepted, Some(2_400))).await;
    let later = answer_with(429, "retry-after: 600\r\n");
    check(&harness, 3, later, (WebhookState::Pending, Some(429), not_accepted, Some(599_000))).await;
    assert_eq!(elsewhere.told().len(), 0, "redirects are not followed");
    // Nobody listens there.
    let id = submit(&harness, "u", 4, "http://127.0.0.1:1/".to_owned()).await;
    let after = webhook(&harness, id, |webhook| webhook.last_error.is_some()).await;
    assert_eq!((after.state, code(&after)), (WebhookState::Pending, "webhook_unreachable"), "{after:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn private_addresses_are_refused_when_they_are_called() {
    let (harness, receiver) = (Harness::start(recorded()).await, Receiver::start(vec![answer(200)]).await);
    let _worker = harness.worker_with([SECRET, HTTP]).await;
    // As if they had been accepted before the deployment became stricter.
    for (number, url) in [receiver.url("/"), receiver.url_by_name("/")].into_iter().enumerate() {
        let id = submit(&harness, "u", i64::try_from(number).unwrap(), url.clone()).await;
        let after = webhook(&harness, id, |webhook| webhook.state != WebhookState::Pending).await;
        assert_eq!((after.state, code(&after)), (WebhookState::Failed, "webhook_refused"), "{url}: {after:?}");
    }
    assert_eq!(receiver.told().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hung_receiver_holds_up_neither_tasks_nor_other_owners() {
    let harness = Harness::start(recorded()).await;
    let (hung, good) = (Receiver::start(vec![Step::Hang]).await, Receiver::start(vec![answer(200)]).await);
    let _worker = harness.worker_with([SECRET, HTTP, PRIVATE, ("WORKER_CONCURRENCY", "2")]).await;
    let began = SystemClock.now_ms();
    let mut slow = Vec::new();
    for number in 0..30 {
        slow.push(submit(&harness, "slow", number, hung.url("/")).await);
    }
    let quick = submit(&harness, "quick", 40, good.url("/")).await;
    for id in slow.iter().chain([&quick]) {
        assert_eq!(harness.end_of(*id).await.state, TaskState::Succeeded);
    }
    webhook(&harness, quick, |webhook| webhook.state == WebhookState::Delivered).await;
    let took = SystemClock.now_ms() - began;
    assert!(took < 9_500, "everything went on while the first tries hung: {took} ms");
    assert_eq!(hung.wait(8).await.len(), 8, "one owner has so many tries at once");
    let given_up_on = webhook(&harness, slow[0], |webhook| webhook.last_error.is_some()).await;
    assert_eq!(code(&given_up_on), "webhook_unreachable", "{given_up_on:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_end_is_told_once_by_any_number_of_workers_and_again_after_a_replay() {
    let (harness, receiver) = (Harness::start(recorded()).await, Receiver::start(vec![answer(200)]).await);
    let (tasks, now) = (harness.tasks.records(), SystemClock.now_ms());
    let cancelled = submit(&harness, "u", 0, receiver.url("/cancelled")).await;
    harness.tasks.cancel(cancelled, "u").await.unwrap();
    // A worker that ended a task and died before it told anybody.
    let dead = submit(&harness, "u", 1, receiver.url("/dead")).await;
    let Claim::Started(running) = tasks.claim(dead, "w", |_| None).await.unwrap() else { panic!("it waits") };
    let error = Some(TaskError::new("panic", "gave up"));
    let end = Ending {
        state: TaskState::Dead,
        result: Some(serde_json::json!(FetchResult::default())),
        error,
        run_at: None,
        at: now,
    };
    assert!(tasks.end(&running, &end).await.unwrap());
    let _workers = (worker(&harness).await, worker(&harness).await);
    let mut all = HashSet::from([format!("{cancelled}_0"), format!("{dead}_0")]);
    let told = receiver.wait(2).await;
    let types: HashSet<String> = told.iter().map(|one| format!("{} {}", one.path, one.json()["type"])).collect();
    assert_eq!(types, HashSet::from(["/cancelled \"task.cancelled\"".into(), "/dead \"task.dead\"".into()]));
    webhook(&harness, dead, |webhook| webhook.state == WebhookState::Delivered).await;
    let replayed = harness.tasks.replay(dead, "u", &terms(1_000)).await.unwrap();
    let ReplayOutcome::Replayed(record) = replayed else { panic!("{replayed:?}") };
    let waits = record.webhook.unwrap();
    assert_eq!((waits.state, waits.attempts, waits.next_at), (WebhookState::Pending, 0, None));
    all.insert(format!("{dead}_1"));
    for number in 2..30 {
        all.insert(format!("{}_0", submit(&harness, "u", number, receiver.url("/")).await));
    }
    let told = receiver.wait(all.len()).await;
    let ids: HashSet<String> = told.iter().map(|one| one.headers["webhook-id"].clone()).collect();
    assert_eq!(ids, all);
    // Whatever two workers both tried would have come by the next look.
    tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
    assert_eq!(receiver.told().len(), all.len(), "no message came twice");
}

async fn post(api: &Api, day: u32, webhook: Value) -> (u16, Value) {
    let (start, end) = (format!("2020-01-0{day}"), format!("2020-01-0{}", day + 1));
    let body = json!({"symbol": "BTCUSDT", "interval": "1m", "start": format!("{start}T00:00:00Z"), "end": format!("{end}T00:00:00Z"), "webhook": webhook});
    let answer = api.request(Method::POST, "/api/market-data/fetch").json(&body).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_workers_message_is_delivered_by_another() {
    let receiver = Receiver::start(vec![Step::Hang, answer(200)]).await;
    let mut builder = Stack::builder();
    for (name, value) in [SECRET, HTTP, PRIVATE] {
        builder = builder.api_env(name, value).worker_env(name, value);
    }
    let mut stack = builder.start().await.unwrap();
    let api = stack.client("pro").await.unwrap();
    let (status, accepted) = post(&api, 1, json!({"url": receiver.url("/")})).await;
    assert_eq!((status, &accepted["created"]), (202, &json!(true)), "{accepted}");
    assert_eq!(post(&api, 1, json!({"url": receiver.url("/")})).await.0, 202);
    let task = accepted["task_id"].as_str().unwrap();
    receiver.wait(1).await;
    stack.workers[0].kill9().await.unwrap();
    stack.add_worker().await.unwrap();
    let told = receiver.wait(2).await;
    assert!(told[1].at - told[0].at < 20_000, "within the claim's time and a look");
    let own: Value = api.get("/api/webhooks/secret", &[]).await.unwrap();
    let other: Value = stack.client("enterprise").await.unwrap().get("/api/webhooks/secret", &[]).await.unwrap();
    for one in &told {
        assert_eq!(one.headers["webhook-id"], format!("{task}_0"));
        assert!(one.is_signed_with(own["secret"].as_str().unwrap()));
        assert!(!one.is_signed_with(other["secret"].as_str().unwrap()));
    }
    let shown = shown(&api, &accepted, |webhook| webhook["state"] != "pending").await;
    assert_eq!((&shown["state"], &shown["attempts"]), (&json!("delivered"), &json!(2)), "{shown}");
    assert_eq!((&shown["url"], &shown["next_at"]), (&json!(receiver.url("/")), &Value::Null), "{shown}");
}

/// The task's webhook, once it is as `fits` wants it.
async fn shown(api: &Api, task: &Value, fits: impl Fn(&Value) -> bool) -> Value {
    let path = format!("/api/task/{}", task["task_id"].as_str().unwrap());
    loop {
        let shown: Value = api.get(&path, &[]).await.unwrap();
        if fits(&shown["webhook"]) {
            return shown["webhook"].clone();
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn https_receivers_are_told_if_their_certificate_is_trusted_and_names_them() {
    let (trusted, certificate) = Receiver::start_tls(vec![answer(200)]).await;
    let (stranger, _) = Receiver::start_tls(vec![answer(200)]).await;
    let folder = tempfile::tempdir().unwrap();
    let roots = folder.path().join("roots.pem");
    std::fs::write(&roots, certificate).unwrap();
    let mut builder = Stack::builder().worker_env("SSL_CERT_FILE", roots.to_str().unwrap());
    for (name, value) in [SECRET, PRIVATE] {
        builder = builder.api_env(name, value).worker_env(name, value);
    }
    let stack = builder.start().await.unwrap();
    let api = stack.client("pro").await.unwrap();
    let (_, told) = post(&api, 1, json!({"url": trusted.url_by_name("/hooks")})).await;
    let (_, untrusted) = post(&api, 2, json!({"url": stranger.url_by_name("/")})).await;
    // The certificate is for `localhost`.
    let (_, misnamed) = post(&api, 3, json!({"url": trusted.url("/")})).await;
    let delivered = shown(&api, &told, |webhook| webhook["state"] != "pending").await;
    assert_eq!((&delivered["state"], &delivered["last_status"]), (&json!("delivered"), &json!(200)), "{delivered}");
    for (accepted, why) in [(untrusted, "UnknownIssuer"), (misnamed, "not valid for name")] {
        let refused = shown(&api, &accepted, |webhook| !webhook["last_error"].is_null()).await;
        assert_eq!(
            (&refused["state"], &refused["last_error"]["code"]),
            (&json!("pending"), &json!("webhook_unreachable")),
            "{refused}"
        );
        let message = refused["last_error"]["message"].as_str().unwrap();
        assert!(message.contains("certificate") && message.contains(why), "{message}");
    }
    let own: Value = api.get("/api/webhooks/secret", &[]).await.unwrap();
    let told = trusted.told();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].path == "/hooks" && told[0].is_signed_with(own["secret"].as_str().unwrap()));
    assert_eq!(stranger.told().len(), 0, "nothing is said to a stranger");
}
