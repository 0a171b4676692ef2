//! Second level of the token cache: validated callers, shared by all API processes.

use crate::error::StoreError;
use crate::keys;
use redis::aio::ConnectionManager;
use std::time::Duration;

/// Validated callers by the SHA-256 of their token. The token itself is never a key nor a value.
#[derive(Clone)]
pub struct TokenCache {
    connection: ConnectionManager,
}

impl std::fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenCache")
    }
}

impl TokenCache {
    pub(crate) const fn new(connection: ConnectionManager) -> Self {
        Self { connection }
    }

    /// What was kept for the token of this hash.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn get(&self, hash: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let mut connection = self.connection.clone();
        let found = redis::cmd("GET").arg(keys::token(hash)).query_async(&mut connection).await;
        found.map_err(StoreError::redis("reading the token cache"))
    }

    /// Keeps `value` for the token of this hash, for `ttl`; nothing is kept for a `ttl` under a millisecond.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn put(&self, hash: &str, value: &[u8], ttl: Duration) -> Result<(), StoreError> {
        let milliseconds = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
        if milliseconds == 0 {
            return Ok(());
        }
        let mut connection = self.connection.clone();
        redis::cmd("SET")
            .arg(keys::token(hash))
            .arg(value)
            .arg("PX")
            .arg(milliseconds)
            .query_async::<()>(&mut connection)
            .await
            .map_err(StoreError::redis("writing the token cache"))
    }
}
