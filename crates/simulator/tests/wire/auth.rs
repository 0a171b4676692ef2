//! Sign-in, `GET /auth/v1/user`, sign-out, administration.

use crate::harness::Fixture;
use candlemill_shared::{Clock, SystemClock};
use candlemill_simulator::{KeyAlgorithm, SignWith, SimulatorConfig, TokenSpec, UserChange};
use serde_json::{Value, json};

async fn fixture() -> Fixture {
    Fixture::start(SimulatorConfig::default()).await
}

async fn sign_in(fixture: &Fixture, email: &str, password: &str) -> crate::harness::Reply {
    let body = json!({ "email": email, "password": password }).to_string();
    fixture.with_key("POST", "/auth/v1/token?grant_type=password", None, &body).await
}

#[tokio::test]
async fn demo_users_sign_in() {
    let fixture = fixture().await;
    for (email, tier) in [
        ("free@candlemill.test", "free"),
        ("pro@candlemill.test", "pro"),
        ("enterprise@candlemill.test", "enterprise"),
        ("load17@candlemill.test", "enterprise"),
    ] {
        let reply = sign_in(&fixture, email, "candlemill").await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        let session = reply.json();
        assert_eq!((&session["token_type"], &session["expires_in"]), (&json!("bearer"), &json!(3_600)));
        assert!(session["expires_at"].as_i64().unwrap() > SystemClock.now_ms() / 1_000 + 3_500);
        assert_eq!(session["user"]["app_metadata"]["tier"], tier, "{email}");
        assert_eq!(session["user"]["id"], fixture.control.user(email).unwrap().id);
        let token = session["access_token"].as_str().unwrap();
        let user = fixture.with_key("GET", "/auth/v1/user", Some(token), "").await;
        assert_eq!((user.status, user.header("content-type")), (200, "application/json"));
        assert_eq!(user.json(), session["user"]);
        assert!(user.json().get("access_token").is_none() && user.json()["last_sign_in_at"].is_string());

        let body = json!({ "refresh_token": session["refresh_token"] }).to_string();
        let refresh = async || fixture.with_key("POST", "/auth/v1/token?grant_type=refresh_token", None, &body).await;
        assert_eq!(refresh().await.json()["user"]["id"], session["user"]["id"]);
        assert_eq!(refresh().await.json()["error_code"], "refresh_token_not_found", "single use");
    }
    let check = async |email: &str, password: &str, code: &str| {
        let reply = sign_in(&fixture, email, password).await;
        assert_eq!((reply.status, &reply.json()["error_code"]), (400, &json!(code)), "{email}");
    };
    check("pro@candlemill.test", "wrong", "invalid_credentials").await;
    check("nobody@candlemill.test", "candlemill", "invalid_credentials").await;
    check("loadx@candlemill.test", "candlemill", "invalid_credentials").await;
    fixture.control.change_user("pro@candlemill.test", &UserChange { banned: Some(true), ..UserChange::default() });
    check("pro@candlemill.test", "candlemill", "user_banned").await;
}

#[tokio::test]
async fn claims() {
    let fixture = fixture().await;
    let token = fixture.control.mint(&TokenSpec::default()).unwrap();
    let claims: Value = jsonwebtoken::dangerous::insecure_decode_claims(&token).unwrap();
    assert_eq!(claims["iss"], format!("{}/auth/v1", fixture.simulator.url()));
    assert_eq!(claims["sub"], fixture.control.user("pro@candlemill.test").unwrap().id);
    for (name, value) in [
        ("aud", json!("authenticated")),
        ("role", json!("authenticated")),
        ("email", json!("pro@candlemill.test")),
        ("phone", json!("")),
        ("aal", json!("aal1")),
        ("is_anonymous", json!(false)),
    ] {
        assert_eq!(claims[name], value, "{name}");
    }
    assert_eq!(claims["app_metadata"]["tier"], "pro");
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 3_600);
    assert!(claims["session_id"].is_string() && claims["amr"][0]["method"] == "password");
}

