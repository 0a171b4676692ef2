//! Sole owner of MongoDB and Redis.
//!
//! MongoDB is the truth: candles, the coverage ledger, task records. Redis carries the queue, live progress, caches, the
//! weight budget and messages between processes; losing it slows answers and falsifies none.

mod admission;
mod budget;
mod bus;
mod cancel;
mod candles;
mod config;
mod coverage;
mod dead_letters;
mod error;
mod groups;
mod history;
mod keys;
mod later;
mod lease;
mod markets;
mod mongo;
mod pages;
mod parents;
mod pauses;
mod places;
mod progress;
pub mod queue;
mod requests;
mod rescue;
mod series;
mod store;
mod submissions;
mod task_keys;
mod tasks;
mod tidy;
mod tokens;
mod webhooks;
mod workers;

pub use admission::{Admission, RateDecision};
pub use budget::{BudgetAnswer, WeightLedger};
pub use bus::Bus;
pub use cancel::CancelOutcome;
pub use candles::{Candles, Inserted};
pub use config::{StoreConfig, VARIABLES};
pub use coverage::{Audited, Correction, Coverage, Known, Observation};
pub use dead_letters::{DeadLetterQuery, DiscardOutcome, ReplayOutcome, ReplayTerms};
pub use error::StoreError;
pub use history::History;
pub use lease::Lease;
pub use markets::{ListRenewal, Market, MarketLookup, Markets};
pub use pages::{PageLease, Pages, Taken};
pub use pauses::{Paused, Pauses};
pub use progress::{ProgressBoard, ProgressWrite};
pub use series::Series;
pub use store::{Health, Store};
pub use submissions::{Submissions, SubmitError, Submitted};
pub use tasks::{Checkpoint, Claim, ClaimTries, Ending, TaskQuery, Tasks};
pub use tokens::TokenCache;
pub use webhooks::DueWebhook;
pub use workers::{PoolLoad, WorkerCard, WorkerState, Workers};
