//! Values that expire, shared by all processes.

use crate::error::StoreError;
use crate::keys::key;
use redis::aio::ConnectionManager;
use std::time::Duration;

/// A cache in Redis: each entry lives for its own time, and may be lost at any.
#[derive(Clone)]
pub struct ExpiringCache {
    connection: ConnectionManager,
    name: &'static str,
}

impl std::fmt::Debug for ExpiringCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExpiringCache").field("name", &self.name).finish_non_exhaustive()
    }
}

impl ExpiringCache {
    /// The cache whose keys are `<name>:<id>`.
    #[must_use]
    pub const fn new(connection: ConnectionManager, name: &'static str) -> Self {
        Self { connection, name }
    }

    fn key(&self, id: &str) -> String {
        key(&format!("{}:{id}", self.name))
    }

    /// What was kept for `id`.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn get(&self, id: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let mut connection = self.connection.clone();
        let found = redis::cmd("GET").arg(self.key(id)).query_async(&mut connection).await;
        found.map_err(StoreError::redis("reading a cache"))
    }

    /// Keeps `value` for `id`, for `ttl`; nothing is kept for a `ttl` under a millisecond.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn put(&self, id: &str, value: &[u8], ttl: Duration) -> Result<(), StoreError> {
        let milliseconds = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
        if milliseconds == 0 {
            return Ok(());
        }
        let mut connection = self.connection.clone();
        redis::cmd("SET")
            .arg(self.key(id))
            .arg(value)
            .arg("PX")
            .arg(milliseconds)
            .query_async::<()>(&mut connection)
            .await
            .map_err(StoreError::redis("writing a cache"))
    }

    /// Forgets `id`, and tells those who listen to [`Self::channel`].
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn forget(&self, id: &str) -> Result<(), StoreError> {
        let mut connection = self.connection.clone();
        redis::pipe()
            .del(self.key(id))
            .ignore()
            .publish(self.channel(), id)
            .ignore()
            .query_async::<()>(&mut connection)
            .await
            .map_err(StoreError::redis("forgetting what was cached"))
    }

    /// Where ids are told that were forgotten.
    #[must_use]
    pub fn channel(&self) -> String {
        key(&format!("{}:forgotten", self.name))
    }
}
