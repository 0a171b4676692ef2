//! A place for work that keeps a processor busy: threads beside those that renew leases, send heartbeats and answer health checks.

use std::num::NonZeroUsize;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Threads for busy work. As many run at once as there are processors, but for one: that one is the async runtime's.
#[derive(Debug, Clone)]
pub(crate) struct CpuPool {
    slots: Arc<Semaphore>,
}

/// Tells busy work whether it is still wanted.
#[derive(Debug, Clone)]
pub(crate) struct CpuWork(CancellationToken);

/// The work was cancelled before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the work was cancelled")]
pub(crate) struct CpuCancelled;

impl CpuWork {
    /// To be asked often, every few milliseconds of work.
    ///
    /// # Errors
    /// [`CpuCancelled`]: nobody waits for it any more.
    pub(crate) fn may_go_on(&self) -> Result<(), CpuCancelled> {
        if self.0.is_cancelled() { Err(CpuCancelled) } else { Ok(()) }
    }
}

impl CpuPool {
    /// A pool for this machine.
    pub(crate) fn of_this_machine() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self { slots: Arc::new(Semaphore::new(processors.saturating_sub(1).max(1))) }
    }

    /// Runs `work` on a thread of its own, as soon as one is free, until it ends, `cancel` is cancelled, or the caller waits no
    /// longer. A panic of the work is the caller's.
    ///
    /// # Errors
    /// [`CpuCancelled`]: it was cancelled before its end, or before it began.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        cancel: &CancellationToken,
        work: impl FnOnce(&CpuWork) -> Result<T, CpuCancelled> + Send + 'static,
    ) -> Result<T, CpuCancelled> {
        let token = cancel.child_token();
        let _cancelled_with_this: DropGuard = token.clone().drop_guard();
        // The semaphore is never closed.
        let slot = tokio::select! {
            slot = Arc::clone(&self.slots).acquire_owned() => slot.map_err(|_| CpuCancelled)?,
            () = token.cancelled() => return Err(CpuCancelled),
        };
        let running = tokio::task::spawn_blocking(move || {
            let _slot = slot;
            work(&CpuWork(token))
        });
        match running.await {
            Ok(done) => done,
            Err(gone) if gone.is_panic() => std::panic::resume_unwind(gone.into_panic()),
            Err(_) => Err(CpuCancelled),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Duration;

    fn forever(begun: mpsc::Sender<()>, ended: mpsc::Sender<()>) -> impl FnOnce(&CpuWork) -> Result<(), CpuCancelled> {
        move |work| {
            begun.send(()).unwrap();
            let stopped = loop {
                if let Err(stopped) = work.may_go_on() {
                    break stopped;
                }
                std::hint::spin_loop();
            };
            ended.send(()).unwrap();
            Err(stopped)
        }
    }

    #[tokio::test]
    async fn busy_work_holds_nothing_up_and_stops_when_it_is_not_wanted() {
        let pool = CpuPool { slots: Arc::new(Semaphore::new(1)) };
        let (begun, begins) = mpsc::channel();
        let (ended, ends) = mpsc::channel();
        let cancel = CancellationToken::new();
        let (first, token) = (pool.clone(), cancel.clone());
        let work = forever(begun.clone(), ended.clone());
        let running = tokio::spawn(async move { first.run(&token, work).await });
        // The runtime of this test has one thread: it goes on while the work runs.
        while begins.try_recv().is_err() {
            tokio::task::yield_now().await;
        }
        let waiting = pool.run(&cancel, |_| Ok(()));
        assert!(tokio::time::timeout(Duration::from_millis(20), waiting).await.is_err(), "one at a time");
        cancel.cancel();
        assert_eq!(running.await.unwrap(), Err(CpuCancelled));
        ends.recv().unwrap();
        // Nor is work that nobody waits for any more.
        let live = CancellationToken::new();
        let dropped = pool.run(&live, forever(begun, ended));
        assert!(tokio::time::timeout(Duration::from_millis(50), dropped).await.is_err());
        begins.recv().unwrap();
        while ends.try_recv().is_err() {
            tokio::task::yield_now().await;
        }
        assert_eq!(pool.run(&live, |_| Ok(7)).await, Ok(7));
    }

    #[tokio::test]
    #[should_panic(expected = "poison")]
    async fn a_panic_is_the_callers() {
        let pool = CpuPool::of_this_machine();
        let poisoned = pool.run(&CancellationToken::new(), |_| -> Result<(), CpuCancelled> { panic!("poison") }).await;
        assert_eq!(poisoned, Ok(()));
    }
}
