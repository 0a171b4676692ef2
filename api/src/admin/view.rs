//! How queues and workers look from outside.

use candlemill_shared::forms::{PausedView, PoolWorkerView, QueueView, WorkerView};
use candlemill_shared::job::Pool;
use candlemill_tasks::queue::Depth;
use candlemill_tasks::{Heartbeat, Paused};

pub(super) fn worker_view(heartbeat: &Heartbeat) -> WorkerView {
    WorkerView {
        id: heartbeat.id.clone(),
        version: heartbeat.version.clone(),
        host: heartbeat.host.clone(),
        pid: heartbeat.pid,
        started_at: heartbeat.started_at.into(),
        seen_at: heartbeat.seen_at.into(),
        state: heartbeat.state,
        running: heartbeat.running(),
    }
}

/// `oldest`: submission of the oldest task that waits, UTC ms.
#[expect(clippy::cast_precision_loss, reason = "milliseconds of an age lie far below 2^52")]
pub(super) fn queue_view(
    pool: Pool,
    depth: Depth,
    paused: Option<Paused>,
    oldest: Option<i64>,
    heartbeats: &[Heartbeat],
    now_ms: i64,
) -> QueueView {
    let here = |heartbeat: &Heartbeat| {
        let load = heartbeat.pools.iter().find(|load| load.pool == pool.as_str())?;
        Some(PoolWorkerView {
            id: heartbeat.id.clone(),
            version: heartbeat.version.clone(),
            state: heartbeat.state,
            concurrency: load.concurrency,
            running: load.running,
        })
    };
    let paused = paused.map(|paused| PausedView { since: paused.since.into(), by: paused.by, reason: paused.reason });
    QueueView {
        pool,
        waiting: depth.waiting,
        delayed: depth.delayed,
        running: depth.held,
        paused,
        oldest_waiting_seconds: oldest.map(|oldest| (now_ms - oldest).max(0) as f64 / 1_000.0),
        workers: heartbeats.iter().filter_map(here).collect(),
    }
}
