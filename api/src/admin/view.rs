//! How queues and workers look from outside.

use candlemill_shared::job::Pool;
use candlemill_shared::range::rfc3339;
use candlemill_tasks::queue::Depth;
use candlemill_tasks::{Heartbeat, Paused};
use serde::Serialize;
use utoipa::ToSchema;

/// One pool's queue.
#[derive(Debug, Serialize, ToSchema)]
pub struct QueueView {
    /// The pool's name.
    #[schema(example = "backfill")]
    pub pool: &'static str,
    /// Tasks that wait for a worker.
    pub waiting: u64,
    /// Tasks that wait for their time: delayed ones, and those between two attempts.
    pub delayed: u64,
    /// Tasks that workers hold.
    pub running: u64,
    /// Since when, by whom and why it is paused; null when it is not.
    pub paused: Option<PausedView>,
    /// Seconds since the submission of the oldest task that waits; null when none does. Of each owner only the next in line
    /// is looked at, of more than 1,000 owners those whose turn comes first.
    pub oldest_waiting_seconds: Option<f64>,
    /// The workers that run its tasks.
    pub workers: Vec<PoolWorkerView>,
}

/// A pause.
#[derive(Debug, Serialize, ToSchema)]
pub struct PausedView {
    /// RFC 3339.
    pub since: String,
    /// Who did it.
    pub by: String,
    /// Why.
    pub reason: Option<String>,
}

/// What a worker does in one pool.
#[derive(Debug, Serialize, ToSchema)]
pub struct PoolWorkerView {
    /// The worker's id.
    pub id: String,
    /// Version of its program.
    pub version: String,
    /// `running`, `draining` or `drained`.
    pub state: &'static str,
    /// Tasks of this pool that it runs at once.
    pub concurrency: usize,
    /// Tasks of this pool that it holds.
    pub running: usize,
}

/// A worker that lives.
#[derive(Debug, Serialize, ToSchema)]
pub struct WorkerView {
    /// Its id, another one after each start.
    #[schema(example = "w-01M7XNTHJZRQADKJE7XMP2ABXV")]
    pub id: String,
    /// Version of its program.
    pub version: String,
    /// Name of its machine or container.
    pub host: String,
    /// Process id there.
    pub pid: u32,
    /// RFC 3339.
    pub started_at: String,
    /// RFC 3339 of its last sign of life, by its own clock.
    pub seen_at: String,
    /// `running`: it takes tasks. `draining`: it takes none, those under way end or are handed back. `drained`: it has none.
    pub state: &'static str,
    /// Tasks that it holds, of all pools.
    pub running: usize,
}

impl From<Paused> for PausedView {
    fn from(paused: Paused) -> Self {
        Self { since: rfc3339(paused.since), by: paused.by, reason: paused.reason }
    }
}

impl From<&Heartbeat> for WorkerView {
    fn from(card: &Heartbeat) -> Self {
        Self {
            id: card.id.clone(),
            version: card.version.clone(),
            host: card.host.clone(),
            pid: card.pid,
            started_at: rfc3339(card.started_at),
            seen_at: rfc3339(card.seen_at),
            state: card.state.as_str(),
            running: card.running(),
        }
    }
}

impl QueueView {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of an age lie far below 2^52")]
    pub(super) fn new(
        pool: Pool,
        depth: Depth,
        paused: Option<Paused>,
        oldest: Option<i64>,
        cards: &[Heartbeat],
        now_ms: i64,
    ) -> Self {
        let here = |card: &Heartbeat| {
            let load = card.pools.iter().find(|load| load.pool == pool.as_str())?;
            Some(PoolWorkerView {
                id: card.id.clone(),
                version: card.version.clone(),
                state: card.state.as_str(),
                concurrency: load.concurrency,
                running: load.running,
            })
        };
        Self {
            pool: pool.as_str(),
            waiting: depth.waiting,
            delayed: depth.delayed,
            running: depth.held,
            paused: paused.map(PausedView::from),
            oldest_waiting_seconds: oldest.map(|oldest| (now_ms - oldest).max(0) as f64 / 1_000.0),
            workers: cards.iter().filter_map(here).collect(),
        }
    }
}
