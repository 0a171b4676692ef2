//! Task records: the durable truth about every task.

mod attempts;
mod collection;
mod document;
mod list_keys;
mod lists;
mod notice;
mod projections;

pub use attempts::{Checkpoint, Claim, ClaimTries, Ending};
pub(crate) use collection::TASKS;
pub use collection::TaskRecords;
pub(crate) use document::{BEGUN_AT, QUEUED_AT, encode, from_document};
pub(crate) use list_keys::{BURIED, UNLISTED, listed_between, listed_expression, milestone};
pub use lists::TaskQuery;
pub use notice::DueWebhook;
pub(crate) use notice::waits_again;
