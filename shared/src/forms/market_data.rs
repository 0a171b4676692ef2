//! Stored candles and what is known of them.

use super::given::Given;
use super::number::Number;
use crate::candle::Candle;
use crate::coverage::{Gap, GapReason};
use crate::interval::Interval;
use crate::range::TimeRange;
use crate::symbol::{Exchange, Symbol};
use crate::timestamp::{GivenTime, Timestamp};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AnyOfBuilder, ArrayBuilder, ObjectBuilder, Schema, Type};
use utoipa::{IntoParams, PartialSchema, ToSchema};

/// A span of open times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TimeSpan {
    /// First open time.
    pub start: Timestamp,
    /// First open time after.
    pub end: Timestamp,
}

impl From<TimeRange> for TimeSpan {
    fn from(range: TimeRange) -> Self {
        Self { start: range.start.into(), end: range.end.into() }
    }
}

/// A range whose every bucket holds a stored candle or stands in a gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VerifiedRange {
    /// First open time.
    pub start: Timestamp,
    /// First open time after.
    pub end: Timestamp,
    /// Buckets inside.
    pub buckets: u64,
}

/// Neighbouring absent buckets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GapView {
    /// First open time.
    pub start: Timestamp,
    /// First open time after.
    pub end: Timestamp,
    /// Absent buckets.
    pub buckets: u64,
    /// Why they are absent.
    pub reason: GapReason,
    /// When the exchange was first seen to lack them; null: not known, as of gaps recorded by versions before 0.2.
    pub seen_at: Option<Timestamp>,
    /// When the exchange last said so; null as above.
    pub confirmed_at: Option<Timestamp>,
}

impl From<Gap> for GapView {
    fn from(gap: Gap) -> Self {
        Self {
            start: gap.range.start.into(),
            end: gap.range.end.into(),
            buckets: gap.buckets,
            reason: gap.reason,
            seen_at: gap.seen_at.map(Timestamp::from),
            confirmed_at: gap.confirmed_at.map(Timestamp::from),
        }
    }
}

/// Of which series the coverage is asked, and which part of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CoverageQuery {
    /// The exchange's symbol.
    #[param(required, value_type = Symbol, example = "BTCUSDT")]
    pub symbol: Option<Given<Symbol>>,
    /// Length of the candles.
    #[param(required, value_type = Interval, example = "1h")]
    pub interval: Option<Given<Interval>>,
    /// First open time; absent: from the beginning.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<GivenTime>)]
    pub start: Option<Given<Timestamp>>,
    /// Exclusive; absent: to the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<GivenTime>)]
    pub end: Option<Given<Timestamp>>,
    /// `next_cursor` of the answer before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<GivenTime>)]
    pub cursor: Option<Given<Timestamp>>,
    /// Gaps of this answer; 1000 when absent. One that reaches in from before `start` comes on top.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<GapLimit>, inline)]
    pub limit: Option<Given<GapLimit>>,
}

/// How many gaps one answer may have.
pub type GapLimit = Number<1, 10_000>;

/// What is known to be complete, and what is known to be absent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CoverageReport {
    /// The exchange.
    pub exchange: Exchange,
    /// The symbol.
    pub symbol: Symbol,
    /// Length of the candles.
    pub interval: Interval,
    /// Complete ranges, ascending: every bucket holds a stored candle or stands in a gap.
    pub verified: Vec<VerifiedRange>,
    /// Absent buckets, ascending, whole where they reach over the range's edges. Those `unpublished` or `fetch_failed` lie
    /// outside of the verified ranges.
    pub gaps: Vec<GapView>,
    /// `cursor` of the next gaps; null at the end.
    pub next_cursor: Option<String>,
    /// Stored candles of which the exchange later gave other figures; at most 100.
    pub corrections: Vec<CorrectionView>,
}

/// A stored candle of which the exchange later gave other figures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CorrectionView {
    /// As it is stored.
    pub stored: Candle,
    /// As the exchange gave it later; null where it gives the row no more.
    pub now: Option<Candle>,
}

/// How stored candles are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum CandleFormat {
    /// Arrays of twelve in the exchange's order.
    Json,
    /// Objects.
    Objects,
    /// A header line, and a line for each candle.
    Csv,
    /// Arrow IPC stream.
    Arrow,
}

/// Which candles.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct KlinesQuery {
    /// The exchange's symbol.
    #[param(required, value_type = Symbol, example = "BTCUSDT")]
    pub symbol: Option<Given<Symbol>>,
    /// Length of the candles.
    #[param(required, value_type = Interval, example = "1m")]
    pub interval: Option<Given<Interval>>,
    /// First open time. Absent: the newest `limit` candles before `end`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<GivenTime>)]
    pub start: Option<Given<Timestamp>>,
    /// First open time that is no longer wanted. Absent: all there is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<GivenTime>)]
    pub end: Option<Given<Timestamp>>,
    /// Candles of this answer. Absent: 1000 as JSON, all of the range as CSV and Arrow. Candles that are stored while the answer
    /// is written come on top.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<CandleLimit>, inline)]
    pub limit: Option<Given<CandleLimit>>,
    /// `X-Next-Cursor` of the answer before; takes the place of `start`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<GivenTime>)]
    pub cursor: Option<Given<Timestamp>>,
    /// How they are written. Absent: as `Accept` says, else `json`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<CandleFormat>, inline)]
    pub format: Option<Given<CandleFormat>>,
}

/// How many candles one answer may have.
pub type CandleLimit = Number<1, 100_000>;

/// A candle as an array of twelve, in the exchange's order: a schema alone.
#[derive(Debug)]
pub struct KlineRow;

impl PartialSchema for KlineRow {
    fn schema() -> RefOr<Schema> {
        let time = |text| ObjectBuilder::new().schema_type(Type::Integer).description(Some(text));
        let figure = |text| ObjectBuilder::new().schema_type(Type::String).description(Some(text));
        let columns: Vec<Schema> = vec![
            time("open time, UTC ms").into(),
            figure("open, quote asset").into(),
            figure("high, quote asset").into(),
            figure("low, quote asset").into(),
            figure("close, quote asset").into(),
            figure("volume, base asset").into(),
            time("close time, UTC ms").into(),
            figure("quote volume, quote asset").into(),
            time("number of trades").into(),
            figure("taker buy volume, base asset").into(),
            figure("taker buy quote volume, quote asset").into(),
            figure("unused: `0`").into(),
        ];
        let length = columns.len();
        ArrayBuilder::new()
            .prefix_items(columns)
            // There are none beyond those, and a generator of clients does not take the plain `false`.
            .items(
                AnyOfBuilder::new()
                    .item(ObjectBuilder::new().schema_type(Type::Integer))
                    .item(ObjectBuilder::new().schema_type(Type::String)),
            )
            .min_items(Some(length))
            .max_items(Some(length))
            .description(Some(
                "A candle in the exchange's order. Decimals are texts, to the digit as the exchange printed them.",
            ))
            .into()
    }
}

impl ToSchema for KlineRow {
    fn name() -> Cow<'static, str> {
        "KlineRow".into()
    }
}
