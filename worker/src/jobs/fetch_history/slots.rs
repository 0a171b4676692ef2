//! How much all backfills of this process do at once.

use std::sync::Arc;
use tokio::sync::Semaphore;

/// Most pages of one insert.
pub(super) const PAGES_PER_INSERT: usize = 8;
/// Inserts under way at once: the server works on one while the next is sent.
pub(super) const INSERTS: usize = 2;
/// What all backfills of this process share, so that its memory is the same whatever their number.
#[derive(Debug)]
pub(crate) struct PageSlots {
    /// Pages that are fetched or being stored. Those of one task take their slots in order, so that the one that all later
    /// ones wait for always has its own.
    pub(super) pages: Arc<Semaphore>,
    pub(super) inserts: Semaphore,
}

impl PageSlots {
    pub(crate) fn new(page_concurrency: usize) -> Self {
        let pages = page_concurrency + PAGES_PER_INSERT * INSERTS;
        Self { pages: Arc::new(Semaphore::new(pages)), inserts: Semaphore::new(INSERTS) }
    }
}
