//! The durable record of a task.

use super::attempt::{Attempt, TaskError};
use super::id::TaskId;
use super::state::TaskState;
use crate::children::Children;
use crate::job::{Envelope, Pool};
use crate::schedule::ScheduleId;
use crate::tier::Tier;
use crate::webhook::Webhook;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// For records that were stored before there was a limit.
const fn few() -> u32 {
    4
}

/// What became of a task after it had died or failed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeadLetter {
    /// Times that its owner had it tried again.
    pub replays: u32,
    /// UTC ms of the last of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replayed_at: Option<i64>,
    /// Number of the newest attempt at that time: failures up to it count no more.
    pub replayed_after: u32,
    /// Its owner's word that it is not to be tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discarded: Option<Discarded>,
}

impl DeadLetter {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A dead task that its owner has no use for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Discarded {
    /// UTC ms.
    pub at: i64,
    /// Why, in the owner's words.
    pub reason: String,
}

/// The durable record of a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskRecord {
    /// Identity.
    #[serde(rename = "_id", alias = "id")]
    pub id: TaskId,
    /// User id (`sub`) of the owner.
    pub owner: String,
    /// The owner's tier at submission.
    pub tier: Tier,
    /// Where it waits.
    pub pool: Pool,
    /// The tier's priority at submission.
    pub priority: u8,
    /// Tasks of the owner that may run at once, by the tier at submission.
    #[serde(default = "few")]
    pub running_at_once: u32,
    /// What is to be done.
    pub job: Envelope,
    /// The request as it is shown, where the payload may be too large for lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Value>,
    /// Equal for equal requests of one owner.
    pub fingerprint: String,
    /// SHA-256 of owner and `Idempotency-Key`, where one was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency: Option<String>,
    /// Where it stands.
    pub state: TaskState,
    /// Number of the newest attempt; 0 before the first.
    pub attempt: u32,
    /// The newest attempts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt>,
    /// Asked to stop.
    #[serde(default)]
    pub cancel_requested: bool,
    /// UTC ms.
    pub created_at: i64,
    /// UTC ms of the last change of state.
    pub updated_at: i64,
    /// UTC ms of the first attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<i64>,
    /// UTC ms of the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<i64>,
    /// UTC ms before which it is not to run: its submitter's wish, or the time of the next attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_at: Option<i64>,
    /// What it did, as a document of its kind; kept up to date at checkpoints, so that a later attempt adds to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<TaskError>,
    /// Replays and discard.
    #[serde(default, skip_serializing_if = "DeadLetter::is_empty")]
    pub dead_letter: DeadLetter,
    /// The task that this one is a part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<TaskId>,
    /// Its share of that task, as work that it may be at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<u64>,
    /// The tasks that it consists of, where it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub children: Option<Children>,
    /// The schedule whose fire it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<ScheduleId>,
    /// Who is told of the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Webhook>,
    /// Trace of the request that submitted it, 32 hex digits.
    pub trace_id: String,
}

impl TaskRecord {
    /// The request as its owner sees it; a batch in short. What cannot be read is shown as it is stored.
    #[must_use]
    pub fn request_view(&self) -> Value {
        match (&self.request, self.kind()) {
            (Some(kept), _) => kept.clone(),
            (None, Some(kind)) => kind.request(&self.job),
            (None, None) => self.job.payload.clone(),
        }
    }

    /// What the task did, as its owner sees it.
    #[must_use]
    pub fn result_view(&self) -> Option<Value> {
        let stored = self.result.as_ref()?;
        Some(self.kind().map_or_else(|| stored.clone(), |kind| kind.show_result(stored)))
    }

    /// The same without what may be large.
    #[must_use]
    pub fn result_view_in_list(&self) -> Option<Value> {
        let mut result = self.result_view()?;
        if let Value::Object(members) = &mut result {
            for large in self.kind().map_or(&[][..], |kind| kind.large_result) {
                members.remove(*large);
            }
        }
        Some(result)
    }

    /// Whether it waits once more after an end: a replay that no attempt has begun on yet.
    #[must_use]
    pub const fn waits_anew(&self) -> bool {
        matches!(self.state, TaskState::Queued) && self.attempt > 0
    }

    /// Whether all its children have ended, and no attempt has begun on it since.
    #[must_use]
    pub fn is_called_back(&self) -> bool {
        let ended = self.children.as_ref().is_some_and(|children| children.ended.is_some());
        let rests = self.attempts.last().is_some_and(|newest| newest.ended_at.is_some());
        self.state == TaskState::Running && ended && rests
    }

    /// Whether it waits, outside of the queue, for the end of its children.
    #[must_use]
    pub fn awaits_children(&self) -> bool {
        self.state == TaskState::Running && self.children.as_ref().is_some_and(|children| children.ended.is_none())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Stored before attempts were limited by tiers, and before dead letters; must be readable for ever.
    pub(crate) fn record() -> TaskRecord {
        serde_json::from_value(serde_json::json!({
            "id": "01JC5Y7V9N8B3M2K1H0G9F8E7D", "owner": "u", "tier": "pro", "pool": "backfill", "priority": 5,
            "job": {"kind": "fetch_history", "version": 1, "payload": {
                "exchange": "binance", "symbol": "BTCUSDT", "interval": "1m", "start": "listing", "end": null}},
            "fingerprint": "f", "state": "queued", "attempt": 0, "created_at": 1, "updated_at": 1,
            "trace_id": "00000000000000000000000000000000",
        }))
        .unwrap()
    }

    #[test]
    fn records_without_later_fields_stay_readable() {
        let record = record();
        assert_eq!((&record.dead_letter, record.running_at_once), (&DeadLetter::default(), 4));
        let stored = serde_json::to_value(&record).unwrap();
        assert!(stored.get("dead_letter").is_none(), "what never died says nothing of it: {stored}");
        assert!(stored.get("parent").is_none() && stored.get("children").is_none(), "{stored}");
        assert_eq!(serde_json::from_value::<TaskRecord>(stored).unwrap(), record);
        let partly: DeadLetter = serde_json::from_value(serde_json::json!({"replays": 2})).unwrap();
        assert_eq!(partly, DeadLetter { replays: 2, ..DeadLetter::default() });
    }
}
