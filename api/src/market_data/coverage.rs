//! `GET /api/market-data/coverage`: which ranges of a series are complete, and why buckets inside them are absent.

use crate::caller::Admitted;
use crate::error::{Problem, ProblemDocument};
use crate::input::Query;
use crate::market_data::series_query::{series, time};
use crate::state::Shared;
use axum::Json;
use axum::extract::State;
use candlemill_market_store::Series;
use candlemill_shared::TimeRange;
use candlemill_shared::coverage::{Gap, join_gaps};
use candlemill_shared::range::rfc3339;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

const USUAL_LIMIT: u32 = 1_000;
const LARGEST_LIMIT: u32 = 10_000;
const END_OF_TIME: i64 = 9_999_999_999_999;
/// Restated candles that one answer lists.
const CORRECTIONS: u32 = 100;

/// Of what.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct CoverageQuery {
    /// The exchange's symbol.
    #[param(required, example = "BTCUSDT")]
    symbol: Option<String>,
    /// Length of the candles.
    #[param(required, example = "1h")]
    interval: Option<String>,
    /// RFC 3339 or UTC milliseconds; absent: from the beginning.
    start: Option<String>,
    /// Exclusive; absent: to the end.
    end: Option<String>,
    /// `next_cursor` of the answer before.
    cursor: Option<String>,
    /// Gaps of this answer, 1 to 10000; 1000 when absent. One that reaches in from before `start` comes on top.
    limit: Option<String>,
}

/// What is known to be complete, and what is known to be absent.
#[derive(Debug, Serialize, ToSchema)]
pub struct CoverageReport {
    /// The exchange.
    #[schema(example = "binance")]
    exchange: &'static str,
    /// The symbol.
    symbol: String,
    /// Length of the candles.
    interval: &'static str,
    /// Complete ranges, ascending: every bucket holds a stored candle or stands in a gap.
    verified: Vec<RangeView>,
    /// Absent buckets, ascending, whole where they reach over the range's edges. Those `unpublished` or `fetch_failed` lie
    /// outside of the verified ranges.
    gaps: Vec<GapView>,
    /// For the next gaps; null at the end.
    next_cursor: Option<String>,
    /// Stored candles of which the exchange later gave other figures: `stored` and `now`, which is null where it gives the row
    /// no more; at most 100.
    corrections: Vec<Value>,
}

/// A range of open times.
#[derive(Debug, Serialize, ToSchema)]
pub struct RangeView {
    /// First open time, RFC 3339.
    start: String,
    /// First open time after, RFC 3339.
    end: String,
    /// Buckets inside.
    buckets: u64,
}

/// Neighbouring absent buckets.
#[derive(Debug, Serialize, ToSchema)]
pub struct GapView {
    /// First open time, RFC 3339.
    start: String,
    /// First open time after, RFC 3339.
    end: String,
    /// Absent buckets.
    buckets: u64,
    /// outage, before_listing, halted, unpublished or fetch_failed.
    #[schema(value_type = String, example = "outage")]
    reason: candlemill_shared::coverage::GapReason,
    /// When the exchange was first seen to lack them, RFC 3339; null: not known, as of gaps recorded by versions before 0.2.
    seen_at: Option<String>,
    /// When the exchange last said so, RFC 3339; null as above.
    confirmed_at: Option<String>,
}

/// What is known of a series.
#[utoipa::path(
    get, path = "/api/market-data/coverage", tag = "market data", params(CoverageQuery),
    responses(
        (status = 200, body = CoverageReport),
        (status = 400, description = "`invalid_request`: every parameter that is wrong", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 401, description = "No valid token", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 429, description = "`too_many_requests`", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "`store_unavailable`", body = ProblemDocument, content_type = "application/problem+json"),
    ),
    security(("bearer" = []))
)]
pub async fn coverage(
    _: Admitted,
    State(state): State<Shared>,
    Query(query): Query<CoverageQuery>,
) -> Result<Json<CoverageReport>, Problem> {
    let (series, within, after, limit) = read(&query)?;
    let ledger = state.market.coverage();
    let verified = ledger.verified(&series, within).await?;
    let mut gaps = ledger.gaps(&series, within, after, limit).await?;
    // The first page begins with what reaches in from before the range: its buckets are absent from it too.
    if after.is_none()
        && let Some(over) = ledger.gap_over(&series, within.start).await?
    {
        gaps.insert(0, over);
        gaps = join_gaps(gaps);
    }
    // Neighbours were joined, so fewer than the limit may still be a full page: the last start tells where to go on.
    let next_cursor = match gaps.last() {
        Some(last) => {
            let left = ledger.count_gaps(&series, TimeRange::new(last.range.end, within.end)).await?;
            (left > 0).then(|| (last.range.end - 1).to_string())
        }
        None => None,
    };
    let corrections = ledger.corrections(&series, within, CORRECTIONS).await?;
    let view = |range: &TimeRange| RangeView {
        start: rfc3339(range.start),
        end: rfc3339(range.end),
        buckets: series.interval.count(*range),
    };
    Ok(Json(CoverageReport {
        exchange: series.exchange.as_str(),
        symbol: series.symbol.to_string(),
        interval: series.interval.as_str(),
        verified: verified.iter().map(view).collect(),
        gaps: gaps.into_iter().map(gap_view).collect(),
        next_cursor,
        corrections: corrections.iter().map(|correction| serde_json::json!(correction)).collect(),
    }))
}

