//! `GET /api/dead-letters`: the caller's dead tasks, newest first.

use crate::answer::Json;
use crate::caller::Admitted;
use crate::error::Problem;
use crate::input::Query;
use crate::state::Shared;
use axum::extract::State;
use candlemill_shared::forms::{DeadLetterFilter, DeadLetterList, DeadLetterView, FieldErrors, PageLimit};
use candlemill_tasks::DeadLetterQuery;

const USUAL_LIMIT: u32 = 50;

/// List tasks that were given up
///
/// The newest submission first. They stay until they are replayed or discarded.
#[utoipa::path(
    get, path = "/api/dead-letters", operation_id = "list_dead_letters", tag = "dead letters", params(DeadLetterFilter),
    responses((status = 200, description = "A page of dead letters", body = DeadLetterList)),
    security(("bearer" = []))
)]
pub async fn list(
    admitted: Admitted,
    State(state): State<Shared>,
    Query(filter): Query<DeadLetterFilter>,
) -> Result<Json<DeadLetterList>, Problem> {
    let query = read(filter, &admitted.caller.user_id)?;
    let one_more = DeadLetterQuery { limit: query.limit + 1, ..query.clone() };
    let mut records = state.tasks.records().dead_letters(&one_more).await?;
    let more = records.len() > query.limit as usize;
    records.truncate(query.limit as usize);
    let next_cursor = records.last().filter(|_| more).map(|record| record.id);
    Ok(Json(DeadLetterList { dead_letters: records.into_iter().map(DeadLetterView::from).collect(), next_cursor }))
}

fn read(filter: DeadLetterFilter, owner: &str) -> Result<DeadLetterQuery, Problem> {
    let mut wrong = FieldErrors::default();
    let query = DeadLetterQuery {
        owner: owner.to_owned(),
        kind: filter.kind,
        code: filter.code,
        discarded: wrong.optional("discarded", filter.discarded).unwrap_or_default().0,
        before: wrong.optional("cursor", filter.cursor),
        limit: wrong.optional("limit", filter.limit).map_or(USUAL_LIMIT, PageLimit::get),
    };
    if wrong.is_empty() { Ok(query) } else { Err(Problem::of_fields(wrong)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn check(query: Value, expected: Result<DeadLetterQuery, &[&str]>) {
        let read = read(serde_json::from_value(query).unwrap(), "u");
        match (read, expected) {
            (Ok(got), Ok(expected)) => assert_eq!(got, expected),
            (Err(problem), Err(fields)) => assert_eq!(problem.refused(), fields),
            (got, expected) => panic!("{got:?}, not {expected:?}"),
        }
    }

    #[test]
    fn queries() {
        let usual = DeadLetterQuery { owner: "u".into(), limit: USUAL_LIMIT, ..DeadLetterQuery::default() };
        check(json!({}), Ok(usual.clone()));
        let cursor = "01JC5Y7V9N8B3M2K1H0G9F8E7D";
        check(
            json!({"kind": "probe", "code": "panic", "discarded": "true", "cursor": cursor, "limit": "200"}),
            Ok(DeadLetterQuery {
                kind: Some("probe".into()),
                code: Some("panic".into()),
                discarded: true,
                before: cursor.parse().ok(),
                limit: 200,
                ..usual
            }),
        );
        check(json!({"discarded": "yes", "cursor": "$ne", "limit": "0"}), Err(&["discarded", "cursor", "limit"]));
        check(json!({"limit": "201"}), Err(&["limit"]));
    }
}
