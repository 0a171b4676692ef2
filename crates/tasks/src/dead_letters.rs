//! Dead letters: tasks that were given up, kept with cause and payload until their owner replays or discards them.
//!
//! Order of a replay: place of the owner and cancel flag in Redis (nothing is written when Redis is away), then the key of
//! the request, then the record, then the queue. What a crash leaves behind heals itself: a place is recounted
//! once nobody reserves it any more, a key is taken over after 10 s, a record that did not reach the queue is put there by
//! the sweeper.

use crate::accept::{BETWEEN_TRIES, SubmitError, TRIES, existing};
use crate::cancel_flag;
use crate::engine::TaskEngine;
use crate::quota::QuotaRequest;
use crate::records::{BEGUN_AT, BURIED, QUEUED_AT, TaskRecords, encode, from_document, listed_between, waits_again};
use crate::unique_keys::UniqueKeys;
use candlemill_db::{StoreError, duplicates};
use candlemill_shared::progress::Progress;
use candlemill_shared::task::{DeadLetter, Discarded, TaskId, TaskRecord, TaskState};
use candlemill_shared::tier::Tier;
use mongodb::bson::{Bson, Document, doc};
use mongodb::options::ReturnDocument;

/// What a list of dead letters is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeadLetterQuery {
    /// Whose.
    pub owner: String,
    /// Only of this kind.
    pub kind: Option<String>,
    /// Only those that died of an error with this code.
    pub code: Option<String>,
    /// Those that were discarded, in place of those that were not.
    pub discarded: bool,
    /// Only older than this one.
    pub before: Option<TaskId>,
    /// At most this many.
    pub limit: u32,
}

/// What the tier that the owner has now gives a replayed task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplayTerms {
    /// The tier.
    pub tier: Tier,
    /// Its priority in the queue.
    pub priority: u8,
    /// Tasks of the owner that may run at once.
    pub running_at_once: u32,
    /// Tasks of the owner that may be under way at once, this one among them.
    pub jobs_at_once: u32,
}

/// What a replay met.
#[derive(Debug, Clone, PartialEq)]
pub enum ReplayOutcome {
    /// It waits for a worker.
    Replayed(Box<TaskRecord>),
    /// It is neither dead nor failed, or its owner discarded it.
    NotReplayable(Box<TaskRecord>),
    /// This other task does the same at the moment.
    UnderWay(TaskId),
    /// The owner has as many tasks under way as the tier allows.
    TooManyJobs,
    /// The owner has no such task.
    NotFound,
}

/// What a discard met.
#[derive(Debug, Clone, PartialEq)]
pub enum DiscardOutcome {
    /// It is discarded, by now or since before: then with the reason that was given first.
    Discarded(Box<TaskRecord>),
    /// It is not dead.
    NotDead(Box<TaskRecord>),
    /// The owner has no such task.
    NotFound,
}

impl TaskRecords {
    /// One owner's dead letters, the newest submission first, without what may be large of payloads and results.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn dead_letters(&self, query: &DeadLetterQuery) -> Result<Vec<TaskRecord>, StoreError> {
        let (first, end) = listed_between(&query.owner, query.before);
        let mut filter = doc! {
            BURIED: { "$gte": first, "$lt": end }, "owner": &query.owner, "state": TaskState::Dead.as_str(),
        };
        filter.insert("dead_letter.discarded", doc! { "$exists": query.discarded });
        if let Some(kind) = &query.kind {
            filter.insert("job.kind", kind);
        }
        if let Some(code) = &query.code {
            filter.insert("error.code", code);
        }
        let mut found = self.collect_slim(filter, doc! { BURIED: -1 }, i64::from(query.limit)).await?;
        self.complete_requests(&mut found).await?;
        Ok(found)
    }

    /// The record as it is after `update`; `None` when it is no longer what `read` says.
    async fn change_ended(&self, read: &TaskRecord, update: Document) -> Result<Option<TaskRecord>, StoreError> {
        let unchanged = doc! {
            "_id": read.id.to_string(), "state": read.state.as_str(), "attempt": i64::from(read.attempt),
            "dead_letter.discarded": { "$exists": false },
        };
        let found = self
            .records
            .find_one_and_update(unchanged, update)
            .return_document(ReturnDocument::After)
            .await
            .map_err(StoreError::mongo("changing an ended task"))?;
        found.map(from_document).transpose()
    }

    /// From its end back to the queue. Attempts go on to be numbered, and the checkpoint stays.
    async fn revive(
        &self,
        read: &TaskRecord,
        terms: &ReplayTerms,
        now_ms: i64,
    ) -> Result<Option<TaskRecord>, StoreError> {
        let letter = DeadLetter {
            replays: read.dead_letter.replays + 1,
            replayed_at: Some(now_ms),
            replayed_after: read.attempt,
            discarded: None,
        };
        let mut set = doc! {
            "state": TaskState::Queued.as_str(), "active": true, "cancel_requested": false, "updated_at": now_ms,
            QUEUED_AT: now_ms, "ended_at": Bson::Null, "run_at": Bson::Null, "error": Bson::Null, "dead_letter": encode(&letter)?,
            // Of parents, the children that are planned anew inherit them.
            "tier": encode(&terms.tier)?, "priority": i64::from(terms.priority),
            "running_at_once": i64::from(terms.running_at_once),
        };
        set.extend(waits_again(read)?);
        let unset = doc! { "expires_at": "", "children": "", BEGUN_AT: "", BURIED: "" };
        self.change_ended(read, doc! { "$set": set, "$unset": unset }).await
    }
}

