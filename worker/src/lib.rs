//! The worker: takes deliveries from the queue, runs their jobs, and keeps the house (sweeping, lists of markets).

mod attempt;
mod budget;
mod cancel;
mod claim_backend;
mod claimer;
mod config;
mod context;
mod health;
mod heartbeat;
mod housekeeping;
mod inbox;
pub mod jobs;
mod leases;
mod lifecycle;
mod markets;
mod metrics;
mod outcome;
mod parent_reconciler;
mod retries;
mod runner;
mod store_retry;
mod sweeper;
mod webhooks;
mod worker;

pub use config::{VARIABLES, WorkerConfig};
pub use inbox::InboxConfig;
pub use worker::Worker;
