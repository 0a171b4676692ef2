//! `GET /api/dead-letters`: the caller's dead tasks, newest first.

use super::DeadLetterView;
use crate::caller::Admitted;
use crate::error::{Problem, ProblemDocument};
use crate::input::Query;
use crate::state::Shared;
use axum::Json;
use axum::extract::State;
use candlemill_tasks::DeadLetterQuery;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

const USUAL_LIMIT: u32 = 50;
const LARGEST_LIMIT: u32 = 200;

/// Which dead letters.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// Only of this kind.
    kind: Option<String>,
    /// Only those that died of an error with this code, as in `exchange_unavailable`.
    code: Option<String>,
    /// `true`: those that were discarded, in place of those that were not.
    discarded: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Dead letters of this page, 1 to 200; 50 when absent.
    limit: Option<String>,
}

/// A page of dead letters.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeadLetterList {
    /// The newest submission first.
    dead_letters: Vec<DeadLetterView>,
    /// For the next page; null at the end.
    next_cursor: Option<String>,
}

/// Tasks that were given up.
///
/// They stay until they are replayed or discarded.
#[utoipa::path(
    get, path = "/api/dead-letters", tag = "dead letters", params(ListQuery),
    responses(
        (status = 200, body = DeadLetterList),
        (status = 400, description = "`invalid_request`", body = ProblemDocument, content_type = "application/problem+json"),
    ),
    security(("bearer" = []))
)]
pub async fn list(
    admitted: Admitted,
    State(state): State<Shared>,
    Query(query): Query<ListQuery>,
) -> Result<Json<DeadLetterList>, Problem> {
    let query = read(query, &admitted.caller.user_id)?;
    let one_more = DeadLetterQuery { limit: query.limit + 1, ..query.clone() };
    let mut records = state.tasks.records().dead_letters(&one_more).await?;
    let more = records.len() > query.limit as usize;
    records.truncate(query.limit as usize);
    let next_cursor = records.last().filter(|_| more).map(|record| record.id.to_string());
    Ok(Json(DeadLetterList { dead_letters: records.into_iter().map(DeadLetterView::from).collect(), next_cursor }))
}

fn read(query: ListQuery, owner: &str) -> Result<DeadLetterQuery, Problem> {
    let mut wrong = Problem::invalid_request();
    let discarded = match query.discarded.as_deref() {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => {
            wrong = wrong.field("discarded", "must be true or false");
            false
        }
    };
    let before = match query.cursor.as_deref().map(str::parse).transpose() {
        Ok(before) => before,
        Err(error) => {
            wrong.refuse("cursor", format!("{error}"));
            None
        }
    };
    let limit = query.limit.as_deref().map_or(Ok(USUAL_LIMIT), str::parse);
    let limit = limit.ok().filter(|limit| (1..=LARGEST_LIMIT).contains(limit)).unwrap_or_else(|| {
        wrong.refuse("limit", format!("must be a number from 1 to {LARGEST_LIMIT}"));
        USUAL_LIMIT
    });
    if wrong.has_fields() {
        return Err(wrong.detail("See errors for each parameter."));
    }
    let ListQuery { kind, code, .. } = query;
    Ok(DeadLetterQuery { owner: owner.to_owned(), kind, code, discarded, before, limit })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(query: ListQuery, expected: Result<DeadLetterQuery, &[&str]>) {
        match (read(query, "u"), expected) {
            (Ok(got), Ok(expected)) => assert_eq!(got, expected),
            (Err(problem), Err(fields)) => {
                let shown = format!("{problem:?}");
                assert_eq!(shown.matches("field: ").count(), fields.len(), "{shown}");
                assert!(fields.iter().all(|field| shown.contains(&format!("field: \"{field}\""))), "{shown}");
            }
            (got, expected) => panic!("{got:?}, not {expected:?}"),
        }
    }

    #[test]
    fn queries() {
        let of = |text: &str| Some(text.to_owned());
        let usual = DeadLetterQuery { owner: "u".into(), limit: USUAL_LIMIT, ..DeadLetterQuery::default() };
        check(ListQuery::default(), Ok(usual.clone()));
        let cursor = "01JC5Y7V9N8B3M2K1H0G9F8E7D";
        check(
            ListQuery {
                kind: of("probe"),
                code: of("panic"),
                discarded: of("true"),
                cursor: of(cursor),
                limit: of("200"),
            },
            Ok(DeadLetterQuery {
                kind: of("probe"),
                code: of("panic"),
                discarded: true,
                before: cursor.parse().ok(),
                limit: 200,
                ..usual
            }),
        );
        let wrong = ListQuery { discarded: of("yes"), cursor: of("$ne"), limit: of("0"), ..ListQuery::default() };
        check(wrong, Err(&["discarded", "cursor", "limit"]));
        check(ListQuery { limit: of("201"), ..ListQuery::default() }, Err(&["limit"]));
    }
}
