//! The one way in for tasks: tier, quota, unique keys, record and queue in one place.
//!
//! The API, operators' calls, replays and the inbox come this way, each with a [`Grant`](crate::Grant). Children are no requests:
//! they are part of their parent's grant and quota, and their ids follow from its record.

mod checked;
mod rejected;
mod replay;
mod submit;

pub use checked::idempotency_key_of;
pub use rejected::Rejected;
pub use submit::TaskService;
