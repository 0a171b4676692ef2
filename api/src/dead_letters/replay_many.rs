//! `POST /api/dead-letters/replay`: replays several tasks, or all dead ones.

use super::replay::one;
use crate::answer::Json;
use crate::caller::Admitted;
use crate::error::Problem;
use crate::input::Body;
use crate::state::Shared;
use axum::extract::State;
use candlemill_shared::forms::{FieldErrors, Given, MAX_REPLAYS, RefusedReplay, ReplayRequest, Replayed};
use candlemill_shared::task::TaskId;
use candlemill_tasks::DeadLetterQuery;
use futures::{StreamExt, stream};

/// Tasks that one call replays at most.
const MOST: u32 = 100;
const _: () = assert!(MOST as usize == MAX_REPLAYS);
/// Replays under way at once.
const AT_ONCE: usize = 8;

/// What a readable request asks for.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    These(Vec<TaskId>),
    All(DeadLetterQuery),
}

/// Replay several tasks, or all dead ones
///
/// At most 100 a call. What cannot be replayed is named and keeps nothing else from it.
#[utoipa::path(
    post, path = "/api/dead-letters/replay", operation_id = "replay_dead_letters", tag = "dead letters", request_body = ReplayRequest,
    responses((status = 200, description = "How many, which, and which not", body = Replayed)),
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
            let more = ids.len() > MAX_REPLAYS;
            ids.truncate(MAX_REPLAYS);
            let next = ids.last().copied().filter(|_| more);
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
            Ok(_) => task_ids.push(id),
            Err(problem) => {
                refused.push(RefusedReplay { task_id: id, code: problem.code().to_owned(), detail: problem.told() });
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
    let mut wrong = FieldErrors::default();
    let all = wrong.optional("all", request.all).unwrap_or_default();
    let kind = wrong.optional("kind", request.kind);
    let code = wrong.optional("code", request.code);
    let before = wrong.optional("cursor", request.cursor);
    let ids = wrong.optional("task_ids", request.task_ids);
    let wanted = match (ids, all) {
        (Some(_), true) => {
            wrong.refuse("all", "must not come with task_ids");
            None
        }
        (None, false) => {
            if wrong.is_empty() {
                wrong.refuse("task_ids", "must be a list of ids; or all must be true");
            }
            None
        }
        (Some(_), false) if kind.is_some() || code.is_some() || before.is_some() => {
            wrong.refuse("task_ids", "must come without kind, code and cursor, which belong to all");
            None
        }
        (Some(ids), false) => Some(Wanted::These(these(ids, &mut wrong))),
        (None, true) => {
            let owner = owner.to_owned();
            Some(Wanted::All(DeadLetterQuery { owner, kind, code, before, limit: MOST, ..DeadLetterQuery::default() }))
        }
    };
    wanted.filter(|_| wrong.is_empty()).ok_or_else(|| Problem::of_fields(wrong))
}

/// The ids, each once.
fn these(given: Vec<Given<TaskId>>, wrong: &mut FieldErrors) -> Vec<TaskId> {
    if given.is_empty() || given.len() > MAX_REPLAYS {
        wrong.refuse("task_ids", format!("must have 1 to {MAX_REPLAYS} ids, not {}", given.len()));
        return Vec::new();
    }
    let mut ids: Vec<TaskId> = Vec::with_capacity(given.len());
    for (at, id) in given.into_iter().enumerate() {
        ids.extend(wrong.optional(&format!("task_ids[{at}]"), Some(id)).filter(|id| !ids.contains(id)));
    }
    ids
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
            (Err(problem), Err(field)) => assert_eq!(problem.refused(), [field], "{request}: {problem:?}"),
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
        check(json!({"task_ids": [ID, "$ne"]}), Err("task_ids[1]"));
        check(json!({"task_ids": "all"}), Err("task_ids"));
        check(json!({"task_ids": [ID], "kind": "probe"}), Err("task_ids"));
        check(json!({"task_ids": [ID], "all": true}), Err("all"));
        check(json!({"all": true, "cursor": "x"}), Err("cursor"));
    }
}
