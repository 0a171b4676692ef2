//! Real servers and the whole product on free ports, for `./dev run`, the system tests and the load drivers.
//!
//! Everything started here is a process of its own. It is killed when its handle is dropped, and (where the machine has
//! `setpriv`) by the kernel when this process dies in any other way, so nothing is ever left behind. `stop` is the
//! polite way; data folders survive both, throw-away ones vanish with their handle.

mod child;
mod found;
pub mod ledger;
pub mod mongo;
pub mod ports;
mod project;
pub mod proxy;
pub mod redis;
pub mod service;
pub mod simulator;
pub mod stack;

pub use child::Child;
pub use found::{MongoKind, mongo_server, redis_server};
pub use ledger::{LedgerReport, LedgerViolation};
pub use mongo::MongoServer;
pub use project::{project_root, unique_name};
pub use proxy::FaultProxy;
pub use redis::Redis;
pub use service::{Service, binary};
pub use simulator::{PASSWORD, Simulator};
pub use stack::{Stack, StackBuilder};
