//! What accepting a task and finding its duplicate share: bounds of time, and why a task is not accepted.

use crate::engine::TaskEngine;
use candlemill_db::StoreError;
use candlemill_shared::task::TaskId;
use candlemill_shared::tier::TierRefusal;
use std::time::Duration;
use tokio::time::Instant;

/// Looks at a key whose task is being stored by another request.
pub(crate) const TRIES: usize = 50;
pub(crate) const BETWEEN_TRIES: Duration = Duration::from_millis(20);
/// A key without a record was left by a crash, or by a process that gave up, when it is older than this.
pub(super) const UNDER_WAY_MS: i64 = 10_000;
/// Longest time from taking the keys to the records' being stored: well before others may take them over ([`UNDER_WAY_MS`]).
pub(super) const STORED_WITHIN: Duration = Duration::from_secs(6);

/// Why a task was not accepted. Nothing was stored.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// A part of the request is not as it must be.
    #[error("{field}: {why}")]
    Invalid {
        /// Which.
        field: &'static str,
        /// What was wrong, and what was expected.
        why: String,
    },
    /// There are no webhooks in this deployment.
    #[error("webhooks are switched off here")]
    WebhooksDisabled,
    /// The webhook's URL may not be called.
    #[error("the URL of the webhook {0}")]
    WebhookRefused(String),
    /// The tier does not allow it.
    #[error("{}", .0.detail)]
    Tier(TierRefusal),
    /// The owner has as many tasks under way as the tier allows.
    #[error("too many tasks are under way")]
    TooManyTasks,
    /// The key was used for another request within 24 hours.
    #[error("the Idempotency-Key was used for another request (task {0})")]
    IdempotencyConflict(TaskId),
    /// A store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl SubmitError {
    /// Whether the same request may be accepted later, without a change of it.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::TooManyTasks => true,
            Self::Store(error) => error.is_unavailable(),
            Self::Invalid { .. }
            | Self::WebhooksDisabled
            | Self::WebhookRefused(_)
            | Self::Tier(_)
            | Self::IdempotencyConflict(_) => false,
        }
    }

    /// Stable name, as in [`TaskError`](candlemill_shared::task::TaskError)s and problem documents.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Invalid { .. } => "invalid_request",
            Self::WebhooksDisabled => "webhooks_disabled",
            Self::WebhookRefused(_) => "webhook_refused",
            Self::Tier(_) | Self::TooManyTasks => "tier_limit",
            Self::IdempotencyConflict(_) => "idempotency_conflict",
            Self::Store(_) => "store_unavailable",
        }
    }
}

/// When the keys were asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Taken {
    /// UTC ms, as the keys tell it.
    pub(super) at_ms: i64,
    /// By the clock that nobody sets.
    pub(super) since: Instant,
}

impl Taken {
    pub(super) fn now(store: &TaskEngine) -> Self {
        Self { at_ms: store.clock().now_ms(), since: Instant::now() }
    }

    /// Gives a call to a store up when the keys were asked for so long ago. Whether it was carried out is not known then.
    pub(super) async fn within<T>(
        self,
        longest: Duration,
        action: &'static str,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        tokio::time::timeout_at(self.since + longest, call).await.unwrap_or_else(|_| {
            let why = format!("no answer within {} s", longest.as_secs());
            Err(StoreError::mongo(action)(std::io::Error::new(std::io::ErrorKind::TimedOut, why).into()))
        })
    }
}
