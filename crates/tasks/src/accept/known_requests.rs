//! Requests that were seen before.

use crate::engine::TaskEngine;
use crate::unique_keys;
use candlemill_db::StoreError;

impl TaskEngine {
    /// Whether a request with this `Idempotency-Key` (as records keep it) was accepted within the last 24 hours: a repetition
    /// is answered with its task, whatever has become known since.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn was_accepted(&self, idempotency: &str) -> Result<bool, StoreError> {
        let holder = self.records().keys.holder(&unique_keys::idempotency(idempotency)).await?;
        let now = self.clock().now_ms();
        Ok(holder.is_some_and(|holder| holder.expires_at.is_none_or(|end| now < end)))
    }
}
