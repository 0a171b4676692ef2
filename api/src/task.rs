//! Tasks of the caller.

pub mod cancel;
pub mod events;
pub mod list;
pub mod progress;
pub mod show;
