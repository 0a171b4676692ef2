//! Connections to MongoDB and Redis, and what every module that stores something needs: kinds of errors, batched reads and
//! changes, leases, messages between processes. It knows no collection's meaning: each module declares its own.

mod background_retry;
mod batcher;
mod bus;
mod cache;
mod config;
mod connection;
mod error;
pub mod index;
mod keys;
mod lease;

pub use background_retry::BackgroundRetry;
pub use batcher::{Batcher, Change, Found, Reply, ask, batch_workers, without_conflicts};
pub use bus::Bus;
pub use cache::ExpiringCache;
pub use config::{DbConfig, VARIABLES};
pub use connection::{Db, Health};
pub use error::{DUPLICATE_KEY, StoreError, duplicates, is_duplicate};
pub use keys::key;
pub use lease::Lease;
