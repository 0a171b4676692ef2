//! Tasks of the caller.

pub mod cancel;
pub mod events;
pub mod list;
pub mod progress;
pub mod show;
mod view;

pub use view::{DiscardedView, ProgressView, TaskView};
pub(crate) use view::{attempt, result_in_list};
