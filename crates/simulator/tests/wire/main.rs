//! The simulator as its clients meet it: over sockets.

#![expect(clippy::unwrap_used, reason = "a test says by its panic what is wrong")]

mod auth;
mod binary;
mod commands;
mod data;
mod exchange_info;
mod faults;
mod harness;
mod keys;
mod klines;
mod market;
mod subscriptions;
mod weights;
