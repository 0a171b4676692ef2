//! `GET /api/tasks`: the caller's tasks, newest first.

use crate::answer::Json;
use crate::caller::Admitted;
use crate::error::Problem;
use crate::input::Query;
use crate::state::{AppState, Shared};
use axum::extract::State;
use candlemill_shared::forms::{FieldErrors, Given, PageLimit, TaskFilter, TaskList, TaskView};
use candlemill_shared::task::TaskId;
use candlemill_tasks::TaskQuery;

const USUAL_LIMIT: u32 = 50;

/// List your tasks, the newest first
///
/// Tasks that are nobody's child; `parent` lists the children of one.
#[utoipa::path(
    get, path = "/api/tasks", operation_id = "list_tasks", tag = "tasks", params(TaskFilter),
    responses(
        (status = 200, description = "A page of tasks", body = TaskList),
        (status = 404, description = "`task_not_found`: the task of `parent` is none of yours"),
    ),
    security(("bearer" = []))
)]
pub async fn list(
    admitted: Admitted,
    State(state): State<Shared>,
    Query(filter): Query<TaskFilter>,
) -> Result<Json<TaskList>, Problem> {
    let owner = &admitted.caller.user_id;
    if filter.parent.is_some() {
        return children(&state, filter, owner).await;
    }
    newest(&state, filter, owner).await
}

/// A page of an owner's tasks that are nobody's child.
pub(crate) async fn newest(state: &AppState, filter: TaskFilter, owner: &str) -> Result<Json<TaskList>, Problem> {
    let query = read(filter, owner)?;
    let mut records = state.tasks.records().list(&TaskQuery { limit: query.limit + 1, ..query.clone() }).await?;
    let more = records.len() > query.limit as usize;
    records.truncate(query.limit as usize);
    let next_cursor = records.last().filter(|_| more).map(|record| record.id.to_string());
    Ok(Json(TaskList { tasks: records.into_iter().map(TaskView::in_list).collect(), next_cursor }))
}

/// The children of one task; a cursor is the number of the next one.
async fn children(state: &AppState, filter: TaskFilter, owner: &str) -> Result<Json<TaskList>, Problem> {
    let mut wrong = FieldErrors::default();
    let TaskFilter { state: in_state, kind, symbol, interval, parent, cursor, limit } = filter;
    let parent = wrong.optional("parent", parent);
    let from = cursor.map_or(Some(0), |text| wrong.check("cursor", text.parse::<usize>())).unwrap_or(0);
    let limit = page_length(limit, &mut wrong) as usize;
    let others = [
        ("state", in_state.is_some()),
        ("kind", kind.is_some()),
        ("symbol", symbol.is_some()),
        ("interval", interval.is_some()),
    ];
    for (field, _) in others.into_iter().filter(|(_, given)| *given) {
        wrong.refuse(field, "does not go with parent");
    }
    if !wrong.is_empty() {
        return Err(Problem::of_fields(wrong));
    }
    let found = match parent {
        Some(parent) => state.tasks.records().get(parent).await?,
        None => None,
    };
    let parent = found.filter(|record| record.owner == owner).ok_or_else(Problem::no_such_task)?;
    let total = parent.children.as_ref().map_or(0, |children| children.total as usize);
    let tasks = state.tasks.records().list_children(&parent, from, limit).await?;
    let next = from.saturating_add(limit);
    let next_cursor = (next < total).then(|| next.to_string());
    Ok(Json(TaskList { tasks: tasks.into_iter().map(TaskView::in_list).collect(), next_cursor }))
}

fn page_length(given: Option<Given<PageLimit>>, wrong: &mut FieldErrors) -> u32 {
    wrong.optional("limit", given).map_or(USUAL_LIMIT, PageLimit::get)
}

fn read(filter: TaskFilter, owner: &str) -> Result<TaskQuery, Problem> {
    let mut wrong = FieldErrors::default();
    let query = TaskQuery {
        owner: owner.to_owned(),
        state: wrong.optional("state", filter.state),
        kind: filter.kind,
        symbol: wrong.optional("symbol", filter.symbol),
        interval: wrong.optional("interval", filter.interval),
        before: filter.cursor.and_then(|text| wrong.check("cursor", text.parse::<TaskId>())),
        limit: page_length(filter.limit, &mut wrong),
    };
    if wrong.is_empty() { Ok(query) } else { Err(Problem::of_fields(wrong)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn check(query: Value, wrong: &[&str]) {
        let filter = serde_json::from_value(query).unwrap();
        let refused = read(filter, "u").map_or_else(|problem| problem.refused(), |_| Vec::new());
        assert_eq!(refused, wrong);
    }

    #[test]
    fn queries() {
        check(json!({}), &[]);
        check(json!({"state": "running", "symbol": "btcusdt", "interval": "1M", "limit": "200"}), &[]);
        check(json!({"state": "done", "cursor": "x", "limit": "0"}), &["state", "cursor", "limit"]);
        check(json!({"symbol": "$where", "interval": "2m", "limit": "-1"}), &["symbol", "interval", "limit"]);
    }
}
