//! Attempts: how one begins, what it keeps on its way, how it ends.

use super::collection::TaskRecords;
use super::document::{BEGUN_AT, QUEUED_AT, encode, from_raw, is_fence};
use super::list_keys::{BURIED, listed};
use super::notice;
use crate::unique_keys;
use candlemill_db::{Change, StoreError};
use candlemill_shared::retry;
use candlemill_shared::task::{Attempt, TaskError, TaskId, TaskRecord, TaskState};
use mongodb::bson::{Document, doc};
use serde_json::Value;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// Clocks of two machines may differ by so much; what is due within that time is due, ms.
const CLOCKS_DIFFER_MS: i64 = 2_000;

/// What became of an attempt to start a task.
#[derive(Debug, Clone, PartialEq)]
pub enum Claim {
    /// The caller runs it now; the record's `attempt` is the caller's fence.
    Started(Box<TaskRecord>),
    /// It needed no work: the attempt began and ended in one change. The record is as it began.
    Ended(Box<TaskRecord>, Box<Ending>),
    /// It is due later, at this time (UTC ms), of which the queue did not hear: the worker that ended the attempt before died first.
    TooEarly(Box<TaskRecord>, i64),
    /// It has ended, or there is no such task: the delivery is stale.
    Stale,
}

/// What a checkpoint met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checkpoint {
    /// It is kept; go on.
    Kept,
    /// The task was asked to stop; its end will be kept instead.
    CancelRequested,
    /// A later attempt runs, or the task has ended: nothing was written, and this attempt has no say any more.
    Overtaken,
}

/// How an attempt ends.
#[derive(Debug, Clone, PartialEq)]
pub struct Ending {
    /// The end state, or [`TaskState::Retrying`].
    pub state: TaskState,
    /// What it did, as a document of the kind.
    pub result: Option<Value>,
    /// Why it did not succeed.
    pub error: Option<TaskError>,
    /// When the next attempt is due, for a retry; UTC ms.
    pub run_at: Option<i64>,
    /// When it ends; UTC ms.
    pub at: i64,
}

/// Most tries that one delivery remembers: a command that arrives late does so within seconds.
const TRIES: usize = 16;

/// Tries of one delivery to begin an attempt, of which nobody knows whether they were carried out.
#[derive(Debug, Default)]
pub struct ClaimTries(Mutex<VecDeque<(TaskRecord, Option<Ending>)>>);

impl ClaimTries {
    fn remember(&self, record: TaskRecord, ending: Option<Ending>) {
        let mut tries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tries.truncate(TRIES - 1);
        tries.push_front((record, ending));
    }

    /// What the record `now` tells of one of them that was carried out.
    fn carried_out(&self, now: &TaskRecord) -> Option<Claim> {
        let tries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tries.iter().find_map(|(begun, ending)| {
            let mine = begun.attempts.last()?;
            let is_mine = |one: &Attempt| {
                (one.number, &one.worker, one.started_at) == (mine.number, &mine.worker, mine.started_at)
            };
            now.attempts.iter().find(|one| is_mine(one))?;
            let is_newest = now.attempt == begun.attempt;
            match ending {
                Some(ending) if is_newest && now.state == ending.state => {
                    Some(Claim::Ended(Box::new(begun.clone()), Box::new(ending.clone())))
                }
                None if is_newest && now.state == TaskState::Running => Some(Claim::Started(Box::new(now.clone()))),
                // It began and was overtaken: it has no say any more, and finds out.
                None if !is_newest && !now.state.is_end() => Some(Claim::Started(Box::new(begun.clone()))),
                _ => None,
            }
        })
    }
}

