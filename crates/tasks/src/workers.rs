//! Which workers live, and which of them are asked to drain.
//!
//! A worker puts a heartbeat of itself into Redis every second; a heartbeat lives a few seconds. Nothing depends on it but what
//! operators see: who holds which task is the queue's matter.

use candlemill_db::{Bus, StoreError, key};
pub use candlemill_shared::worker::WorkerState;
use futures::{Stream, StreamExt};
use redis::aio::ConnectionManager;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The list of workers stays so long after the last sign of life of any.
const LIST_KEPT_SECONDS: i64 = 600;
/// A request to drain is remembered this long: until the worker has read it, and for a look at it.
const DRAIN_KEPT: Duration = Duration::from_secs(24 * 3_600);

/// Channel on which workers hear that an operator wants something: a hint to look at once.
pub(crate) fn control_channel() -> String {
    key("control")
}

/// Sorted set of workers by their last sign of life.
fn all_key() -> String {
    key("{workers}:all")
}

/// A worker's heartbeat. Its name is that of earlier versions, with which it is shared.
fn heartbeat_key(id: &str) -> String {
    key(&format!("{{workers}}:card:{id}"))
}

/// Present when a worker is asked to drain.
fn drain_key(id: &str) -> String {
    key(&format!("{{workers}}:drain:{id}"))
}

/// One pool of a worker. The pool is a text: workers of another version may have others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolLoad {
    /// Name of the pool.
    pub pool: String,
    /// Tasks that it runs at once.
    pub concurrency: usize,
    /// Tasks that it holds.
    pub running: usize,
}

/// A worker's word about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Name of the process, another one after each start.
    pub id: String,
    /// Version of the program.
    pub version: String,
    /// Name of the machine or container.
    pub host: String,
    /// Process id there.
    pub pid: u32,
    /// UTC ms.
    pub started_at: i64,
    /// UTC ms, by the worker's clock.
    pub seen_at: i64,
    /// What it does with tasks.
    pub state: WorkerState,
    /// What it runs.
    pub pools: Vec<PoolLoad>,
}

impl Heartbeat {
    /// Tasks that it holds.
    #[must_use]
    pub fn running(&self) -> usize {
        self.pools.iter().map(|load| load.running).sum()
    }
}

/// The heartbeats of all workers.
#[derive(Clone)]
pub struct Workers {
    connection: ConnectionManager,
    bus: Bus,
}

impl std::fmt::Debug for Workers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Workers")
    }
}

impl Workers {
    pub(crate) const fn new(connection: ConnectionManager, bus: Bus) -> Self {
        Self { connection, bus }
    }

    /// An item whenever an operator wants something: a pause, a resumption, a drain. A hint to look at once.
    ///
    /// # Errors
    /// When Redis cannot be reached now.
    pub async fn calls(&self) -> Result<impl Stream<Item = ()> + Send + use<>, StoreError> {
        Ok(self.bus.subscribe(&control_channel()).await?.map(drop))
    }

    /// Shows `heartbeat` for as long as `life`. Returns whether the worker is asked to drain.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn show(&self, heartbeat: &Heartbeat, life: Duration) -> Result<bool, StoreError> {
        let text =
            serde_json::to_string(heartbeat).map_err(|error| StoreError::corrupt("a worker's heartbeat", error))?;
        let life = u64::try_from(life.as_millis()).unwrap_or(u64::MAX).max(1);
        let mut connection = self.connection.clone();
        let (asked,): (bool,) = redis::pipe()
            .pset_ex(heartbeat_key(&heartbeat.id), text, life)
            .ignore()
            .zadd(all_key(), &heartbeat.id, heartbeat.seen_at)
            .ignore()
            // The last one out leaves nothing behind.
            .expire(all_key(), LIST_KEPT_SECONDS)
            .ignore()
            .exists(drain_key(&heartbeat.id))
            .query_async(&mut connection)
            .await
            .map_err(StoreError::redis("showing a worker"))?;
        Ok(asked)
    }

    /// Takes a worker's heartbeat away, at its end.
    ///
    /// # Errors
    /// When Redis fails: then the heartbeat goes by itself.
    pub async fn leave(&self, id: &str) -> Result<(), StoreError> {
        let mut connection = self.connection.clone();
        redis::pipe()
            .del(&[heartbeat_key(id), drain_key(id)])
            .ignore()
            .zrem(all_key(), id)
            .ignore()
            .query_async(&mut connection)
            .await
            .map_err(StoreError::redis("taking a worker's heartbeat away"))
    }

    /// The workers that live, the oldest first.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn all(&self) -> Result<Vec<Heartbeat>, StoreError> {
        const ACTION: &str = "listing workers";
        let mut connection = self.connection.clone();
        let ids: Vec<String> = redis::cmd("ZRANGE")
            .arg(all_key())
            .arg(&["0", "-1"])
            .query_async(&mut connection)
            .await
            .map_err(StoreError::redis(ACTION))?;
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let names: Vec<String> = ids.iter().map(|id| heartbeat_key(id)).collect();
        let texts: Vec<Option<String>> =
            redis::cmd("MGET").arg(names).query_async(&mut connection).await.map_err(StoreError::redis(ACTION))?;
        let (mut heartbeats, mut dead) = (Vec::new(), Vec::new());
        for (id, text) in ids.into_iter().zip(texts) {
            match text.map(|text| serde_json::from_str::<Heartbeat>(&text)) {
                Some(Ok(heartbeat)) => heartbeats.push(heartbeat),
                Some(Err(error)) => tracing::warn!(worker = id, %error, "a worker's heartbeat cannot be read"),
                None => dead.push(id),
            }
        }
        if !dead.is_empty() {
            // One that was only silent shows itself again.
            let forgotten = redis::cmd("ZREM").arg(all_key()).arg(dead).query_async::<()>(&mut connection).await;
            forgotten.map_err(StoreError::redis(ACTION))?;
        }
        heartbeats.sort_by(|a, b| (a.started_at, &a.id).cmp(&(b.started_at, &b.id)));
        Ok(heartbeats)
    }

    /// Asks a worker to drain; it hears of it at once, or within a second. `None`: no such worker lives.
    ///
    /// # Errors
    /// When Redis fails; a repetition is harmless.
    pub async fn drain(&self, id: &str) -> Result<Option<Heartbeat>, StoreError> {
        const ACTION: &str = "asking a worker to drain";
        let mut connection = self.connection.clone();
        let text: Option<String> = redis::cmd("GET")
            .arg(heartbeat_key(id))
            .query_async(&mut connection)
            .await
            .map_err(StoreError::redis(ACTION))?;
        let Some(text) = text else { return Ok(None) };
        let heartbeat =
            serde_json::from_str(&text).map_err(|error| StoreError::corrupt("a worker's heartbeat", error))?;
        redis::pipe()
            .set_ex(drain_key(id), "1", DRAIN_KEPT.as_secs())
            .ignore()
            .publish(control_channel(), id)
            .ignore()
            .query_async::<()>(&mut connection)
            .await
            .map_err(StoreError::redis(ACTION))?;
        Ok(Some(heartbeat))
    }
}
