//! How Supabase's keys and answers are understood.

use crate::replica::{KEYS, NO_REDIS, PRO, Replica, USER, answers, mint, supabase};
use candlemill_shared::tier::Tier;
use candlemill_simulator::{Fault, FaultRule, KeyAlgorithm, SignWith, TokenSpec};
use serde_json::{Value, json};

#[tokio::test]
async fn signing_keys_that_cannot_be_had_are_not_asked_for_by_every_token() {
    let (simulator, supabase) = supabase().await;
    let replica = Replica::of(&simulator, NO_REDIS).await;
    supabase.add_fault(FaultRule::on(KEYS, Fault::status(503)));
    for _ in 0..5 {
        assert_eq!(replica.code(&mint(&supabase)).await, "ok", "Supabase itself checks the signature");
    }
    let forged = supabase.mint(&TokenSpec::of(PRO).sign_with(SignWith::Foreign(KeyAlgorithm::Es256))).unwrap();
    assert_eq!(replica.code(&forged).await, "invalid_token");
    assert_eq!((supabase.counters().calls_to(KEYS), supabase.counters().calls_to(USER)), (1, 6));
    supabase.clear_faults();
    replica.clock.advance(30_000);
    assert_eq!(replica.code(&mint(&supabase)).await, "ok");
    assert_eq!(supabase.counters().calls_to(KEYS), 2);
}

#[tokio::test]
async fn a_new_signing_key_that_cannot_be_fetched_refuses_nobody() {
    let (simulator, supabase) = supabase().await;
    let replica = Replica::of(&simulator, NO_REDIS).await;
    assert_eq!(replica.code(&mint(&supabase)).await, "ok");
    let known = supabase.keys()[0].kid.clone();
    supabase.add_standby_key(KeyAlgorithm::Es256).unwrap();
    supabase.rotate_keys().unwrap();
    supabase.add_fault(FaultRule::on(KEYS, Fault::status(503)));
    replica.clock.advance(31_000);
    for time in ["the fetch fails", "it is too early for another"] {
        assert_eq!(replica.code(&mint(&supabase)).await, "ok", "{time}");
    }
    assert_eq!((supabase.counters().calls_to(KEYS), supabase.counters().calls_to(USER)), (2, 3));
    // The keys that are known still refuse for themselves.
    let confused = supabase.mint(&TokenSpec::of(PRO).header("kid", known)).unwrap();
    assert_eq!(replica.code(&confused).await, "invalid_token");
    assert_eq!(supabase.counters().calls_to(USER), 3);
}

/// A public key is no secret: nobody may sign with it.
#[tokio::test]
async fn algorithms_are_not_confused() {
    let (simulator, supabase) = supabase().await;
    let secret = simulator.jwt_secret().to_owned();
    let published = reqwest::get(format!("{}{KEYS}", simulator.url())).await.unwrap().text().await.unwrap();
    let key = serde_json::from_str::<Value>(&published).unwrap()["keys"][0].clone();
    let x = key["x"].as_str().unwrap();
    let kid = key["kid"].as_str().unwrap();
    for (name, public) in [("the whole key", key.to_string()), ("its point", x.to_owned()), ("nothing", String::new())]
    {
        let spec = TokenSpec::of(PRO).sign_with(SignWith::Secret(public)).header("kid", kid);
        let token = supabase.mint(&spec).unwrap();
        let legacy = Replica::with(&simulator, NO_REDIS, [("SUPABASE_JWT_SECRET", &secret)]).await;
        let modern = Replica::of(&simulator, NO_REDIS).await;
        supabase.reset_counters();
        assert_eq!(legacy.code(&token).await, "invalid_token", "{name}, secret known");
        assert_eq!(supabase.counters().calls_to("/auth"), 0, "{name}: found here");
        assert_eq!(modern.code(&token).await, "invalid_token", "{name}, secret unknown");
        assert_eq!(supabase.counters().calls_to("/auth"), 1, "{name}: left to Supabase");
    }
    supabase.reset_counters();
    let replica = Replica::of(&simulator, NO_REDIS).await;
    for alg in ["none", "None", "NONE", "HS512", "ES384", "PS256"] {
        let token = supabase.mint(&TokenSpec::of(PRO).header("alg", alg)).unwrap();
        assert_eq!(replica.code(&token).await, "invalid_token", "{alg}");
    }
    assert_eq!(supabase.counters().calls_to(USER), 0);
}

/// How an answer of `/auth/v1/user` is understood, in whichever form of its body.
async fn check_answer(status: u16, body: Value, expected: &str) {
    let (simulator, supabase) = supabase().await;
    let replica = Replica::of(&simulator, NO_REDIS).await;
    supabase.add_fault(FaultRule::on(USER, answers(status, &body)));
    assert_eq!(replica.code(&mint(&supabase)).await, expected, "{status} {body}");
}

#[tokio::test]
async fn both_forms_of_an_error_body_are_understood() {
    check_answer(403, json!({"code": 403, "error_code": "user_banned", "msg": "…"}), "user_banned").await;
    check_answer(403, json!({"code": "user_banned", "message": "…"}), "user_banned").await;
    check_answer(403, json!({"code": 403, "error_code": "session_not_found", "msg": "…"}), "invalid_token").await;
    check_answer(403, json!({"code": "bad_jwt", "message": "…"}), "invalid_token").await;
    check_answer(403, json!({"code": 403, "msg": "invalid JWT"}), "invalid_token").await;
    check_answer(401, json!({"message": "No API key found in request", "hint": "…"}), "auth_misconfigured").await;
    check_answer(401, json!({"code": 401, "message": "Invalid API key"}), "auth_misconfigured").await;
    check_answer(401, Value::Null, "auth_misconfigured").await;
    check_answer(500, Value::Null, "auth_unavailable").await;
    check_answer(429, json!({"code": "over_request_rate_limit", "message": "…"}), "auth_unavailable").await;
    check_answer(200, Value::Null, "auth_unavailable").await;
    check_answer(200, json!({"id": "6f1cd2f0-1111-4222-8333-444455556666"}), "invalid_token").await;
}

#[tokio::test]
async fn guests_and_unknown_tiers_are_free() {
    let (simulator, supabase) = supabase().await;
    let replica = Replica::of(&simulator, NO_REDIS).await;
    let id = supabase.user(PRO).unwrap().id;
    for (is_anonymous, tier, expected) in [
        (true, json!("enterprise"), Tier::Free),
        (false, json!("enterprise"), Tier::Enterprise),
        (false, json!("platinum"), Tier::Free),
        (false, Value::Null, Tier::Free),
    ] {
        let user = json!({"id": id, "role": "authenticated", "is_anonymous": is_anonymous, "app_metadata": {"tier": tier}, "user_metadata": {"tier": "enterprise"}});
        let fault = supabase.add_fault(FaultRule::on(USER, answers(200, &user)));
        let caller = replica.caller(&mint(&supabase)).await.unwrap();
        assert_eq!((caller.is_anonymous, caller.tier), (is_anonymous, expected), "{user}");
        supabase.remove_fault(fault);
    }
}
