//! Schedules: what is asked for.

use super::fetch::WebhookRequest;
use super::given::Given;
use crate::schedule::{CronPattern, Misfire, Overlap, Span, Template, When};
use crate::time_zone::ZoneName;
use crate::timestamp::{GivenTime, Timestamp};
use serde::{Deserialize, Deserializer, Serialize};
use std::borrow::Cow;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
use utoipa::{PartialSchema, ToSchema};

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
