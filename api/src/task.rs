//! Tasks of the caller.

pub mod cancel;
pub mod events;
pub mod follow_all;
pub mod list;
pub mod progress;
pub mod show;