impl TaskRecords {
    /// Starts the next attempt of a task in flight. The count rises before any work is done, so that a payload that
    /// kills its worker runs out of attempts; and an attempt of a lower number can write nothing from here on.
    ///
    /// An attempt for which `at_once` knows the ending at its start (given the record as it begins) does not run at all:
    /// start and end are one change.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn claim(
        &self,
        id: TaskId,
        worker: &str,
        at_once: impl Fn(&TaskRecord) -> Option<Ending>,
    ) -> Result<Claim, StoreError> {
        self.claim_again(id, worker, &ClaimTries::default(), at_once).await
    }

    /// As [`Self::claim`], for a caller that repeats a claim which failed: `tries` are those of one delivery. One that was
    /// carried out, and whose answer was lost, is recognised by its worker and its time, and is no lost attempt.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn claim_again(
        &self,
        id: TaskId,
        worker: &str,
        tries: &ClaimTries,
        at_once: impl Fn(&TaskRecord) -> Option<Ending>,
    ) -> Result<Claim, StoreError> {
        loop {
            let found = self.batcher.read(id.to_string()).await?;
            let Some(document) = found.document.filter(|document| !is_fence(document)) else { return Ok(Claim::Stale) };
            let read = from_raw(&document)?;
            if let Some(claim) = tries.carried_out(&read) {
                if let Claim::Ended(record, ending) = &claim {
                    self.give_back_key(record, ending.state);
                }
                return Ok(claim);
            }
            if read.state.is_end() {
                return Ok(Claim::Stale);
            }
            if let Some(due) = due_later(&read, found.at) {
                return Ok(Claim::TooEarly(Box::new(read), due));
            }
            let guard = doc! {
                "attempt": i64::from(read.attempt), "active": true, "cancel_requested": read.cancel_requested,
                "state": read.state.as_str(),
            };
            let (was_due, had_started) = (read.run_at.is_some(), read.started_at.is_some());
            let record = next_attempt(read, worker, found.at);
            let ending = at_once(&record);
            let (mut set, mut unset) = match &ending {
                Some(ending) => self.changes_at_end(&record, ending)?,
                None => (changes_at_start(&record)?, Vec::new()),
            };
            set.insert("attempt", i64::from(record.attempt));
            if !had_started {
                set.insert("started_at", record.started_at);
            }
            if !unset.contains(&QUEUED_AT) {
                unset.push(QUEUED_AT);
            }
            if was_due && !set.contains_key("run_at") {
                unset.push("run_at");
            }
            match self.batcher.change(Change { id: id.to_string(), guard, set, unset }).await {
                Ok(true) => {}
                // It has moved on since it was read; or it was changed, and once more before anybody looked.
                Ok(false) => {
                    tries.remember(record, ending);
                    continue;
                }
                Err(error) => {
                    tries.remember(record, ending);
                    return Err(error);
                }
            }
            let record = Box::new(record);
            return Ok(match ending {
                Some(ending) => {
                    self.give_back_key(&record, ending.state);
                    Claim::Ended(record, Box::new(ending))
                }
                None => Claim::Started(record),
            });
        }
    }

    /// Keeps what a running attempt has done so far, and tells whether it may go on.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn checkpoint(
        &self,
        id: TaskId,
        attempt: u32,
        result: &Value,
        now_ms: i64,
    ) -> Result<Checkpoint, StoreError> {
        let mut guard = fence(attempt);
        guard.insert("cancel_requested", false);
        let set = doc! { "result": encode(result)?, "updated_at": now_ms, BEGUN_AT: now_ms };
        if self.batcher.change(Change { id: id.to_string(), guard, set, unset: Vec::new() }).await? {
            return Ok(Checkpoint::Kept);
        }
        let now = self.look_up(id).await?.filter(|now| now.attempt == attempt && now.state == TaskState::Running);
        Ok(match now.map(|now| now.cancel_requested) {
            Some(true) => Checkpoint::CancelRequested,
            Some(false) => Checkpoint::Kept,
            None => Checkpoint::Overtaken,
        })
    }

    /// Ends a running attempt. `false`: it was overtaken, and its end is not recorded.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn end(&self, record: &TaskRecord, ending: &Ending) -> Result<bool, StoreError> {
        let (set, unset) = self.changes_at_end(record, ending)?;
        let change = Change { id: record.id.to_string(), guard: fence(record.attempt), set, unset };
        let ended = self.batcher.change(change).await?
            // Also when an earlier try was carried out, but its answer was lost.
            || self.get(record.id).await?.is_some_and(|now| now.attempt == record.attempt && now.state == ending.state);
        if ended {
            self.give_back_key(record, ending.state);
        }
        Ok(ended)
    }

    /// What the end of an attempt sets and what it takes away.
    fn changes_at_end(
        &self,
        record: &TaskRecord,
        ending: &Ending,
    ) -> Result<(Document, Vec<&'static str>), StoreError> {
        let mut attempts = record.attempts.clone();
        for ended in attempts.iter_mut().filter(|one| one.number == record.attempt) {
            (ended.ended_at, ended.error) = (Some(ending.at), ending.error.clone());
        }
        // Only what changes: a server may work out each field's part of the change anew for every other one.
        let mut set = doc! {
            "state": ending.state.as_str(), "updated_at": ending.at, "attempts": encode(&attempts)?,
        };
        let mut unset = Vec::new();
        if record.children.is_some() && ending.state.is_end() {
            let mut ended = record.clone();
            ended.end_as(ending.state, ending.result.clone(), ending.at);
            set.extend(doc! { "children": encode(&ended.children)?, "result": encode(&ended.result)? });
        } else if let Some(result) = &ending.result {
            set.insert("result", encode(result)?);
        }
        if let Some(error) = &ending.error {
            set.insert("error", encode(error)?);
        } else if record.error.is_some() {
            unset.push("error");
        }
        if let Some(run_at) = ending.run_at {
            set.insert("run_at", run_at);
        }
        if !ending.state.is_end() {
            set.insert(BEGUN_AT, ending.at);
            return Ok((set, unset));
        }
        set.insert("ended_at", ending.at);
        set.extend(notice::due_at_end(record, ending.at)?);
        if ending.state == TaskState::Dead {
            // It stays until its owner has replayed or discarded it.
            set.insert(BURIED, listed(&record.owner, &record.id.to_string()));
        } else {
            set.insert("expires_at", self.expiry(ending.at));
        }
        // A worker of an earlier version may have let the time stand at which it was queued.
        unset.extend(["active", BEGUN_AT, QUEUED_AT]);
        Ok((set, unset))
    }

    /// Lets the same request be submitted anew, soon. Nobody waits for it, and a key that stays heals itself.
    fn give_back_key(&self, record: &TaskRecord, state: TaskState) {
        if state.is_end() && record.parent.is_none() {
            let replayed_at = record.dead_letter.replayed_at;
            self.keys.give_back_later(unique_keys::active(&record.fingerprint), record.id, replayed_at);
        }
    }
}

