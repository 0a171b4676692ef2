//! What is wrong with a request is said before any store is asked; and what needs no store works without one.

use crate::service::{Answer, Service};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

const FETCH: &str = "/api/market-data/fetch";
const TASK: &str = "/api/task/01JC5Y7V9N8B3M2K1H0G9F8E7D";

/// The answer is a problem document of this code and names these fields.
async fn check(
    service: &Service,
    name: &str,
    request: RequestBuilder,
    expected: (u16, &str),
    fields: &[&str],
) -> Answer {
    let answer = service.send(request.bearer_auth(service.token_of("pro"))).await;
    assert_eq!(answer.code(), (expected.0, expected.1.to_owned()), "{name}: {}", answer.text);
    assert_eq!(answer.header("content-type"), "application/problem+json", "{name}");
    assert_eq!(answer.header("x-content-type-options"), "nosniff", "{name}");
    let body = answer.json();
    assert_eq!(body["status"], expected.0, "{name}");
    assert_eq!(body["trace_id"], answer.header("x-trace-id"), "{name}");
    for member in ["type", "title", "detail", "instance"] {
        assert!(body[member].as_str().is_some_and(|text| !text.is_empty()), "{name}: {member} of {body}");
    }
    let errors = body["errors"].as_array().cloned().unwrap_or_default();
    let named: Vec<&str> = errors.iter().map(|error| error["field"].as_str().unwrap()).collect();
    assert_eq!(named, fields, "{name}: {body}");
    answer
}

