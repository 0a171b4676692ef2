//! The queue: which task runs next, who holds it, and until when.
//!
//! 1. A task stands in exactly one place: it waits among its owner's tasks, is delayed until its time, or is held under a
//!    lease. Every script moves it from one place to another at once, so no crash can lose it in between.
//! 2. Owners take turns (start-time fair queueing): an owner with many tasks waiting does not keep another's one from
//!    running. The weight of a tier decides how often its owners' turns come; an owner who runs as many tasks as the tier
//!    allows takes no turn until one of them ends.
//! 3. A worker that claims a task holds it by a *token*, which no other ever gets, under a lease that it renews. A lease that
//!    runs out lets the task wait again at its old rank. Leases are measured by Redis's clock alone.
//! 4. Only the token's holder can settle the task. The record's attempt number fences what is written to MongoDB.
//! 5. Enqueuing a task that is in the queue does nothing, so it may be repeated whenever there is doubt.

use super::entry::Entry;
use super::keys::PoolKeys;
use crate::quota::owner_tasks;
use candlemill_db::{Reply, StoreError, ask, batch_workers, without_conflicts};
use candlemill_shared::job::Pool;
use candlemill_shared::task::{Queued, TaskId, TaskRecord};
use redis::Script;
use redis::aio::ConnectionManager;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use ulid::Ulid;

/// Tasks that one script call handles at most: Redis serves nobody else meanwhile.
const BATCH: usize = 500;

/// A claimed task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Which task.
    pub task: TaskId,
    /// Trace of the request that submitted it.
    pub trace: String,
    /// By which the claimer holds it.
    pub token: String,
    /// As the queue keeps it, for a Redis that has forgotten it.
    entry: Arc<str>,
}

/// How many tasks stand where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Depth {
    /// Wait for a worker.
    pub waiting: u64,
    /// Wait for their time.
    pub delayed: u64,
    /// Are held by workers.
    pub held: u64,
}

/// What a tick moved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ticked {
    /// Delayed tasks whose time had come.
    pub due: u64,
    /// Tasks whose worker had let its lease run out.
    pub abandoned: u64,
}

/// One pool's queue.
#[derive(Clone)]
pub struct Queue {
    pub(super) connection: ConnectionManager,
    pool: Pool,
    pub(super) keys: Arc<PoolKeys>,
    scripts: Arc<Scripts>,
    settling: mpsc::Sender<(Settling, Reply<bool>)>,
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue").field("pool", &self.pool).finish_non_exhaustive()
    }
}

struct Scripts {
    enqueue: Script,
    claim: Script,
    renew: Script,
    settle: Script,
    tick: Script,
}

struct Settling {
    task: TaskId,
    owner: String,
    token: String,
    due: i64,
    /// Whether its owner keeps the place of a task under way.
    goes_on: bool,
}

impl Queue {
    pub(crate) fn new(connection: ConnectionManager, pool: Pool) -> Self {
        let with_common = |text: &str| Script::new(&format!("{}\n{text}", include_str!("common.lua")));
        let keys = Arc::new(PoolKeys::of(pool));
        let scripts = Arc::new(Scripts {
            enqueue: with_common(include_str!("enqueue.lua")),
            claim: with_common(include_str!("claim.lua")),
            renew: with_common(include_str!("renew.lua")),
            settle: with_common(include_str!("settle.lua")),
            tick: with_common(include_str!("tick.lua")),
        });
        let (line, called, listed) = (connection.clone(), Arc::clone(&scripts), Arc::clone(&keys));
        let settling =
            batch_workers(1, move |group| settle_group(line.clone(), Arc::clone(&called), Arc::clone(&listed), group));
        Self { connection, pool, keys, scripts, settling }
    }

    /// Channel on which waiting tasks are announced.
    #[must_use]
    pub fn wake_channel(&self) -> &str {
        &self.keys.wake
    }

