//! Wrong requests against the whole product: each is refused with a problem that names what was wrong, and leaves nothing.

use candlemill_client::{Api, fetch_request};
use candlemill_devkit::Stack;
use candlemill_shared::tier::TierTable;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};

const FETCH: &str = "/api/market-data/fetch";
const KLINES: &str = "/api/market-data/klines?symbol=BTCUSDT&interval=1m";
const COVERAGE: &str = "/api/market-data/coverage?symbol=BTCUSDT&interval=1m";
const INVALID: (u16, &str) = (400, "invalid_request");
/// What only those may see who run the service.
const INTERNALS: [&str; 7] = ["mongodb://", "redis://", "127.0.0.1", "panicked", ".rs:", "candlemill_test", "E11000"];

/// The answer is a problem document of this status and code that shows nothing of the inside.
async fn check(name: &str, request: RequestBuilder, expected: (u16, &str)) -> Value {
    let answer = request.send().await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
    problem(name, answer, expected).await
}

async fn problem(name: &str, answer: Response, (status, code): (u16, &str)) -> Value {
    let (got, headers) = (answer.status().as_u16(), answer.headers().clone());
    let text = answer.text().await.unwrap();
    let body: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{name}: {got} {text}"));
    assert_eq!((got, &body["code"]), (status, &json!(code)), "{name}: {text}");
    assert_eq!(headers[CONTENT_TYPE], "application/problem+json", "{name}");
    assert_eq!(body["status"], status, "{name}: the body says what the head says");
    assert!(body["title"].as_str().is_some_and(|title| !title.is_empty()), "{name}: {text}");
    for member in ["title", "detail"] {
        let said = body[member].as_str().unwrap_or_default();
        assert!(INTERNALS.iter().all(|inside| !said.contains(inside)), "{name} tells of the inside: {said}");
    }
    body
}

/// Names of the refused fields.
fn fields(body: &Value) -> Vec<&str> {
    body["errors"].as_array().into_iter().flatten().map(|error| error["field"].as_str().unwrap()).collect()
}

fn post(api: &Api, body: &Value) -> RequestBuilder {
    api.request(Method::POST, FETCH).json(body)
}

fn day() -> Value {
    json!({"symbol": "BTCUSDT", "interval": "1m", "start": "2020-01-01T00:00:00Z", "end": "2020-01-02T00:00:00Z"})
}

fn with(changes: &Value) -> Value {
    let mut body = day();
    body.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    body
}

