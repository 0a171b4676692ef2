//! The whole product against real servers: a real Redis, a MongoDB-wire server, and the simulator on real sockets.

#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

mod accepting;
mod another_kind;
mod api_auth;
mod api_bad_input;
mod api_batches;
mod api_dead_letters;
mod api_operators;
mod api_tasks;
mod batches;
mod command_line;
mod dead_letters;
mod delayed;
mod faults;
mod harness;
mod inbox;
mod known_listings;
mod large_batches;
mod ledger;
mod lost_answers;
mod market_list;
mod one_request;
mod operators;
mod programs;
mod queue;
mod queue_model;
mod receiver;
mod records;
mod replay_gate;
mod retention;
mod schedule_model;
mod schedules;
mod seasonality;
mod series;
mod tasks;
mod told_figures;
mod verify_api;
mod versions;
mod webhooks;
mod whole;
mod worker_backfill;
mod worker_faults;
