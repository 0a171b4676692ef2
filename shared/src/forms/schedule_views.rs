//! Schedules and their fires, as they are shown; which of them.

use super::dead_letters::PageLimit;
use super::fetch::WebhookRequest;
use super::given::Given;
use super::market_data::TimeSpan;
use super::schedules::WhenForm;
use crate::schedule::{
    Actor, FireReason, FireRecord, FireState, Misfire, Overlap, PreviewedFire, ScheduleEvent, ScheduleId,
    ScheduleRecord, Template, Timing,
};
use crate::task::TaskId;
use crate::time_zone::DATABASE_VERSION;
use crate::timestamp::{GivenTime, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Fires that are shown ahead.
pub const PREVIEWED: usize = 5;

/// A fire that is to come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NextFire {
    /// When it is due.
    pub due_at: Timestamp,
    /// The same on the wall clock of the schedule's zone, with its offset from UTC.
    #[schema(example = "2026-03-29T03:00:00+02:00")]
    pub local: String,
    /// Whether the wall time that the pattern names does not exist on that day, or exists twice.
    pub moved_by_daylight_saving: bool,
}

impl From<PreviewedFire> for NextFire {
    fn from(fire: PreviewedFire) -> Self {
        let PreviewedFire { due_at, local, moved_by_daylight_saving } = fire;
        Self { due_at: due_at.into(), local, moved_by_daylight_saving }
    }
}

/// What a schedule would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SchedulePreview {
    /// When it is due, in words.
    pub words: String,
    /// Version of the time zone database.
    pub time_zone_data: String,
    /// The next fires, at most five.
    pub next_fires: Vec<NextFire>,
}

/// Whether a schedule fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ScheduleState {
    /// It does.
    Active,
    /// It rests.
    Paused,
    /// It is never due again.
    Ended,
    /// Its owner is banned or deleted.
    Suspended,
    /// Nobody has confirmed its owner's tier for too long: the owner's next request does.
    Unconfirmed,
}

/// A change of a schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ScheduleEventView {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: Actor,
    /// What.
    #[schema(example = "paused")]
    pub what: String,
}

impl From<ScheduleEvent> for ScheduleEventView {
    fn from(event: ScheduleEvent) -> Self {
        Self { at: event.at.into(), by: event.by, what: event.what }
    }
}

/// A schedule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ScheduleView {
    /// Its id.
    pub schedule_id: ScheduleId,
    /// User id of the owner; for operators alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// What it is called.
    pub name: String,
    /// A note; null where there is none.
    pub note: Option<String>,
    /// Whether it fires.
    pub state: ScheduleState,
    /// Who paused it; null where nobody did.
    pub paused_by: Option<Actor>,
    /// Since when it rests; null where it does not.
    pub paused_at: Option<Timestamp>,
    /// When it is due.
    pub when: WhenForm,
    /// The same in words.
    #[schema(example = "Every 15th minute (UTC)")]
    pub words: String,
    /// Version of the time zone database.
    pub time_zone_data: String,
    /// It is not due before this; null: no bound.
    pub start: Option<Timestamp>,
    /// It is not due from this time on; null: no bound.
    pub end: Option<Timestamp>,
    /// Fires are spread over so many seconds.
    pub jitter_seconds: u32,
    /// A fire is made so many seconds after it is due.
    pub delay_seconds: u32,
    /// What each fire submits.
    pub template: Template,
    /// What becomes of fires that are late.
    pub misfire: Misfire,
    /// What becomes of a fire while the one before has not ended.
    pub overlap: Overlap,
    /// Where failures are told; null: nowhere.
    pub webhook: Option<WebhookRequest>,
    /// So many failed fires in a row are told; null: never.
    pub alert_after: Option<u32>,
    /// So many failed fires in a row pause it; null: never.
    pub pause_after: Option<u32>,
    /// The next fires, at most five; none while it rests.
    pub next_fires: Vec<NextFire>,
    /// Everything due until then is decided.
    pub fired_until: Timestamp,
    /// End of what the last successful fire fetched; null before the first.
    pub covered_until: Option<Timestamp>,
    /// Fires that failed since one succeeded.
    pub failed_in_a_row: u32,
    /// Until when it fires without a sign of its owner; null where that is not known.
    pub valid_until: Option<Timestamp>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
    /// Who did what, the newest last; at most 20.
    pub events: Vec<ScheduleEventView>,
}

