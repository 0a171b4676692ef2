//! Schedules: what is asked for, how they stand, what became of their fires.

use super::dead_letters::PageLimit;
use super::fetch::WebhookRequest;
use super::given::Given;
use super::market_data::TimeSpan;
use crate::schedule::{
    Actor, CronPattern, FireReason, FireRecord, FireState, Misfire, Overlap, PreviewedFire, ScheduleEvent, ScheduleId,
    ScheduleRecord, Span, Template, When,
};
use crate::task::TaskId;
use crate::time_zone::{DATABASE_VERSION, ZoneName};
use crate::timestamp::{GivenTime, Timestamp};
use serde::{Deserialize, Deserializer, Serialize};
use std::borrow::Cow;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
use utoipa::{IntoParams, PartialSchema, ToSchema};

/// Fires that are shown ahead.
pub const PREVIEWED: usize = 5;
/// Longest name of a schedule, characters.
pub const MAX_SCHEDULE_NAME: usize = 100;
/// Longest note of a schedule, characters.
pub const MAX_NOTE: usize = 1_000;

/// When a schedule is due: `cron` and `time_zone`, or `every` and `anchor`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"cron": "*/15 * * * *", "time_zone": "Europe/Berlin"}))]
pub struct WhenForm {
    /// Five fields (minute, hour, day of month, month, weekday), or six with seconds first; names, lists, steps, `L`, `W`, `#`, `@hourly`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "*/15 * * * *", max_length = 256)]
    pub cron: Option<String>,
    /// Whose wall clock the pattern is of; UTC when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// Time between two fires, in place of a pattern.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Span>)]
    pub every: Option<String>,
    /// An instant at which a schedule with `every` is due; 1970-01-01T00:00:00Z when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<GivenTime>)]
    pub anchor: Option<Timestamp>,
}

impl WhenForm {
    /// When that is.
    ///
    /// # Errors
    /// Every member that is wrong, and why.
    pub fn read(self) -> Result<When, Vec<(&'static str, String)>> {
        let mut wrong = Vec::new();
        let mut told = |field, why: String| wrong.push((field, why));
        let read = match (self.cron, self.every) {
            (Some(cron), None) => {
                let cron = cron.parse::<CronPattern>().map_err(|why| told("when.cron", why)).ok();
                let zone = self.time_zone.as_deref().unwrap_or("UTC").parse::<ZoneName>();
                let zone = zone.map_err(|why| told("when.time_zone", why)).ok();
                if self.anchor.is_some() {
                    told("when.anchor", "goes with every alone".to_owned());
                }
                cron.zip(zone).map(|(cron, time_zone)| When::Cron { cron, time_zone })
            }
            (None, Some(every)) => {
                let every = every.parse::<Span>().map_err(|why| told("when.every", why)).ok();
                if self.time_zone.is_some() {
                    told("when.time_zone", "goes with cron alone: an interval has no wall clock".to_owned());
                }
                let anchor = self.anchor.map_or(0, Timestamp::ms);
                let seconds = every.and_then(|span| u64::try_from(span.ms() / 1_000).ok());
                seconds.map(|every_seconds| When::Every { every_seconds, anchor })
            }
            (Some(_), Some(_)) | (None, None) => {
                told("when", "either cron or every is expected".to_owned());
                None
            }
        };
        match read {
            Some(read) if wrong.is_empty() => Ok(read),
            _ => Err(wrong),
        }
    }
}

impl From<&When> for WhenForm {
    fn from(when: &When) -> Self {
        match when {
            When::Cron { cron, time_zone } => {
                Self { cron: Some(cron.as_str().to_owned()), time_zone: Some(time_zone.to_string()), ..Self::default() }
            }
            When::Every { every_seconds, anchor } => Self {
                every: Some(Span::of_seconds(*every_seconds).to_string()),
                anchor: Some((*anchor).into()),
                ..Self::default()
            },
        }
    }
}

/// `null` is a value here: it takes away what was there.
fn nullable<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// Members of a schedule that are to be changed; the others stay. `null` takes an optional one away.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScheduleChange {
    /// What it is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 100)]
    pub name: Option<Given<String>>,
    /// A note.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, max_length = 1000)]
    pub note: Option<Given<Option<String>>>,
    /// When it is due.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<WhenForm>)]
    pub when: Option<Given<WhenForm>>,
    /// It is not due before this.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<GivenTime>)]
    pub start: Option<Given<Option<Timestamp>>>,
    /// It is not due at this time or after it.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<GivenTime>)]
    pub end: Option<Given<Option<Timestamp>>>,
    /// Fires are spread over so many seconds, each by a time that is drawn from schedule and due time; 0 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u32>, maximum = 3_600)]
    pub jitter_seconds: Option<Given<u32>>,
    /// A fire is made so many seconds after it is due; 10 when absent: the interval that has just closed is final by then.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u32>, maximum = 86_400)]
    pub delay_seconds: Option<Given<u32>>,
    /// What each fire submits.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Template>)]
    pub template: Option<Given<Template>>,
    /// What becomes of fires that are more than 60 s late; `once` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Misfire>)]
    pub misfire: Option<Given<Misfire>>,
    /// What becomes of a fire while the one before has not ended; `skip` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Overlap>)]
    pub overlap: Option<Given<Overlap>>,
    /// Who is told of failures.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<WebhookRequest>)]
    pub webhook: Option<Given<Option<WebhookRequest>>>,
    /// So many failed fires in a row are told to the webhook.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 1_000)]
    pub alert_after: Option<Given<Option<u32>>>,
    /// So many failed fires in a row pause it.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 1_000)]
    pub pause_after: Option<Given<Option<u32>>>,
    /// Whether it rests. What is due meanwhile is passed over for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<bool>)]
    pub paused: Option<Given<bool>>,
}

/// A new schedule: [`ScheduleChange`] with `name`, `when` and `template`. A schema alone.
#[derive(Debug)]
pub struct ScheduleRequest;

impl PartialSchema for ScheduleRequest {
    fn schema() -> RefOr<Schema> {
        let mut schema = ScheduleChange::schema();
        if let RefOr::T(Schema::Object(object)) = &mut schema {
            object.required = ["name", "when", "template"].map(str::to_owned).to_vec();
            object.description = Some("A new schedule.".to_owned());
            object.examples = vec![serde_json::json!({
                "name": "BTC, every quarter of an hour",
                "when": {"cron": "*/15 * * * *", "time_zone": "UTC"},
                "template": {"kind": "fetch", "symbol": "BTCUSDT", "interval": "15m", "range": {"just_closed": true}},
            })];
        }
        schema
    }
}

impl ToSchema for ScheduleRequest {
    fn name() -> Cow<'static, str> {
        "ScheduleRequest".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        ScheduleChange::schemas(schemas);
    }
}

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
pub fn preview(timing: &crate::schedule::Timing, after_ms: i64) -> Vec<NextFire> {
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
