//! What is remembered, for how long, and what happens when Supabase fails. Redis is away all the time.

use crate::service::{KEYS, LET_IN, Service, USER};
use candlemill_simulator::{Fault, FaultRule, TokenSpec, UserChange, WrongContent};
use futures::future::join_all;
use std::collections::BTreeMap;
use std::time::Duration;

const PRO: &str = "pro@candlemill.test";

fn let_in() -> (u16, String) {
    (LET_IN.0, LET_IN.1.to_owned())
}

/// The fault is told as ours, not as the token's, and is forgotten as soon as it is over.
async fn check(fault: Fault, expected: &str, retry_after: &str) {
    let service = Service::start().await;
    let token = service.token_of("pro");
    let name = format!("{fault:?}");
    service.supabase.add_fault(FaultRule::on(USER, fault));
    let answer = service.knock(&token).await;
    assert_eq!(answer.code(), (503, expected.to_owned()), "{name}");
    assert_eq!(answer.header("retry-after"), retry_after, "{name}");
    service.supabase.clear_faults();
    assert_eq!(service.knock(&token).await.code(), let_in(), "{name}: not remembered");
}

#[tokio::test]
async fn failures_of_supabase_say_nothing_about_a_token() {
    let gateway =
        r#"{"message":"Invalid API key","hint":"Double check your Supabase `anon` or `service_role` API key."}"#;
    let gateway = Fault::Status { status: 401, body: gateway.into(), headers: BTreeMap::new() };
    let coded = r#"{"code":"unexpected_failure","message":"…"}"#;
    let coded = Fault::Status { status: 500, body: coded.into(), headers: BTreeMap::new() };
    for (fault, code, retry_after) in [
        (Fault::status(500), "auth_unavailable", "2"),
        (coded, "auth_unavailable", "2"),
        (Fault::status(504), "auth_unavailable", "2"),
        (Fault::throttled(429, 7), "auth_unavailable", "7"),
        (Fault::Reset, "auth_unavailable", "2"),
        (Fault::Close, "auth_unavailable", "2"),
        (Fault::CutBody { after_bytes: 20 }, "auth_unavailable", "2"),
        (Fault::Content(WrongContent::Html), "auth_unavailable", "2"),
        (gateway, "auth_misconfigured", "2"),
        (Fault::status(404), "auth_misconfigured", "2"),
    ] {
        check(fault, code, retry_after).await;
    }
}

#[tokio::test]
async fn a_wrong_key_of_ours_is_no_fault_of_the_token() {
    let service = Service::start_with([("SUPABASE_PUBLISHABLE_KEY", "sb_publishable_wrong")]).await;
    let answer = service.knock(&service.token_of("pro")).await;
    assert_eq!(answer.code(), (503, "auth_misconfigured".to_owned()));
    assert!(!answer.text.contains("sb_publishable"), "{}", answer.text);
}

#[tokio::test]
async fn without_the_signing_keys_supabase_decides_alone() {
    let service = Service::start().await;
    service.supabase.add_fault(FaultRule::on(KEYS, Fault::status(503)));
    assert_eq!(service.knock(&service.token_of("pro")).await.code(), let_in());
    assert_eq!((service.key_calls(), service.user_calls()), (1, 1));
}

#[tokio::test]
async fn many_requests_of_one_token_ask_once() {
    let service = Service::start().await;
    let token = service.token_of("pro");
    service.supabase.add_fault(FaultRule::on(USER, Fault::Hold));
    let crowd = join_all((0..100).map(|_| service.knock(&token)));
    let release = async {
        service.supabase.wait_for_held(1, Duration::from_secs(10)).await.unwrap();
        service.supabase.clear_faults();
    };
    let (answers, ()) = tokio::join!(crowd, release);
    assert!(answers.iter().all(|answer| answer.code() == let_in()));
    assert_eq!(service.user_calls(), 1);
}

#[tokio::test]
async fn what_is_remembered_outlives_supabase_but_not_its_time() {
    let service = Service::start().await;
    let token = service.token_of("pro");
    assert_eq!(service.knock(&token).await.code(), let_in());
    service.supabase.add_fault(FaultRule::on("/auth", Fault::status(500)));
    service.clock.advance(299_000);
    assert_eq!(service.knock(&token).await.code(), let_in(), "remembered");
    assert_eq!(service.user_calls(), 1);
    service.clock.advance(1_000);
    assert_eq!(service.knock(&token).await.code(), (503, "auth_unavailable".to_owned()), "after 300 s nobody vouches");
    service.supabase.clear_faults();
    assert_eq!(service.knock(&token).await.code(), let_in());
}

#[tokio::test]
async fn a_remembered_token_ends_with_its_own_time() {
    let service = Service::start().await;
    let token = service.token(&TokenSpec::of(PRO).expires_in(100));
    assert_eq!(service.knock(&token).await.code(), let_in());
    service.clock.advance(101_000);
    assert_eq!(service.knock(&token).await.code(), (401, "expired_token".to_owned()));
    assert_eq!(service.user_calls(), 1, "what has expired is not asked about");
}

#[tokio::test]
async fn changes_of_a_user_are_seen_within_the_memory_of_a_token() {
    let service = Service::start().await;
    let (pro, free) = (service.token_of("pro"), service.token_of("free"));
    assert_eq!(service.knock(&pro).await.code(), let_in());
    assert_eq!(service.ask_for_much(&free).await, (403, "tier_limit".to_owned()));
    service.supabase.change_user(PRO, &UserChange { signed_out: true, ..UserChange::default() });
    let upgrade = UserChange { tier: Some(Some("pro".into())), ..UserChange::default() };
    service.supabase.change_user("free@candlemill.test", &upgrade);
    assert_eq!(service.knock(&pro).await.code(), let_in());
    service.clock.advance(300_000);
    assert_eq!(service.knock(&pro).await.code(), (401, "invalid_token".to_owned()));
    assert_eq!(service.ask_for_much(&free).await, (503, "store_unavailable".to_owned()), "upgraded");
}

#[tokio::test]
async fn refusals_are_remembered_for_half_a_minute() {
    let service = Service::start().await;
    let token = service.token_of("pro");
    service.supabase.change_user(PRO, &UserChange { banned: Some(true), ..UserChange::default() });
    assert_eq!(service.knock(&token).await.code(), (403, "user_banned".to_owned()));
    service.supabase.change_user(PRO, &UserChange { banned: Some(false), ..UserChange::default() });
    service.clock.advance(29_000);
    assert_eq!(service.knock(&token).await.code(), (403, "user_banned".to_owned()));
    service.clock.advance(1_000);
    assert_eq!(service.knock(&token).await.code(), let_in());
}
