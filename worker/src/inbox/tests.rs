//! The consumer over a real Redis that is killed, restarted and fed what it should not be fed.

mod faults;
mod flow;
mod harness;
