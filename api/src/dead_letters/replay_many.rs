//! `POST /api/dead-letters/replay`: replays several tasks, or all dead ones.

use super::replay::one;
use crate::caller::Admitted;
use crate::error::{Problem, ProblemDocument};
use crate::input::Body;
use crate::state::Shared;
use axum::Json;
use axum::extract::State;
use candlemill_shared::task::TaskId;
use candlemill_tasks::DeadLetterQuery;
use futures::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Tasks that one call replays at most.
const MOST: u32 = 100;
/// Replays under way at once.
const AT_ONCE: usize = 8;

/// Which tasks: either `task_ids`, or `all` with filters.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReplayRequest {
    /// These, dead or failed; 1 to 100.
    #[schema(example = json!(["01JC5Y7V9N8B3M2K1H0G9F8E7D"]))]
    task_ids: Option<Vec<String>>,
    /// All dead ones that were not discarded, newest first, 100 a call.
    all: bool,
    /// Of all: only of this kind.
    kind: Option<String>,
    /// Of all: only those that died of an error with this code.
    code: Option<String>,
    /// Of all: `next_cursor` of the call before.
    cursor: Option<String>,
}

/// What was replayed.
#[derive(Debug, Serialize, ToSchema)]
pub struct Replayed {
    /// How many.
    replayed: usize,
    /// Which.
    task_ids: Vec<String>,
    /// Those that were not, and why.
    refused: Vec<Refused>,
    /// Whether dead ones are left that this call did not come to.
    more: bool,
    /// For a call that goes on with those; null when there are none.
    next_cursor: Option<String>,
}

/// A task that was not replayed.
#[derive(Debug, Serialize, ToSchema)]
pub struct Refused {
    /// The task's id.
    task_id: String,
    /// Why: code of the problem that replaying it alone answers.
    #[schema(example = "task_not_replayable")]
    code: &'static str,
    /// The same in words.
    detail: String,
}

/// What a readable request asks for.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    These(Vec<TaskId>),
    All(DeadLetterQuery),
}

/// Replays several tasks, or all dead ones.
///
/// At most 100 a call. What cannot be replayed is named and keeps nothing else from it.
#[utoipa::path(
    post, path = "/api/dead-letters/replay", tag = "dead letters", request_body = ReplayRequest,
    responses(
        (status = 200, description = "How many, which, and which not", body = Replayed),
        (status = 400, description = "`invalid_request`, `malformed_json`", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "`store_unavailable`, where no task was replayed", body = ProblemDocument, content_type = "application/problem+json"),
    ),
    security(("bearer" = []))
)]
pub async fn replay_many(
    admitted: Admitted,
    State(state): State<Shared>,
    Body(request): Body<ReplayRequest>,
) -> Result<Json<Replayed>, Problem> {
    let (ids, next_cursor) = match read(request, &admitted.caller.user_id)? {
        Wanted::These(ids) => (ids, None),
        Wanted::All(query) => {
            let one_more = DeadLetterQuery { limit: MOST + 1, ..query };
            let found = state.tasks.records().dead_letters(&one_more).await?;
            let mut ids: Vec<TaskId> = found.iter().map(|record| record.id).collect();
            let more = ids.len() > MOST as usize;
            ids.truncate(MOST as usize);
            let next = ids.last().filter(|_| more).map(ToString::to_string);
            (ids, next)
        }
    };
    let tried = stream::iter(ids.into_iter().map(|id| {
        let (state, admitted) = (&state, &admitted);
        async move { (id, one(state, admitted, id).await) }
    }));
    let tried: Vec<_> = tried.buffered(AT_ONCE).collect().await;
    let (mut task_ids, mut refused, mut unavailable) = (Vec::new(), Vec::new(), None);
    for (id, outcome) in tried {
        match outcome {
            Ok(_) => task_ids.push(id.to_string()),
            Err(problem) => {
                refused.push(Refused { task_id: id.to_string(), code: problem.code(), detail: problem.told() });
                if problem.is_unavailable() {
                    unavailable = Some(problem);
                }
            }
        }
    }
    match unavailable {
        Some(problem) if task_ids.is_empty() => Err(problem),
        _ => {
            Ok(Json(Replayed { replayed: task_ids.len(), task_ids, refused, more: next_cursor.is_some(), next_cursor }))
        }
    }
}

