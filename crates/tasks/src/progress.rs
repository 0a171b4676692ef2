//! Live progress: the newest snapshot of every task that shows some, or that was asked for, and its way to those who watch.

mod board;
mod keys;
mod snapshots;

pub use board::ProgressBoard;
pub use snapshots::ProgressWrite;
