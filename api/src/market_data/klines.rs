//! `GET /api/market-data/klines`: stored candles, streamed.

mod negotiation;

use crate::caller::Admitted;
use crate::error::Problem;
use crate::input::Query;
use crate::market_data::series_query::{GivenSeries, SeriesQuery};
use crate::state::{AppState, Shared};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use candlemill_columnar::{ColumnarError, Format};
use candlemill_db::StoreError;
use candlemill_shared::forms::{CandleFormat, FieldErrors, KlineRow, KlinesQuery};
use candlemill_shared::{Candle, TimeRange, Timestamp};
use futures::{Stream, StreamExt, TryStreamExt};
use negotiation::{accepted, content_type, is_paged};
use std::borrow::Cow;
use utoipa::openapi::schema::{AnyOfBuilder, ArrayBuilder, Schema};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

const USUAL_LIMIT: u64 = 1_000;
/// Corrections that one answer counts.
const MAX_CORRECTIONS: u32 = 100;
/// Candles that are written at once.
const CHUNK: usize = 1_000;

/// Bytes of an Arrow IPC stream: times as `timestamp(ms, UTC)`, figures as `decimal128(38, 18)`, trades as `uint64`.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "describes a body for the document; the body itself is streamed")]
struct ArrowStream(Vec<u8>);

/// Lines of text: a header, then one for each candle: a schema alone.
#[derive(ToSchema)]
#[schema(value_type = String, example = "open_time,open,high,low,close,volume,close_time,quote_volume,trades,taker_buy_volume,taker_buy_quote_volume,ignore\n1577836800000,7195.24000000,7196.25000000,7183.14000000,7186.68000000,51.64281200,1577836859999,371233.51835535,493,19.59823000,140888.41428273,0\n")]
#[expect(dead_code, reason = "describes a body for the document; the body itself is streamed")]
struct CandleLines(String);

/// Candles as arrays or as objects: a schema alone.
struct CandleRows;

impl PartialSchema for CandleRows {
    fn schema() -> RefOr<Schema> {
        let list = |name| ArrayBuilder::new().items(Ref::from_schema_name(name)).build();
        AnyOfBuilder::new()
            .item(list(KlineRow::name()))
            .item(list(Candle::name()))
            .description(Some("Candles as arrays (`json`), or as objects (`objects`)."))
            .into()
    }
}

impl ToSchema for CandleRows {
    fn name() -> Cow<'static, str> {
        "CandleRows".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((KlineRow::name().into_owned(), KlineRow::schema()));
        schemas.push((Candle::name().into_owned(), Candle::schema()));
    }
}

/// What was asked for, checked.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    of: SeriesQuery,
    limit: Option<u64>,
    format: Format,
}

