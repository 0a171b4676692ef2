//! Who is let in, by the whole product: API processes, a real Redis between them, and Supabase's wire contract.

use candlemill_client::fetch_request;
use candlemill_devkit::Stack;
use candlemill_devkit::simulator::JWT_SECRET;
use futures::future::join_all;
use reqwest::Response;
use serde_json::{Value, json};
use std::time::Duration;

const USER: &str = "/auth/v1/user";
const KEYS: &str = "/auth/v1/.well-known/jwks.json";
const LET_IN: (u16, &str) = (200, "");
const INVALID: (u16, &str) = (401, "invalid_token");

async fn knock(stack: &Stack, authorization: Option<&str>) -> Response {
    let mut call = reqwest::Client::new().get(format!("{}/api/tasks", stack.api_url()));
    if let Some(authorization) = authorization {
        call = call.header("Authorization", authorization);
    }
    call.send().await.unwrap()
}

/// Status and code of the answer to `authorization`; an answer that lets nobody in repeats nothing of it.
async fn verdict(stack: &Stack, authorization: Option<&str>) -> (u16, String) {
    let answer = knock(stack, authorization).await;
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let text = answer.text().await.unwrap();
    if status == 200 {
        return (status, String::new());
    }
    assert_eq!(headers["content-type"], "application/problem+json", "{text}");
    assert_eq!(headers.contains_key("www-authenticate"), status == 401, "{text}");
    let token = authorization.and_then(|text| text.rsplit(' ').next()).filter(|token| token.len() > 20);
    assert!(token.is_none_or(|token| !text.contains(token)), "the answer repeats the token: {text}");
    let body: Value = serde_json::from_str(&text).unwrap();
    (status, body["code"].as_str().unwrap().to_owned())
}

async fn check(stack: &Stack, name: &str, token: &str, expected: (u16, &str)) {
    let (status, code) = verdict(stack, Some(&format!("Bearer {token}"))).await;
    assert_eq!((status, code.as_str()), expected, "{name}");
}

/// Knocks until the answer is `expected`: memories end by themselves.
async fn wait_for(stack: &Stack, name: &str, token: &str, expected: (u16, &str)) {
    let header = format!("Bearer {token}");
    let waiting = async {
        while verdict(stack, Some(&header)).await != (expected.0, expected.1.to_owned()) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), waiting)
        .await
        .unwrap_or_else(|_| panic!("{name}: never {expected:?}"));
}

async fn mint(stack: &Stack, spec: &Value) -> String {
    let minted = stack.simulator.post("/_simulator/tokens", spec).await.unwrap();
    minted["access_token"].as_str().unwrap().to_owned()
}

