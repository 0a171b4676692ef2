//! What the inbox itself does in Redis: moves of bounded size, each of which is one script, so that no crash loses a
//! message between two places.

use super::keys::Keys;
use candlemill_db::StoreError;
use redis::aio::ConnectionManager;
use redis::{Script, cmd};
use std::sync::Arc;
use std::time::Duration;

/// Messages that one script moves at most: apalis fails at 8,000.
pub(super) const STEP: usize = 1_000;
/// First wait of a message that is tried again, and the longest.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// When a message that was postponed and not acknowledged yet is looked at again.
const UNACKNOWLEDGED: Duration = Duration::from_secs(5);
/// Wait of a message that apalis gave up by itself.
const GIVEN_UP: Duration = Duration::from_secs(60);

/// Messages that are somewhere.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Depth {
    /// Wait for a worker, or for their time.
    pub(super) waiting: u64,
    /// Are tried again later.
    pub(super) postponed: u64,
}

/// The inbox's own connection to Redis.
#[derive(Clone)]
pub(super) struct Store {
    pub(super) connection: ConnectionManager,
    pub(super) keys: Arc<Keys>,
    scripts: Arc<Scripts>,
}

struct Scripts {
    promote: Script,
    postpone: Script,
    resume: Script,
    purge: Script,
    revive: Script,
    leave: Script,
}

impl Store {
    pub(super) fn new(connection: ConnectionManager, keys: Arc<Keys>) -> Self {
        let scripts = Scripts {
            promote: Script::new(include_str!("promote.lua")),
            postpone: Script::new(include_str!("postpone.lua")),
            resume: Script::new(include_str!("resume.lua")),
            purge: Script::new(include_str!("purge.lua")),
            revive: Script::new(include_str!("revive.lua")),
            leave: Script::new(include_str!("leave.lua")),
        };
        Self { connection, keys, scripts: Arc::new(scripts) }
    }

    /// Moves due messages to those that wait: at most [`STEP`] of each kind. Returns how many it moved, and whether there
    /// may be more.
    pub(super) async fn move_due(&self) -> Result<(usize, bool), StoreError> {
        let failed = |error| StoreError::redis("moving due messages of the inbox")(error);
        let mut connection = self.connection.clone();
        let keys = &self.keys;
        let mut promote = self.scripts.promote.key(&keys.scheduled);
        let promoted: usize =
            promote.key(&keys.waiting).arg(STEP).invoke_async(&mut connection).await.map_err(failed)?;
        let mut resume = self.scripts.resume.key(&keys.postponed);
        for key in [&keys.dead, &keys.waiting, &keys.done, &keys.data, &keys.tries] {
            resume.key(key);
        }
        resume.arg(STEP).arg(millis(UNACKNOWLEDGED)).arg(&keys.meta);
        let resumed: usize = resume.invoke_async(&mut connection).await.map_err(failed)?;
        Ok((promoted + resumed, promoted >= STEP || resumed >= STEP))
    }

    /// Notes that a message is to be tried again. Returns when.
    pub(super) async fn postpone(&self, id: &str) -> Result<Duration, StoreError> {
        let mut postpone = self.scripts.postpone.key(&self.keys.postponed);
        postpone.key(&self.keys.tries).arg(id).arg(millis(FIRST_WAIT)).arg(millis(LONGEST_WAIT));
        let wait: u64 = postpone
            .invoke_async(&mut self.connection.clone())
            .await
            .map_err(StoreError::redis("postponing a message of the inbox"))?;
        Ok(Duration::from_millis(wait))
    }

