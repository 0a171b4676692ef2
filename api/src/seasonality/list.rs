//! `GET /api/seasonality`: the caller's studies, newest first.

use crate::answer::Json;
use crate::caller::Admitted;
use crate::error::Problem;
use crate::input::Query;
use crate::state::Shared;
use axum::extract::State;
use candlemill_market_store::{StudyHead, StudySelection};
use candlemill_shared::TimeRange;
use candlemill_shared::forms::{FieldErrors, PageLimit, StudyFilter, StudyList, StudySummary};

const USUAL_LIMIT: u32 = 50;

/// List your studies, the newest first
#[utoipa::path(
    get, path = "/api/seasonality", operation_id = "list_studies", tag = "seasonality", params(StudyFilter),
    responses((status = 200, description = "A page of studies", body = StudyList)),
    security(("bearer" = []))
)]
pub async fn list_studies(
    admitted: Admitted,
    State(state): State<Shared>,
    Query(filter): Query<StudyFilter>,
) -> Result<Json<StudyList>, Problem> {
    let selection = read(filter, &admitted.caller.user_id)?;
    let limit = selection.limit as usize;
    let mut heads = state.market.studies().list(&StudySelection { limit: selection.limit + 1, ..selection }).await?;
    let more = heads.len() > limit;
    heads.truncate(limit);
    let studies: Vec<StudySummary> = heads.into_iter().filter_map(summary).collect();
    let next_cursor = studies.last().filter(|_| more).map(|last| last.study_id);
    Ok(Json(StudyList { studies, next_cursor }))
}

/// `None` of one whose id is none of a task, which no program stores.
fn summary(head: StudyHead) -> Option<StudySummary> {
    let StudyHead { id, exchange, symbol, interval, from, to, candles, created_at, studies, stable, .. } = head;
    let range = TimeRange::new(from.ms(), to.ms()).into();
    Some(StudySummary {
        study_id: id.parse().ok()?,
        created_at,
        exchange,
        symbol,
        interval,
        range,
        candles,
        studies,
        stable,
    })
}

fn read(filter: StudyFilter, owner: &str) -> Result<StudySelection, Problem> {
    let mut wrong = FieldErrors::default();
    let selection = StudySelection {
        owner: owner.to_owned(),
        symbol: wrong.optional("symbol", filter.symbol),
        interval: wrong.optional("interval", filter.interval),
        before: wrong.optional("cursor", filter.cursor).map(|id| id.to_string()),
        limit: wrong.optional("limit", filter.limit).map_or(USUAL_LIMIT, PageLimit::get),
    };
    if wrong.is_empty() { Ok(selection) } else { Err(Problem::of_fields(wrong)) }
}
