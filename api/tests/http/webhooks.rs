//! Webhooks that are refused before anything is written: the stores of these tests are away.

use crate::service::Service;
use reqwest::Method;
use serde_json::{Value, json};

const SECRET: (&str, &str) = ("WEBHOOK_SECRET", "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
const FETCH: &str = "/api/market-data/fetch";

async fn check(service: &Service, webhook: Value, expected: (u16, &str)) {
    let body = json!({"symbol": "BTCUSDT", "interval": "1h", "start": "2020-01-01T00:00:00Z", "end": "2020-01-02T00:00:00Z", "webhook": webhook});
    let request = service.request(Method::POST, FETCH).bearer_auth(service.token_of("pro")).json(&body);
    let answer = service.send(request).await;
    assert_eq!(answer.code(), (expected.0, expected.1.to_owned()), "{webhook}: {}", answer.text);
    if expected.1 == "webhook_refused" {
        assert_eq!(answer.json()["errors"][0]["field"], "webhook.url", "{}", answer.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn urls_are_refused_by_what_is_wrong_with_them() {
    let service = Service::start_with([SECRET]).await;
    let passed = (503, "store_unavailable");
    let refused = (422, "webhook_refused");
    check(&service, Value::Null, passed).await;
    check(&service, json!({"url": "https://example.com/hooks"}), passed).await;
    for url in [
        "http://example.com/",
        "https://localhost/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://169.254.169.254/latest/meta-data/",
        "https://user:word@example.com/",
        "https://example.com/#x",
        "example.com",
        "",
    ] {
        check(&service, json!({"url": url}), refused).await;
    }
    check(&service, json!({"url": format!("https://example.com/{}", "a".repeat(2_048))}), refused).await;
    check(&service, json!({"url": 5}), (400, "invalid_request")).await;
    check(&service, json!({}), (400, "invalid_request")).await;
    check(&service, json!({"url": "https://example.com/", "secret": "x"}), (400, "invalid_request")).await;
    check(&service, json!("https://example.com/"), (400, "invalid_request")).await;
}

async fn secret(service: &Service, tier: &str) -> (u16, String, String) {
    let request = service.request(Method::GET, "/api/webhooks/secret").bearer_auth(service.token_of(tier));
    let answer = service.send(request).await;
    let text = answer.json()["secret"].as_str().unwrap_or_default().to_owned();
    (answer.status.as_u16(), text, answer.header("cache-control").to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_its_owners_own_and_never_the_deployments() {
    let service = Service::start_with([SECRET]).await;
    let (status, own, cached) = secret(&service, "pro").await;
    assert_eq!((status, cached.as_str()), (200, "no-store"));
    assert!(own.starts_with("whsec_") && own != SECRET.1, "{own}");
    assert_eq!(secret(&service, "pro").await.1, own);
    assert_ne!(secret(&service, "free").await.1, own);
    let stranger = service.send(service.request(Method::GET, "/api/webhooks/secret")).await;
    assert_eq!(stranger.code(), (401, "missing_token".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_secret_there_are_no_webhooks() {
    let service = Service::start().await;
    check(&service, json!({"url": "https://example.com/"}), (422, "webhooks_disabled")).await;
    assert_eq!(secret(&service, "pro").await.0, 422);
}
