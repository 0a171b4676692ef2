//! Schedules and their fires, as they are stored.

use super::id::ScheduleId;
use super::plan::{Misfire, Missed};
use super::template::Template;
use super::timing::Timing;
use crate::range::TimeRange;
use crate::task::{TaskId, TaskState};
use crate::webhook::Webhook;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Events of a schedule that are kept, the newest.
pub const MAX_EVENTS: usize = 20;

/// What is done when a fire is due and the one before has not ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// The new one is skipped.
    #[default]
    Skip,
    /// The new one waits; one waits at most, further ones are skipped.
    QueueOne,
    /// The one that runs is cancelled, then the new one starts.
    CancelRunning,
    /// Both run.
    Allow,
}

/// Who or what changed a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// Its owner.
    Owner,
    /// An operator.
    Operator,
    /// The service, because too many fires failed in a row.
    Failures,
}

/// A schedule that does not fire until it is resumed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleStop {
    /// Who paused it.
    pub by: Actor,
    /// UTC ms.
    pub at: i64,
}

/// A change of a schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleEvent {
    /// UTC ms.
    pub at: i64,
    /// By whom.
    pub by: Actor,
    /// What: `created`, `paused`, `resumed`, `changed when, template`.
    pub what: String,
}

/// When the owner is told of failures, and when they pause the schedule.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailurePolicy {
    /// So many failed fires in a row are told to the webhook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert_after: Option<u32>,
    /// So many pause the schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause_after: Option<u32>,
}

/// What an owner says of a schedule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScheduleSpec {
    /// What the owner calls it.
    pub name: String,
    /// A note of the owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// When it is due.
    pub timing: Timing,
    /// What it submits.
    pub template: Template,
    /// What becomes of fires whose time has passed.
    #[serde(default)]
    pub misfire: Misfire,
    /// What becomes of a fire while the one before has not ended.
    #[serde(default)]
    pub overlap: Overlap,
    /// Where failures are told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<String>,
    /// What failures do.
    #[serde(default)]
    pub failures: FailurePolicy,
}

/// A schedule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScheduleRecord {
    /// Identity.
    #[serde(rename = "_id")]
    pub id: ScheduleId,
    /// User id of the owner.
    pub owner: String,
    /// Rises with every change by a person: what was decided by an older one does not overwrite it.
    pub revision: i64,
    /// What the owner said.
    pub spec: ScheduleSpec,
    /// It does not fire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<ScheduleStop>,
    /// All due instants at or before it are decided for ever, UTC ms. It only rises.
    pub fired_until: i64,
    /// When the next fire is to be made, UTC ms; absent where none is: paused, deleted, or never again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_at: Option<i64>,
    /// End of what the last successful fire fetched, UTC ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub covered_until: Option<i64>,
    /// Fires that failed since one succeeded.
    #[serde(default)]
    pub failed_in_a_row: u32,
    /// UTC ms; a deleted one is kept for a while, because its fires name it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<i64>,
    /// UTC ms.
    pub created_at: i64,
    /// UTC ms of the last change by a person or by failures.
    pub updated_at: i64,
    /// Who did what, the newest last.
    #[serde(default)]
    pub events: Vec<ScheduleEvent>,
}

impl ScheduleRecord {
    /// When the next fire is to be made, by what stands in it.
    #[must_use]
    pub fn next_fire_at(&self) -> Option<i64> {
        if self.paused.is_some() || self.deleted_at.is_some() {
            return None;
        }
        let due = self.spec.timing.next_after(self.fired_until)?;
        Some(self.spec.timing.fire_at(&self.id.to_string(), due))
    }

    /// Notes who did what.
    pub fn note(&mut self, at: i64, by: Actor, what: impl Into<String>) {
        self.events.push(ScheduleEvent { at, by, what: what.into() });
        let superfluous = self.events.len().saturating_sub(MAX_EVENTS);
        self.events.drain(..superfluous);
        self.updated_at = at;
        self.revision += 1;
    }
}

/// What became of a fire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FireState {
    /// Recorded; it is about to start.
    Due,
    /// It waits for the fire before it, or for room in the owner's quota.
    Waiting,
    /// Its task is under way.
    Started,
    /// Its task succeeded.
    Succeeded,
    /// Its task failed, or is a dead letter.
    Failed,
    /// Its task was cancelled.
    Cancelled,
    /// It was not to run: the one before had not ended, the schedule was paused, or there was nothing to do.
    Skipped,
    /// Its time had passed, and the misfire policy did not make up for it. One record stands for all of them.
    Missed,
    /// What it asks for is not allowed, or not possible, any more.
    Refused,
    /// Nobody has confirmed the owner's tier for too long.
    OwnerUnconfirmed,
}

