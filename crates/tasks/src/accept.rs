//! Accepting tasks: each durable before its caller is told so, many in one journal write.

mod duplicates;
mod known_requests;
mod submissions;
mod taken;

pub(crate) use duplicates::existing;
pub use submissions::{Submissions, Submitted};
pub use taken::SubmitError;
pub(crate) use taken::{BETWEEN_TRIES, TRIES};
