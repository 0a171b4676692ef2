//! Tables of studies.

use super::{listed, no_such_study, report};
use crate::answer::Json;
use crate::error::Problem;
use crate::state::AppState;
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::BytesMut;
use candlemill_columnar::{ColumnKind, TableColumn, TableForm, TableWriter};
use candlemill_market_store::MarketStore;
use candlemill_shared::forms::{BucketRow, STUDY_TABLE_ROWS, StudyTable, TableFormat, TablePage};
use candlemill_shared::study::CalendarReport;
use candlemill_shared::task::TaskId;
use futures::stream::try_unfold;
use serde::Serialize;
use serde_json::{Map, Value};

const fn column(name: &'static str, kind: ColumnKind) -> TableColumn {
    TableColumn { name, kind }
}

const BUCKETS: &[TableColumn] = &[
    column("grouping", ColumnKind::Text),
    column("measure", ColumnKind::Text),
    column("bucket", ColumnKind::Text),
    column("n", ColumnKind::Count),
    column("mean", ColumnKind::Number),
    column("median", ColumnKind::Number),
    column("deviation", ColumnKind::Number),
    column("win_rate", ColumnKind::Number),
    column("q05", ColumnKind::Number),
    column("q25", ColumnKind::Number),
    column("q75", ColumnKind::Number),
    column("q95", ColumnKind::Number),
    column("difference", ColumnKind::Number),
    column("t", ColumnKind::Number),
    column("p", ColumnKind::Number),
    column("holm_p", ColumnKind::Number),
    column("q", ColumnKind::Number),
    column("low", ColumnKind::Number),
    column("high", ColumnKind::Number),
    column("p_without_strongest", ColumnKind::Number),
    column("verdict", ColumnKind::Text),
];

const SIGNALS: &[TableColumn] = &[
    column("open_time", ColumnKind::Time),
    column("close", ColumnKind::Number),
    column("position", ColumnKind::Text),
    column("indicator", ColumnKind::Number),
    column("filled_at", ColumnKind::Time),
    column("fill", ColumnKind::Number),
];

const TRADES: &[TableColumn] = &[
    column("position", ColumnKind::Text),
    column("opened_at", ColumnKind::Time),
    column("entry", ColumnKind::Number),
    column("closed_at", ColumnKind::Time),
    column("exit", ColumnKind::Number),
    column("candles", ColumnKind::Count),
    column("net_return", ColumnKind::Number),
    column("through_outage", ColumnKind::Flag),
    column("open", ColumnKind::Flag),
];

const fn columns(table: StudyTable) -> &'static [TableColumn] {
    match table {
        StudyTable::Buckets => BUCKETS,
        StudyTable::SmaCrossoverSignals | StudyTable::MeanReversionSignals => SIGNALS,
        StudyTable::SmaCrossoverTrades | StudyTable::MeanReversionTrades => TRADES,
    }
}

/// Rows as objects.
type Rows = Vec<Map<String, Value>>;

/// Where rows come from: of buckets the report itself, of other tables pages in the store.
struct Source {
    market: MarketStore,
    owner: String,
    id: TaskId,
    table: StudyTable,
    calendar: Option<CalendarReport>,
}

#[derive(Serialize)]
struct Page {
    table: StudyTable,
    rows: Rows,
    next_cursor: Option<u32>,
}

impl Source {
    /// Page `number`; `None` after the last one.
    async fn page(&self, number: u32) -> Result<Option<Rows>, Problem> {
        if self.table == StudyTable::Buckets {
            let groupings = self.calendar.iter().flat_map(|calendar| &calendar.groupings);
            let rows = groupings.flat_map(|one| {
                let (grouping, measure) = (one.grouping, one.measure);
                one.buckets.iter().map(move |bucket| BucketRow { grouping, measure, bucket: bucket.clone() })
            });
            let rows = rows.skip(number as usize * STUDY_TABLE_ROWS).take(STUDY_TABLE_ROWS);
            let rows: Rows = rows.filter_map(|row| object(serde_json::to_value(row).ok()?)).collect();
            return Ok(Some(rows).filter(|rows| !rows.is_empty()));
        }
        let (id, page) = (self.id.to_string(), self.table.page(number.into()));
        let file = self.market.studies().file(&self.owner, &id, &page).await?;
        let read = file.map(|bytes| serde_json::from_slice(&bytes)).transpose();
        read.map_err(|error| Problem::internal(&error))
    }
}

fn object(value: Value) -> Option<Map<String, Value>> {
    match value {
        Value::Object(object) => Some(object),
        _ => None,
    }
}

/// A page of a table, or the whole of it.
pub(super) async fn answer(
    state: &AppState,
    owner: &str,
    id: TaskId,
    table: StudyTable,
    format: TableFormat,
    cursor: Option<TablePage>,
) -> Result<Response, Problem> {
    let contents = state.market.studies().contents(owner, &id.to_string()).await?.ok_or_else(no_such_study)?;
    if !contents.tables.contains(&table) {
        let had: Vec<&str> = contents.tables.iter().map(|table| table.as_str()).collect();
        return Err(Problem::new(StatusCode::NOT_FOUND, "table_not_found", "The study has no such table")
            .detail(format!("It has {}.", listed(&had))));
    }
    let calendar = match table {
        StudyTable::Buckets => report(state, owner, id).await?.calendar,
        _ => None,
    };
    let source = Source { market: state.market.clone(), owner: owner.to_owned(), id, table, calendar };
    let (form, content_type) = match format {
        TableFormat::Json => return page(&source, cursor.map_or(0, TablePage::get)).await,
        TableFormat::Csv => (TableForm::Csv, "text/csv; charset=utf-8"),
        TableFormat::Arrow => (TableForm::Arrow, "application/vnd.apache.arrow.stream"),
    };
    let writer = TableWriter::new(columns(table), form);
    let pages = try_unfold((source, Some(writer), 0), |(source, writer, number)| async move {
        let Some(mut writer) = writer else { return Ok(None) };
        let mut bytes = BytesMut::new();
        let failed = |problem: Problem| std::io::Error::other(format!("{problem:?}"));
        let next = match source.page(number).await.map_err(failed)? {
            Some(rows) => {
                writer.rows(&rows, &mut bytes).map_err(std::io::Error::other)?;
                Some(writer)
            }
            None => {
                writer.end(&mut bytes).map_err(std::io::Error::other)?;
                None
            }
        };
        Ok::<_, std::io::Error>(Some((bytes.freeze(), (source, next, number + 1))))
    });
    let content_type = HeaderValue::from_static(content_type);
    Ok(([(header::CONTENT_TYPE, content_type)], Body::from_stream(pages)).into_response())
}

async fn page(source: &Source, number: u32) -> Result<Response, Problem> {
    let rows = source.page(number).await?.unwrap_or_default();
    let more = rows.len() == STUDY_TABLE_ROWS && source.page(number + 1).await?.is_some();
    Ok(Json(Page { table: source.table, rows, next_cursor: more.then_some(number + 1) }).into_response())
}