    /// Puts tasks into the queue. Those that are in it already stay as they are. Returns how many were put in.
    ///
    /// # Errors
    /// When Redis fails; a repetition is harmless.
    pub async fn enqueue<'a, T>(&self, tasks: impl IntoIterator<Item = &'a T>) -> Result<u64, StoreError>
    where
        T: 'a,
        Queued<'a>: From<&'a T>,
    {
        let mut put = 0;
        let tasks: Vec<Queued<'a>> = tasks.into_iter().map(Queued::from).collect();
        for batch in tasks.chunks(BATCH) {
            let mut call = prepare(&self.scripts.enqueue, &self.keys);
            for task in batch {
                call.arg(task.id.to_string()).arg(Entry::of(task).to_string()).arg(task.run_at.unwrap_or(0));
            }
            let mut connection = self.connection.clone();
            let batch: u64 =
                call.invoke_async(&mut connection).await.map_err(StoreError::redis("putting tasks into the queue"))?;
            put += batch;
        }
        Ok(put)
    }

    /// Claims up to `most` tasks for `worker`, for as long as `lease`.
    ///
    /// # Errors
    /// When Redis fails. Tasks that were claimed, but whose answer was lost, wait again when their lease has run out.
    pub async fn claim(&self, worker: &str, most: usize, lease: Duration) -> Result<Vec<Delivery>, StoreError> {
        let mut call = prepare(&self.scripts.claim, &self.keys);
        let mut connection = self.connection.clone();
        let claimed: Vec<(String, String, String)> = call
            .arg(most.min(BATCH))
            .arg(milliseconds(lease))
            // Of this call alone: a Redis that has forgotten everything must not give an old token out again.
            .arg(format!("{worker}:{}", Ulid::generate()))
            .invoke_async(&mut connection)
            .await
            .map_err(StoreError::redis("claiming tasks"))?;
        claimed
            .into_iter()
            .map(|(task, entry, token)| {
                let read = task.parse().ok().zip(entry.parse::<Entry>().ok());
                let (task, read) = read.ok_or_else(|| StoreError::corrupt("an entry of the queue", &task))?;
                Ok(Delivery { task, trace: read.trace, token, entry: entry.into() })
            })
            .collect()
    }

    /// Prolongs the leases of `held`. Returns the tokens of those that were lost to other workers.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn renew(&self, held: &[Delivery], lease: Duration) -> Result<Vec<String>, StoreError> {
        let mut lost = Vec::new();
        for batch in held.chunks(BATCH) {
            let mut call = prepare(&self.scripts.renew, &self.keys);
            call.arg(milliseconds(lease));
            for delivery in batch {
                call.arg(delivery.task.to_string()).arg(&delivery.token).arg(&*delivery.entry);
            }
            let mut connection = self.connection.clone();
            let tokens: Vec<String> =
                call.invoke_async(&mut connection).await.map_err(StoreError::redis("renewing leases"))?;
            lost.extend(tokens);
        }
        Ok(lost)
    }

    /// Takes a task that has ended out of the queue, whichever worker holds it.
    ///
    /// # Errors
    /// When Redis fails; a repetition is harmless.
    pub async fn remove(&self, record: &TaskRecord) -> Result<(), StoreError> {
        self.take_out(record, String::new(), 0, false).await.map(drop)
    }

    /// Takes a task out of the queue after its end. `false`: somebody else holds it by now.
    ///
    /// # Errors
    /// When Redis fails; a repetition is harmless.
    pub async fn settle(&self, record: &TaskRecord, token: &str) -> Result<bool, StoreError> {
        self.take_out(record, token.to_owned(), 0, false).await
    }

    /// Takes a task that waits for its children out of the queue. `false`: somebody else holds it by now.
    ///
    /// # Errors
    /// When Redis fails; a repetition is harmless.
    pub async fn set_aside(&self, record: &TaskRecord, token: &str) -> Result<bool, StoreError> {
        self.take_out(record, token.to_owned(), 0, true).await
    }

    /// Lets a held task wait until `run_at` (UTC ms). `false`: somebody else holds it by now.
    ///
    /// # Errors
    /// When Redis fails; a repetition is harmless.
    pub async fn reschedule(&self, record: &TaskRecord, token: &str, run_at: i64) -> Result<bool, StoreError> {
        self.take_out(record, token.to_owned(), run_at.max(1), true).await
    }

    async fn take_out(&self, record: &TaskRecord, token: String, due: i64, goes_on: bool) -> Result<bool, StoreError> {
        ask(&self.settling, Settling { task: record.id, owner: record.owner.clone(), token, due, goes_on }).await
    }

    /// Lets due tasks wait for a worker, and tasks whose worker is dead. To be called several times within a lease.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn tick(&self, now_ms: i64, lease: Duration) -> Result<Ticked, StoreError> {
        let mut call = prepare(&self.scripts.tick, &self.keys);
        let mut connection = self.connection.clone();
        let (due, abandoned) = call
            .arg(now_ms)
            .arg(milliseconds(lease))
            .arg(BATCH)
            .invoke_async(&mut connection)
            .await
            .map_err(StoreError::redis("moving due tasks"))?;
        Ok(Ticked { due, abandoned })
    }

    /// Keeps workers from claiming, or lets them again, in Redis alone: for measurements. Operators' pauses, which outlive
    /// Redis, are those of [`crate::Pauses`]. What runs goes on.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn pause(&self, paused: bool) -> Result<(), StoreError> {
        let mut connection = self.connection.clone();
        let mut pipe = redis::pipe();
        if paused {
            pipe.set(self.keys.paused(), "1").ignore();
        } else {
            pipe.del(self.keys.paused()).ignore().publish(&self.keys.wake, 1).ignore();
        }
        pipe.query_async(&mut connection).await.map_err(StoreError::redis("pausing a queue"))
    }

    /// Whether workers are kept from claiming.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn is_paused(&self) -> Result<bool, StoreError> {
        let mut connection = self.connection.clone();
        let found = redis::cmd("GET").arg(self.keys.paused()).query_async::<Option<String>>(&mut connection).await;
        let mark = found.map_err(StoreError::redis("looking whether a queue is paused"))?;
        Ok(mark.is_some_and(|mark| mark.ends_with('1')))
    }

    /// Whether Redis has lost the queue since this was last asked: then every record has to be looked at.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn was_lost(&self) -> Result<bool, StoreError> {
        let mut connection = self.connection.clone();
        let is_new: i64 = redis::cmd("SETNX")
            .arg(&self.keys.epoch)
            .arg("1")
            .query_async(&mut connection)
            .await
            .map_err(StoreError::redis("looking whether the queue was lost"))?;
        Ok(is_new == 1)
    }

    /// Those of `ids` that the queue does not know.
    pub(crate) async fn missing(&self, ids: &[TaskId]) -> Result<Vec<TaskId>, StoreError> {
        let mut missing = Vec::new();
        for some in ids.chunks(BATCH) {
            let mut asked = redis::cmd("HMGET");
            asked.arg(self.keys.tasks());
            for id in some {
                asked.arg(id.to_string());
            }
            let mut connection = self.connection.clone();
            let found: Vec<Option<redis::Value>> =
                asked.query_async(&mut connection).await.map_err(StoreError::redis("looking into the queue"))?;
            missing.extend(some.iter().zip(found).filter(|(_, found)| found.is_none()).map(|(id, _)| *id));
        }
        Ok(missing)
    }

    /// How many tasks stand where.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn depth(&self) -> Result<Depth, StoreError> {
        let mut connection = self.connection.clone();
        let (all, delayed, held): (u64, u64, u64) = redis::pipe()
            .hlen(self.keys.tasks())
            .zcard(self.keys.delayed())
            .zcard(self.keys.leases())
            .query_async(&mut connection)
            .await
            .map_err(StoreError::redis("counting the queue"))?;
        Ok(Depth { waiting: all.saturating_sub(delayed + held), delayed, held })
    }
}

