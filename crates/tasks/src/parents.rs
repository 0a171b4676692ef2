//! Tasks that wait for their children.

mod children;
mod reconcile;
mod sums;
