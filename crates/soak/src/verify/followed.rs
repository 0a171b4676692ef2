//! What was seen of a task from its submission to its end.

use crate::submissions::Time;
use candlemill_shared::task::TaskState;

/// A task as it was followed.
#[derive(Debug)]
pub(crate) struct Followed {
    /// Which submission of the plan.
    pub(crate) index: usize,
    pub(crate) time: Time,
    pub(crate) task: String,
    /// The end that watchers saw.
    pub(crate) end: Option<TaskState>,
    /// Whether its owner's wish to cancel it was accepted.
    pub(crate) cancelled: bool,
}
