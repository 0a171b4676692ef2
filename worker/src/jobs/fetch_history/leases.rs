//! The pages that one attempt holds: others that want them wait, or find them fetched.

use crate::store_retry::retry_until_cancelled;
use candlemill_db::StoreError;
use candlemill_market_store::{PageLease, Pages, Series, Taken};
use candlemill_shared::task::TaskId;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// Time between two looks at a page that another task fetches.
const LOOK: Duration = Duration::from_millis(50);

/// The leases of one attempt, prolonged as long as this lives.
#[derive(Debug)]
pub(crate) struct PageLeases {
    pages: Pages,
    series: Series,
    task: TaskId,
    attempt: u32,
    held: Arc<Mutex<HashSet<PageLease>>>,
    _renewal: AbortOnDropHandle<()>,
}

/// A page that is held. Given back, as not fetched, when it is dropped.
#[derive(Debug)]
pub(crate) struct HeldPage {
    leases: Arc<PageLeases>,
    lease: Option<PageLease>,
}

impl PageLeases {
    pub(crate) fn start(pages: &Pages, series: &Series, task: TaskId, attempt: u32) -> Arc<Self> {
        let held: Arc<Mutex<HashSet<PageLease>>> = Arc::default();
        let renewal = tokio::spawn(renew(pages.clone(), Arc::clone(&held)));
        Arc::new(Self {
            pages: pages.clone(),
            series: series.clone(),
            task,
            attempt,
            held,
            _renewal: AbortOnDropHandle::new(renewal),
        })
    }

    /// Takes the page that begins at `start`, when no other task fetches it. Whether another task has fetched it a moment
    /// ago: then the ledger knows more than a plan.
    pub(crate) async fn take(
        self: &Arc<Self>,
        start: i64,
        give_up: &CancellationToken,
    ) -> Result<(HeldPage, bool), StoreError> {
        let lease = PageLease::new(&self.series, start, self.task, self.attempt);
        let mut waited = false;
        loop {
            let taken = retry_until_cancelled(give_up, || self.pages.take(&lease)).await?;
            if taken != Taken::Busy {
                lock(&self.held).insert(lease.clone());
                let page = HeldPage { leases: Arc::clone(self), lease: Some(lease) };
                return Ok((page, waited || taken == Taken::FetchedBefore));
            }
            waited = true;
            tokio::time::sleep(LOOK).await;
        }
    }
}

impl HeldPage {
    /// Gives the page back: what was fetched of it stands in the ledger. Best effort: a lease ends by itself.
    pub(crate) async fn done(mut self) {
        let Some(lease) = self.lease.take() else { return };
        lock(&self.leases.held).remove(&lease);
        if let Err(error) = self.leases.pages.give_back(&lease, true).await {
            tracing::debug!(%error, "a page was not given back; its lease ends within seconds");
        }
    }
}

impl Drop for HeldPage {
    fn drop(&mut self) {
        let Some(lease) = self.lease.take() else { return };
        lock(&self.leases.held).remove(&lease);
        let pages = self.leases.pages.clone();
        // Outside of a runtime it cannot be sent: the lease ends by itself.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { drop(pages.give_back(&lease, false).await) });
        }
    }
}

async fn renew(pages: Pages, held: Arc<Mutex<HashSet<PageLease>>>) {
    loop {
        tokio::time::sleep(Pages::renew_every()).await;
        let leases: Vec<PageLease> = lock(&held).iter().cloned().collect();
        if let Err(error) = pages.renew(&leases).await {
            tracing::debug!(%error, "leases of pages are not prolonged at the moment");
        }
    }
}

fn lock(held: &Mutex<HashSet<PageLease>>) -> MutexGuard<'_, HashSet<PageLease>> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}
