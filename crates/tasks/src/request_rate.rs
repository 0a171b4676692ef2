//! How often each user asks.

use candlemill_db::{StoreError, key};
use candlemill_shared::Clock;
use redis::aio::ConnectionManager;
use std::sync::Arc;

const MINUTE_MS: i64 = 60_000;

/// Counters of requests in Redis, shared by all API processes.
#[derive(Clone)]
pub struct RequestRate {
    connection: ConnectionManager,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for RequestRate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RequestRate")
    }
}

/// What the request counter says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateDecision {
    /// Whether the request may go on.
    pub allowed: bool,
    /// Requests that the window allows.
    pub limit: u32,
    /// Requests left in the window.
    pub remaining: u32,
    /// Seconds until the window ends, at least 1.
    pub reset_seconds: u32,
}

impl RequestRate {
    pub(crate) const fn new(connection: ConnectionManager, clock: Arc<dyn Clock>) -> Self {
        Self { connection, clock }
    }

    /// Counts one request of `owner` in the current minute.
    ///
    /// # Errors
    /// When Redis fails: the request was not counted, and the caller decides whether it goes on.
    pub async fn count(&self, owner: &str, per_minute: u32) -> Result<RateDecision, StoreError> {
        let now = self.clock.now_ms();
        let key = key(&format!("{{owner:{owner}}}:requests:{}", now.div_euclid(MINUTE_MS)));
        let mut connection = self.connection.clone();
        let (count,): (u64,) = redis::pipe()
            .incr(&key, 1)
            .pexpire(&key, 2 * MINUTE_MS)
            .ignore()
            .query_async(&mut connection)
            .await
            .map_err(StoreError::redis("counting a request"))?;
        Ok(decide(count, per_minute, now))
    }
}

fn decide(count: u64, limit: u32, now_ms: i64) -> RateDecision {
    let left = MINUTE_MS - now_ms.rem_euclid(MINUTE_MS);
    let remaining = u64::from(limit).saturating_sub(count);
    RateDecision {
        allowed: count <= u64::from(limit),
        limit,
        remaining: u32::try_from(remaining).unwrap_or(u32::MAX),
        reset_seconds: u32::try_from((left + 999) / 1_000).unwrap_or(1).max(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(count: u64, limit: u32, now_ms: i64, expected: (bool, u32, u32)) {
        let got = decide(count, limit, now_ms);
        assert_eq!((got.allowed, got.remaining, got.reset_seconds), expected, "{count}/{limit} at {now_ms}");
    }

    #[test]
    fn decisions() {
        check(1, 120, 0, (true, 119, 60));
        check(120, 120, 30_000, (true, 0, 30));
        check(121, 120, 59_999, (false, 0, 1));
    }
}
