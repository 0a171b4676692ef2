//! What is fetched or compared: requests of backfills, batches and verifications, and the answer to them.

use super::given::Given;
use crate::interval::Interval;
use crate::symbol::Symbol;
use crate::task::{TaskId, TaskState};
use crate::timestamp::{GivenTime, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Ref, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// Where a fetch begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FetchStart {
    /// At this time.
    At(Timestamp),
    /// At the first candle that the exchange has.
    Listing,
}

/// How `FetchStart::Listing` is written.
const LISTING: &str = "listing";

impl From<Timestamp> for FetchStart {
    fn from(at: Timestamp) -> Self {
        Self::At(at)
    }
}

impl fmt::Display for FetchStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(at) => at.fmt(f),
            Self::Listing => f.write_str(LISTING),
        }
    }
}

impl Serialize for FetchStart {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for FetchStart {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        if value == LISTING {
            return Ok(Self::Listing);
        }
        let at = Timestamp::deserialize(value);
        at.map(Self::At).map_err(|error| serde::de::Error::custom(format!("{error}; or \"{LISTING}\"")))
    }
}

impl PartialSchema for FetchStart {
    fn schema() -> RefOr<Schema> {
        let listing = ObjectBuilder::new().schema_type(Type::String).enum_values(Some([LISTING]));
        GivenTime::forms()
            .item(listing)
            .description(Some("RFC 3339, UTC milliseconds, or `listing`: the first candle that the exchange has."))
            .into()
    }
}

impl ToSchema for FetchStart {
    fn name() -> Cow<'static, str> {
        "FetchStart".into()
    }
}

/// What to fetch. Candles are chosen by their open time: `start` inclusive, `end` exclusive.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "symbol": "BTCUSDT", "interval": "1m", "start": "2020-01-01T00:00:00Z", "end": "2020-01-04T00:00:00Z"}))]
pub struct FetchRequest {
    /// The exchange's symbol; small letters are taken for capitals.
    #[schema(required, value_type = Symbol)]
    pub symbol: Option<Given<Symbol>>,
    /// Length of the candles.
    #[schema(required, value_type = Interval)]
    pub interval: Option<Given<Interval>>,
    /// First open time.
    #[schema(required, value_type = FetchStart)]
    pub start: Option<Given<FetchStart>>,
    /// First open time that is no longer wanted; now when absent, and when it lies in the future.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<GivenTime>)]
    pub end: Option<Given<Timestamp>>,
    /// When it is to run, at most 30 days ahead; at once when absent or past. An absent `end` then means that time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<GivenTime>)]
    pub run_at: Option<Given<Timestamp>>,
    /// Who is told of the task's end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<WebhookRequest>)]
    pub webhook: Option<Given<WebhookRequest>>,
}

impl FetchRequest {
    /// The candles of `symbol` from `start` on.
    #[must_use]
    pub fn new(symbol: Symbol, interval: Interval, start: impl Into<FetchStart>) -> Self {
        Self {
            symbol: Some(symbol.into()),
            interval: Some(interval.into()),
            start: Some(start.into().into()),
            ..Self::default()
        }
    }

    /// Those that open before `end`.
    #[must_use]
    pub fn until(self, end: Timestamp) -> Self {
        Self { end: Some(end.into()), ..self }
    }

    /// Not before `at`.
    #[must_use]
    pub fn run_at(self, at: Timestamp) -> Self {
        Self { run_at: Some(at.into()), ..self }
    }

    /// With a signed POST to `url` at the end.
    #[must_use]
    pub fn webhook(self, url: impl Into<String>) -> Self {
        Self { webhook: Some(WebhookRequest { url: url.into() }.into()), ..self }
    }
}

/// Who is told when the task has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookRequest {
    /// Where a signed POST goes: an `https` URL of a public host, without user name and fragment.
    #[schema(format = Uri, max_length = 2048, example = "https://example.com/hooks/candles")]
    pub url: String,
}

/// What to fetch: either `fetches`, or one range of many `symbols`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchRequest {
    /// Symbols of which the same range is fetched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub symbols: Option<Given<Vec<Given<Symbol>>>>,
    /// With `symbols`: length of the candles.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<Given<Interval>>,
    /// With `symbols`: first open time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<Given<FetchStart>>,
    /// With `symbols`: first open time that is no longer wanted; now when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<Given<Timestamp>>,
    /// Fetches of their own ranges.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fetches: Option<Given<Vec<Given<BatchItem>>>>,
    /// When it is to run, at most 30 days ahead; at once when absent or past.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_at: Option<Given<Timestamp>>,
    /// Who is told of the end of the whole batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Given<WebhookRequest>>,
}

impl BatchRequest {
    /// The candles of all `symbols` from `start` on.
    #[must_use]
    pub fn of_symbols(symbols: Vec<Symbol>, interval: Interval, start: impl Into<FetchStart>) -> Self {
        let symbols: Vec<Given<Symbol>> = symbols.into_iter().map(Given::from).collect();
        Self {
            symbols: Some(symbols.into()),
            interval: Some(interval.into()),
            start: Some(start.into().into()),
            ..Self::default()
        }
    }