#[tokio::test]
async fn tokens_that_do_not_hold() {
    let fixture = fixture().await;
    let spec = TokenSpec::default;
    let check = async |name: &str, spec: TokenSpec, expected: (u16, &str)| {
        let token = fixture.control.mint(&spec).unwrap();
        let got = fixture.user(&token).await;
        assert_eq!((got.0, got.1.as_str()), expected, "{name}");
    };
    check("as issued", spec(), (200, "")).await;
    check("expired", spec().expires_in(-1), (403, "bad_jwt")).await;
    check("foreign key", spec().sign_with(SignWith::Foreign(KeyAlgorithm::Es256)), (403, "bad_jwt")).await;
    check("unsigned", spec().sign_with(SignWith::Unsigned), (403, "bad_jwt")).await;
    check("legacy secret", spec().sign_with(SignWith::LegacySecret), (200, "")).await;
    check("other secret", spec().sign_with(SignWith::Secret("guess".to_owned())), (403, "bad_jwt")).await;
    check("another algorithm named", spec().header("alg", "RS256"), (403, "bad_jwt")).await;
    check("no kid", spec().header("kid", Value::Null), (403, "bad_jwt")).await;
    check("no subject", spec().claim("sub", Value::Null), (403, "bad_jwt")).await;
    check("subject no UUID", spec().claim("sub", "42"), (400, "bad_jwt")).await;
    let nobody = "00000000-0000-4000-8000-000000000000";
    check("unknown user", spec().claim("sub", nobody), (403, "user_not_found")).await;
    check("unknown session", spec().claim("session_id", nobody), (403, "session_not_found")).await;
    check("no session", spec().claim("session_id", Value::Null), (200, "")).await;
    check("other audience", spec().claim("aud", "other"), (400, "validation_failed")).await;
    check("several audiences", spec().claim("aud", json!(["other", "authenticated"])), (200, "")).await;
    assert_eq!(fixture.user(fixture.simulator.anon_key()).await, (403, "bad_jwt".to_owned()), "a key is no user");
    assert_eq!(fixture.user("x.y.z").await, (403, "bad_jwt".to_owned()));
    assert_eq!(fixture.user(fixture.simulator.publishable_key()).await, (403, "bad_jwt".to_owned()));
    fixture.control.change_user("pro@candlemill.test", &UserChange { banned: Some(true), ..UserChange::default() });
    check("banned", spec(), (403, "user_banned")).await;
    fixture.control.change_user("pro@candlemill.test", &UserChange { banned: Some(false), ..UserChange::default() });
    check("forgiven", spec(), (200, "")).await;
    let token = fixture.control.mint(&spec()).unwrap();
    fixture.control.change_user("pro@candlemill.test", &UserChange { deleted: true, ..UserChange::default() });
    assert_eq!(fixture.user(&token).await, (403, "user_not_found".to_owned()));
}

#[tokio::test]
async fn both_versions_of_an_error() {
    let fixture = fixture().await;
    let key = ("apikey", fixture.simulator.publishable_key());
    let get = async |headers: &[(&str, &str)]| fixture.call("GET", "/auth/v1/user", headers, "").await;
    let old = get(&[key]).await;
    assert_eq!((old.status, old.header("x-sb-error-code")), (401, "no_authorization"));
    let message = "This endpoint requires a valid Bearer token";
    assert_eq!(old.json(), json!({ "code": 401, "error_code": "no_authorization", "msg": message }));
    let new = get(&[key, ("x-supabase-api-version", "2024-01-01"), ("authorization", "Basic x")]).await;
    assert_eq!((new.status, new.json()), (401, json!({ "code": "no_authorization", "message": message })));
}

