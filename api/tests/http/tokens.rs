//! Who is let in.

use crate::service::{LET_IN, Service};
use candlemill_simulator::{KeyAlgorithm, SignWith, TokenSpec, UserChange};
use reqwest::Method;
use serde_json::Value;

const PRO: &str = "pro@candlemill.test";

fn refused(status: u16, code: &str) -> (u16, &str) {
    (status, code)
}

/// Sends the token twice: the second answer is the same, and Supabase is asked at most once.
async fn check(service: &Service, name: &str, token: &str, expected: (u16, &str), user_calls: u64) {
    service.supabase.reset_counters();
    for time in ["first", "second"] {
        let answer = service.knock(token).await;
        let (status, code) = answer.code();
        assert_eq!((status, code.as_str()), expected, "{name}, {time} time: {}", answer.text);
        assert!(!answer.text.contains(token), "{name}: the answer repeats the token");
        if status == 401 {
            assert!(answer.header("www-authenticate").starts_with("Bearer"), "{name}");
        }
    }
    assert_eq!(service.user_calls(), user_calls, "{name}: calls of {}", crate::service::USER);
}

#[tokio::test]
async fn tokens_of_every_accepted_algorithm() {
    let service = Service::start().await;
    service.supabase.add_standby_key(KeyAlgorithm::EdDsa).unwrap();
    service.supabase.add_standby_key(KeyAlgorithm::Rs256).unwrap();
    for algorithm in [KeyAlgorithm::Es256, KeyAlgorithm::Rs256, KeyAlgorithm::EdDsa] {
        let token = service.token(&TokenSpec::of(PRO).sign_with(SignWith::Algorithm(algorithm)));
        check(&service, &format!("{algorithm:?}"), &token, LET_IN, 1).await;
    }
    let legacy = service.token(&TokenSpec::of(PRO).sign_with(SignWith::LegacySecret));
    check(&service, "HS256, which Supabase checks", &legacy, LET_IN, 1).await;
    let audiences = service.token(&TokenSpec::of(PRO).claim("aud", serde_json::json!(["x", "authenticated"])));
    check(&service, "audience in a list", &audiences, LET_IN, 1).await;
}

#[tokio::test]
async fn what_is_no_valid_token_never_reaches_supabase() {
    let service = Service::start().await;
    let invalid = refused(401, "invalid_token");
    let spec = || TokenSpec::of(PRO);
    let cases = [
        ("unsigned", spec().sign_with(SignWith::Unsigned), refused(401, "malformed_token")),
        ("foreign key", spec().sign_with(SignWith::Foreign(KeyAlgorithm::Es256)), invalid),
        ("another algorithm than the key's", spec().header("alg", "RS256"), invalid),
        ("no key named", spec().header("kid", Value::Null), invalid),
        ("expired", spec().expires_in(-1), refused(401, "expired_token")),
        ("another project", spec().claim("iss", "https://other.supabase.co/auth/v1"), invalid),
        ("another audience", spec().claim("aud", "anon"), invalid),
        ("no subject", spec().claim("sub", Value::Null), invalid),
        ("subject is no id", spec().claim("sub", "admin"), invalid),
        ("no expiry", spec().claim("exp", Value::Null), refused(401, "expired_token")),
    ];
    for (name, spec, expected) in cases {
        check(&service, name, &service.token(&spec), expected, 0).await;
    }
    check(&service, "legacy anon key", service.simulator.anon_key(), invalid, 0).await;
    check(&service, "legacy service key", service.simulator.service_role_key(), invalid, 0).await;
    check(&service, "publishable key", service.simulator.publishable_key(), refused(401, "malformed_token"), 0).await;
    check(&service, "rubbish", "a.b.c", invalid, 0).await;
    let mut tampered = service.token(&spec());
    let last = tampered.pop().unwrap();
    tampered.push(if last == 'A' { 'Q' } else { 'A' });
    check(&service, "tampered signature", &tampered, invalid, 0).await;
}

#[tokio::test]
async fn without_a_token() {
    let service = Service::start().await;
    let answer = service.send(service.request(Method::GET, "/api/tasks")).await;
    assert_eq!(answer.code(), (401, "missing_token".to_owned()));
    assert_eq!(answer.header("www-authenticate"), "Bearer");
    let basic = service.request(Method::GET, "/api/tasks").basic_auth("a", Some("b"));
    assert_eq!(service.send(basic).await.code(), (401, "malformed_token".to_owned()));
}

