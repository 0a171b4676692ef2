//! A seeded series of fault runs against the real programs: API, workers, Redis, a MongoDB-wire server, the simulator.
//!
//! One *run* submits a few small backfills, injects one fault at a random moment, lets the system converge, and compares
//! what is to be seen from outside with what is promised. Everything random of a run is drawn from the seed and the run's
//! number, so a run can be repeated alone. What the operating system's scheduler does is not drawn: a violation that needs
//! a certain interleaving may take several repetitions.
//!
//! Promises, checked after every run:
//!
//! 1. Every accepted task ends in exactly one end state within a bound, and stays there. A repeated request with the same
//!    `Idempotency-Key` is the same task, whatever broke off in between.
//! 2. Every candle of the asked ranges is stored once, with the figures of the source; none lies beyond them. What succeeded
//!    is verified; the ledger's verified ranges are the stored candles and the gaps, and a gap is reported where the source
//!    lacks some.
//! 3. Progress and its sequence never run backwards, for those who poll and those who follow.
//! 4. Nothing is left in any key of the queue; every other key of Redis ends by itself.
//! 5. No call reaches the exchange during a pause that it demanded.
//! 6. Attempts on the record are numbered without a hole, and only the last of them succeeded.
//! 7. No process ends by itself or panics; the sweeper has one leader, and it lives.

mod clients;
pub mod fault;
mod inject;
mod pause;
pub mod plan;
mod reference;
pub mod report;
mod run;
mod runner;
pub mod series;
mod submissions;
mod test_stack;
mod verify;
pub mod violation;
mod watch;

pub use fault::Fault;
pub use report::{RunReport, Summary};
pub use series::{Settings, run_series};
pub use violation::{Promise, Violation};
