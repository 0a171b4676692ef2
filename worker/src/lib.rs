//! The worker: takes deliveries from the queue, runs their jobs, and keeps the house (sweeping, lists of markets).

mod attempt;
mod budget;
mod cancel;
mod claim_backend;
mod claimer;
mod config;
mod context;
mod cpu;
mod health;
mod heartbeat;
mod housekeeping;
mod job_context;
mod jobs;
mod leases;
mod lifecycle;
mod markets;
mod metrics;
mod outcome;
mod parent_reconciler;
mod progress_reporter;
mod retries;
mod runner;
mod store_retry;
mod sweeper;
mod webhooks;
mod worker;

pub use config::{VARIABLES, WorkerConfig};
pub use context::KnownJobs;
pub use worker::Worker;
