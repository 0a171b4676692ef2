//! Who is an operator, and what is wrong with their calls, is said before any store is asked.

use crate::service::Service;
use reqwest::Method;
use serde_json::{Value, json};

const TOKEN: &str = "a-token-of-operators-of-no-real-installation";
const CALLS: [(&str, &str); 6] = [
    ("GET", "queues"),
    ("POST", "queues/backfill/pause"),
    ("POST", "queues/backfill/resume"),
    ("POST", "workers/w-1/drain"),
    ("GET", "task/01JC5Y7V9N8B3M2K1H0G9F8E7D"),
    ("GET", "tasks?owner=c55fe69d-9a14-89bd-b60c-c15aa96ba543"),
];

async fn check(service: &Service, call: (&str, &str), token: Option<&str>, body: Option<Value>, expected: (u16, &str)) {
    let method = Method::from_bytes(call.0.as_bytes()).unwrap();
    let mut request = service.request(method, &format!("/api/admin/{}", call.1));
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    if let Some(body) = &body {
        request = request.json(body);
    }
    let answer = service.send(request).await;
    let name = format!("{call:?} {token:?} {body:?}: {}", answer.text);
    assert_eq!(answer.code(), (expected.0, expected.1.to_owned()), "{name}");
    assert_eq!(answer.header("www-authenticate").is_empty(), expected.0 != 401, "{name}");
    assert!(!answer.text.contains(TOKEN), "{name}");
}

#[tokio::test]
async fn only_the_operators_token_passes() {
    let service = Service::start_with([("ADMIN_TOKEN", TOKEN)]).await;
    let user = service.token_of("enterprise");
    for call in CALLS {
        check(&service, call, None, None, (401, "missing_token")).await;
        for wrong in [&user, &TOKEN[1..], &TOKEN.to_uppercase(), ""] {
            check(&service, call, Some(wrong), None, (401, "invalid_admin_token")).await;
        }
        check(&service, call, Some(TOKEN), None, (503, "store_unavailable")).await;
    }
    // Nor is an operator a user.
    assert_eq!(service.knock(TOKEN).await.status.as_u16(), 401);
    assert_eq!(service.user_calls(), 0, "Supabase is not asked about operators");
}

#[tokio::test]
async fn without_a_token_nobody_is_an_operator() {
    let service = Service::start().await;
    for call in CALLS {
        for token in [None, Some(""), Some(TOKEN)] {
            check(&service, call, token, None, (403, "admin_disabled")).await;
        }
    }
}

#[tokio::test]
async fn wrong_calls_are_named() {
    let service = Service::start_with([("ADMIN_TOKEN", TOKEN)]).await;
    let post = async |path: &str, body: Option<Value>, expected| {
        check(&service, ("POST", path), Some(TOKEN), body, expected).await;
    };
    for verb in ["pause", "resume"] {
        for pool in ["everything", "BACKFILL", "%7Bbackfill%7D", "backfill%00"] {
            post(&format!("queues/{pool}/{verb}"), None, (404, "pool_not_found")).await;
        }
    }
    let unknown = (404, "worker_not_found");
    for id in ["w%20x", "..%2Fx", "%7Bw%7D", "w:1", &"w".repeat(65)] {
        post(&format!("workers/{id}/drain"), None, unknown).await;
    }
    let invalid = (400, "invalid_request");
    let pause = "queues/backfill/pause";
    post(pause, Some(json!({"reason": "é".repeat(501)})), invalid).await;
    post(pause, Some(json!({"by": "x".repeat(101)})), invalid).await;
    post(pause, Some(json!({"until": "tomorrow"})), invalid).await;
    post(pause, Some(json!({"reason": 5})), invalid).await;
    post(pause, Some(json!({"reason": "é".repeat(500), "by": "x".repeat(100)})), (503, "store_unavailable")).await;
    post(pause, Some(json!({"reason": null})), (503, "store_unavailable")).await;
    check(&service, ("GET", pause), Some(TOKEN), None, (405, "method_not_allowed")).await;
    check(&service, ("POST", "queues"), Some(TOKEN), None, (405, "method_not_allowed")).await;
    let plain = service.request(Method::POST, &format!("/api/admin/{pause}")).bearer_auth(TOKEN).body("reason=x");
    assert_eq!(
        service.send(plain).await.code(),
        (415, "unsupported_media_type".to_owned()),
        "no reason is lost silently"
    );
    let torn = service.request(Method::POST, &format!("/api/admin/{pause}")).bearer_auth(TOKEN);
    let torn = torn.header("content-type", "application/json").body("{\"reason\":");
    assert_eq!(service.send(torn).await.code(), (400, "malformed_json".to_owned()));
}
