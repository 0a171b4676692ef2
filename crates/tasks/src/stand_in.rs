//! Stand-in for the engine's one way in, of the same shape, until that is here. It accepts nothing and loses nothing: every
//! request is told to come again later.

use crate::accept::Submitted;
use crate::engine::TaskEngine;
use candlemill_db::StoreError;
use candlemill_shared::request::TaskRequest;
use candlemill_shared::task::{TaskError, TaskId};
use candlemill_shared::tier::{Tier, TierRefusal, TierTable};
use candlemill_shared::webhook::WebhookConfig;
use std::sync::Arc;

/// Who may submit what.
#[derive(Debug, Clone)]
pub struct Grant;

impl Grant {
    /// By configuration.
    #[must_use]
    pub fn configured(_owner: String, _tier: Tier, _now_ms: i64) -> Self {
        Self
    }
}

/// A request that can never be accepted.
#[derive(Debug, Clone)]
pub struct Rejected {
    /// Its idempotency key.
    pub id_key: String,
    /// As it came.
    pub raw: serde_json::Value,
}

/// Why a task was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// Too many are under way.
    #[error("too many tasks are under way")]
    TooManyJobs(TierRefusal),
    /// The tier does not allow it.
    #[error("the tier does not allow this")]
    Tier(TierRefusal),
    /// The key stands for another request.
    #[error("the idempotency key was used for another request (task {0})")]
    IdempotencyConflict(TaskId),
    /// The request makes no sense.
    #[error("the request is not valid")]
    Invalid {},
    /// The webhook is not allowed.
    #[error("the webhook is refused: {0}")]
    WebhookRefused(String),
    /// A store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl SubmitError {
    /// Whether it is worth trying again later.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::TooManyJobs(_) => true,
            Self::Store(error) => error.is_unavailable(),
            _ => false,
        }
    }
}

/// The one way in.
#[derive(Debug, Clone)]
pub struct TaskService;

impl TaskService {
    /// On this engine.
    #[must_use]
    pub fn start(_engine: &TaskEngine, _tiers: Arc<TierTable>, _webhooks: WebhookConfig) -> Self {
        Self
    }

    /// Accepts a request.
    ///
    /// # Errors
    /// Always.
    #[expect(clippy::unused_async, reason = "the real one waits")]
    pub async fn submit(&self, _grant: &Grant, _request: TaskRequest) -> Result<Submitted, SubmitError> {
        Err(SubmitError::Store(StoreError::Overloaded))
    }

    /// Keeps a request that can never be accepted.
    ///
    /// # Errors
    /// Always.
    #[expect(clippy::unused_async, reason = "the real one waits")]
    pub async fn bury(&self, _grant: &Grant, _request: Rejected, _error: TaskError) -> Result<TaskId, StoreError> {
        Err(StoreError::Overloaded)
    }
}
