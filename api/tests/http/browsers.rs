//! Pages of other origins: who may read what, also when it is refused.

use crate::service::{Answer, Service};
use reqwest::Method;

const PAGE: &str = "https://app.example.com";

fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.headers.get(name).map(|value| value.to_str().unwrap())
}

#[tokio::test]
async fn pages_of_allowed_origins_read_answers_and_refusals() {
    let service = Service::start_with([("CORS_ALLOWED_ORIGINS", PAGE)]).await;
    let from = |origin: &str, method: Method, path: &str| service.request(method, path).header("Origin", origin);
    let preflight = from(PAGE, Method::OPTIONS, "/api/market-data/fetch")
        .header("Access-Control-Request-Method", "POST")
        .header("Access-Control-Request-Headers", "authorization,content-type,idempotency-key");
    let answer = service.send(preflight).await;
    assert_eq!((answer.status.as_u16(), header(&answer, "access-control-allow-origin")), (200, Some(PAGE)));
    let allowed = header(&answer, "access-control-allow-headers").unwrap();
    assert!(
        ["authorization", "content-type", "idempotency-key"].iter().all(|name| allowed.contains(name)),
        "{allowed}"
    );
    assert_eq!(service.user_calls(), 0, "nobody's token is asked for");
    for (path, status) in [("/api/tasks", 401), ("/api/nothing", 404), ("/healthz", 200)] {
        let answer = service.send(from(PAGE, Method::GET, path)).await;
        assert_eq!(
            (answer.status.as_u16(), header(&answer, "access-control-allow-origin")),
            (status, Some(PAGE)),
            "{path}"
        );
        assert!(header(&answer, "vary").is_some_and(|vary| vary.to_lowercase().contains("origin")), "{path}");
        let exposed = header(&answer, "access-control-expose-headers").unwrap().to_lowercase();
        for name in ["location", "link", "x-next-cursor", "retry-after", "ratelimit-remaining", "x-trace-id"] {
            assert!(exposed.contains(name), "{name} of {path}");
        }
        assert_eq!(header(&answer, "access-control-allow-credentials"), None, "{path}");
    }
    // Not even a preflight tells strangers anything, nor anybody of the operators' calls.
    for (origin, path) in [("https://other.example.com", "/healthz"), ("null", "/healthz"), (PAGE, "/api/admin/queues")]
    {
        for method in [Method::GET, Method::OPTIONS] {
            let name = format!("{method} {path} from {origin}");
            let asked = from(origin, method, path).header("Access-Control-Request-Method", "GET");
            let answer = service.send(asked).await;
            let told: Vec<_> =
                answer.headers.keys().filter(|name| name.as_str().starts_with("access-control")).collect();
            assert!(told.is_empty(), "{name}: {told:?}");
        }
    }
}

#[tokio::test]
async fn refusals_behind_authentication_are_readable_too() {
    let service = Service::start_with([("CORS_ALLOWED_ORIGINS", PAGE)]).await;
    let post = |body: String| {
        let call = service.request(Method::POST, "/api/market-data/fetch").bearer_auth(service.token_of("pro"));
        call.header("Origin", PAGE).header("Content-Type", "application/json").body(body)
    };
    let fetch = r#"{"symbol":"BTCUSDT","interval":"1m","start":"2020-01-01T00:00:00Z","end":"2020-01-02T00:00:00Z"}"#;
    for (body, status) in [("x".repeat(3 << 20), 413), (fetch.to_owned(), 503), ("{}".to_owned(), 400)] {
        let answer = service.send(post(body)).await;
        let origin = header(&answer, "access-control-allow-origin");
        assert_eq!((answer.status.as_u16(), origin), (status, Some(PAGE)), "{}", answer.text);
    }
}

#[tokio::test]
async fn no_page_reads_anything_unless_its_origin_is_named() {
    let service = Service::start().await;
    let answer = service.send(service.request(Method::GET, "/healthz").header("Origin", PAGE)).await;
    assert_eq!(header(&answer, "access-control-allow-origin"), None);
}
