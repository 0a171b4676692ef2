//! Tasks: the durable truth about one submitted job.

mod state;

use crate::children::Children;
use crate::coverage::Gap;
use crate::job::{Envelope, Pool};
use crate::range::TimeRange;
use crate::tier::Tier;
use crate::webhook::Webhook;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;
use ulid::Ulid;

pub use state::TaskState;

/// A task's identity: a ULID, so that ids sort by the time of submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TaskId(Ulid);

/// The text is no task id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a task id is a ULID of 26 characters, as the call that created the task returned it")]
pub struct InvalidTaskId;

impl TaskId {
    /// A new id of the instant `now_ms`.
    #[must_use]
    pub fn new(now_ms: i64) -> Self {
        Self(Ulid::from_parts(u64::try_from(now_ms).unwrap_or(0), Ulid::generate().random()))
    }

    /// The id of child number `index` of `parent`. Whoever stores the children once more, after a crash, gives them the ids
    /// that they have; `generation` tells the children of a replay from those before it.
    #[must_use]
    pub fn of_child(parent: Self, generation: u32, index: u32) -> Self {
        let digest = Sha256::digest(format!("{parent}\n{generation}\n{index}"));
        let random = digest.iter().take(10).fold(0_u128, |number, byte| (number << 8) | u128::from(*byte));
        Self(Ulid::from_parts(parent.0.timestamp_ms(), random))
    }

    /// When the id was made, UTC ms.
    #[must_use]
    pub const fn created_at_ms(self) -> i64 {
        self.0.timestamp_ms().cast_signed()
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for TaskId {
    type Err = InvalidTaskId;

    fn from_str(text: &str) -> Result<Self, InvalidTaskId> {
        let id = Ulid::from_string(text).map_err(|_| InvalidTaskId)?;
        // One id, one spelling: lower case and overflowing first characters would alias a stored id.
        if id.to_string() == text { Ok(Self(id)) } else { Err(InvalidTaskId) }
    }
}

impl TryFrom<String> for TaskId {
    type Error = InvalidTaskId;

    fn try_from(text: String) -> Result<Self, InvalidTaskId> {
        text.parse()
    }
}

impl From<TaskId> for String {
    fn from(id: TaskId) -> Self {
        id.to_string()
    }
}

/// An error as it is kept on a task and shown to its owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskError {
    /// Stable name: `unknown_symbol`, `exchange_unavailable`, …
    pub code: String,
    /// What was wrong, where, and what to do.
    pub message: String,
}

impl TaskError {
    /// An error of this code and message.
    #[must_use]
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into() }
    }
}

/// One attempt at a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// 1 for the first. Also the fence: writes of a lower attempt are refused.
    pub number: u32,
    /// Name of the worker process.
    pub worker: String,
    /// UTC ms.
    pub started_at: i64,
    /// UTC ms; absent while it runs, and for ever when its worker was lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<i64>,
    /// Why it ended without success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<TaskError>,
}

/// What a fetch did, over all of its attempts unless said otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchResult {
    /// Candles that were not stored before.
    pub inserted: u64,
    /// Candles that were stored already, by an earlier attempt or an overlapping task.
    pub duplicate: u64,
    /// Stored candles of which the exchange now gives other figures; see the corrections of the symbol.
    pub restated: u64,
    /// Rows that failed the checks and were not stored; their buckets stand in `gaps` as `fetch_failed`.
    pub rejected: u64,
    /// Pages fetched.
    pub pages: u64,
    /// Pages of the whole task, as it was last planned; 0 before that.
    #[serde(default)]
    pub pages_total: u64,
    /// Calls to the exchange, retries included.
    pub calls: u64,
    /// Request weight spent.
    pub weight: u64,
    /// Calls that had to be repeated.
    pub retries: u64,
    /// What was asked for, resolved to times.
    pub range: Option<TimeRange>,
    /// What had to be fetched: the asked range without what the ledger already held.
    pub ranges: Vec<TimeRange>,
    /// Absent buckets of the asked range with their reason; at most [`MAX_RESULT_GAPS`], the rest in the coverage call.
    pub gaps: Vec<Gap>,
    /// Number of all gaps, listed or not.
    pub gaps_total: u64,
    /// From the first attempt's start to the end, ms.
    pub duration_ms: u64,
    /// Of a verification: buckets that the ledger had called complete, and that had neither candle nor gap.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reopened: u64,
    /// Of a verification: open time up to which it has compared, UTC ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked_until: Option<i64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Most gaps that a result lists.
pub const MAX_RESULT_GAPS: usize = 1_000;

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
    /// What it did; kept up to date at checkpoints, so that a later attempt adds to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<FetchResult>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<TaskError>,
    /// Replays and discard.
    #[serde(default, skip_serializing_if = "DeadLetter::is_empty")]
    pub dead_letter: DeadLetter,
    /// The task that this one is a part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<TaskId>,
    /// The tasks that it consists of, where it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub children: Option<Children>,
    /// Who is told of the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Webhook>,
    /// Trace of the request that submitted it, 32 hex digits.
    pub trace_id: String,
}

impl TaskRecord {
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

    #[test]
    fn ids_have_one_spelling() {
        let id = TaskId::new(1_700_000_000_000);
        assert_eq!(id.to_string().parse::<TaskId>(), Ok(id));
        assert_eq!(id.created_at_ms(), 1_700_000_000_000);
        for odd in ["", "1", "../../etc/passwd", "$ne", "ZZZZZZZZZZZZZZZZZZZZZZZZZZ", "01arz3ndektsv4rrffq69g5fav"] {
            assert_eq!(odd.parse::<TaskId>(), Err(InvalidTaskId), "{odd}");
        }
    }

    #[test]
    fn children_have_ids_of_their_own_and_the_same_each_time() {
        let parent = TaskId::new(1_700_000_000_000);
        let child = TaskId::of_child(parent, 0, 0);
        assert_eq!(child, TaskId::of_child(parent, 0, 0));
        assert_eq!(child.created_at_ms(), parent.created_at_ms());
        let others = [parent, TaskId::of_child(parent, 0, 1), TaskId::of_child(parent, 1, 0)];
        assert!(others.iter().all(|other| *other != child));
    }
}