    /// Fetches of their own ranges.
    #[must_use]
    pub fn of_fetches(fetches: Vec<BatchItem>) -> Self {
        let fetches: Vec<Given<BatchItem>> = fetches.into_iter().map(Given::from).collect();
        Self { fetches: Some(fetches.into()), ..Self::default() }
    }

    /// Those of `symbols` that open before `end`.
    #[must_use]
    pub fn until(self, end: Timestamp) -> Self {
        Self { end: Some(end.into()), ..self }
    }

    /// Not before `at`.
    #[must_use]
    pub fn run_at(self, at: Timestamp) -> Self {
        Self { run_at: Some(at.into()), ..self }
    }

    /// With a signed POST to `url` at the end.
    #[must_use]
    pub fn webhook(self, url: impl Into<String>) -> Self {
        Self { webhook: Some(WebhookRequest { url: url.into() }.into()), ..self }
    }
}

/// One fetch of a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchItem {
    /// The exchange's symbol.
    #[schema(required, value_type = Symbol)]
    pub symbol: Option<Given<Symbol>>,
    /// Length of the candles.
    #[schema(required, value_type = Interval)]
    pub interval: Option<Given<Interval>>,
    /// First open time.
    #[schema(required, value_type = FetchStart)]
    pub start: Option<Given<FetchStart>>,
    /// First open time that is no longer wanted; now when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<GivenTime>)]
    pub end: Option<Given<Timestamp>>,
}

impl BatchItem {
    /// The candles of `symbol` from `start` on.
    #[must_use]
    pub fn new(symbol: Symbol, interval: Interval, start: impl Into<FetchStart>) -> Self {
        Self {
            symbol: Some(symbol.into()),
            interval: Some(interval.into()),
            start: Some(start.into().into()),
            end: None,
        }
    }

    /// Those that open before `end`.
    #[must_use]
    pub fn until(self, end: Timestamp) -> Self {
        Self { end: Some(end.into()), ..self }
    }
}

/// An accepted task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Accepted {
    /// The task's id.
    pub task_id: TaskId,
    /// Where the task stands.
    pub status: TaskState,
    /// Whether this request created the task, rather than an earlier one like it.
    pub created: bool,
    /// When it was submitted.
    pub created_at: Timestamp,
    /// Before this it does not run; null: as soon as it can.
    pub run_at: Option<Timestamp>,
    /// Where its progress is.
    #[schema(format = UriReference, example = "/api/task/01JC5Y7V9N8B3M2K1H0G9F8E7D/progress")]
    pub progress_url: String,
    /// Where its progress is streamed; null for operators' tasks.
    #[schema(format = UriReference)]
    pub events_url: Option<String>,
}

/// One range of many symbols: a schema alone.
#[derive(ToSchema, Serialize)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "symbols": ["BTCUSDT", "ETHUSDT"], "interval": "1d", "start": "2020-01-01T00:00:00Z", "end": "2020-03-01T00:00:00Z"}))]
struct BatchOfSymbols {
    /// Symbols of which the same range is fetched; how many, the tier says.
    #[schema(min_items = 1, max_items = 10_000)]
    symbols: Vec<Symbol>,
    /// Length of the candles.
    interval: Interval,
    /// First open time.
    #[schema(value_type = FetchStart)]
    start: Timestamp,
    /// First open time that is no longer wanted; now when absent.
    #[schema(value_type = Option<GivenTime>)]
    end: Option<Timestamp>,
    /// When it is to run, at most 30 days ahead; at once when absent or past.
    #[schema(value_type = Option<GivenTime>)]
    run_at: Option<Timestamp>,
    /// Who is told of the end of the whole batch.
    webhook: Option<WebhookRequest>,
}

/// Fetches of their own ranges: a schema alone.
#[derive(ToSchema, Serialize)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"fetches": [
    {"symbol": "BTCUSDT", "interval": "1h", "start": "2020-01-01T00:00:00Z", "end": "2020-02-01T00:00:00Z"},
    {"symbol": "ETHUSDT", "interval": "1d", "start": "2020-01-01T00:00:00Z", "end": "2020-02-01T00:00:00Z"}]}))]
struct BatchOfFetches {
    /// What is fetched; how many, the tier says.
    #[schema(min_items = 1, max_items = 10_000)]
    fetches: Vec<BatchItem>,
    /// When it is to run, at most 30 days ahead; at once when absent or past.
    #[schema(value_type = Option<GivenTime>)]
    run_at: Option<Timestamp>,
    /// Who is told of the end of the whole batch.
    webhook: Option<WebhookRequest>,
}

impl PartialSchema for BatchRequest {
    fn schema() -> RefOr<Schema> {
        OneOfBuilder::new()
            .item(Ref::from_schema_name(BatchOfSymbols::name()))
            .item(Ref::from_schema_name(BatchOfFetches::name()))
            .description(Some("What to fetch: either `fetches`, or one range of many `symbols`."))
            .into()
    }
}

impl ToSchema for BatchRequest {
    fn name() -> Cow<'static, str> {
        "BatchRequest".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((BatchOfSymbols::name().into_owned(), BatchOfSymbols::schema()));
        BatchOfSymbols::schemas(schemas);
        schemas.push((BatchOfFetches::name().into_owned(), BatchOfFetches::schema()));
        BatchOfFetches::schemas(schemas);
    }
}
