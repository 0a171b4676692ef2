//! What is remembered of tokens: in the process, in Redis, and for how long.

use crate::replica::{KEYS, LONG, NO_REDIS, PRO, Replica, USER, mint, supabase};
use candlemill_api::auth::AuthError;
use candlemill_devkit::Redis;
use candlemill_shared::Clock;
use candlemill_shared::tier::Tier;
use candlemill_simulator::{Fault, FaultRule, TokenSpec, UserChange};
use futures::future::join_all;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Redis's answer to one command, as it stands on the wire.
async fn redis_says(redis: &Redis, command: &str) -> String {
    let mut line = TcpStream::connect(("127.0.0.1", redis.port())).await.unwrap();
    line.write_all(format!("{command}\r\nQUIT\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    line.read_to_string(&mut answer).await.unwrap();
    answer.strip_suffix("+OK\r\n").unwrap_or(&answer).to_owned()
}

/// Every key that Redis holds.
async fn keys(redis: &Redis) -> Vec<String> {
    let said = redis_says(redis, "KEYS *").await;
    said.lines().filter(|line| !line.starts_with(['*', '$'])).map(str::to_owned).collect()
}

/// The one remembered verdict and how long Redis keeps it, ms.
async fn kept(redis: &Redis) -> (String, i64) {
    let keys = keys(redis).await;
    assert_eq!(keys.len(), 1, "{keys:?}");
    let left = redis_says(redis, &format!("PTTL {}", keys[0])).await;
    let value = redis_says(redis, &format!("GET {}", keys[0])).await;
    (format!("{} {value}", keys[0]), left.trim_start_matches(':').trim().parse().unwrap())
}

#[tokio::test]
async fn two_hundred_requests_of_one_token_ask_once() {
    let redis = Redis::throwaway().await.unwrap();
    let (simulator, supabase) = supabase().await;
    let replica = Replica::of(&simulator, &redis.url()).await;
    let token = mint(&supabase);
    supabase.add_fault(FaultRule::on(USER, Fault::Hold));
    let crowd = join_all((0..200).map(|_| replica.code(&token)));
    let release = async {
        supabase.wait_for_held(1, LONG).await.unwrap();
        supabase.clear_faults();
    };
    let (codes, ()) = tokio::join!(crowd, release);
    assert!(codes.iter().all(|code| *code == "ok"), "{codes:?}");
    assert_eq!(supabase.counters().calls_to(USER), 1);
    assert_eq!(supabase.counters().calls_to(KEYS), 1);
    assert_eq!(replica.code(&token).await, "ok");
    assert_eq!((replica.count("token_misses"), replica.count("token_process_hits")), (1, 1));
}

#[tokio::test]
async fn who_gives_up_leaves_the_others_served() {
    let (simulator, supabase) = supabase().await;
    let replica = Arc::new(Replica::of(&simulator, NO_REDIS).await);
    let token = mint(&supabase);
    supabase.add_fault(FaultRule::on(USER, Fault::Hold));
    let ask = || {
        let (replica, token) = (Arc::clone(&replica), token.clone());
        tokio::spawn(async move { replica.code(&token).await })
    };
    let first = ask();
    supabase.wait_for_held(1, LONG).await.unwrap();
    let second = ask();
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    supabase.clear_faults();
    assert_eq!(second.await.unwrap(), "ok");
}

#[tokio::test]
async fn replicas_share_what_one_of_them_learnt() {
    let redis = Redis::throwaway().await.unwrap();
    let (simulator, supabase) = supabase().await;
    let (one, other) = (Replica::of(&simulator, &redis.url()).await, Replica::of(&simulator, &redis.url()).await);
    let token = mint(&supabase);
    let learnt = one.caller(&token).await.unwrap();
    assert_eq!((learnt.tier, &*learnt.role, learnt.is_anonymous), (Tier::Pro, "authenticated", false));
    assert_eq!(Some(&*learnt.user_id), supabase.user(PRO).as_ref().map(|user| user.id.as_str()));
    assert_eq!(other.caller(&token).await.unwrap(), learnt);
    assert_eq!(supabase.counters().calls_to("/auth"), 2, "the keys and the user, by one of the two");
    assert_eq!((other.count("token_redis_hits"), other.count("token_misses")), (1, 0));

    supabase.change_user(PRO, &UserChange { banned: Some(true), ..UserChange::default() });
    let banned = mint(&supabase);
    assert_eq!(one.caller(&banned).await, Err(AuthError::Banned));
    assert_eq!(other.caller(&banned).await, Err(AuthError::Banned));
    assert_eq!(supabase.counters().calls_to(USER), 2);
}

/// What Redis holds of a token after it was asked about, and the bounds of its time there, s.
async fn check_kept(name: &str, change: &UserChange, spec: TokenSpec, expected: &str, within: (i64, i64)) {
    let redis = Redis::throwaway().await.unwrap();
    let (simulator, supabase) = supabase().await;
    let replica = Replica::of(&simulator, &redis.url()).await;
    let token = supabase.mint(&spec).unwrap();
    supabase.change_user(PRO, change);
    assert_eq!(replica.code(&token).await, expected, "{name}");
    let (text, left) = kept(&redis).await;
    assert!((within.0 * 1_000..=within.1 * 1_000).contains(&left), "{name}: {left} ms");
    for secret in token.split('.').chain([PRO, "email", "session_id"]) {
        assert!(!text.contains(secret), "{name}: {secret} stands in {text}");
    }
}

#[tokio::test]
async fn redis_holds_no_token_and_nothing_for_longer_than_it_is_true() {
    let as_is = UserChange::default();
    check_kept("valid", &as_is, TokenSpec::of(PRO), "ok", (270, 300)).await;
    check_kept("short-lived", &as_is, TokenSpec::of(PRO).expires_in(100), "ok", (70, 100)).await;
    let signed_out = UserChange { signed_out: true, ..UserChange::default() };
    check_kept("signed out", &signed_out, TokenSpec::of(PRO), "invalid_token", (1, 30)).await;
    let banned = UserChange { banned: Some(true), ..UserChange::default() };
    check_kept("banned", &banned, TokenSpec::of(PRO), "user_banned", (1, 30)).await;
}

#[tokio::test]
async fn what_is_not_known_is_not_shared() {
    let redis = Redis::throwaway().await.unwrap();
    let (simulator, supabase) = supabase().await;
    let replica = Replica::of(&simulator, &redis.url()).await;
    let token = mint(&supabase);
    supabase.add_fault(FaultRule::on(USER, Fault::status(500)));
    assert_eq!(replica.code(&token).await, "auth_unavailable");
    assert_eq!(replica.code("a.b.c").await, "invalid_token");
    assert_eq!(keys(&redis).await, Vec::<String>::new());
    supabase.clear_faults();
    assert_eq!(replica.code(&token).await, "ok");
}

#[tokio::test]
async fn a_remembered_token_ends_to_the_millisecond_on_every_replica() {
    let redis = Redis::throwaway().await.unwrap();
    let (simulator, supabase) = supabase().await;
    let (one, other) = (Replica::of(&simulator, &redis.url()).await, Replica::of(&simulator, &redis.url()).await);
    let token = supabase.mint(&TokenSpec::of(PRO).expires_in(60)).unwrap();
    let end = one.caller(&token).await.unwrap().expires_at_ms;
    one.clock.advance(end - one.clock.now_ms() - 1);
    assert_eq!(one.code(&token).await, "ok", "its last millisecond");
    one.clock.advance(1);
    other.clock.advance(end - other.clock.now_ms());
    assert_eq!((one.code(&token).await, other.code(&token).await), ("expired_token", "expired_token"));
    assert_eq!(supabase.counters().calls_to(USER), 1, "what has expired is not asked about");
}

#[tokio::test]
async fn a_replica_whose_clock_is_ahead_prolongs_no_memory() {
    let redis = Redis::throwaway().await.unwrap();
    let (simulator, supabase) = supabase().await;
    let (ahead, right) = (Replica::of(&simulator, &redis.url()).await, Replica::of(&simulator, &redis.url()).await);
    ahead.clock.advance(3_600_000);
    let token = supabase.mint(&TokenSpec::of(PRO).expires_in(4 * 3_600)).unwrap();
    assert_eq!((ahead.code(&token).await, right.code(&token).await), ("ok", "ok"));
    assert_eq!(right.count("token_redis_hits"), 1);
    // Redis forgets by its own clock, after 300 s.
    redis_says(&redis, "FLUSHALL").await;
    supabase.change_user(PRO, &UserChange { signed_out: true, ..UserChange::default() });
    right.clock.advance(300_000);
    assert_eq!(right.code(&token).await, "invalid_token");
}

#[tokio::test]
async fn a_redis_that_dies_or_hangs_holds_nobody_up() {
    let mut redis = Redis::throwaway().await.unwrap();
    let (simulator, supabase) = supabase().await;
    let replica = Replica::of(&simulator, &redis.url()).await;
    assert_eq!(replica.code(&mint(&supabase)).await, "ok");
    assert_eq!(replica.count("token_redis_bypasses"), 0);
    redis.child().freeze().unwrap();
    let token = mint(&supabase);
    let answer = tokio::time::timeout(LONG / 2, replica.code(&token)).await;
    redis.child().thaw().unwrap();
    assert_eq!(answer, Ok("ok"), "while Redis hangs");
    assert_eq!(replica.count("token_redis_bypasses"), 2, "one to read, one to write");
    redis.kill9().await.unwrap();
    assert_eq!(replica.code(&mint(&supabase)).await, "ok", "while Redis is dead");
    assert_eq!(supabase.counters().calls_to(USER), 3);
}
