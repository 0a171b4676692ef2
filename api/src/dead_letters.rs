//! Dead letters of the caller: tasks that were given up, with cause and payload.

pub mod discard;
pub mod list;
pub mod replay;
pub mod replay_many;
