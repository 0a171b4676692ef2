//! `GET /api/admin/tasks`: a user's tasks, for operators whom the user has asked for help.

use crate::answer::Json;
use crate::error::Problem;
use crate::input::Query;
use crate::state::Shared;
use crate::task::list::newest;
use axum::extract::State;
use candlemill_shared::forms::{Given, PageLimit, TaskFilter, TaskList};
use candlemill_shared::task::TaskState;
use candlemill_shared::{Interval, Symbol};
use serde::Deserialize;
use utoipa::IntoParams;

/// Longest id of a user, bytes.
const LONGEST_OWNER: usize = 100;

/// Whose tasks, and which.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct OwnersTasks {
    /// Id of the user, `sub` of its tokens.
    #[param(required = true, value_type = String, example = "c55fe69d-9a14-89bd-b60c-c15aa96ba543")]
    owner: Option<String>,
    /// Only in this state.
    #[param(value_type = Option<TaskState>)]
    state: Option<Given<TaskState>>,
    /// Only of this kind.
    #[param(example = "fetch_history")]
    kind: Option<String>,
    /// Only of this symbol.
    #[param(value_type = Option<Symbol>)]
    symbol: Option<Given<Symbol>>,
    /// Only of this interval.
    #[param(value_type = Option<Interval>)]
    interval: Option<Given<Interval>>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Tasks of this page; 50 when absent.
    #[param(value_type = Option<PageLimit>, inline)]
    limit: Option<Given<PageLimit>>,
}

/// List a user's tasks, the newest first
#[utoipa::path(
    get, path = "/api/admin/tasks", operation_id = "list_owners_tasks", tag = "operators", params(OwnersTasks),
    responses((status = 200, description = "A page of tasks; none where there is no such user", body = TaskList)),
    security(("admin" = []))
)]
pub async fn tasks(State(state): State<Shared>, Query(wanted): Query<OwnersTasks>) -> Result<Json<TaskList>, Problem> {
    let OwnersTasks { owner, state: in_state, kind, symbol, interval, cursor, limit } = wanted;
    let Some(owner) = owner.filter(|owner| (1..=LONGEST_OWNER).contains(&owner.len())) else {
        return Err(Problem::invalid_request().field("owner", "must be the id of a user"));
    };
    let filter = TaskFilter { state: in_state, kind, symbol, interval, parent: None, cursor, limit };
    newest(&state, filter, &owner).await
}