/// Read stored candles
///
/// Ascending by open time. Decimals are texts, to the digit as the exchange printed them. An answer that is cut off was not all: a
/// store that fails in mid-stream breaks the connection.
#[utoipa::path(
    get, path = "/api/market-data/klines", operation_id = "read_klines", tag = "market data", params(KlinesQuery),
    responses(
        (
            status = 200, description = "Candles, ascending; `X-Next-Cursor` and `Link` only where a limit leaves candles over",
            content((CandleRows = "application/json"), (CandleLines = "text/csv"), (ArrowStream = "application/vnd.apache.arrow.stream")),
            headers(
                ("X-Next-Cursor" = Option<String>, description = "`cursor` of the next page"),
                ("Link" = Option<String>, description = "`rel=\"next\"`: the next page"),
                ("X-Corrections" = Option<u32>, description = "Candles within the answer's range of which the exchange later gave other figures, at most 100; absent when there are none. The coverage call lists them"),
            ),
        ),
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
    let asked = read(query.clone(), accept)?;
    let range = match asked.of.start {
        Some(_) => asked.of.range(),
        None => newest(&state, &asked).await?,
    };
    let mut history = state.market.history(&asked.of.series, range).await?;
    let next = match asked.limit {
        Some(limit) => history.open_after(limit).await?,
        None => None,
    };
    // The page ends where the next one begins, by time. Cut by number it would end sooner when a worker stores candles
    // between the count and the reading, and what lies before the next page would be in neither.
    if let Some(next) = next {
        history = state.market.history(&asked.of.series, TimeRange::new(range.start, next)).await?;
    }
    let answered = TimeRange::new(range.start, next.unwrap_or(range.end));
    let corrections = state.market.coverage().corrections(&asked.of.series, answered, MAX_CORRECTIONS).await?.len();
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
    let last = state.market.history(&asked.of.series, asked.of.range()).await?.newest().await?;
    Ok(last.map_or(TimeRange::new(0, 0), |last| {
        let interval = asked.of.series.interval;
        let first = interval.advance(interval.bucket_start(last), 1 - limit);
        TimeRange::new(first.max(0), asked.of.end)
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

fn read(query: KlinesQuery, accept: Option<&str>) -> Result<Asked, Problem> {
    let mut wrong = FieldErrors::default();
    let KlinesQuery { symbol, interval, start, end, limit, cursor, format } = query;
    let of = GivenSeries { symbol, interval, start, end, cursor }.read(&mut wrong);
    let format = wrong.optional("format", format).map_or_else(|| accepted(accept), written_as);
    let limit = wrong.optional("limit", limit).map(|limit| u64::from(limit.get()));
    match of {
        Some(of) if wrong.is_empty() => {
            Ok(Asked { of, limit: limit.or_else(|| is_paged(format).then_some(USUAL_LIMIT)), format })
        }
        _ => Err(Problem::of_fields(wrong)),
    }
}

const fn written_as(format: CandleFormat) -> Format {
    match format {
        CandleFormat::Json => Format::Json,
        CandleFormat::Objects => Format::Objects,
        CandleFormat::Csv => Format::Csv,
        CandleFormat::Arrow => Format::Arrow,
    }
}

fn tell_next(query: &KlinesQuery, next: i64, headers: &mut HeaderMap) {
    // The query as it came, but for the cursor: it has been read, so it is written as it was understood.
    let next_page = KlinesQuery { start: None, cursor: Some(Timestamp::from(next).into()), ..query.clone() };
    let Ok(members) = serde_json::to_value(next_page) else { return };
    let mut pairs = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in members.as_object().into_iter().flatten() {
        match (name.as_str(), value.as_str()) {
            ("cursor", _) => pairs.append_pair(name, &next.to_string()),
            (_, Some(text)) => pairs.append_pair(name, text),
            (_, None) => pairs.append_pair(name, &value.to_string()),
        };
    }
    let link = format!("</api/market-data/klines?{}>; rel=\"next\"", pairs.finish());
    headers.insert(HeaderName::from_static("x-next-cursor"), HeaderValue::from(next));
    if let Ok(link) = HeaderValue::from_str(&link) {
        headers.insert(header::LINK, link);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candlemill_shared::timestamp::LATEST_MS;

    fn of(pairs: &[(&str, &str)]) -> KlinesQuery {
        let map: serde_json::Map<_, _> = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).into())).collect();
        serde_json::from_value(map.into()).unwrap()
    }

    type Expected<'a> = Result<(Option<i64>, i64, Option<u64>, Format), &'a [&'a str]>;

    fn check(pairs: &[(&str, &str)], expected: Expected<'_>) {
        match (read(of(pairs), None), expected) {
            (Ok(asked), Ok(expected)) => {
                assert_eq!((asked.of.start, asked.of.end, asked.limit, asked.format), expected, "{pairs:?}");
            }
            (Err(problem), Err(fields)) => assert_eq!(problem.refused(), fields, "{pairs:?}"),
            (got, _) => panic!("{pairs:?}: {got:?}"),
        }
    }

    #[test]
    fn queries() {
        let base = [("symbol", "BTCUSDT"), ("interval", "1m")];
        let with = |more: &[(&'static str, &'static str)]| [&base[..], more].concat();
        check(&base, Ok((None, LATEST_MS, Some(1_000), Format::Json)));
        check(&with(&[("start", "5"), ("end", "9"), ("limit", "7")]), Ok((Some(5), 9, Some(7), Format::Json)));
        check(&with(&[("format", "csv"), ("start", "5")]), Ok((Some(5), LATEST_MS, None, Format::Csv)));
        check(&with(&[("start", "5"), ("cursor", "8")]), Ok((Some(8), LATEST_MS, Some(1_000), Format::Json)));
        check(&[], Err(&["symbol", "interval"]));
        check(&with(&[("start", "9"), ("end", "9")]), Err(&["start"]));
        check(&with(&[("start", "5"), ("cursor", "9"), ("end", "9")]), Err(&["cursor"]));
        check(&with(&[("start", "9"), ("cursor", "5"), ("end", "9")]), Ok((Some(5), 9, Some(1_000), Format::Json)));
        check(&with(&[("limit", "0"), ("format", "xml"), ("end", "soon")]), Err(&["end", "format", "limit"]));
        check(&with(&[("limit", "100001"), ("cursor", "x")]), Err(&["cursor", "limit"]));
    }

    #[test]
    fn the_next_page_is_named() {
        let mut headers = HeaderMap::new();
        tell_next(&of(&[("symbol", "BTCUSDT"), ("interval", "1m"), ("limit", "2")]), 42, &mut headers);
        let link = "</api/market-data/klines?cursor=42&interval=1m&limit=2&symbol=BTCUSDT>; rel=\"next\"";
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
