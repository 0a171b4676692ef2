//! `GET /api/seasonality/{id}`: what a study found, or one of its tables.

use super::{report, tables};
use crate::answer::Json;
use crate::caller::Admitted;
use crate::error::Problem;
use crate::input::{Query, TaskPath};
use crate::state::{AppState, Shared};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use candlemill_market_store::Series;
use candlemill_shared::TimeRange;
use candlemill_shared::forms::{FieldErrors, StudyQuery, StudyReport, StudyView, TableRows};
use candlemill_shared::task::TaskId;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AnyOfBuilder, Ref, Schema};
use utoipa::{PartialSchema, ToSchema};

/// Corrections that one answer counts.
const MAX_CORRECTIONS: u32 = 10_000;

/// A study, or a page of a table: a schema alone.
struct StudyOrRows;

impl PartialSchema for StudyOrRows {
    fn schema() -> RefOr<Schema> {
        AnyOfBuilder::new()
            .item(Ref::from_schema_name(StudyView::name()))
            .item(Ref::from_schema_name(TableRows::name()))
            .description(Some("The study; or with `table` a page of its rows."))
            .into()
    }
}

impl ToSchema for StudyOrRows {
    fn name() -> std::borrow::Cow<'static, str> {
        "StudyOrRows".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((StudyView::name().into_owned(), StudyView::schema()));
        StudyView::schemas(schemas);
        schemas.push((TableRows::name().into_owned(), TableRows::schema()));
        TableRows::schemas(schemas);
    }
}

/// Lines of text: a header, then one for each row: a schema alone.
#[derive(ToSchema)]
#[schema(value_type = String, example = "grouping,measure,bucket,n,mean\nhour,return,00,3012,0.0000121\n")]
#[expect(dead_code, reason = "describes a body for the document; the body itself is streamed")]
struct TableLines(String);

/// Bytes of an Arrow IPC stream: a schema alone.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "describes a body for the document; the body itself is streamed")]
struct TableStream(Vec<u8>);

/// Show a study: what it found, and what that depends on
///
/// With `table` one of its tables: as JSON page by page, as CSV or Arrow whole.
#[utoipa::path(
    get, path = "/api/seasonality/{id}", operation_id = "show_study", tag = "seasonality",
    params(("id" = TaskId, Path, description = "Id of the study's task"), StudyQuery),
    responses(
        (
            status = 200, description = "The study, or rows of a table",
            content((StudyOrRows = "application/json"), (TableLines = "text/csv"), (TableStream = "application/vnd.apache.arrow.stream")),
        ),
        (status = 404, description = "`study_not_found`: none of yours; `table_not_found`: it has no such table"),
    ),
    security(("bearer" = []))
)]
pub async fn show_study(
    admitted: Admitted,
    State(state): State<Shared>,
    TaskPath(id): TaskPath,
    Query(query): Query<StudyQuery>,
) -> Result<Response, Problem> {
    let owner = &admitted.caller.user_id;
    let mut wrong = FieldErrors::default();
    let table = wrong.optional("table", query.table);
    let format = wrong.optional("format", query.format);
    let cursor = wrong.optional("cursor", query.cursor);
    for (field, given) in [("format", format.is_some()), ("cursor", cursor.is_some())] {
        if given && table.is_none() && wrong.is_empty() {
            wrong.refuse(field, "goes with table alone");
        }
    }
    if !wrong.is_empty() {
        return Err(Problem::of_fields(wrong));
    }
    match table {
        Some(table) => tables::answer(&state, owner, id, table, format.unwrap_or_default(), cursor).await,
        None => Ok(Json(view(&state, report(&state, owner, id).await?).await?).into_response()),
    }
}

/// The study, and whether what it rests on has changed.
async fn view(state: &AppState, report: StudyReport) -> Result<StudyView, Problem> {
    let request = &report.request;
    let series = Series::new(request.exchange, request.symbol.clone(), request.interval);
    let range = TimeRange::new(report.range.start.ms(), report.range.end.ms());
    let coverage = state.market.coverage();
    let ledger = coverage.known(&series, range).await?.digest(range);
    let since = report.created_at.ms();
    let corrections_since = coverage.corrections_since(&series, range, since, MAX_CORRECTIONS).await?;
    Ok(StudyView { ledger_changed: ledger != report.ledger, corrections_since, report })
}