impl FireState {
    /// The name in answers and in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::Waiting => "waiting",
            Self::Started => "started",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Skipped => "skipped",
            Self::Missed => "missed",
            Self::Refused => "refused",
            Self::OwnerUnconfirmed => "owner_unconfirmed",
        }
    }

    /// Whether nothing more becomes of it.
    #[must_use]
    pub const fn is_end(self) -> bool {
        !matches!(self, Self::Due | Self::Waiting | Self::Started)
    }

    /// Whether it counts as a failure of the schedule.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::Failed | Self::Refused | Self::OwnerUnconfirmed)
    }

    /// What the end of its task makes of it; `None`: it has not ended.
    #[must_use]
    pub const fn of_task(state: TaskState) -> Option<Self> {
        match state {
            TaskState::Succeeded => Some(Self::Succeeded),
            TaskState::Failed | TaskState::Dead => Some(Self::Failed),
            TaskState::Cancelled => Some(Self::Cancelled),
            TaskState::Queued | TaskState::Running | TaskState::Retrying => None,
        }
    }
}

/// Why a fire did not start, or waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FireReason {
    /// Stable name, as in problem documents.
    #[schema(example = "overlap")]
    pub code: String,
    /// In words.
    pub detail: String,
}

impl FireReason {
    /// A reason.
    #[must_use]
    pub fn new(code: &str, detail: impl Into<String>) -> Self {
        Self { code: code.to_owned(), detail: detail.into() }
    }
}

/// A fire of a schedule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FireRecord {
    /// Identity: schedule and due instant in UTC; each fire exists once.
    #[serde(rename = "_id")]
    pub id: String,
    /// Whose.
    pub schedule: ScheduleId,
    /// User id of the owner.
    pub owner: String,
    /// When it was due, UTC ms; of misses the last.
    pub due_at: i64,
    /// When it was to be made: due time, delay and jitter; UTC ms.
    pub fire_at: i64,
    /// What became of it.
    pub state: FireState,
    /// By hand, not by the clock.
    #[serde(default)]
    pub manual: bool,
    /// Of misses: the first, and how many (`at_least` where not all of them were counted).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missed: Option<MissedFires>,
    /// The task that it became.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
    /// What it asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<TimeRange>,
    /// Why it did not start, or waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<FireReason>,
    /// The message that so many fires failed; of the fire that was the last of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert: Option<Webhook>,
    /// UTC ms.
    pub recorded_at: i64,
    /// UTC ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<i64>,
    /// UTC ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<i64>,
    /// When something is to be done about it, UTC ms; absent after its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub look_at: Option<i64>,
}

/// Due instants that were passed over together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissedFires {
    /// The first of them, UTC ms.
    pub first: i64,
    /// How many.
    pub count: u64,
    /// Whether there may be more: older ones are not counted one by one.
    pub at_least: bool,
}

impl FireRecord {
    /// The fire of `schedule` that is due at `due_at`, recorded at `now_ms`; UTC ms.
    #[must_use]
    pub fn due(schedule: &ScheduleRecord, due_at: i64, now_ms: i64) -> Self {
        Self {
            id: format!("{}_{due_at}", schedule.id),
            schedule: schedule.id,
            owner: schedule.owner.clone(),
            due_at,
            fire_at: schedule.spec.timing.fire_at(&schedule.id.to_string(), due_at),
            state: FireState::Due,
            manual: false,
            missed: None,
            task: None,
            range: None,
            why: None,
            alert: None,
            recorded_at: now_ms,
            started_at: None,
            ended_at: None,
            look_at: Some(now_ms),
        }
    }

    /// Fires that are passed over, as a plan tells of them.
    #[must_use]
    pub fn missed(schedule: &ScheduleRecord, missed: Missed, now_ms: i64) -> Self {
        let Missed { first, last, count, at_least } = missed;
        Self {
            id: format!("{}_{last}_missed", schedule.id),
            state: FireState::Missed,
            missed: Some(MissedFires { first, count, at_least }),
            ended_at: Some(now_ms),
            look_at: None,
            ..Self::due(schedule, last, now_ms)
        }
    }

    /// Id of its task: the same for every scheduler that comes to start it.
    #[must_use]
    pub fn task_id(&self) -> TaskId {
        TaskId::of_fire(&self.id, self.due_at)
    }
}
