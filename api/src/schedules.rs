//! Schedules: creating, changing and watching them.

pub mod change;
pub mod create;
pub mod delete;
pub mod fires;
pub mod list;
mod owner;
pub mod preview;
mod request;
pub mod run;
pub mod show;

pub use owner::Refresher;
pub(crate) use owner::views;

use crate::error::Problem;
use axum::http::StatusCode;

/// There is no such schedule, or it is another user's.
pub(crate) fn no_such_schedule() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "schedule_not_found", "There is no such schedule")
        .detail("Either the id is wrong, or the schedule is another user's or was deleted.")
}

/// Somebody else changed it meanwhile.
pub(crate) fn changed_meanwhile() -> Problem {
    Problem::new(StatusCode::CONFLICT, "schedule_changed", "The schedule was changed meanwhile")
        .detail("Somebody else changed the schedule at the same moment; look at it and try again.")
}
