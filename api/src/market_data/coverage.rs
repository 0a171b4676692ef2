//! `GET /api/market-data/coverage`: which ranges of a series are complete, and why buckets inside them are absent.

use crate::answer::Json;
use crate::caller::Admitted;
use crate::error::Problem;
use crate::input::Query;
use crate::market_data::series_query::{GivenSeries, SeriesQuery};
use crate::state::Shared;
use axum::extract::State;
use candlemill_market_store::Series;
use candlemill_shared::coverage::join_gaps;
use candlemill_shared::forms::{
    CorrectionView, CoverageQuery, CoverageReport, FieldErrors, GapLimit, GapView, VerifiedRange,
};
use candlemill_shared::{TimeRange, Timestamp};

const USUAL_LIMIT: u32 = 1_000;
/// Restated candles that one answer lists.
const CORRECTIONS: u32 = 100;

/// Show what is complete, and what is absent and why
#[utoipa::path(
    get, path = "/api/market-data/coverage", operation_id = "read_coverage", tag = "market data", params(CoverageQuery),
    responses((status = 200, description = "What is known of the series", body = CoverageReport)),
    security(("bearer" = []))
)]
pub async fn coverage(
    _: Admitted,
    State(state): State<Shared>,
    Query(query): Query<CoverageQuery>,
) -> Result<Json<CoverageReport>, Problem> {
    let Asked { series, within, after, limit } = read(query)?;
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
    let verified = verified.into_iter().map(|range| VerifiedRange {
        start: range.start.into(),
        end: range.end.into(),
        buckets: series.interval.count(range),
    });
    Ok(Json(CoverageReport {
        exchange: series.exchange,
        symbol: series.symbol.clone(),
        interval: series.interval,
        verified: verified.collect(),
        gaps: gaps.into_iter().map(GapView::from).collect(),
        next_cursor,
        corrections: corrections.into_iter().map(|one| CorrectionView { stored: one.stored, now: one.now }).collect(),
    }))
}

/// What was asked for, checked.
struct Asked {
    series: Series,
    within: TimeRange,
    /// Gaps that begin after this, UTC ms.
    after: Option<i64>,
    limit: u32,
}

fn read(query: CoverageQuery) -> Result<Asked, Problem> {
    let mut wrong = FieldErrors::default();
    let CoverageQuery { symbol, interval, start, end, cursor, limit } = query;
    // The cursor stands beside the start here: it is about the gaps alone.
    let after = wrong.optional("cursor", cursor).map(Timestamp::ms);
    let of = GivenSeries { symbol, interval, start, end, cursor: None }.read(&mut wrong);
    let limit = wrong.optional("limit", limit).map_or(USUAL_LIMIT, GapLimit::get);
    match of {
        Some(SeriesQuery { series, start, end }) if wrong.is_empty() => {
            Ok(Asked { series, within: TimeRange::new(start.unwrap_or(0), end), after, limit })
        }
        _ => Err(Problem::of_fields(wrong)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candlemill_shared::timestamp::LATEST_MS;

    type Expected<'a> = Result<(i64, i64, Option<i64>, u32), &'a [&'a str]>;

    fn check(pairs: &[(&str, &str)], expected: Expected<'_>) {
        let map: serde_json::Map<_, _> = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).into())).collect();
        match (read(serde_json::from_value(map.into()).unwrap()), expected) {
            (Ok(asked), Ok(expected)) => {
                let Asked { within, after, limit, .. } = asked;
                assert_eq!((within.start, within.end, after, limit), expected, "{pairs:?}");
            }
            (Err(problem), Err(fields)) => assert_eq!(problem.refused(), fields, "{pairs:?}"),
            _ => panic!("{pairs:?}"),
        }
    }

    #[test]
    fn queries() {
        let base = [("symbol", "BTCUSDT"), ("interval", "1h")];
        let with = |more: &[(&'static str, &'static str)]| [&base[..], more].concat();
        check(&base, Ok((0, LATEST_MS, None, 1_000)));
        check(&with(&[("start", "1970-01-01T00:00:05Z"), ("end", "9000")]), Ok((5_000, 9_000, None, 1_000)));
        check(&with(&[("cursor", "7"), ("limit", "10000")]), Ok((0, LATEST_MS, Some(7), 10_000)));
        check(&[], Err(&["symbol", "interval"]));
        check(&[("symbol", "BTC/USDT"), ("interval", "1H")], Err(&["symbol", "interval"]));
        check(&with(&[("start", "9"), ("end", "9")]), Err(&["start"]));
        check(&with(&[("limit", "0"), ("cursor", "next"), ("end", "-1")]), Err(&["cursor", "end", "limit"]));
        check(&with(&[("limit", "10001")]), Err(&["limit"]));
    }
}
