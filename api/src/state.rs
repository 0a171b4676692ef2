//! What handlers share.

use crate::admin::token::AdminToken;
use crate::auth::Authenticator;
use crate::metrics::Metrics;
use crate::session::OwnTries;
use axum::http::HeaderValue;
use candlemill_db::Db;
use candlemill_market_store::MarketStore;
use candlemill_shared::Clock;
use candlemill_shared::tier::TierTable;
use candlemill_shared::webhook::WebhookConfig;
use candlemill_tasks::{TaskEngine, TaskService};
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use url::Url;

/// What handlers take: one counter to clone, where every layer of every request clones.
pub type Shared = Arc<AppState>;

/// What handlers share.
#[derive(Debug)]
pub struct AppState {
    /// Connections to the stores.
    pub db: Db,
    /// The task engine.
    pub tasks: TaskEngine,
    /// Market data.
    pub market: MarketStore,
    /// The one way in for tasks.
    pub service: TaskService,
    /// Who calls.
    pub auth: Arc<Authenticator>,
    /// The operators' token; `None`: nobody is an operator.
    pub admin: Option<AdminToken>,
    /// Origins of pages that may call it from a browser.
    pub cors_origins: Vec<HeaderValue>,
    /// Where people reach the service, if it is by another name than the one that is called.
    pub public_url: Option<Url>,
    /// Tries to sign in while Redis is away.
    pub sign_ins: OwnTries,
    /// What tiers allow.
    pub tiers: Arc<TierTable>,
    /// Where owners may have themselves told.
    pub webhooks: WebhookConfig,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Places for open event streams.
    pub streams: Arc<Semaphore>,
    /// Cancelled when the process stops: open streams end, so that it can.
    pub stopping: CancellationToken,
}