#[tokio::test]
async fn a_shared_secret_is_checked_here_where_it_is_known() {
    let service = Service::start_with([("SUPABASE_JWT_SECRET", "simulator-jwt-secret-of-no-real-project")]).await;
    let right = service.token(&TokenSpec::of(PRO).sign_with(SignWith::LegacySecret));
    check(&service, "right secret", &right, LET_IN, 1).await;
    let wrong = service.token(&TokenSpec::of(PRO).sign_with(SignWith::Secret("another secret".into())));
    check(&service, "wrong secret", &wrong, refused(401, "invalid_token"), 0).await;
    let unknown = Service::start().await;
    let wrong = unknown.token(&TokenSpec::of(PRO).sign_with(SignWith::Secret("another secret".into())));
    check(&unknown, "wrong secret, which Supabase refuses", &wrong, refused(401, "invalid_token"), 1).await;
}

#[tokio::test]
async fn supabase_sees_what_a_signature_does_not() {
    let service = Service::start().await;
    let token_after = |change: UserChange| {
        let token = service.token_of("pro");
        service.supabase.change_user(PRO, &change);
        token
    };
    let signed_out = token_after(UserChange { signed_out: true, ..UserChange::default() });
    check(&service, "signed out", &signed_out, refused(401, "invalid_token"), 1).await;
    let banned = token_after(UserChange { banned: Some(true), ..UserChange::default() });
    check(&service, "banned", &banned, refused(403, "user_banned"), 1).await;
    let pardoned = token_after(UserChange { banned: Some(false), ..UserChange::default() });
    check(&service, "pardoned", &pardoned, LET_IN, 1).await;
    let deleted = token_after(UserChange { deleted: true, ..UserChange::default() });
    check(&service, "deleted", &deleted, refused(401, "invalid_token"), 1).await;
}

#[tokio::test]
async fn keys_rotate() {
    let service = Service::start().await;
    let before = service.token_of("pro");
    check(&service, "first key", &before, LET_IN, 1).await;
    let first = service.supabase.keys()[0].kid.clone();
    // Nobody published it beforehand, as Supabase would: the key is unknown here.
    service.supabase.add_standby_key(KeyAlgorithm::Es256).unwrap();
    service.supabase.rotate_keys().unwrap();
    check(&service, "unknown key, asked for too soon", &service.token_of("pro"), refused(401, "invalid_token"), 0)
        .await;
    assert_eq!(service.key_calls(), 0, "keys are asked for at most every 30 s");
    service.clock.advance(31_000);
    check(&service, "second key", &service.token_of("pro"), LET_IN, 1).await;
    assert_eq!(service.key_calls(), 1);
    let forged = service.token(&TokenSpec::of(PRO).sign_with(SignWith::Foreign(KeyAlgorithm::Es256)));
    check(&service, "forgery", &forged, refused(401, "invalid_token"), 0).await;
    assert_eq!(service.key_calls(), 0);
    service.supabase.revoke_key(&first).unwrap();
    service.clock.advance(600_000);
    let revoked = service.token(&TokenSpec::of(PRO).sign_with(SignWith::Kid(first)));
    check(&service, "revoked key", &revoked, refused(401, "invalid_token"), 0).await;
}

#[tokio::test]
async fn the_tier_comes_from_where_only_administrators_write() {
    let service = Service::start().await;
    assert_eq!(service.ask_for_much(&service.token_of("free")).await, (403, "tier_limit".to_owned()));
    // The stores are away, so a caller that the tier lets through hears of that.
    assert_eq!(service.ask_for_much(&service.token_of("pro")).await, (503, "store_unavailable".to_owned()));
    let boastful = UserChange { claimed_tier: Some(Some("enterprise".into())), ..UserChange::default() };
    service.supabase.change_user("free@candlemill.test", &boastful);
    assert_eq!(service.ask_for_much(&service.token_of("free")).await, (403, "tier_limit".to_owned()));
}

