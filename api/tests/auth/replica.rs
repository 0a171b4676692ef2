//! One API process with its Supabase.

use candlemill_api::auth::{AuthConfig, AuthError, AuthMetrics, Authenticator, Caller, TOKEN_CACHE};
use candlemill_db::{Db, DbConfig, ExpiringCache};
use candlemill_shared::env::Env;
use candlemill_shared::{Clock, ManualClock, SystemClock};
use candlemill_simulator::{Control, Fault, Simulator, SimulatorConfig, TokenSpec};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub(crate) const PRO: &str = "pro@candlemill.test";
pub(crate) const USER: &str = "/auth/v1/user";
pub(crate) const KEYS: &str = "/auth/v1/.well-known/jwks.json";
/// Port 1 refuses at once.
pub(crate) const NO_REDIS: &str = "redis://127.0.0.1:1";
/// Longer than a request may ever wait for Redis.
pub(crate) const LONG: Duration = Duration::from_secs(20);

/// One API process as far as callers are concerned.
pub(crate) struct Replica {
    pub(crate) auth: Authenticator,
    pub(crate) clock: Arc<ManualClock>,
    metrics: Registry,
}

impl Replica {
    pub(crate) async fn of(simulator: &Simulator, redis: &str) -> Self {
        Self::with(simulator, redis, []).await
    }

    pub(crate) async fn with<const N: usize>(simulator: &Simulator, redis: &str, variables: [(&str, &str); N]) -> Self {
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

    pub(crate) async fn caller(&self, token: &str) -> Result<Caller, AuthError> {
        self.auth.caller(Some(&format!("Bearer {token}"))).await
    }

    /// The answer's code; `ok` for a caller.
    pub(crate) async fn code(&self, token: &str) -> &'static str {
        self.caller(token).await.map_or_else(|error| error.code(), |_| "ok")
    }

    pub(crate) fn count(&self, name: &str) -> u64 {
        let mut text = String::new();
        encode(&mut text, &self.metrics).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name}_total ")));
        line.unwrap_or_else(|| panic!("no counter {name} in {text}")).parse().unwrap()
    }
}

pub(crate) async fn supabase() -> (Simulator, Control) {
    let simulator = Simulator::start(SimulatorConfig::default()).await.unwrap();
    let control = simulator.control();
    (simulator, control)
}

pub(crate) fn mint(supabase: &Control) -> String {
    supabase.mint(&TokenSpec::of(PRO)).unwrap()
}

pub(crate) fn answers(status: u16, body: &Value) -> Fault {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    Fault::Status { status, body, headers: BTreeMap::new() }
}
