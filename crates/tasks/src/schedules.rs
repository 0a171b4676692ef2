//! Schedules, their fires, and the owners by whose tier they fire: what is stored, and who may change it.
//!
//! Rules that hold however many schedulers run, die, freeze and wake:
//! 1. A fire is a document with schedule and due instant as its id; the scheduler that records it first has decided it.
//! 2. `fired_until` of a schedule rises after its fires are recorded, and never falls: nothing at or before it is decided again.
//! 3. A fire is claimed (`started`, with the id of its task) before its task is submitted. That id follows from the fire's, so that
//!    every scheduler that finds a claimed fire without a task submits the same one.
//! 4. What is due is judged by MongoDB's clock.

mod collection;
mod fires;
mod owners;
mod store_clock;

pub use collection::{ScheduleSelection, Schedules};
pub use fires::FireSelection;
pub use owners::{OwnerRecord, OwnerState, Owners};
pub use store_clock::StoreClock;