async fn settle_group(
    connection: ConnectionManager,
    scripts: Arc<Scripts>,
    keys: Arc<PoolKeys>,
    group: Vec<(Settling, Reply<bool>)>,
) {
    for round in without_conflicts(group, |(settling, _)| settling.task) {
        settle_once_each(connection.clone(), &scripts, &keys, round).await;
    }
}

async fn settle_once_each(
    mut connection: ConnectionManager,
    scripts: &Scripts,
    keys: &PoolKeys,
    group: Vec<(Settling, Reply<bool>)>,
) {
    const ACTION: &str = "settling tasks";
    let mut call = prepare(&scripts.settle, keys);
    let mut ended = redis::pipe();
    for (settling, _) in &group {
        let id = settling.task.to_string();
        if !settling.goes_on {
            ended.zrem(owner_tasks(&settling.owner), &id).ignore();
        }
        call.arg(id).arg(&settling.token).arg(settling.due);
    }
    // Another hash tag, so a call of its own; and the first one: should this process die between the two, the task comes to
    // another worker, who finds it ended and does both once more.
    let released: Result<(), _> = if ended.is_empty() { Ok(()) } else { ended.query_async(&mut connection).await };
    let settled: Result<Vec<i64>, _> = match released {
        Ok(()) => call.invoke_async(&mut connection).await,
        Err(error) => Err(error),
    };
    match settled {
        Ok(settled) => {
            for ((_, reply), settled) in group.into_iter().zip(settled) {
                drop(reply.send(Ok(settled == 1)));
            }
        }
        Err(error) => {
            for (_, reply) in group {
                drop(reply.send(Err(StoreError::redis(ACTION)(error.clone()))));
            }
        }
    }
}

pub(super) fn prepare<'a>(script: &'a Script, keys: &PoolKeys) -> redis::ScriptInvocation<'a> {
    let mut call = script.prepare_invoke();
    for key in &keys.all {
        call.key(key);
    }
    call.arg(&keys.waiting).arg(&keys.wake);
    call
}

fn milliseconds(lease: Duration) -> u64 {
    u64::try_from(lease.as_millis()).unwrap_or(u64::MAX).max(1)
}
