//! The API on a real socket, with the Supabase of the simulator and without Redis and MongoDB: what must hold when the
//! stores are away, and everything that is decided before a store is asked.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod bad_input;
mod browsers;
mod dashboard;
mod dead_letters;
mod operators;
mod outages;
mod service;
mod sessions;
mod tokens;
mod webhooks;