fn read(request: ReplayRequest, owner: &str) -> Result<Wanted, Problem> {
    let ReplayRequest { task_ids, all, kind, code, cursor } = request;
    let wrong = |field: &str, message: String| {
        Err(Problem::invalid_request().detail("See errors for each field.").field(field, message))
    };
    match (task_ids, all) {
        (Some(_), true) => wrong("all", "must not come with task_ids".to_owned()),
        (None, false) => wrong("task_ids", "must be a list of ids; or all must be true".to_owned()),
        (Some(_), false) if kind.is_some() || code.is_some() || cursor.is_some() => {
            wrong("task_ids", "must come without kind, code and cursor, which belong to all".to_owned())
        }
        (Some(ids), false) => {
            if ids.is_empty() || ids.len() > MOST as usize {
                return wrong("task_ids", format!("must have 1 to {MOST} ids, not {}", ids.len()));
            }
            let mut read: Vec<TaskId> = Vec::with_capacity(ids.len());
            for (at, id) in ids.iter().enumerate() {
                match id.parse() {
                    Ok(id) if !read.contains(&id) => read.push(id),
                    Ok(_) => {}
                    Err(error) => return wrong("task_ids", format!("number {at}: {error}")),
                }
            }
            Ok(Wanted::These(read))
        }
        (None, true) => match cursor.as_deref().map(str::parse).transpose() {
            Ok(before) => {
                let owner = owner.to_owned();
                Ok(Wanted::All(DeadLetterQuery {
                    owner,
                    kind,
                    code,
                    before,
                    limit: MOST,
                    ..DeadLetterQuery::default()
                }))
            }
            Err(error) => wrong("cursor", error.to_string()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const ID: &str = "01JC5Y7V9N8B3M2K1H0G9F8E7D";

    fn check(request: Value, expected: Result<Wanted, &str>) {
        let read = read(serde_json::from_value(request.clone()).unwrap(), "u");
        match (read, expected) {
            (Ok(got), Ok(expected)) => assert_eq!(got, expected, "{request}"),
            (Err(problem), Err(field)) => {
                assert!(format!("{problem:?}").contains(&format!("field: \"{field}\"")), "{request}: {problem:?}");
            }
            (got, expected) => panic!("{request}: {got:?}, not {expected:?}"),
        }
    }

    #[test]
    fn requests() {
        let id: TaskId = ID.parse().unwrap();
        let all = DeadLetterQuery { owner: "u".into(), limit: MOST, ..DeadLetterQuery::default() };
        check(json!({"task_ids": [ID, ID]}), Ok(Wanted::These(vec![id])));
        check(json!({"all": true}), Ok(Wanted::All(all.clone())));
        check(
            json!({"all": true, "code": "panic", "cursor": ID}),
            Ok(Wanted::All(DeadLetterQuery { code: Some("panic".into()), before: Some(id), ..all })),
        );
        check(json!({}), Err("task_ids"));
        check(json!({"all": false}), Err("task_ids"));
        check(json!({"task_ids": []}), Err("task_ids"));
        check(json!({"task_ids": vec![ID; 101]}), Err("task_ids"));
        check(json!({"task_ids": [ID, "$ne"]}), Err("task_ids"));
        check(json!({"task_ids": [ID], "kind": "probe"}), Err("task_ids"));
        check(json!({"task_ids": [ID], "all": true}), Err("all"));
        check(json!({"all": true, "cursor": "x"}), Err("cursor"));
    }
}
