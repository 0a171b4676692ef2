//! Reads and changes of single documents, many in one command: one round trip and one journal write for all of them.
//!
//! A caller waits for the command that carries its part, no longer: a batch is what came while the one before was
//! under way. No transaction spans them: one that a killed process leaves open locks its documents for a minute.
//!
//! Lists of ids are sent sorted: a server that plans a question sorts them, several times over (`secantusd-rs` does).

mod changes;
mod documents;
mod workers;

pub use changes::Change;
pub use documents::{Batcher, Found};
pub use workers::{Reply, ask, batch_workers, without_conflicts};