/// One answer as it comes: its status, and its body.
async fn answer(socket: &mut BufReader<TcpStream>) -> (u16, String) {
    let (mut head, mut length) = (String::new(), 0);
    while !head.ends_with("\r\n\r\n") {
        let start = head.len();
        assert!(socket.read_line(&mut head).await.unwrap() > 0, "closed after {head:?}");
        if let Some(text) = head[start..].to_ascii_lowercase().strip_prefix("content-length:") {
            length = text.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    socket.read_exact(&mut body).await.unwrap();
    (head[9..12].parse().unwrap(), String::from_utf8(body).unwrap())
}

#[tokio::test]
async fn whoever_sends_far_too_much_hears_why_and_may_go_on() {
    let service = Service::start().await;
    let mut socket = BufReader::new(TcpStream::connect(service.addr()).await.unwrap());
    let (token, body) = (service.token_of("pro"), vec![b'x'; 8 << 20]);
    let head = |token: &str| {
        let length = body.len();
        format!(
            "POST {FETCH} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n\r\n"
        )
    };
    // First a known caller, then an unknown one, whose body is never looked at.
    for (token, expected) in [(token.as_str(), (413, "body_too_large")), ("x.y.z", (401, "invalid_token"))] {
        socket.write_all(head(token).as_bytes()).await.unwrap();
        socket.write_all(&body).await.unwrap();
        let (status, told) = answer(&mut socket).await;
        let told: Value = serde_json::from_str(&told).unwrap();
        assert_eq!((status, told["code"].as_str().unwrap()), expected);
    }
    // A body that is announced, but comes only when it is asked for, is not waited for.
    let waiting = head("x.y.z").replace("\r\n\r\n", "\r\nexpect: 100-continue\r\n\r\n");
    socket.write_all(waiting.as_bytes()).await.unwrap();
    let heard = tokio::time::timeout(Duration::from_secs(1), answer(&mut socket)).await.unwrap();
    assert_eq!(heard.0, 401);
}

#[tokio::test]
async fn bodies_of_a_fetch() {
    let service = Service::start().await;
    let post = || service.request(Method::POST, FETCH);
    let raw = |text: &str| post().header("content-type", "application/json").body(text.to_owned());
    let malformed = (400, "malformed_json");
    let invalid = (400, "invalid_request");
    check(&service, "no JSON", raw("{\"symbol\":"), malformed, &[]).await;
    check(&service, "nothing", raw(""), malformed, &[]).await;
    check(&service, "an array", raw("[]"), invalid, &[""]).await;
    check(&service, "a missing field", raw("{\"symbol\":\"BTCUSDT\"}"), invalid, &["interval", "start"]).await;
    check(&service, "null", raw("null"), invalid, &[""]).await;
    check(&service, "a field twice", raw("{\"symbol\":\"A\",\"symbol\":\"B\"}"), invalid, &["symbol"]).await;
    check(&service, "not declared as JSON", post().body("{}"), (415, "unsupported_media_type"), &[]).await;
    let huge = format!("{{\"symbol\":\"{}\"}}", "X".repeat(17 * 1024));
    check(&service, "oversized", raw(&huge), (413, "body_too_large"), &[]).await;
    let base =
        json!({"symbol": "BTCUSDT", "interval": "1m", "start": "2020-01-01T00:00:00Z", "end": "2020-01-02T00:00:00Z"});
    let with = |field: &str, value: Value| {
        let mut body = base.clone();
        body[field] = value;
        post().json(&body)
    };
    let unknown = check(&service, "unknown field", with("limit", json!(5)), invalid, &["limit"]).await;
    assert!(unknown.text.contains("limit"), "{}", unknown.text);
    check(&service, "odd symbol", with("symbol", json!("BTC/USDT")), invalid, &["symbol"]).await;
    check(&service, "symbol with a zero", with("symbol", json!("BTC\0")), invalid, &["symbol"]).await;
    check(&service, "bad interval", with("interval", json!("1H")), invalid, &["interval"]).await;
    check(&service, "start after end", with("start", json!("2020-01-03T00:00:00Z")), invalid, &["start"]).await;
    check(&service, "future start", with("start", json!(9_000_000_000_000_i64)), invalid, &["start"]).await;
    let all = json!({"symbol": "", "interval": "", "start": {}, "end": true});
    check(&service, "all at once", post().json(&all), invalid, &["symbol", "interval", "start", "end"]).await;
    let key = with("end", Value::Null).header("idempotency-key", "k".repeat(256));
    check(&service, "long key", key, invalid, &["Idempotency-Key"]).await;
    let second = with("interval", json!("1s"));
    let tier = check(&service, "interval over tier", second, (403, "tier_limit"), &[]).await.json();
    assert_eq!((&tier["limit"], &tier["lifted_by"]), (&json!("intervals"), &json!("enterprise")));
    check(&service, "stores away", post().json(&base), (503, "store_unavailable"), &[]).await;
}

#[tokio::test]
async fn paths_queries_and_methods() {
    let service = Service::start().await;
    let get = |path: &str| service.request(Method::GET, path);
    let invalid = (400, "invalid_request");
    for id in ["1", "01jc5y7v9n8b3m2k1h0g9f8e7d", "%24ne", "..%2F..%2Fetc", "ZZZZZZZZZZZZZZZZZZZZZZZZZZ"] {
        for path in ["", "/progress", "/events"] {
            let request = get(&format!("/api/task/{id}{path}"));
            check(&service, "id that is none", request, (400, "invalid_task_id"), &[]).await;
        }
        let request = service.request(Method::DELETE, &format!("/api/task/{id}"));
        check(&service, "id that is none", request, (400, "invalid_task_id"), &[]).await;
    }
    for path in [TASK, &format!("{TASK}/progress"), &format!("{TASK}/events"), "/api/tasks"] {
        check(&service, path, get(path), (503, "store_unavailable"), &[]).await;
    }
    let tasks = get("/api/tasks?state=done&symbol=$where&interval=2m&cursor=x&limit=201");
    check(&service, "tasks", tasks, invalid, &["state", "symbol", "interval", "cursor", "limit"]).await;
    check(&service, "unknown parameter", get("/api/tasks?page=2"), invalid, &["page"]).await;
    check(&service, "a parameter twice", get("/api/tasks?limit=1&limit=2"), invalid, &["limit"]).await;
    let klines = get("/api/market-data/klines?symbol=B%20C&interval=1x&start=now&limit=0&format=xml");
    check(&service, "klines", klines, invalid, &["symbol", "interval", "start", "format", "limit"]).await;
    let coverage = get("/api/market-data/coverage?symbol=BTCUSDT&interval=1m&start=5&end=5");
    check(&service, "coverage", coverage, invalid, &["start"]).await;
    let series = get("/api/market-data/series?symbol=$where&interval=1H&cursor=BTCUSDT&limit=201");
    check(&service, "series", series, invalid, &["symbol", "interval", "cursor", "limit"]).await;
    let symbols = get("/api/market-data/symbols?prefix=&base=$ne&quote=A%20B&cursor=B/C&limit=1001");
    check(&service, "symbols", symbols, invalid, &["prefix", "base", "quote", "cursor", "limit"]).await;
    for path in ["/api/market-data/series", "/api/market-data/symbols"] {
        check(&service, path, get(path), (503, "store_unavailable"), &[]).await;
    }
    let (klines, coverage) = ("/api/market-data/klines", "/api/market-data/coverage");
    for path in [klines, coverage] {
        let request = get(&format!("{path}?symbol=BTCUSDT&interval=1m&start=5"));
        check(&service, path, request, (503, "store_unavailable"), &[]).await;
    }
    check(&service, "no such call", get("/api/nothing"), (404, "route_not_found"), &[]).await;
    check(&service, "other method", service.request(Method::PUT, FETCH), (405, "method_not_allowed"), &[]).await;
}

#[tokio::test]
async fn what_needs_no_token_and_no_store() {
    let service = Service::start().await;
    let get = |path: &str| service.send(service.request(Method::GET, path));
    assert_eq!(get("/healthz").await.status, 200);
    let ready = get("/readyz").await;
    assert_eq!(ready.status, 503);
    for store in ["redis", "mongodb"] {
        assert_eq!(ready.json()["dependencies"][store]["ready"], false, "{store}: {}", ready.text);
    }
    service.knock(&service.token_of("pro")).await;
    let metrics = get("/metrics").await.text;
    for line in
        ["route=\"/api/market-data/klines\",status=\"400\"} 1", "supabase_user_calls_total 1", "token_misses_total 1"]
    {
        assert!(metrics.contains(line), "{line} of {metrics}");
    }
    let odd = Method::from_bytes(b"ODD").unwrap();
    assert_eq!(service.send(service.request(odd, "/healthz")).await.status, 405);
    get("/nowhere").await;
    let metrics = get("/metrics").await.text;
    for line in ["method=\"other\",route=\"/healthz\",status=\"405\"} 1", "route=\"unmatched\",status=\"404\"} 1"] {
        assert!(metrics.contains(line), "{line} of {metrics}");
    }
    let document = get("/api-docs/openapi.json").await.json();
    assert_eq!(document["openapi"], "3.1.0");
    let calls: Vec<String> = document["paths"].as_object().unwrap().keys().cloned().collect();
    for call in [FETCH, "/api/task/{id}", "/api/task/{id}/progress", "/api/task/{id}/events", "/api/tasks", "/readyz"] {
        assert!(calls.iter().any(|known| known == call), "{call} of {calls:?}");
    }
    let page = get("/docs/").await;
    assert!(page.status == 200 && page.text.contains("swagger-ui"), "{}", page.text);
}

#[tokio::test]
async fn the_trace_of_the_caller_goes_on() {
    let service = Service::start().await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let given =
        service.request(Method::GET, "/healthz").header("traceparent", format!("00-{trace}-00f067aa0ba902b7-01"));
    assert_eq!(service.send(given).await.header("x-trace-id"), trace);
    let made = service.send(service.request(Method::GET, "/healthz")).await;
    assert_eq!(made.header("x-trace-id").len(), 32);
}
