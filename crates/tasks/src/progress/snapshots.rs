//! Snapshots as Redis keeps them.

use super::keys;
use crate::cancel_flag;
use candlemill_db::{Reply, StoreError};
use candlemill_shared::progress::Progress;
use futures::future::join_all;
use redis::aio::ConnectionManager;
use redis::{RedisError, Script};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// A Redis that was restarted may have lost its last second, and takes some time to answer everybody again.
const DOUBTED_MS: u64 = 5_000;
const WRITING: &str = "writing progress";

/// Snapshots of ended tasks stay this long in Redis; the record in MongoDB answers afterwards.
const ENDED_TTL_MS: i64 = 15 * 60_000;
/// Snapshots of tasks under way: longer than any task waits or runs.
const LIVE_TTL_MS: i64 = 7 * 86_400_000;

pub(super) const fn lifetime_ms(snapshot: &Progress) -> i64 {
    if snapshot.state.is_end() { ENDED_TTL_MS } else { LIVE_TTL_MS }
}

/// What a written snapshot met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProgressWrite {
    /// Whether it was the newest. An older attempt's snapshot is refused.
    pub accepted: bool,
    /// Whether the task was asked to stop.
    pub cancel_requested: bool,
}

#[derive(Clone)]
pub(super) struct Snapshots {
    pub(super) connection: ConnectionManager,
    write: Arc<Script>,
    began: Instant,
    /// Milliseconds after `began` at which Redis failed last, and one more; 0: never.
    failed: Arc<AtomicU64>,
}

impl Snapshots {
    pub(super) fn new(connection: ConnectionManager) -> Self {
        let write = Arc::new(Script::new(include_str!("write.lua")));
        Self { connection, write, began: Instant::now(), failed: Arc::default() }
    }

    pub(super) fn is_doubtful(&self) -> bool {
        let failed = self.failed.load(Ordering::Relaxed);
        failed > 0 && self.elapsed().saturating_sub(failed) < DOUBTED_MS
    }

    fn elapsed(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(super) fn doubt(&self) {
        self.failed.store(self.elapsed().saturating_add(1), Ordering::Relaxed);
    }

    pub(super) fn failed(&self, action: &'static str) -> impl Fn(RedisError) -> StoreError {
        self.doubt();
        move |error| StoreError::redis(action)(error)
    }

    pub(super) async fn put(&self, snapshot: &Progress, ttl_ms: i64) -> Result<ProgressWrite, StoreError> {
        let id = snapshot.task_id;
        let json =
            serde_json::to_string(snapshot).map_err(|error| StoreError::corrupt("a progress snapshot", error))?;
        let mut connection = self.connection.clone();
        let (accepted, cancel): (i64, i64) = self
            .write
            .key(keys::snapshot(id))
            .key(cancel_flag::key_of(id))
            .arg(snapshot.sequence)
            .arg(json)
            .arg(ttl_ms)
            .arg(keys::channel(id))
            .arg(keys::owner_channel(&snapshot.owner))
            .invoke_async(&mut connection)
            .await
            .map_err(|error| self.failed(WRITING)(error))?;
        Ok(ProgressWrite { accepted: accepted == 1, cancel_requested: cancel == 1 })
    }

    /// Ends: which of the tasks have a snapshot is asked for all of them at once.
    pub(super) async fn show_ends(&self, group: Vec<(Progress, Reply<()>)>) {
        let kept = match self.kept(&group).await {
            Ok(kept) => kept,
            Err(error) => {
                let told = self.failed(WRITING);
                return group.into_iter().for_each(|(_, reply)| drop(reply.send(Err(told(error.clone())))));
            }
        };
        let mut replaced = Vec::new();
        for ((end, reply), kept) in group.into_iter().zip(kept) {
            if kept {
                replaced.push(async move { drop(reply.send(self.put(&end, lifetime_ms(&end)).await.map(drop))) });
            } else {
                drop(reply.send(Ok(())));
            }
        }
        join_all(replaced).await;
    }

    async fn kept(&self, group: &[(Progress, Reply<()>)]) -> Result<Vec<bool>, RedisError> {
        let (mut connection, mut all, mut each) = (self.connection.clone(), redis::cmd("EXISTS"), redis::pipe());
        for (end, _) in group {
            let key = keys::snapshot(end.task_id);
            all.arg(&key);
            each.exists(key);
        }
        // Mostly nobody has asked for any of them, and one question for all tells so.
        if all.query_async::<usize>(&mut connection).await? == 0 {
            return Ok(vec![false; group.len()]);
        }
        each.query_async(&mut connection).await
    }
}
