//! `GET /api/market-data/klines`: stored candles, streamed.

mod negotiation;

use crate::caller::Admitted;
use crate::error::{Problem, ProblemDocument};
use crate::input::Query;
use crate::market_data::series_query::{series, time};
use crate::state::{AppState, Shared};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use candlemill_columnar::{ColumnarError, Format};
use candlemill_db::StoreError;
use candlemill_market_store::Series;
use candlemill_shared::{Candle, TimeRange};
use futures::{Stream, StreamExt, TryStreamExt};
use negotiation::{accepted, content_type, is_paged};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

const USUAL_LIMIT: u64 = 1_000;
const LARGEST_LIMIT: u64 = 100_000;
/// Corrections that one answer counts.
const MAX_CORRECTIONS: u32 = 100;
/// Candles that are written at once.
const CHUNK: usize = 1_000;
/// The last time that ids of candles hold.
const END_OF_TIME: i64 = 9_999_999_999_999;

/// Which candles.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct KlinesQuery {
    /// The exchange's symbol.
    #[param(required, example = "BTCUSDT")]
    symbol: Option<String>,
    /// Length of the candles.
    #[param(required, example = "1m")]
    interval: Option<String>,
    /// First open time: RFC 3339 or UTC milliseconds. Absent: the newest `limit` candles before `end`.
    start: Option<String>,
    /// First open time that is no longer wanted. Absent: all there is.
    end: Option<String>,
    /// Candles of this answer, 1 to 100000. Absent: 1000 as JSON, all of the range as CSV and Arrow. Candles that are
    /// stored while the answer is written come on top.
    limit: Option<String>,
    /// `X-Next-Cursor` of the answer before; takes the place of `start`.
    cursor: Option<String>,
    /// `json` (arrays in the exchange's order, default), `objects`, `csv` or `arrow` (IPC stream).
    format: Option<String>,
}

/// Bytes of an Arrow IPC stream: times as `timestamp(ms, UTC)`, figures as `decimal128(38, 18)`, trades as `uint64`.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "describes a body for the document; the body itself is streamed")]
struct ArrowStream(Vec<u8>);

/// What was asked for, checked.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    series: Series,
    start: Option<i64>,
    end: i64,
    limit: Option<u64>,
    format: Format,
}

/// Stored candles, ascending by open time. Decimals are texts, to the digit as the exchange printed them.
///
/// An answer that is cut off was not all: a store that fails in mid-stream breaks the connection.
#[utoipa::path(
    get, path = "/api/market-data/klines", tag = "market data", params(KlinesQuery),
    responses(
        (
            status = 200, description = "Candles, ascending; `X-Next-Cursor` and `Link` only where a limit leaves candles over",
            content((Vec<serde_json::Value> = "application/json"), (String = "text/csv"), (ArrowStream = "application/vnd.apache.arrow.stream")),
            headers(("X-Next-Cursor" = String, description = "`cursor` of the next page"), ("Link" = String, description = "`rel=\"next\"`: the next page"),
                ("X-Corrections" = u32, description = "Candles within the answer's range of which the exchange later gave other figures, at most 100; absent when there are none. The coverage call lists them")),
        ),
        (status = 400, description = "`invalid_request`: every parameter that is wrong", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 401, description = "No valid token", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 429, description = "`too_many_requests`", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "`store_unavailable`", body = ProblemDocument, content_type = "application/problem+json"),
    ),
    security(("bearer" = []))
)]
pub async fn klines(
    _: Admitted,
    State(state): State<Shared>,
    headers: HeaderMap,
    Query(query): Query<KlinesQuery>,
) -> Result<Response, Problem> {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let asked = read(&query, accept)?;
    let range = match asked.start {
        Some(start) => TimeRange::new(start, asked.end),
        None => newest(&state, &asked).await?,
    };
    let mut history = state.market.history(&asked.series, range).await?;
    let next = match asked.limit {
        Some(limit) => history.open_after(limit).await?,
        None => None,
    };
    // The page ends where the next one begins, by time. Cut by number it would end sooner when a worker stores candles
    // between the count and the reading, and what lies before the next page would be in neither.
    if let Some(next) = next {
        history = state.market.history(&asked.series, TimeRange::new(range.start, next)).await?;
    }
    let answered = TimeRange::new(range.start, next.unwrap_or(range.end));
    let corrections = state.market.coverage().corrections(&asked.series, answered, MAX_CORRECTIONS).await?.len();
    let stream = history.stream(None);
    let mut response = Response::new(Body::from_stream(written(stream, asked.format)));
    let kind = HeaderValue::from_static(content_type(asked.format));
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    if query.format.is_none() {
        response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
    }
    if corrections > 0 {
        response.headers_mut().insert(HeaderName::from_static("x-corrections"), HeaderValue::from(corrections));
    }
    if let Some(next) = next {
        tell_next(&query, next, response.headers_mut());
    }
    Ok(response)
}

