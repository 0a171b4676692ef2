//! Who fetches which page: two tasks that want the same one do not both ask the exchange.
//!
//! Pages lie on one grid, so that tasks with different ranges want the same ones. A page's lease says who fetches it; when it
//! was fetched, a mark stays for a minute, so that others whose plan is older look into the ledger again. All of this only
//! saves calls: without it, as after a loss of Redis, pages are fetched twice and nothing becomes wrong.

use crate::series::Series;
use candlemill_db::{StoreError, key};
use candlemill_shared::task::TaskId;
use redis::Script;
use redis::aio::ConnectionManager;
use std::sync::Arc;
use std::time::Duration;

/// A lease that is not prolonged ends after this.
const LEASE: Duration = Duration::from_secs(6);
/// The mark of a fetched page stays this long.
const DONE: Duration = Duration::from_secs(60);

/// Leases of pages in Redis.
#[derive(Clone)]
pub struct Pages {
    connection: ConnectionManager,
    take: Arc<Script>,
    end: Arc<Script>,
    renew: Arc<Script>,
}

impl std::fmt::Debug for Pages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pages")
    }
}

/// The claim of one attempt on one page.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PageLease {
    key: String,
    task: TaskId,
    attempt: u32,
}

/// What became of a wish for a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It is the caller's.
    Free,
    /// It is the caller's, and somebody fetched it within the last minute: the ledger knows more than an older plan.
    FetchedBefore,
    /// Another task fetches it at the moment.
    Busy,
}

impl PageLease {
    /// The claim of attempt number `attempt` of `task` on the page that begins at `start`.
    #[must_use]
    pub fn new(series: &Series, start: i64, task: TaskId, attempt: u32) -> Self {
        Self { key: key(&format!("{{{}}}:page:{start}", series.id())), task, attempt }
    }

    fn token(&self) -> String {
        format!("{}:{}", self.task, self.attempt)
    }
}

impl Pages {
    pub(crate) fn new(connection: ConnectionManager) -> Self {
        Self {
            connection,
            take: Arc::new(Script::new(include_str!("pages/take.lua"))),
            end: Arc::new(Script::new(include_str!("pages/end.lua"))),
            renew: Arc::new(Script::new(include_str!("pages/renew.lua"))),
        }
    }

    /// How often a lease is to be prolonged.
    #[must_use]
    pub const fn renew_every() -> Duration {
        Duration::from_millis(LEASE.as_millis() as u64 / 3)
    }

    /// Takes a page, also from an earlier attempt of the same task.
    ///
    /// # Errors
    /// When Redis fails; a repetition is harmless.
    pub async fn take(&self, lease: &PageLease) -> Result<Taken, StoreError> {
        let mut connection = self.connection.clone();
        let taken: i64 = self
            .take
            .key(&lease.key)
            .arg(lease.task.to_string())
            .arg(lease.attempt)
            .arg(milliseconds(LEASE))
            .invoke_async(&mut connection)
            .await
            .map_err(StoreError::redis("taking a page"))?;
        Ok(match taken {
            0 => Taken::Busy,
            1 => Taken::Free,
            _ => Taken::FetchedBefore,
        })
    }

    /// Prolongs leases. Those that were lost to others stay theirs.
    ///
    /// # Errors
    /// When Redis fails; a repetition is harmless.
    pub async fn renew(&self, leases: &[PageLease]) -> Result<(), StoreError> {
        for lease in leases {
            self.call(&self.renew, lease, LEASE, "", "prolonging the lease of a page").await?;
        }
        Ok(())
    }

    /// Gives a page back: fetched, or not.
    ///
    /// # Errors
    /// When Redis fails; a repetition is harmless, and the lease ends by itself.
    pub async fn give_back(&self, lease: &PageLease, fetched: bool) -> Result<(), StoreError> {
        self.call(&self.end, lease, DONE, if fetched { "1" } else { "0" }, "giving a page back").await
    }

    async fn call(
        &self,
        script: &Script,
        lease: &PageLease,
        term: Duration,
        more: &str,
        action: &'static str,
    ) -> Result<(), StoreError> {
        let mut connection = self.connection.clone();
        let mut call = script.prepare_invoke();
        call.key(&lease.key).arg(lease.token()).arg(milliseconds(term)).arg(more);
        call.invoke_async(&mut connection).await.map_err(StoreError::redis(action))
    }
}

fn milliseconds(term: Duration) -> u64 {
    u64::try_from(term.as_millis()).unwrap_or(u64::MAX).max(1)
}
