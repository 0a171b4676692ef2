//! Studies: what is asked for, what was found.

use super::dead_letters::PageLimit;
use super::fetch::{FetchStart, WebhookRequest};
use super::given::Given;
use super::market_data::TimeSpan;
use crate::interval::Interval;
use crate::job::StudyRequestView;
use crate::study::{CalendarReport, Signal, StrategyReport, Study, Trade};
use crate::symbol::{Exchange, Symbol};
use crate::task::TaskId;
use crate::time_zone::ZoneName;
use crate::timestamp::{GivenTime, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use utoipa::{IntoParams, ToSchema};

/// What to study. Only `symbol` and `interval` are mandatory: the defaults give the useful answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"symbol": "BTCUSDT", "interval": "1h", "start": "2020-01-01T00:00:00Z", "end": "2021-01-01T00:00:00Z"}))]
pub struct StudyRequest {
    /// The exchange's symbol; small letters are taken for capitals.
    #[schema(required, value_type = Symbol)]
    pub symbol: Option<Given<Symbol>>,
    /// Length of the candles.
    #[schema(required, value_type = Interval)]
    pub interval: Option<Given<Interval>>,
    /// First open time. Absent: the first candle that the exchange has, for hours and longer; a year before the end for minutes; a week
    /// before it for seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<FetchStart>)]
    pub start: Option<Given<FetchStart>>,
    /// First open time that is no longer wanted; now when absent, and when it lies in the future.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<GivenTime>)]
    pub end: Option<Given<Timestamp>>,
    /// Whose hours, days and months; UTC when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<ZoneName>)]
    pub time_zone: Option<Given<ZoneName>>,
    /// The studies, each at most once; all three with their defaults when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Study>>, min_items = 1, max_items = 3)]
    pub studies: Option<Given<Vec<Given<Study>>>>,
    /// Draws of the bootstrap, 1,000 when absent; 0: no intervals, and so no verdict but `chance`, `unstable` and `insufficient`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u32>, maximum = 100_000)]
    pub draws: Option<Given<u32>>,
    /// Seed of the draws, 1 when absent: the same seed brings the same figures.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>, maximum = 9_007_199_254_740_991_u64)]
    pub seed: Option<Given<u64>>,
    /// When it is to run, at most 30 days ahead; at once when absent or past. An absent `end` then means that time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<GivenTime>)]
    pub run_at: Option<Given<Timestamp>>,
    /// Who is told of the task's end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<WebhookRequest>)]
    pub webhook: Option<Given<WebhookRequest>>,
}

impl StudyRequest {
    /// All studies of `symbol` with their defaults.
    #[must_use]
    pub fn new(symbol: Symbol, interval: Interval) -> Self {
        Self { symbol: Some(symbol.into()), interval: Some(interval.into()), ..Self::default() }
    }

    /// Of the candles from `start` on.
    #[must_use]
    pub fn from(self, start: impl Into<FetchStart>) -> Self {
        Self { start: Some(start.into().into()), ..self }
    }

    /// Of those that open before `end`.
    #[must_use]
    pub fn until(self, end: Timestamp) -> Self {
        Self { end: Some(end.into()), ..self }
    }
}

/// What was found, and all that it depends on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StudyReport {
    /// The id of its task.
    pub study_id: TaskId,
    /// When it was computed.
    pub created_at: Timestamp,
    /// What was asked for.
    pub request: StudyRequestView,
    /// What was studied: open times on the grid, every one closed and verified.
    pub range: TimeSpan,
    /// Candles in it.
    pub candles: u64,
    /// Buckets in it that the exchange has no candle of.
    pub absent_buckets: u64,
    /// SHA-256 of what the coverage ledger said of the range.
    pub ledger: String,
    /// Version of the program that computed it.
    pub program: String,
    /// Version of the time zone database.
    pub time_zone_data: String,
    /// Calendar effects; null where not asked for.
    pub calendar: Option<CalendarReport>,
    /// Crossings of two moving averages; null where not asked for.
    pub sma_crossover: Option<StrategyReport>,
    /// Mean reversion; null where not asked for.
    pub mean_reversion: Option<StrategyReport>,
    /// Names of its charts: `GET /api/seasonality/{id}/charts/{name}.svg`.
    pub charts: Vec<String>,
    /// Its tables: `GET /api/seasonality/{id}?table={name}`.
    pub tables: Vec<StudyTable>,
}

/// A study, and whether its data has changed since.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StudyView {
    /// What was found.
    #[serde(flatten)]
    pub report: StudyReport,
    /// Whether the ledger now says something else of the range: candles were added, or ranges reopened.
    pub ledger_changed: bool,
    /// Candles of the range of which the exchange was seen to say something else since the study.
    pub corrections_since: u64,
}

