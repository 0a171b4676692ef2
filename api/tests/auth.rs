//! The authenticator by itself, with the Supabase of the simulator and a real Redis: what replicas share, what each decides
//! alone, and what is said about failures. What a client sees of it stands in `tests/http`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use candlemill_api::auth::{AuthConfig, AuthError, AuthMetrics, Authenticator, Caller, TOKEN_CACHE};
use candlemill_db::{Db, DbConfig, ExpiringCache};
use candlemill_devkit::Redis;
use candlemill_shared::env::Env;
use candlemill_shared::tier::Tier;
use candlemill_shared::{Clock, ManualClock, SystemClock};
use candlemill_simulator::{Control, Fault, FaultRule, KeyAlgorithm, SignWith, Simulator, SimulatorConfig};
use candlemill_simulator::{TokenSpec, UserChange};
use futures::future::join_all;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber, span};

const PRO: &str = "pro@candlemill.test";
const USER: &str = "/auth/v1/user";
const KEYS: &str = "/auth/v1/.well-known/jwks.json";
/// Port 1 refuses at once.
const NO_REDIS: &str = "redis://127.0.0.1:1";
/// Longer than a request may ever wait for Redis.
const LONG: Duration = Duration::from_secs(20);

/// One API process as far as callers are concerned.
struct Replica {
    auth: Authenticator,
    clock: Arc<ManualClock>,
    metrics: Registry,
}

impl Replica {
    async fn of(simulator: &Simulator, redis: &str) -> Self {
        Self::with(simulator, redis, []).await
    }

    async fn with<const N: usize>(simulator: &Simulator, redis: &str, variables: [(&str, &str); N]) -> Self {
        let mut env = Env::of(variables);
        env.set("SUPABASE_URL", simulator.url());
        env.set("SUPABASE_PUBLISHABLE_KEY", simulator.publishable_key());
        env.set("REDIS_URL", redis);
        env.set("MONGODB_URI", "mongodb://127.0.0.1:1");
        let clock = Arc::new(ManualClock::at(SystemClock.now_ms()));
        let stores = DbConfig { store_wait: LONG, ..DbConfig::from_env(&env).unwrap() };
        let db = Db::connect(&stores, clock.clone()).await.unwrap();
        let mut metrics = Registry::default();
        let counters = AuthMetrics::register(&mut metrics);
        let config = AuthConfig::from_env(&env).unwrap();
        let auth =
            Authenticator::new(config, ExpiringCache::new(db.redis(), TOKEN_CACHE), clock.clone(), counters).unwrap();
        Self { auth, clock, metrics }
    }

    async fn caller(&self, token: &str) -> Result<Caller, AuthError> {
        self.auth.caller(Some(&format!("Bearer {token}"))).await
    }

    /// The answer's code; `ok` for a caller.
    async fn code(&self, token: &str) -> &'static str {
        self.caller(token).await.map_or_else(|error| error.code(), |_| "ok")
    }

    fn count(&self, name: &str) -> u64 {
        let mut text = String::new();
        encode(&mut text, &self.metrics).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name}_total ")));
        line.unwrap_or_else(|| panic!("no counter {name} in {text}")).parse().unwrap()
    }
}

async fn supabase() -> (Simulator, Control) {
    let simulator = Simulator::start(SimulatorConfig::default()).await.unwrap();
    let control = simulator.control();
    (simulator, control)
}

fn mint(supabase: &Control) -> String {
    supabase.mint(&TokenSpec::of(PRO)).unwrap()
}

fn answers(status: u16, body: &Value) -> Fault {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    Fault::Status { status, body, headers: BTreeMap::new() }
}

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

/// Everything that is logged, with its level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<(Level, String)>>>);

impl Log {
    fn of(&self, level: Level) -> Vec<String> {
        self.0.lock().unwrap().iter().filter(|(own, _)| *own == level).map(|(_, text)| text.clone()).collect()
    }
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.push_str(&format!("{field}={value:?} "));
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("candlemill_api")
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        self.0.lock().unwrap().push((*event.metadata().level(), line.0));
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

#[tokio::test]
async fn a_lasting_failure_is_told_once_and_no_secret_with_it() {
    let log = Log::default();
    let _logging = tracing::subscriber::set_default(log.clone());
    let (simulator, supabase) = supabase().await;
    let replica = Replica::of(&simulator, NO_REDIS).await;
    let mut said = String::new();
    let mut tokens = Vec::new();
    let gateway = answers(401, &json!({"message": "Invalid API key", "hint": "…"}));
    for (fault, level, expected) in [
        (gateway.clone(), Level::ERROR, 1),
        (Fault::status(500), Level::WARN, 1),
        (Fault::Reset, Level::WARN, 2),
        (gateway, Level::ERROR, 2),
    ] {
        let rule = supabase.add_fault(FaultRule::on(USER, fault.clone()));
        for _ in 0..5 {
            tokens.push(mint(&supabase));
            let error = replica.caller(&tokens[tokens.len() - 1]).await.unwrap_err();
            said.push_str(&format!("{error} {error:?} "));
        }
        supabase.remove_fault(rule);
        tokens.push(mint(&supabase));
        assert_eq!(replica.code(&tokens[tokens.len() - 1]).await, "ok");
        assert_eq!(log.of(level).len(), expected, "{fault:?}: {:?}", log.of(level));
    }
    for level in [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE] {
        said.push_str(&log.of(level).join(" "));
    }
    said.push_str(&format!("{:?}", replica.auth));
    assert!(said.contains("SUPABASE_PUBLISHABLE_KEY"), "the log says what to look at: {said}");
    for secret in tokens.iter().flat_map(|token| token.split('.')).chain([simulator.publishable_key(), PRO]) {
        assert!(!said.contains(secret), "{secret} is told");
    }
}
