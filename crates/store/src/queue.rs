//! The queue: apalis-redis carries and acknowledges deliveries, the scripts here decide what it is given.
//!
//! 1. A task waits in `pending` (by priority, then age) or in `delayed` (until its time), never in apalis's own
//!    `scheduled` set, whose promotion fails for good above some 8,000 due tasks.
//! 2. `dispatch` moves tasks from `pending` into apalis's `active` list, only as many as workers can soon take: what is
//!    in `active` can no longer be overtaken.
//! 3. Every delivery has an id of its own, `{task}.{serial}`. The *ticket* of a task names its only valid delivery; a
//!    delivery without a ticket is stale and is dropped by the worker that receives it.
//! 4. A task without a ticket is not in the queue. Enqueuing a task that has one does nothing.
//! 5. What apalis keeps of finished deliveries is purged in small steps; its own `vacuum` deletes too much.

use crate::error::StoreError;
use crate::keys::{self, PoolKeys};
use candlemill_shared::job::Pool;
use candlemill_shared::task::{TaskId, TaskRecord};
use redis::Script;
use redis::aio::ConnectionManager;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Deliveries that may stand in apalis's list at once, ready to be taken.
const ACTIVE_AHEAD: usize = 32;
/// Tasks that one script call handles at most: Redis serves nobody else meanwhile.
const BATCH: usize = 500;

/// What travels through Redis. The task itself is read from its record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Version of this form.
    pub v: u32,
    /// Which task.
    pub task: TaskId,
    /// Trace of the request that submitted it.
    pub trace: String,
}

impl Delivery {
    /// The newest version of the form.
    pub const VERSION: u32 = 1;
}

/// One pool's queue.
#[derive(Clone)]
pub struct Queue {
    connection: ConnectionManager,
    pool: Pool,
    keys: Arc<PoolKeys>,
    scripts: Arc<Scripts>,
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue").field("pool", &self.pool).finish_non_exhaustive()
    }
}

struct Scripts {
    enqueue: Script,
    dispatch: Script,
    settle: Script,
    rescue: Script,
    purge: Script,
}

/// How many tasks stand where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Depth {
    /// Wait for a worker.
    pub pending: u64,
    /// Wait for their time.
    pub delayed: u64,
    /// Are about to be taken.
    pub active: u64,
}

impl Queue {
    pub(crate) fn new(connection: ConnectionManager, pool: Pool) -> Self {
        // Every script that hands tasks on ends with the same dispatch.
        let with_dispatch = |text: &str| Script::new(&format!("{}\n{text}", include_str!("queue/dispatch.lua")));
        Self {
            connection,
            pool,
            keys: Arc::new(PoolKeys::of(pool)),
            scripts: Arc::new(Scripts {
                enqueue: with_dispatch(include_str!("queue/enqueue.lua")),
                dispatch: with_dispatch(include_str!("queue/promote.lua")),
                settle: with_dispatch(include_str!("queue/settle.lua")),
                rescue: with_dispatch(include_str!("queue/rescue.lua")),
                purge: Script::new(include_str!("queue/purge.lua")),
            }),
        }
    }

    /// The name that apalis-redis puts before its keys.
    #[must_use]
    pub fn apalis_name(&self) -> &str {
        &self.keys.queue
    }

    /// Channel on which new deliveries are announced.
    #[must_use]
    pub fn wake_channel(&self) -> &str {
        &self.keys.wake
    }

    /// Puts tasks into the queue. Those that are in it already stay as they are.
    /// Returns how many were put in.
    ///
    /// # Errors
    /// When Redis fails; a repetition is harmless.
    pub async fn enqueue(&self, records: &[&TaskRecord]) -> Result<u64, StoreError> {
        let mut put = 0;
        for batch in records.chunks(BATCH) {
            put += self.enqueue_batch(batch).await?;
        }
        Ok(put)
    }

    async fn enqueue_batch(&self, records: &[&TaskRecord]) -> Result<u64, StoreError> {
        let mut call = self.prepare(&self.scripts.enqueue);
        for record in records {
            let delivery = Delivery { v: Delivery::VERSION, task: record.id, trace: record.trace_id.clone() };
            call.arg(record.id.to_string()).arg(to_json(&delivery)?).arg(rank(record)).arg(record.run_at.unwrap_or(0));
        }
        let mut connection = self.connection.clone();
        call.invoke_async(&mut connection).await.map_err(StoreError::redis("putting tasks into the queue"))
    }

