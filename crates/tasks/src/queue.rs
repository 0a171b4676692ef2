//! The queue: which task runs next, which worker holds it, and until when.

mod entry;
mod keys;
mod operators;
mod pool_queue;

pub use pool_queue::{Delivery, Depth, Queue, Ticked};