async fn tasks_of(api: &Api) -> usize {
    let page: Value = api.get("/api/tasks", &[]).await.unwrap();
    page["tasks"].as_array().unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_requests_are_named_and_leave_nothing() {
    let stack = Stack::builder().start().await.unwrap();
    let api = stack.client("pro").await.unwrap();
    bodies(&api).await;
    values(&api).await;
    ids(&api).await;
    queries(&api).await;
    routes(&api).await;
    over_the_tier(&stack.client("free").await.unwrap()).await;
    assert_eq!(tasks_of(&api).await, 0, "nothing that was refused is stored");
    foreign_tasks(&api, &stack.client("enterprise").await.unwrap()).await;
    jobs_at_once(&stack).await;
}

async fn bodies(api: &Api) {
    let raw = |body: Vec<u8>| api.request(Method::POST, FETCH).header(CONTENT_TYPE, "application/json").body(body);
    let malformed = (400, "malformed_json");
    for (name, body) in [
        ("nothing", ""),
        ("half of an object", "{\"symbol\": \"BTCUSDT\","),
        ("two bodies", r#"{"symbol":"BTCUSDT","interval":"1m","start":0} {}"#),
        ("a comment", "{/* */}"),
        ("no quotes", "{symbol: 1}"),
    ] {
        check(name, raw(body.into()), malformed).await;
    }
    for (name, body) in [("null", "null"), ("an array", "[]"), ("a text", "\"BTCUSDT\""), ("no fields", "{}")] {
        check(name, raw(body.into()), INVALID).await;
    }
    let twice = r#"{"symbol":"BTCUSDT","symbol":"ETHUSDT","interval":"1m","start":1577836800000}"#;
    check("a field twice", raw(twice.into()), INVALID).await;
    check("no UTF-8", raw(b"{\"symbol\":\"\xff\xfe\"}".to_vec()), malformed).await;
    check("10,000 brackets", raw(vec![b'['; 10_000]), INVALID).await;
    let mut large = day();
    large["symbol"] = "X".repeat(64 * 1024).into();
    check("64 KiB", post(api, &large), (413, "body_too_large")).await;
    let chunked = futures::stream::iter((0..17).map(|_| Ok::<_, std::io::Error>(vec![b' '; 1024])));
    let chunked = raw(Vec::new()).body(reqwest::Body::wrap_stream(chunked));
    check("17 KiB of unsaid length", chunked, (413, "body_too_large")).await;
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp"] {
        let request = api.request(Method::POST, FETCH).header(CONTENT_TYPE, kind).body(day().to_string());
        check(kind, request, (415, "unsupported_media_type")).await;
    }
    let undeclared = api.request(Method::POST, FETCH).body(day().to_string());
    check("no content type", undeclared, (415, "unsupported_media_type")).await;
}

async fn values(api: &Api) {
    // What was wrong, the change to a right request, and the field that the answer must name.
    let table = [
        ("bad interval", json!({"interval": "7m"}), "interval"),
        ("interval in capitals", json!({"interval": "1H"}), "interval"),
        ("empty interval", json!({"interval": ""}), "interval"),
        ("start after end", json!({"start": "2020-01-03T00:00:00Z"}), "start"),
        ("start at end", json!({"start": "2020-01-02T00:00:00Z"}), "start"),
        ("future start", json!({"start": "2200-01-01T00:00:00Z", "end": null}), "start"),
        ("end before the exchange", json!({"start": "listing", "end": 1_000}), "start"),
        ("negative start", json!({"start": -1}), "start"),
        ("seconds in a text", json!({"start": "1.5"}), "start"),
        ("a fraction", json!({"start": 1.5}), "start"),
        ("a day without a time", json!({"start": "2020-01-01"}), "start"),
        ("31 February", json!({"start": "2020-02-31T00:00:00Z"}), "start"),
        ("an operator", json!({"start": {"$gt": ""}}), "start"),
        ("no time", json!({"start": null}), "start"),
        ("year 9999", json!({"end": "9999-12-31T23:59:59Z"}), "end"),
        ("end of another type", json!({"end": [1]}), "end"),
        ("empty symbol", json!({"symbol": ""}), "symbol"),
        ("long symbol", json!({"symbol": "A".repeat(21)}), "symbol"),
        ("slash", json!({"symbol": "BTC/USDT"}), "symbol"),
        ("space", json!({"symbol": " BTCUSDT"}), "symbol"),
        ("dollar", json!({"symbol": "BTC$ne"}), "symbol"),
        ("path", json!({"symbol": "../../etc"}), "symbol"),
        ("script", json!({"symbol": "<script>"}), "symbol"),
        ("line break", json!({"symbol": "BTC\r\nUSDT"}), "symbol"),
        ("zero byte", json!({"symbol": "BTC\0USDT"}), "symbol"),
        ("zero-width space", json!({"symbol": "BTC\u{200B}USDT"}), "symbol"),
        ("text that runs backwards", json!({"symbol": "BTC\u{202E}USDT"}), "symbol"),
        ("wide space", json!({"symbol": "BTC\u{3000}USDT"}), "symbol"),
        ("private character", json!({"symbol": "\u{E000}USDT"}), "symbol"),
    ];
    for (name, change, field) in table {
        let body = check(name, post(api, &with(&change)), INVALID).await;
        assert_eq!(fields(&body), [field], "{name}: {body}");
    }
    let all = json!({"symbol": "?", "interval": "?", "start": "?", "end": "?"});
    let body = check("everything at once", post(api, &all), INVALID).await;
    assert_eq!(fields(&body), ["symbol", "interval", "start", "end"], "{body}");
    for (name, change) in [
        ("unknown field", json!({"limit": 5})),
        ("field in capitals", json!({"Symbol": "BTCUSDT"})),
        ("symbol as a number", json!({"symbol": 5})),
        ("interval as a list", json!({"interval": ["1m"]})),
        ("symbol as an operator", json!({"symbol": {"$ne": null}})),
    ] {
        check(name, post(api, &with(&change)), INVALID).await;
    }
    for key in [String::new(), "k".repeat(256)] {
        let request = post(api, &day()).header("Idempotency-Key", &key);
        let body = check("key", request, INVALID).await;
        assert_eq!(fields(&body), ["Idempotency-Key"], "{key:?}");
    }
}

async fn ids(api: &Api) {
    let no_id = (400, "invalid_task_id");
    let nobodys = (404, "task_not_found");
    for (id, expected) in [
        ("1", no_id),
        ("null", no_id),
        ("%00", no_id),
        ("%ff", no_id),
        ("%24ne", no_id),
        ("..%2F..%2Fetc%2Fpasswd", no_id),
        ("81234567890123456789012345", no_id),
        ("01JC5Y7V9N8B3M2K1H0G9F8E7", no_id),
        ("01JC5Y7V9N8B3M2K1H0G9F8E7DD", no_id),
        ("507f1f77bcf86cd799439011", no_id),
        ("01JC5Y7V9N8B3M2K1H0G9F8E7D", nobodys),
        ("00000000000000000000000000", nobodys),
        ("7ZZZZZZZZZZZZZZZZZZZZZZZZZ", nobodys),
    ] {
        for (method, path) in
            [(Method::GET, ""), (Method::GET, "/progress"), (Method::GET, "/events"), (Method::DELETE, "")]
        {
            let name = format!("{method} {id}{path}");
            check(&name, api.request(method, &format!("/api/task/{id}{path}")), expected).await;
        }
    }
}

async fn queries(api: &Api) {
    // What follows a right query, and the parameter that the answer must name; none where the query cannot be read at all.
    let table = [
        (KLINES, "limit=0", "limit"),
        (KLINES, "limit=-1", "limit"),
        (KLINES, "limit=100001", "limit"),
        (KLINES, "limit=all", "limit"),
        (KLINES, "limit=", "limit"),
        (KLINES, "limit=99999999999999999999", "limit"),
        (KLINES, "cursor=x", "cursor"),
        (KLINES, "cursor=", "cursor"),
        (KLINES, "cursor=-5", "cursor"),
        (KLINES, "format=xml", "format"),
        (KLINES, "format=JSON", "format"),
        (KLINES, "start=now", "start"),
        (KLINES, "start=5&end=5", "start"),
        (KLINES, "end=2020-01-01", "end"),
        (KLINES, "limit=5&limit=6", "limit"),
        (KLINES, "symbol=ETHUSDT", "symbol"),
        (KLINES, "page=2", "page"),
        (KLINES, "start[$gt]=5", "start[$gt]"),
        (COVERAGE, "limit=0", "limit"),
        (COVERAGE, "limit=10001", "limit"),
        (COVERAGE, "cursor=%00", "cursor"),
        (COVERAGE, "start=9&end=8", "start"),
        (COVERAGE, "format=csv", "format"),
        ("/api/market-data/series?", "limit=201", "limit"),
        ("/api/market-data/series?", "cursor=BTCUSDT", "cursor"),
        ("/api/market-data/series?", "symbol=$where", "symbol"),
        ("/api/market-data/series?", "start=0", "start"),
        ("/api/market-data/symbols?", "limit=1001", "limit"),
        ("/api/market-data/symbols?", "prefix=", "prefix"),
        ("/api/market-data/symbols?", "base=%24ne", "base"),
        ("/api/market-data/symbols?", "symbol=BTCUSDT", "symbol"),
        ("/api/tasks?", "limit=0", "limit"),
        ("/api/tasks?", "limit=201", "limit"),
        ("/api/tasks?", "cursor=1", "cursor"),
        ("/api/tasks?", "state=done", "state"),
        ("/api/tasks?", "symbol=$where", "symbol"),
        ("/api/tasks?", "interval=90m", "interval"),
        ("/api/tasks?", "owner=somebody", "owner"),
    ];
    for (base, more, field) in table {
        let name = format!("{base} with {more}");
        let body = check(&name, api.request(Method::GET, &format!("{base}&{more}")), INVALID).await;
        let expected: Vec<&str> = Some(field).filter(|field| !field.is_empty()).into_iter().collect();
        assert_eq!(fields(&body), expected, "{name}: {body}");
    }
    for path in ["/api/market-data/klines", "/api/market-data/coverage"] {
        let body = check(path, api.request(Method::GET, path), INVALID).await;
        assert_eq!(fields(&body), ["symbol", "interval"], "{path}: {body}");
    }
}

async fn routes(api: &Api) {
    for path in ["/api", "/api/task", "/api/tasks/", "/api/task/x/y/z", "/api/market-data/fetch/", "/.env", "//"] {
        check(path, api.request(Method::GET, path), (404, "route_not_found")).await;
    }
    for (method, path) in [
        (Method::GET, FETCH),
        (Method::PUT, FETCH),
        (Method::DELETE, "/api/tasks"),
        (Method::POST, "/api/tasks"),
        (Method::PATCH, "/api/task/01JC5Y7V9N8B3M2K1H0G9F8E7D"),
        (Method::DELETE, "/api/task/01JC5Y7V9N8B3M2K1H0G9F8E7D/progress"),
        (Method::POST, "/healthz"),
        (Method::DELETE, "/metrics"),
    ] {
        let name = format!("{method} {path}");
        let answer = api.request(method, path).send().await.unwrap();
        assert!(answer.headers().contains_key("allow"), "{name}: which methods there are");
        problem(&name, answer, (405, "method_not_allowed")).await;
    }
}

async fn over_the_tier(free: &Api) {
    // What is too much, the limit that forbids it, and the tier that lifts it.
    let table = [
        ("seconds", json!({"interval": "1s"}), "intervals", json!("enterprise")),
        ("50,001 minutes", json!({"end": "2020-02-04T17:21:00Z"}), "longest_range_candles", json!("pro")),
        ("from the listing", json!({"start": "listing", "end": null}), "longest_range_candles", json!("pro")),
    ];
    for (name, change, limit, lifted_by) in table {
        let body = check(name, post(free, &with(&change)), (403, "tier_limit")).await;
        assert_eq!((&body["limit"], &body["lifted_by"]), (&json!(limit), &lifted_by), "{name}: {body}");
    }
    assert_eq!(tasks_of(free).await, 0);
}

async fn foreign_tasks(api: &Api, other: &Api) {
    let request = fetch_request("BTCUSDT", "1m", "2020-01-01", Some("2020-01-02")).unwrap();
    let task = api.fetch_and_wait(&request).await.unwrap().task_id.to_string();
    let nobodys = (404, "task_not_found");
    for (method, path) in
        [(Method::GET, ""), (Method::GET, "/progress"), (Method::GET, "/events"), (Method::DELETE, "")]
    {
        let own = format!("/api/task/{task}{path}");
        let missing = format!("/api/task/01JC5Y7V9N8B3M2K1H0G9F8E7D{path}");
        let name = format!("{method} {path} of another user");
        let foreign = check(&name, other.request(method.clone(), &own), nobodys).await;
        let absent = check(&name, other.request(method, &missing), nobodys).await;
        assert_eq!(foreign["detail"], absent["detail"], "{name}: a stranger cannot tell whether it exists");
    }
    let list: Value = other.get("/api/tasks", &[]).await.unwrap();
    assert_eq!(list["tasks"], json!([]));
}

/// Tasks that run, held by an exchange that does not answer, count as much as tasks that wait.
async fn jobs_at_once(stack: &Stack) {
    let free = stack.client("free").await.unwrap();
    let hold = json!({"path": "/api/v3/klines", "fault": "hold"});
    stack.simulator.post("/_simulator/faults", &hold).await.unwrap();
    let month = |month: u32| json!({"symbol": "GENUSDT", "interval": "1h", "start": format!("2021-0{month}-01T00:00:00Z"), "end": format!("2021-0{month}-20T00:00:00Z")});
    for number in 1..=2 {
        let accepted = post(&free, &month(number)).send().await.unwrap();
        assert_eq!(accepted.status().as_u16(), 202);
        assert!(accepted.headers()["location"].to_str().unwrap().starts_with("/api/task/"));
    }
    let body = check("a third task", post(&free, &month(3)), (403, "tier_limit")).await;
    assert_eq!((&body["limit"], &body["lifted_by"]), (&json!("jobs_at_once"), &json!("pro")), "{body}");
    let repeated: Value = post(&free, &month(2)).send().await.unwrap().json().await.unwrap();
    assert_eq!(repeated["created"], false, "the same request again is no further task: {repeated}");
    assert_eq!(tasks_of(&free).await, 2);
    stack.simulator.post("/_simulator/release", &Value::Null).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_requests_are_told_when_to_come_again() {
    let mut tiers = TierTable::default();
    tiers.free.requests_per_minute = 5;
    let stack = Stack::builder().workers(0).tiers(tiers).start().await.unwrap();
    let (free, pro) = (stack.client("free").await.unwrap(), stack.client("pro").await.unwrap());
    let number = |answer: &Response, name: &str| answer.headers()[name].to_str().unwrap().parse::<u32>().unwrap();
    let mut left = Vec::new();
    let refused = loop {
        // A new minute may begin in between: then as many again.
        assert!(left.len() <= 10, "never refused: {left:?}");
        let answer = free.request(Method::GET, "/api/tasks").send().await.unwrap();
        assert_eq!(
            (number(&answer, "ratelimit-limit"), &answer.headers()["ratelimit-policy"]),
            (5, &"5;w=60".parse().unwrap())
        );
        if answer.status() != 200 {
            break answer;
        }
        left.push(number(&answer, "ratelimit-remaining"));
    };
    assert!(left.ends_with(&[4, 3, 2, 1, 0]), "{left:?}");
    let (wait, reset) = (number(&refused, "retry-after"), number(&refused, "ratelimit-reset"));
    assert!(wait == reset && (1..=60).contains(&wait), "{wait} {reset}");
    assert_eq!(number(&refused, "ratelimit-remaining"), 0);
    let body = problem("one too many", refused, (429, "too_many_requests")).await;
    assert_eq!(body["retry_after"], wait);
    // At the turn of a minute this one may be let through; then it is the request that would not have been stored.
    let post = post(&free, &day()).send().await.unwrap();
    if post.status() == 429 {
        assert_eq!(
            pro.request(Method::GET, "/api/tasks").send().await.unwrap().status(),
            200,
            "others are not held up"
        );
        let open = reqwest::get(format!("{}/healthz", stack.api_url())).await.unwrap();
        assert_eq!(open.status(), 200, "open calls are not counted");
    }
}