impl ScheduleView {
    /// A schedule whose owner is as `owner` says, by `valid_until` (UTC ms).
    #[must_use]
    pub fn new(schedule: ScheduleRecord, owner_state: Option<ScheduleState>, valid_until: Option<i64>) -> Self {
        let ScheduleRecord { spec, paused, .. } = schedule;
        let rests = paused.is_some();
        let next_fires = if rests { Vec::new() } else { preview(&spec.timing, schedule.fired_until) };
        let state = match owner_state {
            _ if rests => ScheduleState::Paused,
            _ if next_fires.is_empty() => ScheduleState::Ended,
            Some(state) => state,
            None => ScheduleState::Active,
        };
        Self {
            schedule_id: schedule.id,
            owner: None,
            name: spec.name,
            note: spec.note,
            state,
            paused_by: paused.as_ref().map(|stop| stop.by),
            paused_at: paused.map(|stop| stop.at.into()),
            when: WhenForm::from(&spec.timing.when),
            words: spec.timing.words(),
            time_zone_data: DATABASE_VERSION.to_owned(),
            start: spec.timing.start_at.map(Timestamp::from),
            end: spec.timing.end_at.map(Timestamp::from),
            jitter_seconds: spec.timing.jitter_seconds,
            delay_seconds: spec.timing.delay_seconds,
            template: spec.template,
            misfire: spec.misfire,
            overlap: spec.overlap,
            webhook: spec.webhook.map(|url| WebhookRequest { url }),
            alert_after: spec.failures.alert_after,
            pause_after: spec.failures.pause_after,
            next_fires,
            fired_until: schedule.fired_until.into(),
            covered_until: schedule.covered_until.map(Timestamp::from),
            failed_in_a_row: schedule.failed_in_a_row,
            valid_until: valid_until.map(Timestamp::from),
            created_at: schedule.created_at.into(),
            updated_at: schedule.updated_at.into(),
            events: schedule.events.into_iter().map(ScheduleEventView::from).collect(),
        }
    }
}

/// The fires that come after `after_ms`.
#[must_use]
pub fn preview(timing: &Timing, after_ms: i64) -> Vec<NextFire> {
    timing.preview(after_ms, PREVIEWED).into_iter().map(NextFire::from).collect()
}

/// A page of schedules.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ScheduleList {
    /// The newest first.
    pub schedules: Vec<ScheduleView>,
    /// `cursor` of the next page; null at the end.
    pub next_cursor: Option<ScheduleId>,
}

/// Which schedules.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ScheduleFilter {
    /// `next_cursor` of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<ScheduleId>)]
    pub cursor: Option<Given<ScheduleId>>,
    /// Schedules of this page; 50 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<PageLimit>, inline)]
    pub limit: Option<Given<PageLimit>>,
}

/// A fire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FireView {
    /// When it was due; of misses the last.
    pub due_at: Timestamp,
    /// When it was to be made: due time, delay and jitter.
    pub fire_at: Timestamp,
    /// What became of it.
    pub state: FireState,
    /// By hand, not by the clock.
    pub manual: bool,
    /// Its task; null where it became none.
    pub task_id: Option<TaskId>,
    /// What it asked for; null before that is known.
    pub range: Option<TimeSpan>,
    /// Why it did not start, or waits; null where it started.
    pub why: Option<FireReason>,
    /// Of misses: how many this stands for; null for others.
    pub missed: Option<u64>,
    /// Of misses: when the first of them was due; null for others.
    pub first_missed_at: Option<Timestamp>,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// When its task was submitted; null where it was not.
    pub started_at: Option<Timestamp>,
    /// Null before the end.
    pub ended_at: Option<Timestamp>,
}

impl From<FireRecord> for FireView {
    fn from(fire: FireRecord) -> Self {
        Self {
            due_at: fire.due_at.into(),
            fire_at: fire.fire_at.into(),
            state: fire.state,
            manual: fire.manual,
            task_id: fire.task,
            range: fire.range.map(TimeSpan::from),
            why: fire.why,
            missed: fire.missed.map(|missed| missed.count),
            first_missed_at: fire.missed.map(|missed| missed.first.into()),
            recorded_at: fire.recorded_at.into(),
            started_at: fire.started_at.map(Timestamp::from),
            ended_at: fire.ended_at.map(Timestamp::from),
        }
    }
}

/// A page of fires.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FireList {
    /// The newest first.
    pub fires: Vec<FireView>,
    /// `cursor` of the next page; null at the end.
    pub next_cursor: Option<Timestamp>,
}

/// Which fires.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct FireFilter {
    /// `next_cursor` of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<GivenTime>)]
    pub cursor: Option<Given<Timestamp>>,
    /// Fires of this page; 50 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<PageLimit>, inline)]
    pub limit: Option<Given<PageLimit>>,
}