#[tokio::test]
async fn the_tier_may_stand_in_the_token_or_in_a_table() {
    let upgrade = |field: &str| match field {
        "app_metadata" => UserChange { tier: Some(Some("pro".into())), ..UserChange::default() },
        _ => UserChange { subscription: Some(Some("pro".into())), ..UserChange::default() },
    };
    let (allowed, forbidden) = ((503, "store_unavailable".to_owned()), (403, "tier_limit".to_owned()));
    let claim = Service::start_with([("TIER_SOURCE", "claim")]).await;
    let old = claim.token_of("free");
    claim.supabase.change_user("free@candlemill.test", &upgrade("app_metadata"));
    assert_eq!(claim.ask_for_much(&old).await, forbidden, "as of the token's issue");
    assert_eq!(claim.ask_for_much(&claim.token_of("free")).await, allowed);
    claim.supabase.change_user("new@candlemill.test", &UserChange::default());
    let hooked = claim.token(&TokenSpec::of("new@candlemill.test").claim("tier", "pro"));
    assert_eq!(claim.ask_for_much(&hooked).await, allowed, "a claim of the access token hook");
    let table = Service::start_with([("TIER_SOURCE", "table"), ("SUPABASE_SECRET_KEY", "sb_secret_simulator")]).await;
    let token = table.token_of("free");
    table.supabase.change_user("free@candlemill.test", &upgrade("subscriptions"));
    assert_eq!(table.ask_for_much(&token).await, allowed);
    table.supabase.change_user("new@candlemill.test", &UserChange::default());
    assert_eq!(table.ask_for_much(&table.token_of("new")).await, forbidden, "no row is the lowest tier");
}

#[tokio::test]
async fn the_tier_may_stand_elsewhere_and_have_other_names() {
    let (allowed, forbidden) = ((503, "store_unavailable".to_owned()), (403, "tier_limit".to_owned()));
    let names = ("TIER_NAMES", "gold=pro");
    let claim = Service::start_with([("TIER_SOURCE", "claim"), ("TIER_CLAIM", "plan"), names]).await;
    claim.supabase.change_user("new@candlemill.test", &UserChange::default());
    let with = |name: &str, value: &str| claim.token(&TokenSpec::of("new@candlemill.test").claim(name, value));
    assert_eq!(claim.ask_for_much(&with("plan", "Gold")).await, allowed);
    assert_eq!(claim.ask_for_much(&with("plan", "silver")).await, forbidden, "a name that nobody knows");
    assert_eq!(claim.ask_for_much(&with("tier", "pro")).await, forbidden, "it stands elsewhere");
    // However deep; what the user writes is no place for it.
    let deep =
        Service::start_with([("TIER_SOURCE", "claim"), ("TIER_CLAIM", "app_metadata.billing.plan"), names]).await;
    let with_plan = |name: &str| {
        let spec = TokenSpec::of("new@candlemill.test").claim(name, serde_json::json!({"billing": {"plan": "gold"}}));
        deep.token(&spec)
    };
    deep.supabase.change_user("new@candlemill.test", &UserChange::default());
    assert_eq!(deep.ask_for_much(&with_plan("app_metadata")).await, allowed);
    assert_eq!(deep.ask_for_much(&with_plan("user_metadata")).await, forbidden);
    // Of the user, as Supabase has it now.
    let of_user = Service::start_with([("TIER_CLAIM", "app_metadata.tier"), names]).await;
    assert_eq!(of_user.ask_for_much(&of_user.token_of("pro")).await, allowed);
    let elsewhere = Service::start_with([("TIER_CLAIM", "app_metadata.plan"), names]).await;
    assert_eq!(elsewhere.ask_for_much(&elsewhere.token_of("pro")).await, forbidden, "it stands elsewhere");
    let usual = Service::start_with([names]).await;
    let gold = UserChange { tier: Some(Some("GOLD".into())), ..UserChange::default() };
    usual.supabase.change_user("free@candlemill.test", &gold);
    assert_eq!(usual.ask_for_much(&usual.token_of("free")).await, allowed);
}

#[tokio::test]
async fn tokens_of_another_issuer_are_taken_where_it_is_named() {
    let elsewhere = Service::start_with([("SUPABASE_JWT_ISSUER", "https://auth.example.com/auth/v1")]).await;
    let usual = elsewhere.token_of("pro");
    assert_eq!(elsewhere.ask_for_much(&usual).await, (401, "invalid_token".to_owned()));
    let named = TokenSpec::of("pro@candlemill.test").claim("iss", "https://auth.example.com/auth/v1");
    assert_eq!(elsewhere.ask_for_much(&elsewhere.token(&named)).await, (503, "store_unavailable".to_owned()));
    let other = Service::start_with([("SUPABASE_JWT_AUDIENCE", "clients")]).await;
    assert_eq!(other.ask_for_much(&other.token_of("pro")).await, (401, "invalid_token".to_owned()));
}
