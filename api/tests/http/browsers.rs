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
    let strange = service.send(from("https://other.example.com", Method::GET, "/healthz")).await;
    assert_eq!(header(&strange, "access-control-allow-origin"), None);
    let operators = service.send(from(PAGE, Method::GET, "/api/admin/queues")).await;
    assert_eq!(header(&operators, "access-control-allow-origin"), None);
}

#[tokio::test]
async fn no_page_reads_anything_unless_its_origin_is_named() {
    let service = Service::start().await;
    let answer = service.send(service.request(Method::GET, "/healthz").header("Origin", PAGE)).await;
    assert_eq!(header(&answer, "access-control-allow-origin"), None);
}
