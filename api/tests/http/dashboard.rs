//! The pages and their files.

use crate::service::{Answer, Service};
use reqwest::Method;

async fn get(service: &Service, path: &str) -> Answer {
    service.send(service.request(Method::GET, path)).await
}

#[tokio::test]
async fn pages_are_one_document_that_keeps_to_its_policy() {
    let service = Service::start().await;
    for path in [
        "/",
        "/tasks",
        "/tasks/01JC5Y7V9N8B3M2K1H0G9F8E7D",
        "/dead-letters",
        "/studies/x",
        "/data/BTCUSDT/1h",
        "/operations",
    ] {
        let answer = get(&service, path).await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("content-type")),
            (200, "text/html; charset=utf-8"),
            "{path}"
        );
        let policy = answer.header("content-security-policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(answer.header("cache-control"), "no-cache", "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert!(answer.text.contains("<title>Candlemill</title>"), "{path}");
    }
    let head = service.send(service.request(Method::HEAD, "/tasks")).await;
    assert_eq!((head.status.as_u16(), head.text.as_str()), (200, ""));
}

#[tokio::test]
async fn what_is_no_page_is_no_such_call() {
    let service = Service::start().await;
    for path in [
        "/nowhere",
        "/assets/nothing.js",
        "/assets/..%2f..%2fCargo.toml",
        "/assets/.gitkeep",
        "/api/nowhere",
        "/.gitkeep",
    ] {
        assert_eq!(get(&service, path).await.code(), (404, "route_not_found".to_owned()), "{path}");
    }
    assert_eq!(
        service.send(service.request(Method::POST, "/tasks")).await.code(),
        (405, "method_not_allowed".to_owned())
    );
}

/// Where the dashboard was built: its files are small, and named by what is in them.
#[tokio::test]
async fn files_are_compressed_and_kept() {
    let service = Service::start().await;
    let page = get(&service, "/").await.text;
    let Some(script) = page.split('"').find(|text| text.starts_with("/assets/") && text.contains(".js")) else {
        return;
    };
    for (accepted, expected) in [("br, gzip", "br"), ("gzip", "gzip"), ("identity", "")] {
        let asked = || service.request(Method::GET, script).header("accept-encoding", accepted);
        let answer = asked().send().await.unwrap();
        let header = |name| answer.headers().get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
        assert_eq!((answer.status().as_u16(), header("content-encoding").as_str()), (200, expected), "{accepted}");
        assert_eq!(header("cache-control"), "public, max-age=31536000, immutable");
        assert_eq!(header("vary"), "accept-encoding");
        let again = asked().header("if-none-match", header("etag")).send().await.unwrap();
        assert_eq!(again.status().as_u16(), 304, "{accepted}");
        assert_eq!(again.bytes().await.unwrap().len(), 0);
    }
}
