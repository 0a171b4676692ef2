//! Fetches history: plans what the ledger lacks, pages the exchange, and commits page after page.
//!
//! Invariants:
//! 1. Candles are stored before the range that holds them is verified, and that before progress shows it.
//! 2. Pages are committed in order: what is verified of a planned range is always its beginning.
//! 3. A range with an absence that is not settled is not verified there: the next fetch asks again.
//! 4. Memory is bounded by the pages under way, whatever the range.
//! 5. Pages lie on one grid, and only one task fetches one at a time: others wait, and look into the ledger again.
//! 6. A large fetch is left to parts, and ends by an attempt of its own that finds nothing missing.

mod attempt;
mod commit;
mod facts;
mod leases;
mod pages;
mod parts;
mod pipeline;
mod plan;
mod slots;
mod stop;
mod windows;

pub(crate) use leases::PageLeases;
pub(crate) use slots::PageSlots;
pub(crate) use windows::PER_PAGE;