/// A table of a study.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StudyTable {
    /// Every bucket of the calendar study.
    Buckets,
    /// The crossings; of more than 100,000 the oldest.
    SmaCrossoverSignals,
    /// Its trades; of more than 100,000 the oldest.
    SmaCrossoverTrades,
    /// Entries and exits of mean reversion; of more than 100,000 the oldest.
    MeanReversionSignals,
    /// Its trades; of more than 100,000 the oldest.
    MeanReversionTrades,
}

/// Rows that are kept of one table: the oldest. The report has the number of all.
pub const MAX_STUDY_TABLE_ROWS: usize = 100_000;
/// Rows of one page of a table.
pub const STUDY_TABLE_ROWS: usize = 1_000;

impl StudyTable {
    /// Every table.
    pub const ALL: [Self; 5] = [
        Self::Buckets,
        Self::SmaCrossoverSignals,
        Self::SmaCrossoverTrades,
        Self::MeanReversionSignals,
        Self::MeanReversionTrades,
    ];

    /// The table's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Buckets => "buckets",
            Self::SmaCrossoverSignals => "sma_crossover_signals",
            Self::SmaCrossoverTrades => "sma_crossover_trades",
            Self::MeanReversionSignals => "mean_reversion_signals",
            Self::MeanReversionTrades => "mean_reversion_trades",
        }
    }

    /// Where page `number` of it is stored.
    #[must_use]
    pub fn page(self, number: u64) -> String {
        format!("tables/{}/{number:06}", self.as_str())
    }
}

impl fmt::Display for StudyTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for StudyTable {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|table| table.as_str() == text).ok_or_else(|| {
            let all: Vec<_> = Self::ALL.iter().map(|table| table.as_str()).collect();
            format!("must be one of {}", all.join(", "))
        })
    }
}

/// What of a study, and in which form.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct StudyQuery {
    /// A table in place of the whole report.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<StudyTable>, example = "buckets")]
    pub table: Option<Given<StudyTable>>,
    /// With `table`: `json` a page of rows, `csv` and `arrow` the whole table; `json` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<TableFormat>, inline)]
    pub format: Option<Given<TableFormat>>,
    /// With `table` and `json`: `next_cursor` of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<u64>)]
    pub cursor: Option<Given<TablePage>>,
}

/// The number of a page.
pub type TablePage = super::number::Number<0, 999_999>;

/// Forms of a table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TableFormat {
    /// A page of objects.
    #[default]
    Json,
    /// Comma-separated values with a header.
    Csv,
    /// An Arrow IPC stream.
    Arrow,
}

/// A row of a table, in the form of the table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum TableRow {
    /// Of `sma_crossover_trades`, `mean_reversion_trades`.
    Trade(Trade),
    /// Of `sma_crossover_signals`, `mean_reversion_signals`.
    Signal(Signal),
    /// Of `buckets`.
    Bucket(Box<BucketRow>),
}

/// A bucket of a grouping by a measure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BucketRow {
    /// How observations are sorted.
    pub grouping: crate::study::Grouping,
    /// What is measured.
    pub measure: crate::study::Measure,
    /// The bucket's figures.
    #[serde(flatten)]
    pub bucket: crate::study::BucketReport,
}

/// A page of a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TableRows {
    /// Which table.
    pub table: StudyTable,
    /// Its rows.
    pub rows: Vec<TableRow>,
    /// `cursor` of the next page; null at the end.
    pub next_cursor: Option<u64>,
}

/// Which studies.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct StudyFilter {
    /// Only of this symbol.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<Symbol>, example = "BTCUSDT")]
    pub symbol: Option<Given<Symbol>>,
    /// Only of this interval.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<Interval>, example = "1h")]
    pub interval: Option<Given<Interval>>,
    /// `next_cursor` of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<TaskId>)]
    pub cursor: Option<Given<TaskId>>,
    /// Studies of this page; 50 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<PageLimit>, inline)]
    pub limit: Option<Given<PageLimit>>,
}

/// A page of studies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StudyList {
    /// The newest first.
    pub studies: Vec<StudySummary>,
    /// `cursor` of the next page; null at the end.
    pub next_cursor: Option<TaskId>,
}

/// A study in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StudySummary {
    /// The id of its task.
    pub study_id: TaskId,
    /// When it was computed.
    pub created_at: Timestamp,
    /// Where from.
    pub exchange: Exchange,
    /// What.
    pub symbol: Symbol,
    /// Length of the candles.
    pub interval: Interval,
    /// What was studied.
    pub range: TimeSpan,
    /// Candles in it.
    pub candles: u64,
    /// Names of its studies.
    pub studies: Vec<String>,
    /// Buckets whose return is stable, of the calendar study.
    pub stable: u64,
}