/// The range that holds the newest candles before the end: at least `limit` buckets of it, gaps not counted.
async fn newest(state: &AppState, asked: &Asked) -> Result<TimeRange, Problem> {
    let limit = i64::try_from(asked.limit.unwrap_or(USUAL_LIMIT)).unwrap_or(i64::MAX);
    let all = TimeRange::new(0, asked.end);
    let last = state.market.history(&asked.series, all).await?.newest().await?;
    Ok(last.map_or(TimeRange::new(0, 0), |last| {
        let interval = asked.series.interval;
        let first = interval.advance(interval.bucket_start(last), 1 - limit);
        TimeRange::new(first.max(0), asked.end)
    }))
}

/// Why an answer breaks after its first bytes. The status is sent by then, so the connection is broken instead.
#[derive(Debug, thiserror::Error)]
enum BrokenAnswer {
    /// The store failed while it was read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A stored candle that the asked form cannot hold.
    #[error(transparent)]
    Form(#[from] ColumnarError),
}

fn written(
    candles: impl Stream<Item = Result<Candle, StoreError>> + Send + 'static,
    format: Format,
) -> impl Stream<Item = Result<Bytes, BrokenAnswer>> + Send {
    enum Step {
        Rows(Vec<Candle>),
        End,
    }
    let chunks = candles.try_ready_chunks(CHUNK).map_err(|failed| failed.1).map_ok(Step::Rows);
    let mut writer = format.writer();
    chunks.chain(futures::stream::iter([Ok(Step::End)])).map(move |step| {
        let mut out = BytesMut::new();
        match step? {
            Step::Rows(candles) => writer.rows(&candles, &mut out)?,
            Step::End => writer.end(&mut out)?,
        }
        Ok(out.freeze())
    })
}

fn read(query: &KlinesQuery, accept: Option<&str>) -> Result<Asked, Problem> {
    let mut wrong = Problem::invalid_request();
    let series = series(query.symbol.as_deref(), query.interval.as_deref(), &mut wrong);
    let mut time = |field: &str, text: &Option<String>| time(field, text.as_deref(), &mut wrong);
    let (start, end, cursor) = (time("start", &query.start), time("end", &query.end), time("cursor", &query.cursor));
    let format = match query.format.as_deref() {
        Some(name) => Format::named(name),
        None => Some(accepted(accept)),
    };
    if format.is_none() {
        wrong.refuse("format", "must be json, objects, csv or arrow".to_owned());
    }
    let limit = query.limit.as_deref().map(|text| text.parse().ok().filter(|n| (1..=LARGEST_LIMIT).contains(n)));
    if limit == Some(None) {
        wrong.refuse("limit", format!("must be a number from 1 to {LARGEST_LIMIT}"));
    }
    let (from, start) = if cursor.is_some() { ("cursor", cursor) } else { ("start", start) };
    if let (Some(start), Some(end)) = (start, end)
        && start >= end
    {
        wrong.refuse(from, "must lie before end".to_owned());
    }
    match (series, format) {
        (Some(series), Some(format)) if !wrong.has_fields() => Ok(Asked {
            series,
            start,
            end: end.unwrap_or(END_OF_TIME),
            limit: limit.flatten().or_else(|| is_paged(format).then_some(USUAL_LIMIT)),
            format,
        }),
        _ => Err(wrong.detail("See errors for each parameter.")),
    }
}

fn tell_next(query: &KlinesQuery, next: i64, headers: &mut HeaderMap) {
    let mut pairs = url::form_urlencoded::Serializer::new(String::new());
    let given = [
        ("symbol", &query.symbol),
        ("interval", &query.interval),
        ("end", &query.end),
        ("limit", &query.limit),
        ("format", &query.format),
    ];
    for (name, value) in given {
        if let Some(value) = value {
            pairs.append_pair(name, value);
        }
    }
    let link =
        format!("</api/market-data/klines?{}>; rel=\"next\"", pairs.append_pair("cursor", &next.to_string()).finish());
    headers.insert(HeaderName::from_static("x-next-cursor"), HeaderValue::from(next));
    if let Ok(link) = HeaderValue::from_str(&link) {
        headers.insert(header::LINK, link);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> KlinesQuery {
        let map: serde_json::Map<_, _> = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).into())).collect();
        serde_json::from_value(map.into()).unwrap()
    }

    type Expected<'a> = Result<(Option<i64>, i64, Option<u64>, Format), &'a [&'a str]>;

    fn check(pairs: &[(&str, &str)], expected: Expected<'_>) {
        match (read(&of(pairs), None), expected) {
            (Ok(asked), Ok(expected)) => {
                assert_eq!((asked.start, asked.end, asked.limit, asked.format), expected, "{pairs:?}");
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
        let base = [("symbol", "BTCUSDT"), ("interval", "1m")];
        let with = |more: &[(&'static str, &'static str)]| [&base[..], more].concat();
        check(&base, Ok((None, END_OF_TIME, Some(1_000), Format::Json)));
        check(&with(&[("start", "5"), ("end", "9"), ("limit", "7")]), Ok((Some(5), 9, Some(7), Format::Json)));
        check(&with(&[("format", "csv"), ("start", "5")]), Ok((Some(5), END_OF_TIME, None, Format::Csv)));
        check(&with(&[("start", "5"), ("cursor", "8")]), Ok((Some(8), END_OF_TIME, Some(1_000), Format::Json)));
        check(&[], Err(&["symbol", "interval"]));
        check(&with(&[("start", "9"), ("end", "9")]), Err(&["start"]));
        check(&with(&[("start", "5"), ("cursor", "9"), ("end", "9")]), Err(&["cursor"]));
        check(&with(&[("start", "9"), ("cursor", "5"), ("end", "9")]), Ok((Some(5), 9, Some(1_000), Format::Json)));
        check(&with(&[("limit", "0"), ("format", "xml"), ("end", "soon")]), Err(&["limit", "format", "end"]));
        check(&with(&[("limit", "100001"), ("cursor", "x")]), Err(&["limit", "cursor"]));
    }

    #[test]
    fn the_next_page_is_named() {
        let mut headers = HeaderMap::new();
        tell_next(&of(&[("symbol", "BTCUSDT"), ("interval", "1m"), ("limit", "2")]), 42, &mut headers);
        let link = "</api/market-data/klines?symbol=BTCUSDT&interval=1m&limit=2&cursor=42>; rel=\"next\"";
        assert_eq!((headers["x-next-cursor"].to_str().unwrap(), headers["link"].to_str().unwrap()), ("42", link));
    }

    fn candle(open_time: i64, figure: &str) -> Candle {
        let figure = figure.parse().unwrap();
        Candle {
            open_time,
            open: figure,
            high: figure,
            low: figure,
            close: figure,
            volume: figure,
            close_time: open_time + 59_999,
            quote_volume: figure,
            trades: 493,
            taker_buy_volume: figure,
            taker_buy_quote_volume: figure,
        }
    }

    fn candles() -> impl Iterator<Item = Result<Candle, StoreError>> + Send + 'static {
        (1..=2_500).map(|open| Ok(candle(open, "7195.24000000")))
    }

    /// Whether the candles arrive as a whole body, or as one that breaks.
    async fn arrives(
        candles: impl Iterator<Item = Result<Candle, StoreError>> + Send + 'static,
        format: Format,
    ) -> bool {
        let body = Body::from_stream(written(futures::stream::iter(candles), format));
        axum::body::to_bytes(body, usize::MAX).await.is_ok()
    }

    /// Whether an answer whose store fails after some candles can be told from a whole one.
    #[tokio::test]
    async fn a_store_that_fails_in_mid_stream_breaks_the_answer() {
        for format in [Format::Json, Format::Objects, Format::Csv, Format::Arrow] {
            let failure = StoreError::Corrupt { what: "a candle".to_owned(), why: "cut off".to_owned() };
            assert!(arrives(candles(), format).await, "{format:?}");
            assert!(!arrives(candles().chain([Err(failure)]), format).await, "{format:?}");
        }
    }

    /// JSON and CSV take a figure of any number of places, the columns of Arrow at most 18.
    #[tokio::test]
    async fn a_figure_that_its_form_cannot_hold_breaks_the_answer() {
        for (format, whole) in [(Format::Json, true), (Format::Csv, true), (Format::Arrow, false)] {
            let fine = candle(2_501, "0.1234567890123456789");
            assert_eq!(arrives(candles().chain([Ok(fine)]), format).await, whole, "{format:?}");
        }
    }
}
