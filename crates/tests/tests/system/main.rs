//! The whole product against real servers: a real Redis, a MongoDB-wire server, and the simulator on real sockets.

#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

mod accepting;
mod api_auth;
mod api_bad_input;
mod api_dead_letters;
mod api_tasks;
mod dead_letters;
mod delayed;
mod faults;
mod mill;
mod programs;
mod queue;
mod receiver;
mod tasks;
mod webhooks;
mod whole;
mod worker_backfill;
mod worker_faults;
