//! The authenticator by itself, with the Supabase of the simulator and a real Redis: what replicas share, what each decides
//! alone, and what is said about failures. What a client sees of it stands in `tests/http`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod log;
mod memory;
mod replica;
mod supabase;
