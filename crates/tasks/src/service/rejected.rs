//! Requests that can never be accepted, and whose senders are not there to be told: kept as dead letters.

use super::checked::storable;
use super::submit::TaskService;
use crate::grant::Grant;
use crate::unique_keys;
use candlemill_db::StoreError;
use candlemill_shared::job::{self, Envelope, Pool};
use candlemill_shared::progress::Progress;
use candlemill_shared::task::{Attempt, DeadLetter, TaskError, TaskId, TaskRecord, TaskState};
use candlemill_shared::telemetry::TraceId;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// A message that became no task.
#[derive(Debug, Clone, PartialEq)]
pub struct Rejected {
    /// Its identity where it came from: the same message is one dead letter, however often it comes.
    pub key: String,
    /// The message as it came.
    pub message: Value,
    /// What was wrong with it.
    pub error: TaskError,
    /// The program that took it.
    pub taken_by: String,
}

/// Kind of dead letters whose message names none.
const NO_KIND: &str = "unreadable";

impl TaskService {
    /// Keeps a message as a dead letter of the grant's owner, with its cause. Returns its id.
    ///
    /// # Errors
    /// When MongoDB fails; a repetition is harmless.
    pub async fn reject(&self, grant: &Grant, rejected: &Rejected) -> Result<TaskId, StoreError> {
        let (engine, now) = (&self.engine, self.engine.clock().now_ms());
        let hash = letter_hash(grant.owner(), rejected);
        let mut record = dead_letter(grant, rejected, hash.clone(), now);
        let keys = &engine.records().keys;
        if !keys.bind(&record, record.id, now).await? {
            // It came before: perhaps this process, or another one, died before the letter was stored.
            match keys.holder(&unique_keys::idempotency(&hash)).await? {
                Some(holder) => record.id = holder.task,
                None => return Err(StoreError::Overloaded),
            }
        }
        let already_there = !engine.records().insert([&record]).await?.is_empty();
        if already_there {
            // The letter of an earlier try; or the task that the message became, which goes on.
            return Ok(record.id);
        }
        if let Err(error) = engine.progress().keep(&Progress::from_record(&record)).await {
            tracing::debug!(task.id = %record.id, %error, "a dead letter is not shown yet");
        }
        Ok(record.id)
    }
}

/// What makes two messages one letter. No key of a task is like it: neither a task nor the letter of another message under the
/// same id stands in its way.
fn letter_hash(owner: &str, rejected: &Rejected) -> String {
    let Rejected { key, message, .. } = rejected;
    hex::encode(Sha256::digest(format!("rejected\n{owner}\n{key}\n{message}")))
}

fn dead_letter(grant: &Grant, rejected: &Rejected, idempotency: String, now_ms: i64) -> TaskRecord {
    let Rejected { message, error, taken_by, .. } = rejected;
    let kind = message.get("kind").and_then(Value::as_str).filter(|kind| kind.len() <= 64).unwrap_or(NO_KIND);
    let version = message.get("version").and_then(Value::as_u64).and_then(|version| u32::try_from(version).ok());
    let payload = message.get("payload").unwrap_or(message);
    let payload = if storable(payload).is_ok() { payload.clone() } else { Value::String(payload.to_string()) };
    TaskRecord {
        id: TaskId::new(now_ms),
        owner: grant.owner().to_owned(),
        tier: grant.tier(),
        // A replay waits where its kind does.
        pool: job::kind(kind).map_or(Pool::Maintenance, |kind| kind.pool),
        priority: 0,
        running_at_once: 1,
        job: Envelope { kind: kind.to_owned(), version: version.unwrap_or(1), payload },
        request: None,
        fingerprint: idempotency.clone(),
        idempotency: Some(idempotency),
        state: TaskState::Dead,
        attempt: 1,
        attempts: vec![Attempt {
            number: 1,
            worker: taken_by.clone(),
            started_at: now_ms,
            ended_at: Some(now_ms),
            error: Some(error.clone()),
        }],
        cancel_requested: false,
        created_at: now_ms,
        updated_at: now_ms,
        started_at: Some(now_ms),
        ended_at: Some(now_ms),
        run_at: None,
        result: None,
        error: Some(error.clone()),
        dead_letter: DeadLetter::default(),
        parent: None,
        share: None,
        schedule: None,
        children: None,
        webhook: None,
        trace_id: TraceId::random().to_string(),
    }
}
