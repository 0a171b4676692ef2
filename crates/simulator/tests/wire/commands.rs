//! The control plane over HTTP.

use crate::harness::{FIRST, Fixture, MINUTE};
use candlemill_simulator::StateView;
use serde_json::{Value, json};

async fn command(fixture: &Fixture, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let reply = fixture.call(method, &format!("/_simulator/{path}"), &[], &body.to_string()).await;
    (reply.status, reply.json())
}

#[tokio::test]
async fn everything_can_be_scripted_from_outside() {
    let fixture = Fixture::at(FIRST + 100 * MINUTE).await;
    let post = async |path: &str, body: Value| {
        let (status, answer) = command(&fixture, "POST", path, &body).await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    };
    let get = async |path: &str| fixture.get(&format!("/_simulator/{path}")).await.json();

    let rules = json!([
        { "path": "/api/v3/ping", "times": 1, "fault": { "status": { "status": 503, "headers": { "retry-after": "1" } } } },
        { "fault": { "latency": { "ms": 1 } } },
    ]);
    assert_eq!(post("faults", rules).await, json!({ "ids": [1, 2] }));
    assert_eq!(post("faults", json!({ "path": "/auth", "fault": "reset" })).await, json!({ "ids": [3] }));
    let ping = fixture.get("/api/v3/ping").await;
    assert_eq!((ping.status, ping.header("retry-after")), (503, "1"));
    assert_eq!(get("faults").await[0]["applied"], 1);
    assert_eq!(command(&fixture, "DELETE", "faults?id=3", &json!({})).await.0, 200);
    assert_eq!(command(&fixture, "DELETE", "faults?id=3", &json!({})).await.0, 404);
    assert_eq!(command(&fixture, "DELETE", "faults", &json!({})).await.0, 200);
    assert_eq!(get("faults").await, json!([]));

    let waited = post("wait", json!({ "path": "/api/v3/ping", "calls": 1, "timeout_ms": 1_000 })).await;
    assert_eq!(waited["paths"]["/api/v3/ping"], json!({ "calls": 1, "by_status": { "503": 1 }, "faulted": 1 }));
    let calls = get("calls?path=/api").await;
    assert_eq!((&calls[0]["path"], &calls[0]["fault"]), (&json!("/api/v3/ping"), &json!("status,latency")));
    assert_eq!(get("calls?path=/api&after=1").await, json!([]));
    let in_vain = json!({ "path": "/api/v3/ping", "calls": 2, "timeout_ms": 1 });
    assert_eq!(command(&fixture, "POST", "wait", &in_vain).await.0, 504);

    post("clock", json!({ "fixed": { "at_ms": FIRST } })).await;
    post("advance", json!({ "ms": MINUTE })).await;
    assert_eq!(fixture.control.now_ms(), FIRST + MINUTE);
    post("weight-rules", json!({ "limit": 40 })).await;
    assert_eq!(fixture.control.weight_rules().limit, 40);
    post("latency", json!({ "ms": 3 })).await;
    post("ban", json!({ "seconds": 5 })).await;
    assert_eq!(fixture.get("/api/v3/ping").await.status, 418);
    post("reset-weights", json!({})).await;
    let outage = json!({ "symbol": "BTCUSDT", "start": FIRST, "end": FIRST + MINUTE });
    post("outages", outage).await;
    assert_eq!(fixture.klines("symbol=BTCUSDT&interval=1m").await.opens(), [FIRST + MINUTE]);
    post("symbol-status", json!({ "symbol": "BTCUSDT", "status": "HALT" })).await;
    let warm = json!({ "symbol": "GENUSDT", "interval": "1h", "start": FIRST, "end": FIRST + 5_000 * 60 * MINUTE });
    assert_eq!(post("warm", warm).await, json!({ "rows": 5_000 }));

    let state: StateView = serde_json::from_value(get("state").await).unwrap();
    assert_eq!((state.latency_ms, state.exchange_now_ms, state.symbols[0].1.as_str()), (3, FIRST + MINUTE, "HALT"));
    post("reset", json!({})).await;
    let state: StateView = serde_json::from_value(get("state").await).unwrap();
    assert_eq!((state.latency_ms, state.counters.calls, state.weight_rules.limit), (0, 0, 6_000));
    assert_eq!((state.exchange_now_ms, state.symbols[0].1.as_str()), (FIRST + 100 * MINUTE, "TRADING"));
}

#[tokio::test]
async fn supabase_can_be_scripted_from_outside() {
    let fixture = Fixture::at(FIRST).await;
    let post = async |path: &str, body: Value| command(&fixture, "POST", path, &body).await.1;
    let user = post("users", json!({ "email": "a@b.test", "tier": "gold", "subscription": null })).await;
    assert_eq!((&user["tier"], &user["subscription"]), (&json!("gold"), &Value::Null));
    let user = post("users", json!({ "email": "a@b.test", "tier": null })).await;
    assert_eq!(user["tier"], Value::Null);
    let token = post("tokens", json!({ "email": "a@b.test", "expires_in": 60, "claims": { "role": "anon" } })).await;
    assert_eq!(fixture.user(token["access_token"].as_str().unwrap()).await.0, 200);
    let foreign = post("tokens", json!({ "sign_with": { "foreign": "ES256" } })).await;
    assert_eq!(fixture.user(foreign["access_token"].as_str().unwrap()).await.0, 403);
    let kid = post("keys/standby", json!({ "algorithm": "EdDSA" })).await["kid"].clone();
    assert_eq!(post("keys/rotate", json!({})).await["kid"], kid);
    assert_eq!(post("keys/revoke", json!({ "kid": kid })).await, json!({}));
    assert_eq!(post("keys/legacy", json!({ "legacy": true })).await, json!({}));
    let states: Vec<_> = fixture.control.keys().into_iter().map(|key| json!(key.state)).collect();
    assert_eq!(states, ["previous", "revoked"]);
}

#[tokio::test]
async fn wrong_commands_say_what_is_wrong() {
    let fixture = Fixture::at(FIRST).await;
    let check = async |method: &str, path: &str, body: Value, expected: (u16, &str)| {
        let (status, answer) = command(&fixture, method, path, &body).await;
        assert_eq!(status, expected.0, "{path}: {answer}");
        assert!(answer["error"].as_str().unwrap().contains(expected.1), "{path}: {answer}");
    };
    check("POST", "nothing", json!({}), (404, "no such command")).await;
    check("GET", "nothing", json!({}), (404, "no such command")).await;
    check("POST", "faults", json!({ "fault": "explode" }), (400, "unknown variant `explode`")).await;
    check("POST", "latency", json!({ "seconds": 1 }), (400, "seconds")).await;
    check("POST", "tokens", json!({ "email": "nobody@b.test" }), (400, "there is no user nobody@b.test")).await;
    check("POST", "users", json!({ "email": "a@b.test", "tear": "pro" }), (400, "unknown field `tear`")).await;
    check("POST", "keys/rotate", json!({}), (400, "no standby key")).await;
    check("GET", "users?email=nobody@b.test", json!({}), (404, "no such user")).await;
}
