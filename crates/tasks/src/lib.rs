//! The task engine: submission, unique keys, quota, queue, attempts, parents, progress, cancellation, pauses, dead letters,
//! webhooks, heartbeats of workers.
//!
//! MongoDB is the truth; Redis carries the queue, live progress and messages between processes, and losing it slows answers and
//! falsifies none. The engine never looks into what a job does: payload and result are documents of their kind.

mod accept;
mod cancel;
mod cancel_flag;
mod config;
mod dead_letters;
mod engine;
mod grant;
mod left_keys;
mod parents;
mod pauses;
mod prepare;
mod progress;
pub mod queue;
mod quota;
mod records;
mod request_rate;
mod rescue;
mod reserve;
mod schedules;
mod service;
mod tidy;
mod unique_keys;
mod webhooks;
mod workers;

pub use accept::{Submissions, SubmitError, Submitted};
pub use cancel::CancelOutcome;
pub use config::{TasksConfig, VARIABLES};
pub use dead_letters::{DeadLetterQuery, DiscardOutcome, ReplayOutcome, ReplayTerms};
pub use engine::TaskEngine;
pub use grant::{ConfirmedBy, Grant};
pub use pauses::{Paused, Pauses};
pub use progress::{ProgressBoard, ProgressWrite};
pub use records::{Checkpoint, Claim, ClaimTries, DueWebhook, Ending, TaskQuery, TaskRecords};
pub use request_rate::{RateDecision, RequestRate};
pub use schedules::{FireSelection, OwnerRecord, OwnerState, Owners, ScheduleSelection, Schedules, StoreClock};
pub use service::{Rejected, TaskService, idempotency_key_of};
pub use workers::{Heartbeat, PoolLoad, WorkerState, Workers};
