//! The supervisor: one worker of apalis after the other, with what each left behind set right in between.

use super::counters::InboxCounters;
use super::generation::{Generation, settings};
use super::handler::{Handler, Running, Verdict};
use super::keys::Keys;
use super::message::Message;
use super::sift::sift;
use super::store::Store;
use super::watch::{self, move_all_due};
use apalis_redis::Config;
use candlemill_db::{Db, StoreError};
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use ulid::Ulid;

/// Wait before the next worker is started, and the longest after several that ended soon.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// A worker that lived for so long did not end soon.
const LIVED: Duration = Duration::from_secs(10);
/// Time that handlers get to end when the inbox closes, and then the return of what they held.
const GRACE: Duration = Duration::from_secs(1);

/// Takes messages from one queue.
pub(super) struct Consumer<H> {
    pub(super) db: Db,
    pub(super) counters: InboxCounters,
    pub(super) handle: H,
    store: Store,
    config: Config,
}

/// How a worker ended.
enum End {
    Closed,
    Broken(String),
}

impl<H, F> Consumer<H>
where
    H: Fn(Message) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Verdict> + Send + 'static,
{
    /// For this queue of apalis-redis. `handle` sees each message at least once, and again until it is done with it.
    ///
    /// # Errors
    /// When the address of Redis cannot be read.
    pub(super) fn new(db: Db, queue: &str, counters: InboxCounters, handle: H) -> Result<Self, StoreError> {
        let config = settings(queue);
        let store = Store::new(db.own_redis()?, Arc::new(Keys::of(&config)));
        Ok(Self { db, counters, handle, store, config })
    }

    /// Consumes until `closed`.
    pub(super) async fn run(self, closed: CancellationToken) {
        let (mut before, mut wait) = (String::new(), FIRST_WAIT);
        while !closed.is_cancelled() {
            let began = Instant::now();
            let ended = match self.make_ready(&before).await {
                Ok(()) => {
                    before = format!("inbox-{}", Ulid::generate());
                    self.work(&before, &closed).await
                }
                Err(error) => Err(error),
            };
            match ended {
                Ok(End::Closed) => break,
                Ok(End::Broken(why)) => {
                    self.counters.restarts.inc();
                    tracing::warn!(worker = before, "a worker of the inbox ended; another one is started: {why}");
                }
                Err(error) => tracing::warn!(%error, "no worker of the inbox can be started; trying again"),
            }
            wait = if began.elapsed() > LIVED { FIRST_WAIT } else { (wait * 2).min(LONGEST_WAIT) };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = closed.cancelled() => {}
            }
        }
        // Others need not wait for its heartbeats to be missed.
        if let Ok(Err(error)) = tokio::time::timeout(GRACE, self.give_back(&before)).await {
            tracing::debug!(%error, "what the inbox held here is taken over within seconds");
        }
    }

    /// Sets right what would end the next worker.
    async fn make_ready(&self, before: &str) -> Result<(), StoreError> {
        let sifted = sift(&self.store, before).await?;
        self.counters.mended.inc_by(sifted.mended);
        self.counters.ghosts.inc_by(sifted.ghosts);
        if sifted.mended + sifted.ghosts > 0 {
            let (mended, ghosts) = (sifted.mended, sifted.ghosts);
            tracing::warn!(mended, ghosts, "messages of the inbox that apalis cannot read were set right or removed");
        }
        self.give_back(before).await?;
        move_all_due(&self.store, &self.counters).await
    }

    /// What the worker `before` held waits again.
    async fn give_back(&self, before: &str) -> Result<(), StoreError> {
        if !before.is_empty() {
            let returned = self.store.leave(before).await?;
            self.counters.returned.inc_by(returned);
        }
        Ok(())
    }

    /// Runs one worker to its end.
    async fn work(&self, name: &str, closed: &CancellationToken) -> Result<End, StoreError> {
        self.store.start(name, self.db.clock().now_ms()).await?;
        let handler = Handler {
            store: self.store.clone(),
            counters: self.counters.clone(),
            running: Running::default(),
            handle: self.handle.clone(),
        };
        let Generation { beat, running, context, work } =
            Generation::new(name, self.config.clone(), self.db.own_redis()?, handler);
        // A task of its own: a panic within apalis ends nothing else, and dropping it ends it and its handlers.
        let mut working = AbortOnDropHandle::new(tokio::spawn(work));
        let watched = watch::Watched { store: &self.store, counters: &self.counters, clock: self.db.clock(), name };
        tokio::select! {
            ended = &mut working => Ok(End::Broken(match ended {
                Ok(Ok(())) => "it ended by itself".to_owned(),
                Ok(Err(error)) => error.to_string(),
                Err(panic) => panic.to_string(),
            })),
            why = watched.until_it_hangs(&beat, &running) => Ok(End::Broken(why)),
            () = closed.cancelled() => {
                if let Err(error) = context.stop() {
                    tracing::debug!(%error, "the inbox's worker had not started");
                }
                drop(tokio::time::timeout(GRACE, &mut working).await);
                Ok(End::Closed)
            }
        }
    }
}
