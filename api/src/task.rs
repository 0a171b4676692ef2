//! Tasks of the caller.

pub mod cancel;
pub mod events;
pub mod list;
pub mod progress;
pub mod show;
mod view;

pub(crate) use view::attempt;
pub use view::{DiscardedView, ProgressView, TaskView};