impl TaskEngine {
    /// Lets `owner`'s dead or failed task be tried again from where it stopped, by the `terms` of now, unless the owner has as
    /// many tasks under way as they allow. Whether the tier allows what the task does is the caller's to check.
    ///
    /// # Errors
    /// When a store fails. Then the task was not replayed; or it was, where MongoDB went away in the middle.
    pub async fn replay(&self, id: TaskId, owner: &str, terms: &ReplayTerms) -> Result<ReplayOutcome, StoreError> {
        let read = match self.records().get(id).await? {
            Some(record) if record.owner == owner => record,
            _ => return Ok(ReplayOutcome::NotFound),
        };
        if !read.state.is_replayable() || read.dead_letter.discarded.is_some() {
            return Ok(ReplayOutcome::NotReplayable(Box::new(read)));
        }
        cancel_flag::lower(self.redis(), id).await?;
        let wanted = [QuotaRequest { owner: owner.to_owned(), task: id, at_most: terms.jobs_at_once }];
        let (places, reservation) = self.reserve(&wanted).await?;
        let outcome = if places == [true] {
            let revived = self.revive(&read, terms).await;
            if !matches!(&revived, Ok(ReplayOutcome::Replayed(_))) {
                self.give_place_back(id, owner).await;
            }
            revived
        } else {
            Ok(ReplayOutcome::TooManyJobs)
        };
        self.commit_reservation(&reservation).await;
        outcome
    }

    async fn revive(&self, read: &TaskRecord, terms: &ReplayTerms) -> Result<ReplayOutcome, StoreError> {
        let now = self.clock().now_ms();
        if let Some(found) = self.take_key_again(read, now).await? {
            return Ok(if found.id == read.id {
                // Somebody else replayed it a moment ago.
                ReplayOutcome::NotReplayable(Box::new(found))
            } else {
                ReplayOutcome::UnderWay(found.id)
            });
        }
        let Some(record) = self.records().revive(read, terms, now).await? else {
            let now = self.records().get(read.id).await?;
            let Some(now) = now else { return Ok(ReplayOutcome::NotFound) };
            if now.state.is_end() {
                self.records().free(&now).await;
            }
            return Ok(ReplayOutcome::NotReplayable(Box::new(now)));
        };
        if let Err(error) = self.queue(record.pool).enqueue([&record]).await {
            tracing::warn!(task.id = %record.id, %error, "a replayed task waits for the sweeper to put it into the queue");
        }
        if let Err(error) = self.progress().keep(&Progress::from_record(&record)).await {
            tracing::debug!(task.id = %record.id, %error, "a replay is not shown yet");
        }
        Ok(ReplayOutcome::Replayed(Box::new(record)))
    }

    /// Takes the key of the task's request; or tells which task under way has it.
    async fn take_key_again(&self, read: &TaskRecord, now_ms: i64) -> Result<Option<TaskRecord>, StoreError> {
        // What a request like it would ask for now. Its Idempotency-Key has been its own all the time.
        let wanted = TaskRecord { created_at: now_ms, idempotency: None, ..read.clone() };
        let key = UniqueKeys::of_replay(read, now_ms);
        for _ in 0..TRIES {
            let taken = self.records().keys.collection().insert_many([&key]).ordered(false).await;
            if duplicates(taken, "taking the key of a replayed task")?.is_empty() {
                return Ok(None);
            }
            match existing(self, &wanted).await {
                Ok(Some(found)) => return Ok(Some(found)),
                Ok(None) => {}
                Err(SubmitError::Store(error)) => return Err(error),
                Err(_) => return Err(StoreError::Overloaded),
            }
            tokio::time::sleep(BETWEEN_TRIES).await;
        }
        Err(StoreError::Overloaded)
    }

    /// Best effort: what stays taken is recounted before anybody is refused. The place of a task that is under way stays.
    async fn give_place_back(&self, id: TaskId, owner: &str) {
        let given_back = async {
            let ended = self.records().get(id).await?.is_none_or(|record| record.state.is_end());
            if ended { self.quota().release(&[(owner, id)]).await } else { Ok(()) }
        };
        if let Err(error) = given_back.await {
            tracing::warn!(task.id = %id, %error, "the place of a task that was not replayed stays taken until it is recounted");
        }
    }

    /// Puts `owner`'s dead task aside for good. It stays dead, and is kept as long as other ended tasks.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn discard(&self, id: TaskId, owner: &str, reason: &str) -> Result<DiscardOutcome, StoreError> {
        let now = self.clock().now_ms();
        loop {
            let read = match self.records().get(id).await? {
                Some(record) if record.owner == owner => record,
                _ => return Ok(DiscardOutcome::NotFound),
            };
            if read.state != TaskState::Dead {
                return Ok(DiscardOutcome::NotDead(Box::new(read)));
            }
            if read.dead_letter.discarded.is_some() {
                return Ok(DiscardOutcome::Discarded(Box::new(read)));
            }
            let discarded = Some(Discarded { at: now, reason: reason.to_owned() });
            let letter = DeadLetter { discarded, ..read.dead_letter.clone() };
            let set = doc! {
                "dead_letter": encode(&letter)?, "updated_at": now, "expires_at": self.records().expiry(now),
            };
            // Replayed or discarded by somebody else at the same moment: a second look tells.
            if let Some(record) = self.records().change_ended(&read, doc! { "$set": set }).await? {
                return Ok(DiscardOutcome::Discarded(Box::new(record)));
            }
        }
    }
}
