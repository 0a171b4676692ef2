//! Studies: submitting them, and reading what they found.

pub mod chart;
pub mod delete;
pub mod list;
pub mod show;
pub mod submit;
mod tables;

use crate::error::Problem;
use axum::http::StatusCode;

/// There is no such study, or it is another user's.
fn no_such_study() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "study_not_found", "There is no such study")
        .detail("Either the id is wrong, or the study is another user's, was deleted, or its task has not ended yet.")
}