#[tokio::test]
async fn the_gateway() {
    let fixture = fixture().await;
    let token = fixture.control.mint(&TokenSpec::default()).unwrap();
    let bearer = format!("Bearer {token}");
    let (publishable, secret) = (fixture.simulator.publishable_key(), fixture.simulator.secret_key());
    let foreign_bearer = format!("Bearer {secret}");
    let check = async |name: &str, headers: &[(&str, &str)], expected: (u16, &str)| {
        let reply = fixture.call("GET", "/auth/v1/user", headers, "").await;
        assert_eq!(reply.status, expected.0, "{name}: {}", reply.text);
        assert!(reply.text.contains(expected.1), "{name}: {}", reply.text);
    };
    let authorization = ("authorization", bearer.as_str());
    check("no key", &[authorization], (401, r#""message":"No API key found in request""#)).await;
    check("wrong key", &[authorization, ("apikey", "sb_publishable_x")], (401, r#""message":"Invalid API key""#)).await;
    for key in [publishable, secret, fixture.simulator.anon_key(), fixture.simulator.service_role_key()] {
        check("every key of the project", &[authorization, ("apikey", key)], (200, "pro@candlemill.test")).await;
    }
    let browser = ("user-agent", "Mozilla/5.0 (X11; Linux x86_64)");
    check("secret in a browser", &[authorization, ("apikey", secret), browser], (401, "Forbidden use")).await;
    check("publishable in a browser", &[authorization, ("apikey", publishable), browser], (200, "email")).await;
    let foreign = ("authorization", foreign_bearer.as_str());
    check("another key as bearer", &[foreign, ("apikey", publishable)], (401, "Invalid API key")).await;
    assert_eq!(fixture.get("/auth/v1/.well-known/jwks.json").await.status, 200, "needs no key");
    assert_eq!(fixture.get("/auth/v1/nothing").await.status, 404);
}

#[tokio::test]
async fn signing_out_ends_sessions() {
    let fixture = fixture().await;
    let spec = TokenSpec::of("free@candlemill.test");
    let mint = || fixture.control.mint(&spec).unwrap();
    let works = async |token: &str| fixture.user(token).await == (200, String::new());
    for (scope, own_works, other_works) in [
        ("?scope=local", false, true),
        ("?scope=others", true, false),
        ("?scope=global", false, false),
        ("", false, false),
    ] {
        let (own, other) = (mint(), mint());
        let reply = fixture.with_key("POST", &format!("/auth/v1/logout{scope}"), Some(&own), "").await;
        assert_eq!((reply.status, reply.text.as_str()), (204, ""));
        assert_eq!((works(&own).await, works(&other).await), (own_works, other_works), "{scope}");
        fixture.control.change_user("free@candlemill.test", &UserChange { signed_out: true, ..UserChange::default() });
    }
    let token = mint();
    let odd = fixture.with_key("POST", "/auth/v1/logout?scope=all", Some(&token), "").await;
    assert_eq!((odd.status, odd.header("x-sb-error-code")), (400, "validation_failed"));
}

#[tokio::test]
async fn administrators_change_tiers() {
    let fixture = fixture().await;
    let id = fixture.control.user("free@candlemill.test").unwrap().id;
    let token = fixture.control.mint(&TokenSpec::of("free@candlemill.test")).unwrap();
    let path = format!("/auth/v1/admin/users/{id}");
    let change = r#"{"app_metadata":{"tier":"pro","note":null}}"#;
    let put = async |key: &str, path: &str, body: &str| fixture.call("PUT", path, &[("apikey", key)], body).await;
    let (secret, publishable) = (fixture.simulator.secret_key(), fixture.simulator.publishable_key());
    let refused = put(publishable, &path, change).await;
    assert_eq!((refused.status, refused.header("x-sb-error-code")), (403, "not_admin"));
    assert_eq!(put(secret, &path, change).await.json()["app_metadata"]["tier"], "pro");
    let user = fixture.with_key("GET", "/auth/v1/user", Some(&token), "").await.json();
    assert_eq!(user["app_metadata"], json!({ "provider": "email", "providers": ["email"], "tier": "pro" }), "fresh");
    put(secret, &path, r#"{"ban_duration":"24h"}"#).await;
    assert_eq!(fixture.user(&token).await, (403, "user_banned".to_owned()));
    put(secret, &path, r#"{"ban_duration":"none"}"#).await;
    assert_eq!(fixture.user(&token).await.0, 200);
    assert_eq!(put(secret, &path, r#"{"ban_duration":"soon"}"#).await.status, 400);
    assert_eq!(put(secret, &path, "{").await.json()["error_code"], "bad_json");
    assert_eq!(put(secret, "/auth/v1/admin/users/42", "{}").await.status, 404);
    let deleted = fixture.call("DELETE", &path, &[("apikey", secret)], "").await;
    assert_eq!((deleted.status, put(secret, &path, "{}").await.status), (200, 404));
}