fn gap_view(gap: Gap) -> GapView {
    GapView {
        start: rfc3339(gap.range.start),
        end: rfc3339(gap.range.end),
        buckets: gap.buckets,
        reason: gap.reason,
        seen_at: gap.seen_at.map(rfc3339),
        confirmed_at: gap.confirmed_at.map(rfc3339),
    }
}

fn read(query: &CoverageQuery) -> Result<(Series, TimeRange, Option<i64>, u32), Problem> {
    let mut wrong = Problem::invalid_request();
    let series = series(query.symbol.as_deref(), query.interval.as_deref(), &mut wrong);
    let mut time = |field: &str, text: &Option<String>| time(field, text.as_deref(), &mut wrong);
    let (start, end, after) = (time("start", &query.start), time("end", &query.end), time("cursor", &query.cursor));
    let limit = query.limit.as_deref().map_or(Some(USUAL_LIMIT), |text| text.parse().ok());
    let limit = limit.filter(|limit| (1..=LARGEST_LIMIT).contains(limit));
    if limit.is_none() {
        wrong.refuse("limit", format!("must be a number from 1 to {LARGEST_LIMIT}"));
    }
    let within = TimeRange::new(start.unwrap_or(0), end.unwrap_or(END_OF_TIME));
    if within.is_empty() {
        wrong.refuse("start", "must lie before end".to_owned());
    }
    match (series, limit) {
        (Some(series), Some(limit)) if !wrong.has_fields() => Ok((series, within, after, limit)),
        _ => Err(wrong.detail("See errors for each parameter.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Expected<'a> = Result<(i64, i64, Option<i64>, u32), &'a [&'a str]>;

    fn check(pairs: &[(&str, &str)], expected: Expected<'_>) {
        let map: serde_json::Map<_, _> = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).into())).collect();
        match (read(&serde_json::from_value(map.into()).unwrap()), expected) {
            (Ok((_, within, after, limit)), Ok(expected)) => {
                assert_eq!((within.start, within.end, after, limit), expected, "{pairs:?}");
            }
            (Err(problem), Err(fields)) => {
                let shown = format!("{problem:?}");
                assert_eq!(shown.matches("field: ").count(), fields.len(), "{shown}");
                assert!(fields.iter().all(|field| shown.contains(&format!("field: \"{field}\""))), "{shown}");
            }
            (got, _) => panic!("{pairs:?}: {got:?}"),
        }
    }

    #[test]
    fn queries() {
        let base = [("symbol", "BTCUSDT"), ("interval", "1h")];
        let with = |more: &[(&'static str, &'static str)]| [&base[..], more].concat();
        check(&base, Ok((0, END_OF_TIME, None, 1_000)));
        check(&with(&[("start", "1970-01-01T00:00:05Z"), ("end", "9000")]), Ok((5_000, 9_000, None, 1_000)));
        check(&with(&[("cursor", "7"), ("limit", "10000")]), Ok((0, END_OF_TIME, Some(7), 10_000)));
        check(&[], Err(&["symbol", "interval"]));
        check(&[("symbol", "BTC/USDT"), ("interval", "1H")], Err(&["symbol", "interval"]));
        check(&with(&[("start", "9"), ("end", "9")]), Err(&["start"]));
        check(&with(&[("limit", "0"), ("cursor", "next"), ("end", "-1")]), Err(&["limit", "cursor", "end"]));
        check(&with(&[("limit", "10001")]), Err(&["limit"]));
    }
}
