//! Leases of work that one process does at a time.

use crate::error::StoreError;
use crate::keys::key;
use redis::Script;
use redis::aio::ConnectionManager;
use std::sync::Arc;
use std::time::Duration;

/// Leases in Redis.
#[derive(Clone)]
pub struct Lease {
    connection: ConnectionManager,
    take: Arc<Script>,
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lease")
    }
}

impl Lease {
    pub(crate) fn new(connection: ConnectionManager) -> Self {
        Self {
            connection,
            take: Arc::new(Script::new(
                "local holder = redis.call('GET', KEYS[1]) \
                 if holder and holder ~= ARGV[1] then return 0 end \
                 redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) return 1",
            )),
        }
    }

    /// Takes or keeps the lease `name` for `term`. `false` while another process holds it.
    ///
    /// # Errors
    /// When Redis fails: no process holds it for sure, so none acts.
    pub async fn take(&self, name: &str, holder: &str, term: Duration) -> Result<bool, StoreError> {
        let mut connection = self.connection.clone();
        let taken: i64 = self
            .take
            .key(key(&format!("lease:{name}")))
            .arg(holder)
            .arg(milliseconds(term))
            .invoke_async(&mut connection)
            .await
            .map_err(StoreError::redis("taking a lease"))?;
        Ok(taken == 1)
    }
}

fn milliseconds(term: Duration) -> u64 {
    u64::try_from(term.as_millis()).unwrap_or(u64::MAX).max(1)
}
