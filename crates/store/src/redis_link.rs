//! The connection that apalis works over.
//!
//! apalis ends a worker at the first error of its connection, a dropped socket included. This link repeats a command
//! until Redis answers again or patience ends. Every script it sends is safe to repeat: a repeated fetch takes another
//! delivery, and the one whose reply was lost is found by the sweeper.

use crate::error::is_passing;
use redis::aio::{ConnectionLike, ConnectionManager};
use redis::{Cmd, ErrorKind, Pipeline, RedisError, RedisFuture, Value};
use std::future::Future;
use std::time::Duration;
use tokio::time::Instant;

/// A multiplexed connection that outlives its server for a while.
#[derive(Clone)]
pub struct RedisLink {
    connection: ConnectionManager,
    patience: Duration,
}

impl std::fmt::Debug for RedisLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisLink").field("patience", &self.patience).finish_non_exhaustive()
    }
}

const FIRST_WAIT: Duration = Duration::from_millis(20);
const LONGEST_WAIT: Duration = Duration::from_secs(1);

impl RedisLink {
    /// Repeats failed commands over `connection` for `patience`.
    #[must_use]
    pub const fn new(connection: ConnectionManager, patience: Duration) -> Self {
        Self { connection, patience }
    }
}

async fn patiently<T, F>(patience: Duration, mut call: impl FnMut() -> F) -> Result<T, RedisError>
where
    F: Future<Output = Result<T, RedisError>>,
{
    let deadline = Instant::now() + patience;
    let mut wait = FIRST_WAIT;
    loop {
        match call().await {
            Err(error) if may_pass(&error) && Instant::now() + wait < deadline => {
                tracing::debug!(%error, "Redis is away, trying again");
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(LONGEST_WAIT);
            }
            other => return other,
        }
    }
}

fn may_pass(error: &RedisError) -> bool {
    is_passing(error) || error.kind() == ErrorKind::Io
}

impl ConnectionLike for RedisLink {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        let (patience, connection) = (self.patience, self.connection.clone());
        Box::pin(patiently(patience, move || {
            let mut connection = connection.clone();
            async move { connection.req_packed_command(cmd).await }
        }))
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        let (patience, connection) = (self.patience, self.connection.clone());
        Box::pin(patiently(patience, move || {
            let mut connection = connection.clone();
            async move { connection.req_packed_commands(pipeline, offset, count).await }
        }))
    }

    fn get_db(&self) -> i64 {
        self.connection.get_db()
    }
}
