//! `GET /api/tasks`: the caller's tasks, newest first.

use super::TaskView;
use crate::caller::Admitted;
use crate::error::{Problem, ProblemDocument};
use crate::input::Query;
use crate::state::{AppState, Shared};
use axum::Json;
use axum::extract::State;
use candlemill_shared::task::TaskId;
use candlemill_tasks::TaskQuery;
use serde::{Deserialize, Serialize};
use std::fmt::Display;
use std::str::FromStr;
use utoipa::{IntoParams, ToSchema};

const USUAL_LIMIT: u32 = 50;
const LARGEST_LIMIT: u32 = 200;

/// Which tasks.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// Only in this state.
    state: Option<String>,
    /// Only of this kind.
    kind: Option<String>,
    /// Only of this symbol.
    symbol: Option<String>,
    /// Only of this interval.
    interval: Option<String>,
    /// Only the children of this task, in the order of its request; goes with `cursor` and `limit` alone.
    parent: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Tasks of this page, 1 to 200; 50 when absent.
    limit: Option<String>,
}

/// A page of tasks.
#[derive(Debug, Serialize, ToSchema)]
pub struct TaskList {
    /// Newest first.
    tasks: Vec<TaskView>,
    /// For the next page; null at the end.
    next_cursor: Option<String>,
}

/// The caller's tasks, newest first.
#[utoipa::path(
    get, path = "/api/tasks", tag = "tasks", params(ListQuery),
    responses(
        (status = 200, body = TaskList),
        (status = 400, description = "`invalid_request`", body = ProblemDocument, content_type = "application/problem+json"),
    ),
    security(("bearer" = []))
)]
pub async fn list(
    admitted: Admitted,
    State(state): State<Shared>,
    Query(query): Query<ListQuery>,
) -> Result<Json<TaskList>, Problem> {
    let owner = &admitted.caller.user_id;
    if query.parent.is_some() {
        return children(&state, query, owner).await;
    }
    let query = read(query, owner)?;
    let mut records = state.tasks.records().list(&TaskQuery { limit: query.limit + 1, ..query.clone() }).await?;
    let more = records.len() > query.limit as usize;
    records.truncate(query.limit as usize);
    let next_cursor = records.last().filter(|_| more).map(|record| record.id.to_string());
    Ok(Json(TaskList { tasks: records.into_iter().map(TaskView::in_list).collect(), next_cursor }))
}

/// The children of one task; a cursor is the number of the next one.
async fn children(state: &AppState, query: ListQuery, owner: &str) -> Result<Json<TaskList>, Problem> {
    let mut wrong = Problem::invalid_request();
    let parent = parsed::<TaskId>("parent", query.parent.as_deref(), &mut wrong);
    let from = parsed::<usize>("cursor", query.cursor.as_deref(), &mut wrong).unwrap_or(0);
    let limit = page_length(query.limit.as_deref(), &mut wrong);
    let ListQuery { state: in_state, kind, symbol, interval, .. } = query;
    for (field, given) in [("state", in_state), ("kind", kind), ("symbol", symbol), ("interval", interval)] {
        if given.is_some() {
            wrong = wrong.field(field, "does not go with parent");
        }
    }
    if wrong.has_fields() {
        return Err(wrong.detail("See errors for each parameter."));
    }
    let found = match parent {
        Some(parent) => state.tasks.records().get(parent).await?,
        None => None,
    };
    let parent = found.filter(|record| record.owner == owner).ok_or_else(Problem::no_such_task)?;
    let total = parent.children.as_ref().map_or(0, |children| children.total as usize);
    let tasks = state.tasks.records().list_children(&parent, from, limit as usize).await?;
    let next = from.saturating_add(limit as usize);
    let next_cursor = (next < total).then(|| next.to_string());
    Ok(Json(TaskList { tasks: tasks.into_iter().map(TaskView::in_list).collect(), next_cursor }))
}

fn page_length(text: Option<&str>, wrong: &mut Problem) -> u32 {
    let read = text.map_or(Some(USUAL_LIMIT), |text| text.parse().ok());
    read.filter(|limit| (1..=LARGEST_LIMIT).contains(limit)).unwrap_or_else(|| {
        let told = format!("must be a number from 1 to {LARGEST_LIMIT}");
        *wrong = std::mem::replace(wrong, Problem::invalid_request()).field("limit", told);
        USUAL_LIMIT
    })
}

fn read(query: ListQuery, owner: &str) -> Result<TaskQuery, Problem> {
    let mut wrong = Problem::invalid_request();
    let state = parsed("state", query.state.as_deref(), &mut wrong);
    let symbol = parsed("symbol", query.symbol.as_deref(), &mut wrong);
    let interval = parsed("interval", query.interval.as_deref(), &mut wrong);
    let before = parsed("cursor", query.cursor.as_deref(), &mut wrong);
    let limit = page_length(query.limit.as_deref(), &mut wrong);
    if wrong.has_fields() {
        return Err(wrong.detail("See errors for each parameter."));
    }
    Ok(TaskQuery { owner: owner.to_owned(), state, kind: query.kind, symbol, interval, before, limit })
}

fn parsed<T: FromStr<Err: Display>>(field: &str, text: Option<&str>, wrong: &mut Problem) -> Option<T> {
    match text?.parse() {
        Ok(value) => Some(value),
        Err(error) => {
            *wrong = std::mem::replace(wrong, Problem::invalid_request()).field(field, error.to_string());
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(query: ListQuery, wrong: &[&str]) {
        let shown = read(query, "u").map_or_else(|problem| format!("{problem:?}"), |_| String::new());
        assert_eq!(shown.matches("field: ").count(), wrong.len(), "{shown}");
        assert!(wrong.iter().all(|field| shown.contains(&format!("field: \"{field}\""))), "{shown}");
    }

    #[test]
    fn queries() {
        let of = |text: &str| Some(text.to_owned());
        check(ListQuery::default(), &[]);
        check(
            ListQuery {
                state: of("running"),
                symbol: of("btcusdt"),
                interval: of("1M"),
                limit: of("200"),
                ..ListQuery::default()
            },
            &[],
        );
        check(
            ListQuery { state: of("done"), cursor: of("x"), limit: of("0"), ..ListQuery::default() },
            &["state", "cursor", "limit"],
        );
        check(
            ListQuery { symbol: of("$where"), interval: of("2m"), limit: of("-1"), ..ListQuery::default() },
            &["symbol", "interval", "limit"],
        );
    }
}