    /// Moves due tasks on and fills apalis's list. Returns the number of new deliveries.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn promote(&self, now_ms: i64) -> Result<u64, StoreError> {
        let mut call = self.prepare(&self.scripts.dispatch);
        let mut connection = self.connection.clone();
        call.arg(now_ms).arg(BATCH).invoke_async(&mut connection).await.map_err(StoreError::redis("promoting tasks"))
    }

    /// Whether `delivery` is the valid one of `task`.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn holds_ticket(&self, task: TaskId, delivery: &str) -> Result<bool, StoreError> {
        let mut connection = self.connection.clone();
        let ticket: Option<String> = redis::cmd("HGET")
            .arg(&self.keys.tickets)
            .arg(task.to_string())
            .query_async(&mut connection)
            .await
            .map_err(StoreError::redis("reading a ticket"))?;
        Ok(ticket.as_deref() == Some(delivery))
    }

    /// Takes a task out of the queue after its end, and lets its successor in.
    ///
    /// # Errors
    /// When Redis fails; a repetition is harmless.
    pub async fn settle(&self, record: &TaskRecord) -> Result<(), StoreError> {
        self.take_out(record, 0).await
    }

    /// Takes a task out of the hands of its worker and lets it wait until `run_at` (UTC ms).
    ///
    /// # Errors
    /// When Redis fails; a repetition is harmless.
    pub async fn reschedule(&self, record: &TaskRecord, run_at: i64) -> Result<(), StoreError> {
        self.take_out(record, run_at.max(1)).await
    }

    async fn take_out(&self, record: &TaskRecord, run_at: i64) -> Result<(), StoreError> {
        let delivery = Delivery { v: Delivery::VERSION, task: record.id, trace: record.trace_id.clone() };
        let mut call = self.prepare(&self.scripts.settle);
        let mut connection = self.connection.clone();
        call.arg(record.id.to_string()).arg(run_at).arg(to_json(&delivery)?).arg(rank(record));
        call.invoke_async::<()>(&mut connection).await.map_err(StoreError::redis("settling a task"))?;
        if run_at == 0 {
            // Another hash tag, so a command of its own; the admission counts anew before it refuses anybody.
            redis::cmd("ZREM")
                .arg(keys::owner_tasks(&record.owner))
                .arg(record.id.to_string())
                .query_async::<()>(&mut connection)
                .await
                .map_err(StoreError::redis("settling a task"))?;
        }
        Ok(())
    }

    /// Delivers a task anew whose delivery was lost: it holds a ticket, but waits nowhere. `false` when it waits somewhere.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn rescue(&self, record: &TaskRecord) -> Result<bool, StoreError> {
        let mut call = self.prepare(&self.scripts.rescue);
        let mut connection = self.connection.clone();
        let rescued: i64 = call
            .arg(record.id.to_string())
            .arg(rank(record))
            .invoke_async(&mut connection)
            .await
            .map_err(StoreError::redis("rescuing a task"))?;
        Ok(rescued == 1)
    }

    /// Deletes what apalis keeps of finished deliveries, a bounded number of them. Returns how many.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn purge(&self) -> Result<u64, StoreError> {
        let mut connection = self.connection.clone();
        self.scripts
            .purge
            .key(self.keys.apalis("done"))
            .key(self.keys.apalis("dead"))
            .key(self.keys.apalis("data"))
            .key(self.keys.apalis("meta"))
            .arg(BATCH)
            .invoke_async(&mut connection)
            .await
            .map_err(StoreError::redis("purging finished deliveries"))
    }

    /// How many tasks stand where.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn depth(&self) -> Result<Depth, StoreError> {
        let mut connection = self.connection.clone();
        let (pending, delayed, active) = redis::pipe()
            .zcard(&self.keys.pending)
            .zcard(&self.keys.delayed)
            .llen(self.keys.apalis("active"))
            .query_async(&mut connection)
            .await
            .map_err(StoreError::redis("counting the queue"))?;
        Ok(Depth { pending, delayed, active })
    }

    fn prepare<'a>(&self, script: &'a Script) -> redis::ScriptInvocation<'a> {
        let mut call = script.key(&self.keys.pending);
        call.key(&self.keys.delayed)
            .key(&self.keys.tickets)
            .key(&self.keys.serial)
            .key(self.keys.apalis("active"))
            .key(self.keys.apalis("data"))
            .key(self.keys.apalis("meta"))
            .arg(&self.keys.wake)
            .arg(ACTIVE_AHEAD);
        call
    }
}

/// Place in `pending`: the higher priority first, then the older. Milliseconds stay exact below 2^53.
fn rank(record: &TaskRecord) -> i64 {
    const STEP: i64 = 10_000_000_000_000;
    i64::from(9 - record.priority.min(9)) * STEP + record.created_at.clamp(0, STEP - 1)
}

fn to_json<T: Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::corrupt("a message for the queue", error))
}
