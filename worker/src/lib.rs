//! The worker: claims tasks from the queue, runs their jobs, and does the housekeeping (sweeping, lists of markets).

mod apalis_task;
mod attempt;
mod budget;
mod cancel;
mod claim_backend;
mod claimed;
mod claimer;
mod config;
mod context;
mod cpu;
mod ending;
mod health;
mod heartbeat;
mod housekeeping;
mod inbox;
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
mod settle;
mod store_retry;
mod study_memory;
mod sweeper;
mod webhooks;
mod worker;

pub use config::{VARIABLES, WorkerConfig};
pub use context::KnownJobs;
pub use inbox::InboxConfig;
pub use worker::Worker;
