//! Studies: submitting them, and reading what they found.

pub mod chart;
pub mod delete;
pub mod list;
pub mod show;
pub mod submit;
mod tables;

use crate::error::Problem;
use crate::state::AppState;
use axum::http::StatusCode;
use candlemill_shared::forms::StudyReport;
use candlemill_shared::task::TaskId;

/// There is no such study, or it is another user's.
fn no_such_study() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "study_not_found", "There is no such study")
        .detail("Either the id is wrong, or the study is another user's, was deleted, or its task has not ended yet.")
}

/// What a study of `owner` found.
async fn report(state: &AppState, owner: &str, id: TaskId) -> Result<StudyReport, Problem> {
    let found = state.market.studies().get(owner, &id.to_string()).await?;
    let (_, report) = found.ok_or_else(no_such_study)?;
    serde_json::from_slice(&report).map_err(|error| Problem::internal(&error))
}

/// Names as a sentence lists them.
fn listed(names: &[impl AsRef<str>]) -> String {
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
