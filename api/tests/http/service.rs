//! The API and its Supabase, in this process.

use candlemill_api::admin::token::AdminToken;
use candlemill_api::auth::{AuthConfig, Authenticator, TOKEN_CACHE};
use candlemill_api::metrics::Metrics;
use candlemill_api::session::OwnTries;
use candlemill_api::{AppState, app, cors_origins};
use candlemill_db::{Db, DbConfig, ExpiringCache};
use candlemill_market_store::MarketStore;
use candlemill_shared::env::Env;
use candlemill_shared::tier::TierTable;
use candlemill_shared::webhook::WebhookConfig;
use candlemill_shared::{Clock, ManualClock, SystemClock};
use candlemill_simulator::{Control, Simulator, SimulatorConfig, TokenSpec};
use candlemill_tasks::{TaskEngine, TaskService, TasksConfig};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// The call that tells whether Supabase was asked.
pub(crate) const USER: &str = "/auth/v1/user";
pub(crate) const KEYS: &str = "/auth/v1/.well-known/jwks.json";
/// A call without its parameters: `invalid_request` for a caller that is let in, and no store is asked.
const KNOCK: &str = "/api/market-data/klines";
/// What it answers them.
pub(crate) const LET_IN: (u16, &str) = (400, "invalid_request");

/// Where people reach it.
pub(crate) const PUBLIC_URL: &str = "https://candles.example.com";

/// A running API.
pub(crate) struct Service {
    pub(crate) supabase: Control,
    pub(crate) simulator: Simulator,
    /// Of the API alone: Supabase has its own.
    pub(crate) clock: Arc<ManualClock>,
    url: String,
    http: reqwest::Client,
    stop: CancellationToken,
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// An answer, read whole.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("{} is JSON: {}", self.status, self.text))
    }

    /// Status and stable code; empty where there is none.
    pub(crate) fn code(&self) -> (u16, String) {
        let body: Value = serde_json::from_str(&self.text).unwrap_or_default();
        (self.status.as_u16(), body["code"].as_str().unwrap_or_default().to_owned())
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Service {
    pub(crate) async fn start() -> Self {
        Self::start_with([]).await
    }

    /// With these variables in place of the usual ones.
    pub(crate) async fn start_with<const N: usize>(variables: [(&str, &str); N]) -> Self {
        let simulator = Simulator::start(SimulatorConfig::default()).await.unwrap();
        let clock = Arc::new(ManualClock::at(SystemClock.now_ms()));
        let mut env = Env::default();
        env.set("SUPABASE_URL", simulator.url());
        env.set("SUPABASE_PUBLISHABLE_KEY", simulator.publishable_key());
        // Port 1 refuses at once: the stores are away.
        env.set("REDIS_URL", "redis://127.0.0.1:1");
        env.set("MONGODB_URI", "mongodb://127.0.0.1:1");
        for (name, value) in variables {
            env.set(name, value);
        }
        let stores = DbConfig { store_wait: Duration::from_millis(300), ..DbConfig::from_env(&env).unwrap() };
        let db = Db::connect(&stores, clock.clone()).await.unwrap();
        let tasks = TaskEngine::new(&db, TasksConfig::from_env(&env).unwrap()).unwrap();
        let market = MarketStore::new(&db);
        let metrics = Arc::new(Metrics::new());
        let config = AuthConfig::from_env(&env).unwrap();
        let auth = Authenticator::new(
            config,
            ExpiringCache::new(db.redis(), TOKEN_CACHE),
            clock.clone(),
            metrics.auth.clone(),
        )
        .unwrap();
        let stop = CancellationToken::new();
        let (tiers, webhooks) = (Arc::new(TierTable::default()), WebhookConfig::from_env(&env).unwrap());
        let state = AppState {
            service: TaskService::start(&tasks, Arc::clone(&tiers), webhooks.clone()),
            auth: Arc::new(auth),
            admin: AdminToken::from_env(&env).unwrap(),
            cors_origins: cors_origins(&env).unwrap(),
            public_url: Some(PUBLIC_URL.parse().unwrap()),
            sign_ins: OwnTries::default(),
            tiers,
            webhooks,
            metrics,
            clock: clock.clone(),
            streams: Arc::new(Semaphore::new(4)),
            stopping: stop.clone(),
            db,
            tasks,
            market,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serving = axum::serve(listener, app(state)).with_graceful_shutdown(stop.clone().cancelled_owned());
        tokio::spawn(async move { serving.await.unwrap() });
        let supabase = simulator.control();
        Self { supabase, simulator, clock, url, http: reqwest::Client::new(), stop }
    }

    /// A token of Supabase.
    pub(crate) fn token(&self, spec: &TokenSpec) -> String {
        self.supabase.mint(spec).unwrap()
    }

    /// A token of an ordinary user of this tier.
    pub(crate) fn token_of(&self, tier: &str) -> String {
        self.token(&TokenSpec::of(&format!("{tier}@candlemill.test")))
    }

    /// `127.0.0.1:<port>`.
    pub(crate) fn addr(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url))
    }

    pub(crate) async fn send(&self, request: RequestBuilder) -> Answer {
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status(), answer.headers().clone());
        Answer { status, headers, text: answer.text().await.unwrap() }
    }

    /// Whether the token lets anybody in.
    pub(crate) async fn knock(&self, token: &str) -> Answer {
        self.send(self.request(Method::GET, KNOCK).bearer_auth(token)).await
    }

    /// What the token's owner hears when asking for 100,000 candles: more than the free tier allows.
    pub(crate) async fn ask_for_much(&self, token: &str) -> (u16, String) {
        let body = serde_json::json!({"symbol": "BTCUSDT", "interval": "1m", "start": 1_577_836_800_000_i64, "end": 1_583_836_800_000_i64});
        self.send(self.request(Method::POST, "/api/market-data/fetch").bearer_auth(token).json(&body)).await.code()
    }

    pub(crate) fn user_calls(&self) -> u64 {
        self.supabase.counters().calls_to(USER)
    }

    pub(crate) fn key_calls(&self) -> u64 {
        self.supabase.counters().calls_to(KEYS)
    }
}
