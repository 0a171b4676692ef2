//! Tasks: the durable truth about one submitted job.

mod attempt;
mod family;
mod head;
mod id;
mod record;
mod state;

pub use attempt::{Attempt, TaskError};
pub use family::Child;
pub use head::{Queued, TaskHead};
pub use id::{InvalidTaskId, TaskId};
pub use record::{DeadLetter, Discarded, TaskRecord};
pub use state::TaskState;

#[cfg(test)]
pub(crate) mod tests {
    pub(crate) use super::record::tests::record;
}
