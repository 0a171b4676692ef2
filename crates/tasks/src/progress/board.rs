//! Live progress: the newest snapshot of every task that shows some, or that somebody asked for, and its way to those who watch.

use super::keys;
use super::snapshots::{ProgressWrite, Snapshots, lifetime_ms};
use candlemill_db::{BackgroundRetry, Bus, Reply, StoreError, ask, batch_workers};
use candlemill_shared::progress::Progress;
use candlemill_shared::task::TaskId;
use futures::{Stream, StreamExt};
use redis::aio::ConnectionManager;
use std::time::Duration;
use tokio::sync::mpsc;

/// Snapshots that were read from records stay this long.
const KEPT_TTL_MS: i64 = 60_000;
/// Snapshots that are read in one go.
const READ_AT_ONCE: usize = 500;

fn decode(id: TaskId, json: &[u8]) -> Result<Progress, StoreError> {
    serde_json::from_slice(json).map_err(|error| StoreError::corrupt(format!("the progress of task {id}"), error))
}

/// Snapshots in Redis.
#[derive(Clone)]
pub struct ProgressBoard {
    snapshots: Snapshots,
    bus: Bus,
    ends: mpsc::Sender<(Progress, Reply<()>)>,
}

/// Time between two looks whether Redis is the one that it was.
const WATCHED_EVERY: Duration = Duration::from_millis(250);
/// Ends that are shown later, and how often each is tried.
const ENDED_RETRY: usize = 1_024;
const ENDED_TRIES: u32 = 60;

impl std::fmt::Debug for ProgressBoard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ProgressBoard")
    }
}

impl ProgressBoard {
    pub(crate) fn new(connection: ConnectionManager, bus: Bus) -> Self {
        let snapshots = Snapshots::new(connection);
        let shown = snapshots.clone();
        let ends = batch_workers(1, move |group| {
            let shown = shown.clone();
            async move { shown.show_ends(group).await }
        });
        Self { snapshots, bus, ends }
    }

    /// Whether Redis failed a moment ago: snapshots may be older than what was shown, and the record may know more.
    #[must_use]
    pub fn is_doubtful(&self) -> bool {
        self.snapshots.is_doubtful()
    }

    /// To be told of a Redis that failed elsewhere: see [`Self::is_doubtful`].
    pub fn doubt(&self) {
        self.snapshots.doubt();
    }

    /// The newest snapshot.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn read(&self, id: TaskId) -> Result<Option<Progress>, StoreError> {
        let mut connection = self.snapshots.connection.clone();
        let json: Option<Vec<u8>> = redis::cmd("HGET")
            .arg(keys::snapshot(id))
            .arg("json")
            .query_async(&mut connection)
            .await
            .map_err(|error| self.snapshots.failed("reading progress")(error))?;
        json.map(|json| decode(id, &json)).transpose()
    }

    /// The newest snapshots of several tasks, in the order of `ids`.
    ///
    /// # Errors
    /// When Redis fails.
    pub(crate) async fn read_all(&self, ids: &[TaskId]) -> Result<Vec<Option<Progress>>, StoreError> {
        let mut found = Vec::with_capacity(ids.len());
        for some in ids.chunks(READ_AT_ONCE) {
            let mut connection = self.snapshots.connection.clone();
            let mut pipe = redis::pipe();
            for id in some {
                pipe.hget(keys::snapshot(*id), "json");
            }
            let json: Vec<Option<Vec<u8>>> =
                pipe.query_async(&mut connection).await.map_err(StoreError::redis("reading progress"))?;
            for (id, json) in some.iter().zip(json) {
                found.push(json.map(|json| decode(*id, &json)).transpose()?);
            }
        }
        Ok(found)
    }

    /// Writes a snapshot and tells those who follow.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn write(&self, snapshot: &Progress) -> Result<ProgressWrite, StoreError> {
        self.snapshots.put(snapshot, lifetime_ms(snapshot)).await
    }

    /// Once, and not best effort: see [`Self::end_steadily`].
    pub(crate) async fn end(&self, end: Progress) -> Result<(), StoreError> {
        ask(&self.ends, end).await
    }

    /// Replaces the task's snapshot at the end of an attempt, and tells those who follow. Where there is none nobody has asked and
    /// nothing was shown: then none is kept, and a later question is answered by the record. While Redis is away this is tried
    /// again for some seconds. Best effort; a later question about the task finds its end in the record.
    pub async fn end_steadily(&self, end: Progress) {
        static RETRY: BackgroundRetry = BackgroundRetry::new(ENDED_RETRY, ENDED_TRIES);
        let Err(error) = self.end(end.clone()).await else { return };
        tracing::warn!(%error, "the end is not shown yet");
        let board = self.clone();
        RETRY.spawn(move || {
            let (board, end) = (board.clone(), end.clone());
            async move { board.end(end).await.is_ok() }
        });
    }

    /// Notices, for ever, when Redis fails or was restarted: see [`Self::is_doubtful`].
    pub async fn watch(self) {
        let mut known = String::new();
        loop {
            let mut connection = self.snapshots.connection.clone();
            let told = redis::cmd("INFO").arg("server").query_async::<String>(&mut connection).await;
            match told.as_ref().map(|told| told.lines().find(|line| line.starts_with("run_id:")).unwrap_or_default()) {
                Ok(run) if run == known => {}
                Ok(run) if known.is_empty() => run.clone_into(&mut known),
                Ok(run) => {
                    self.doubt();
                    run.clone_into(&mut known);
                }
                Err(_) => self.doubt(),
            }
            tokio::time::sleep(WATCHED_EVERY).await;
        }
    }

    /// Keeps what was read from a record for those who ask next. A newer snapshot stays.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn keep(&self, snapshot: &Progress) -> Result<(), StoreError> {
        self.snapshots.put(snapshot, KEPT_TTL_MS).await.map(drop)
    }

    /// Snapshots as they are written from now on. There is no history: read the newest after this returned.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn follow(&self, id: TaskId) -> Result<impl Stream<Item = Progress> + Send + use<>, StoreError> {
        let messages = self.bus.subscribe(&keys::channel(id)).await?;
        Ok(messages.filter_map(|message| std::future::ready(serde_json::from_slice(&message).ok())))
    }

    /// Snapshots of all tasks of an owner, as they are written from now on.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn follow_owner(&self, owner: &str) -> Result<impl Stream<Item = Progress> + Send + use<>, StoreError> {
        let messages = self.bus.subscribe(&keys::owner_channel(owner)).await?;
        Ok(messages.filter_map(|message| std::future::ready(serde_json::from_slice(&message).ok())))
    }
}
