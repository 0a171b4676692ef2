//! Tasks that wait for their children.

mod reconcile;
mod sums;