    /// Removes what apalis keeps of messages that were done `kept` ago; of more than `most` at once, however new. Looks at
    /// about [`STEP`] of them. Returns where to go on (0: all were seen) and how many it removed.
    pub(super) async fn purge(&self, from: u64, kept: Duration, most: usize) -> Result<(u64, u64), StoreError> {
        let mut purge = self.scripts.purge.key(&self.keys.done);
        purge.key(&self.keys.data).key(&self.keys.tries);
        purge.arg(from).arg(STEP).arg(kept.as_secs()).arg(most).arg(&self.keys.meta);
        purge
            .invoke_async(&mut self.connection.clone())
            .await
            .map_err(StoreError::redis("purging the inbox of finished messages"))
    }

    /// Postpones what apalis gave up by itself. Returns as [`Self::purge`].
    pub(super) async fn revive(&self, from: u64) -> Result<(u64, u64), StoreError> {
        let mut revive = self.scripts.revive.key(&self.keys.dead);
        revive.key(&self.keys.postponed).arg(from).arg(STEP).arg(millis(GIVEN_UP));
        revive
            .invoke_async(&mut self.connection.clone())
            .await
            .map_err(StoreError::redis("looking for messages of the inbox that were given up"))
    }

    /// Notes that a worker of this name is being started, so that what it leaves behind is found.
    pub(super) async fn start(&self, worker: &str, now_ms: i64) -> Result<(), StoreError> {
        cmd("ZADD")
            .arg(&self.keys.started)
            .arg(now_ms)
            .arg(worker)
            .query_async(&mut self.connection.clone())
            .await
            .map_err(StoreError::redis("noting a worker of the inbox"))
    }

    /// Ends the registration of a worker that runs no more. What it held waits again. Returns how many messages that were.
    pub(super) async fn leave(&self, worker: &str) -> Result<u64, StoreError> {
        let keys = &self.keys;
        let mut leave = self.scripts.leave.key(keys.held_by(worker));
        leave.key(&keys.waiting).key(&keys.workers).key(keys.told_of(worker)).key(&keys.started).arg(worker);
        leave
            .invoke_async(&mut self.connection.clone())
            .await
            .map_err(StoreError::redis("ending a worker of the inbox"))
    }

    /// Workers that were started before `before_ms` and whose heartbeats apalis has given up.
    pub(super) async fn lost_workers(&self, before_ms: i64) -> Result<Vec<String>, StoreError> {
        let failed = |error| StoreError::redis("looking for lost workers of the inbox")(error);
        let mut connection = self.connection.clone();
        let mut started = cmd("ZRANGEBYSCORE");
        started.arg(&self.keys.started).arg("-inf").arg(before_ms).arg("LIMIT").arg(0).arg(STEP);
        let names: Vec<String> = started.query_async(&mut connection).await.map_err(failed)?;
        if names.is_empty() {
            return Ok(names);
        }
        let mut beats = cmd("ZMSCORE");
        beats.arg(&self.keys.workers).arg(&names);
        let beats: Vec<Option<f64>> = beats.query_async(&mut connection).await.map_err(failed)?;
        Ok(names.into_iter().zip(beats).filter(|(_, beat)| beat.is_none()).map(|(name, _)| name).collect())
    }

    /// Ids of messages that a worker has taken and not acknowledged.
    pub(super) async fn held_by(&self, worker: &str) -> Result<Vec<Vec<u8>>, StoreError> {
        cmd("SMEMBERS")
            .arg(self.keys.held_by(worker))
            .query_async(&mut self.connection.clone())
            .await
            .map_err(StoreError::redis("looking at what a worker of the inbox holds"))
    }

    /// How many messages are somewhere.
    pub(super) async fn depth(&self) -> Result<Depth, StoreError> {
        let mut ask = redis::pipe();
        ask.cmd("LLEN").arg(&self.keys.waiting).cmd("ZCARD").arg(&self.keys.scheduled);
        ask.cmd("ZCARD").arg(&self.keys.postponed);
        let (waiting, scheduled, postponed): (u64, u64, u64) = ask
            .query_async(&mut self.connection.clone())
            .await
            .map_err(StoreError::redis("counting the messages of the inbox"))?;
        Ok(Depth { waiting: waiting + scheduled, postponed })
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