/// What the start of an attempt that runs sets, besides its number and the task's first start.
fn changes_at_start(record: &TaskRecord) -> Result<Document, StoreError> {
    Ok(doc! {
        "state": record.state.as_str(), "updated_at": record.updated_at, "attempts": encode(&record.attempts)?,
        BEGUN_AT: record.updated_at,
    })
}

/// Only the newest attempt, and only while it runs.
fn fence(attempt: u32) -> Document {
    doc! { "attempt": i64::from(attempt), "state": TaskState::Running.as_str() }
}

/// When a task is due that must not begin yet. One that is to stop may end at once.
fn due_later(record: &TaskRecord, now_ms: i64) -> Option<i64> {
    record.run_at.filter(|due| !record.cancel_requested && *due > now_ms + CLOCKS_DIFFER_MS)
}

/// The record as its next attempt begins.
fn next_attempt(mut record: TaskRecord, worker: &str, now_ms: i64) -> TaskRecord {
    record.state = TaskState::Running;
    record.attempt += 1;
    record.updated_at = now_ms;
    record.started_at = record.started_at.or(Some(now_ms));
    record.run_at = None;
    retry::mark_lost(&mut record.attempts);
    record.attempts.push(Attempt {
        number: record.attempt,
        worker: worker.to_owned(),
        started_at: now_ms,
        ended_at: None,
        error: None,
    });
    retry::drop_surplus(&mut record.attempts, record.dead_letter.replayed_after);
    record
}
