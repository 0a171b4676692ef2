//! The worker: takes deliveries from the queue, runs their jobs, and keeps the house (sweeping, lists of markets).

mod budget;
mod cancel;
mod config;
mod context;
mod deliveries;
mod delivery;
mod duty;
mod fetcher;
mod health;
mod held;
mod housekeeping;
pub mod jobs;
mod markets;
mod metrics;
mod operators;
mod outcome;
mod patience;
mod retrying;
mod runner;
mod sweeper;
mod tender;
mod webhooks;
mod worker;

pub use config::{VARIABLES, WorkerConfig};
pub use worker::Worker;
