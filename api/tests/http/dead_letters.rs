//! What is wrong with calls of dead letters is said before any store is asked.

use crate::service::Service;
use reqwest::Method;
use serde_json::{Value, json};

const LETTERS: &str = "/api/dead-letters";
const ID: &str = "01JC5Y7V9N8B3M2K1H0G9F8E7D";

async fn check(service: &Service, method: Method, path: &str, body: Option<Value>, code: (u16, &str), fields: &[&str]) {
    let mut request = service.request(method.clone(), &format!("{LETTERS}{path}")).bearer_auth(service.token_of("pro"));
    if let Some(body) = &body {
        request = request.json(body);
    }
    let answer = service.send(request).await;
    let name = format!("{method} {path} {body:?}: {}", answer.text);
    assert_eq!(answer.code(), (code.0, code.1.to_owned()), "{name}");
    let problem = answer.json();
    let errors = problem["errors"].as_array().cloned().unwrap_or_default();
    let named: Vec<&str> = errors.iter().map(|error| error["field"].as_str().unwrap()).collect();
    assert_eq!(named, fields, "{name}");
}

#[tokio::test]
async fn wrong_calls_are_named() {
    let service = Service::start().await;
    let invalid = (400, "invalid_request");
    let away = (503, "store_unavailable");
    let get = |path: &'static str, code, fields: &'static [&'static str]| {
        check(&service, Method::GET, path, None, code, fields)
    };
    get("", away, &[]).await;
    get("?discarded=1&cursor=$ne&limit=201", invalid, &["discarded", "cursor", "limit"]).await;
    get("?state=dead", invalid, &["state"]).await;
    get("/replay", (405, "method_not_allowed"), &[]).await;
    let post = async |path: &str, body: Value, code, fields: &[&str]| {
        check(&service, Method::POST, path, Some(body), code, fields).await;
    };
    let id = |verb: &str| format!("/{ID}/{verb}");
    post(&id("replay"), json!({}), away, &[]).await;
    post("/x/replay", json!({}), (400, "invalid_task_id"), &[]).await;
    post(&id("discard"), json!({"reason": "because"}), away, &[]).await;
    post(&id("discard"), json!({"reason": " "}), invalid, &["reason"]).await;
    post(&id("discard"), json!({"reason": "é".repeat(501)}), invalid, &["reason"]).await;
    post(&id("discard"), json!({}), invalid, &["reason"]).await;
    post("/x/discard", json!({"reason": "because"}), (400, "invalid_task_id"), &[]).await;
    post("/replay", json!({"all": true}), away, &[]).await;
    post("/replay", json!({"task_ids": [ID]}), away, &[]).await;
    post("/replay", json!({}), invalid, &["task_ids"]).await;
    post("/replay", json!({"task_ids": vec![ID; 101]}), invalid, &["task_ids"]).await;
    post("/replay", json!({"task_ids": ["$ne"]}), invalid, &["task_ids[0]"]).await;
    post("/replay", json!({"all": true, "task_ids": [ID]}), invalid, &["all"]).await;
    post("/replay", json!({"all": true, "owner": "somebody"}), invalid, &["owner"]).await;
    post("/replay", json!({"all": true, "cursor": "1"}), invalid, &["cursor"]).await;
}