/// Calls of `path` so far.
async fn calls(stack: &Stack, path: &str) -> u64 {
    let counters = stack.simulator.get("/_simulator/counters").await.unwrap();
    counters["paths"][path]["calls"].as_u64().unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_valid_token_is_refused_without_asking_supabase() {
    let stack = Stack::builder().workers(0).start().await.unwrap();
    for (header, code) in [
        (None, "missing_token"),
        (Some(""), "malformed_token"),
        (Some("Bearer"), "malformed_token"),
        (Some("Bearer a.b"), "malformed_token"),
        (Some("Bearer a.b.c.d"), "malformed_token"),
        (Some("Basic cHJvOmNhbmRsZW1pbGw="), "malformed_token"),
        (Some("Bearer sb_publishable_demo"), "malformed_token"),
        (Some("Bearer a.b.c"), "invalid_token"),
        (Some("Bearer eyJhbGciOiJFUzI1NiJ9.e30.AAAA"), "invalid_token"),
    ] {
        assert_eq!(verdict(&stack, header).await, (401, code.to_owned()), "{header:?}");
    }
    let long = format!("Bearer a.b.{}", "c".repeat(9_000));
    assert_eq!(verdict(&stack, Some(&long)).await, (401, "malformed_token".to_owned()));

    let published = stack.simulator.get(KEYS).await.unwrap();
    let (kid, public) = (&published["keys"][0]["kid"], &published["keys"][0]["x"]);
    let anon = json!({"sign_with": "legacy_secret", "claims": {"sub": null, "aud": null, "email": null, "session_id": null, "role": "anon", "iss": "supabase"}});
    let table = [
        ("expired", json!({"expires_in": -1}), (401, "expired_token")),
        ("without an end", json!({"claims": {"exp": null}}), (401, "expired_token")),
        ("of a foreign key", json!({"sign_with": {"foreign": "ES256"}}), INVALID),
        (
            "of a foreign key under a known id",
            json!({"sign_with": {"foreign": "ES256"}, "header": {"kid": kid}}),
            INVALID,
        ),
        ("unsigned", json!({"sign_with": "unsigned"}), (401, "malformed_token")),
        ("said to be unsigned", json!({"header": {"alg": "none"}}), INVALID),
        ("said to be unsigned, oddly", json!({"header": {"alg": "nOnE"}}), INVALID),
        ("signed with the public key", json!({"sign_with": {"secret": public}, "header": {"kid": kid}}), INVALID),
        ("signed with another secret", json!({"sign_with": {"secret": "another-secret-of-32-characters-"}}), INVALID),
        ("said to be of another algorithm", json!({"header": {"alg": "RS256"}}), INVALID),
        ("said to be of the shared secret", json!({"header": {"alg": "HS256"}}), INVALID),
        ("without a key id", json!({"header": {"kid": null}}), INVALID),
        ("of another project", json!({"claims": {"iss": "https://other.supabase.co/auth/v1"}}), INVALID),
        ("for another audience", json!({"claims": {"aud": "anon"}}), INVALID),
        ("for nobody", json!({"claims": {"aud": null}}), INVALID),
        ("without a subject", json!({"claims": {"sub": null}}), INVALID),
        ("whose subject is no id", json!({"claims": {"sub": "admin"}}), INVALID),
        ("of the future", json!({"claims": {"nbf": 9_000_000_000_u64}}), INVALID),
        ("that is the legacy anon key", anon, INVALID),
    ];
    for (name, spec, expected) in table {
        let token = mint(&stack, &spec).await;
        check(&stack, &format!("a token {name}"), &token, expected).await;
    }
    let token = stack.token("pro").await.unwrap();
    let (rest, signature) = token.rsplit_once('.').unwrap();
    let turned: String = signature.chars().rev().collect();
    check(&stack, "a tampered signature", &format!("{rest}.{turned}"), INVALID).await;
    assert_eq!(calls(&stack, USER).await, 0, "forgeries cost Supabase nothing");
    let legacy = mint(&stack, &json!({"sign_with": "legacy_secret"})).await;
    check(&stack, "the legacy secret, which the project still has", &legacy, LET_IN).await;
    assert_eq!(calls(&stack, USER).await, 1);
    // Secrets and tokens stay out of what every process says of itself.
    let metrics = reqwest::get(format!("{}/metrics", stack.api_url())).await.unwrap().text().await.unwrap();
    assert!(!metrics.contains(JWT_SECRET) && !metrics.contains(&token));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_supabase_knows_is_seen_when_the_memory_of_a_token_ends() {
    let stack = Stack::builder().workers(0).api_env("TOKEN_CACHE_TTL_SECONDS", "1").start().await.unwrap();
    let change = async |change: Value| stack.simulator.post("/_simulator/users", &change).await.unwrap();
    let token = stack.token("pro").await.unwrap();
    check(&stack, "signed in", &token, LET_IN).await;
    change(json!({"email": "pro@candlemill.test", "signed_out": true})).await;
    wait_for(&stack, "signed out", &token, INVALID).await;

    let token = stack.token("free").await.unwrap();
    check(&stack, "signed in", &token, LET_IN).await;
    change(json!({"email": "free@candlemill.test", "banned": true})).await;
    wait_for(&stack, "banned", &token, (403, "user_banned")).await;
    change(json!({"email": "free@candlemill.test", "banned": false})).await;
    wait_for(&stack, "no longer banned", &token, LET_IN).await;

    let seconds = fetch_request("BTCUSDT", "1s", "2020-01-01", Some("2020-01-02")).unwrap();
    let free = candlemill_client::Api::new(stack.api_url(), &token);
    assert_eq!(free.fetch(&seconds, None).await.unwrap_err().code(), Some("tier_limit"));
    change(json!({"email": "free@candlemill.test", "tier": "enterprise"})).await;
    let upgraded = async {
        while free.fetch(&seconds, None).await.is_err() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), upgraded).await.expect("a new tier without a new token");
    change(json!({"email": "free@candlemill.test", "deleted": true})).await;
    wait_for(&stack, "deleted", &token, INVALID).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_keys_rotate_and_are_revoked() {
    let stack = Stack::builder().workers(0).api_env("TOKEN_CACHE_TTL_SECONDS", "1").start().await.unwrap();
    // As Supabase advises: the new key is published before it signs.
    let next = stack.simulator.post("/_simulator/keys/standby", &json!({"algorithm": "RS256"})).await.unwrap();
    let before = stack.token("pro").await.unwrap();
    check(&stack, "the first key", &before, LET_IN).await;
    let current = stack.simulator.post("/_simulator/keys/rotate", &Value::Null).await.unwrap();
    assert_ne!(current["kid"], Value::Null, "{next}");
    let after = stack.token("pro").await.unwrap();
    check(&stack, "the second key", &after, LET_IN).await;
    check(&stack, "the first key, rotated out", &before, LET_IN).await;
    assert_eq!(calls(&stack, KEYS).await, 1, "keys are kept");
    let keys = stack.simulator.get("/_simulator/keys").await.unwrap();
    let first = keys.as_array().unwrap().iter().find(|key| key["state"] == "previous").unwrap()["kid"].clone();
    stack.simulator.post("/_simulator/keys/revoke", &json!({"kid": first})).await.unwrap();
    wait_for(&stack, "the first key, revoked", &before, INVALID).await;
    check(&stack, "the second key still", &after, LET_IN).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_call_of_supabase_serves_many_requests_and_replicas() {
    let stack = Stack::builder().workers(0).start().await.unwrap();
    // So slow that all of them wait for the one call.
    let slow = json!({"path": USER, "fault": {"latency": {"ms": 300}}});
    stack.simulator.post("/_simulator/faults", &slow).await.unwrap();
    let header = format!("Bearer {}", stack.token("enterprise").await.unwrap());
    let answers = join_all((0..200).map(|_| verdict(&stack, Some(&header)))).await;
    assert!(answers.iter().all(|answer| answer.0 == 200), "{answers:?}");
    assert_eq!(calls(&stack, USER).await, 1);

    // A replica of another stack on the same Redis: its Supabase is the first one's.
    let replica = Stack::builder()
        .workers(0)
        .outside_redis(stack.redis_url())
        .outside_mongo(stack.mongo_uri())
        .database(stack.database())
        .api_env("SUPABASE_URL", stack.simulator.url())
        .start()
        .await
        .unwrap();
    assert_eq!(verdict(&replica, Some(&header)).await, (200, String::new()));
    assert_eq!(calls(&stack, USER).await, 1, "the replica learnt it from Redis");
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_of_supabase_say_nothing_about_a_token() {
    let stack = Stack::builder().through_proxies().workers(0).start().await.unwrap();
    let bad_gateway = json!({"status": {"status": 502, "body": "<html>Bad gateway</html>", "headers": {"content-type": "text/html"}}});
    let throttled = json!({"status": {"status": 429, "body": "{}", "headers": {"retry-after": "7"}}});
    for (name, fault) in [
        ("500", json!({"status": {"status": 500, "body": "{}"}})),
        ("a page of a gateway", bad_gateway),
        ("429", throttled),
        ("a reset", json!("reset")),
        ("half an answer", json!({"cut_body": {"after_bytes": 20}})),
    ] {
        let token = stack.token("pro").await.unwrap();
        // A client may repeat a call whose connection broke by itself, so the fault lasts until it is taken away.
        let added = stack.simulator.post("/_simulator/faults", &json!({"path": USER, "fault": fault})).await.unwrap();
        let answer = knock(&stack, Some(&format!("Bearer {token}"))).await;
        let wait = answer.headers()["retry-after"].clone();
        let body: Value = answer.json().await.unwrap();
        assert_eq!((&body["status"], &body["code"]), (&json!(503), &json!("auth_unavailable")), "{name}: {body}");
        assert_eq!(wait, if name == "429" { "7" } else { "2" }, "{name}");
        let remove = format!("{}/_simulator/faults?id={}", stack.simulator.url(), added["ids"][0]);
        assert_eq!(reqwest::Client::new().delete(remove).send().await.unwrap().status(), 200);
        check(&stack, &format!("after {name}: not remembered"), &token, LET_IN).await;
    }
    let (known, new) = (stack.token("pro").await.unwrap(), stack.token("free").await.unwrap());
    check(&stack, "known", &known, LET_IN).await;
    stack.links().supabase.cut().await;
    check(&stack, "a remembered token without Supabase", &known, LET_IN).await;
    check(&stack, "a new token without Supabase", &new, (503, "auth_unavailable")).await;
    stack.links().supabase.restore().await;
    check(&stack, "the new token when Supabase is back", &new, LET_IN).await;

    // Without Redis a new token is asked for as before, and what is known stays known.
    stack.links().redis.cut().await;
    let newer = stack.token("enterprise").await.unwrap();
    let asked = calls(&stack, USER).await;
    for _ in 0..3 {
        check(&stack, "a new token without Redis", &newer, LET_IN).await;
        check(&stack, "a remembered token without Redis", &known, LET_IN).await;
    }
    assert_eq!(calls(&stack, USER).await, asked + 1);
    stack.links().redis.half_open();
    check(&stack, "a new token while Redis does not answer", &stack.token("pro").await.unwrap(), LET_IN).await;
    stack.links().redis.restore().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_of_ours_is_no_fault_of_the_token() {
    let wrong = Stack::builder().workers(0).api_env("SUPABASE_PUBLISHABLE_KEY", "sb_publishable_other");
    let stack = wrong.start().await.unwrap();
    let token = stack.token("pro").await.unwrap();
    for time in ["first", "second"] {
        check(&stack, time, &token, (503, "auth_misconfigured")).await;
    }
    assert_eq!(calls(&stack, USER).await, 2, "not remembered");
}
