//! Snapshots as Redis keeps them.

use super::{ProgressWrite, lifetime_ms};
use crate::error::StoreError;
use crate::groups::Reply;
use crate::keys;
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

#[derive(Clone)]
pub(super) struct Snapshots {
    pub(super) connection: ConnectionManager,
    write: Arc<Script>,
    began: Instant,
    /// Milliseconds after `began` at which Redis failed last, and one more; 0: never.
    failed: Arc<AtomicU64>,
}

fn encode(snapshot: &Progress) -> Result<String, StoreError> {
    serde_json::to_string(snapshot).map_err(|error| StoreError::corrupt("a progress snapshot", error))
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
        let mut connection = self.connection.clone();
        let (accepted, cancel): (i64, i64) = self
            .write
            .key(keys::progress(id))
            .key(keys::cancel_flag(id))
            .arg(snapshot.sequence)
            .arg(encode(snapshot)?)
            .arg(ttl_ms)
            .arg(keys::progress_channel(id))
            .invoke_async(&mut connection)
            .await
            .map_err(|error| self.failed(WRITING)(error))?;
        Ok(ProgressWrite { accepted: accepted == 1, cancel_requested: cancel == 1 })
    }

    /// Ends, many in two round trips: which of the tasks have a snapshot, then what is new.
    pub(super) async fn show_ends(&self, group: Vec<(Progress, Reply<()>)>) {
        let kept = match self.kept(&group).await {
            Ok(kept) => kept,
            Err(error) => return refuse(group, self.failed(WRITING), &error),
        };
        let (kept, unknown): (Vec<_>, Vec<_>) = group.into_iter().zip(kept).partition(|(_, kept)| *kept);
        let replaced = kept.into_iter().map(|((end, reply), _)| async move {
            drop(reply.send(self.put(&end, lifetime_ms(&end)).await.map(drop)));
        });
        let told = self.tell(unknown.into_iter().map(|(end, _)| end).collect());
        tokio::join!(join_all(replaced), told);
    }

    async fn kept(&self, group: &[(Progress, Reply<()>)]) -> Result<Vec<bool>, RedisError> {
        let mut asked = redis::pipe();
        for (end, _) in group {
            asked.exists(keys::progress(end.task_id));
        }
        asked.query_async(&mut self.connection.clone()).await
    }

    /// Tells those who follow, should there be any.
    async fn tell(&self, ends: Vec<(Progress, Reply<()>)>) {
        let mut told = redis::pipe();
        let mut encoded = Vec::with_capacity(ends.len());
        for (end, reply) in ends {
            match encode(&end) {
                Ok(json) => {
                    told.publish(keys::progress_channel(end.task_id), json).ignore();
                    encoded.push((end, reply));
                }
                Err(error) => drop(reply.send(Err(error))),
            }
        }
        if encoded.is_empty() {
            return;
        }
        match told.query_async::<()>(&mut self.connection.clone()).await {
            Ok(()) => encoded.into_iter().for_each(|(_, reply)| drop(reply.send(Ok(())))),
            Err(error) => refuse(encoded, self.failed(WRITING), &error),
        }
    }
}

fn refuse(group: Vec<(Progress, Reply<()>)>, told: impl Fn(RedisError) -> StoreError, error: &RedisError) {
    for (_, reply) in group {
        drop(reply.send(Err(told(error.clone()))));
    }
}
