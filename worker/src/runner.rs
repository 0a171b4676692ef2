//! Consumes deliveries by apalis, and starts anew what it ends.

use crate::context::Workshop;
use crate::delivery;
use crate::metrics::Metrics;
use apalis::layers::WorkerBuilderExt;
use apalis_core::backend::ext::BackendExt;
use apalis_core::error::WorkerError;
use apalis_core::task::task_id::TaskId as DeliveryId;
use apalis_core::worker::builder::WorkerBuilder;
use apalis_core::worker::ext::parallelize::ParallelizeExt;
use apalis_redis::{Config, RedisStorage};
use candlemill_shared::job::Pool;
use candlemill_store::{RedisLink, StoreError};
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Heartbeat and misses after which others take a dead worker's deliveries: 6 s.
const HEARTBEAT: Duration = Duration::from_secs(2);
const MISSED_HEARTBEATS: usize = 3;
/// Look into the queue at least so often, should an announcement be lost.
const POLL: Duration = Duration::from_millis(500);
/// How often due tasks are promoted.
const PROMOTE: Duration = Duration::from_millis(250);
/// Wait before consuming is started anew.
const RESTART: Duration = Duration::from_millis(500);

/// One pool's consumption.
pub(crate) struct Runner {
    pub(crate) shop: Workshop,
    pub(crate) pool: Pool,
    pub(crate) concurrency: usize,
    pub(crate) link: RedisLink,
    pub(crate) metrics: Arc<Metrics>,
}

impl Runner {
    /// Consumes until the shop drains; then waits for the deliveries under way.
    pub(crate) async fn run(self) {
        let draining = self.shop.draining.clone();
        let promoting = tokio::spawn(promote(self.shop.clone(), self.pool));
        let mut starts = 0_u64;
        while !draining.is_cancelled() {
            // apalis refuses a name that was lately in use, so every start has one of its own.
            let name = format!("{}-{}-{starts}", self.shop.worker, self.pool.as_str());
            match self.consume(&name).await {
                Ok(()) if draining.is_cancelled() => break,
                Ok(()) => tracing::warn!("consuming ended by itself; starting anew"),
                Err(error) => tracing::warn!(%error, "consuming broke off; starting anew"),
            }
            self.metrics.broker_restarts.inc();
            starts += 1;
            tokio::select! {
                () = tokio::time::sleep(RESTART) => {}
                () = draining.cancelled() => {}
            }
        }
        promoting.abort();
    }

    /// Boxed: as part of an `async fn` the compiler cannot tell that the worker's future may be sent.
    fn consume(&self, name: &str) -> BoxFuture<'static, Result<(), WorkerError>> {
        let queue = self.shop.store.queue(self.pool);
        let config = Config::default()
            .queue(queue.apalis_name())
            .batch_size(1)
            .heartbeat_interval(HEARTBEAT)
            .missed_heartbeats(MISSED_HEARTBEATS)
            .lock_tasks(false)
            .emit_events(false);
        let storage = RedisStorage::<serde_json::Value, RedisLink>::new(self.link.clone()).with_config(config);
        let shop = self.shop.clone();
        let handler = move |message: serde_json::Value, id: DeliveryId| {
            let shop = shop.clone();
            async move { delivery::handle(shop, id.to_string(), message).await }
        };
        let worker = WorkerBuilder::new(name)
            .backend(storage.poll_with_stream(self.announcements()).poll_with_interval(POLL))
            .concurrency(self.concurrency)
            .parallelize(tokio::spawn)
            .build(handler);
        let draining = self.shop.draining.clone();
        let stop = async move {
            draining.cancelled().await;
            Ok::<(), WorkerError>(())
        };
        Box::pin(worker.run_until(stop))
    }

    /// Wakes consuming for announced deliveries. Lost announcements are made up for by the regular look.
    ///
    /// apalis throws an item away that it finds while a fetch is under way, and nobody wakes it afterwards. So all items
    /// that are there are taken at once, and the poll after this one is asked for right away.
    fn announcements(&self) -> BoxStream<'static, ()> {
        let mut heard = heard(self.shop.store.clone(), self.pool);
        Box::pin(futures::stream::poll_fn(move |context| {
            let mut any = false;
            while let Poll::Ready(Some(())) = heard.poll_next_unpin(context) {
                any = true;
            }
            if any {
                context.waker().wake_by_ref();
                Poll::Ready(Some(()))
            } else {
                Poll::Pending
            }
        }))
    }
}

/// One item for every announcement, for ever.
fn heard(store: candlemill_store::Store, pool: Pool) -> BoxStream<'static, ()> {
    Box::pin(futures::stream::unfold(
        (store, None),
        move |(store, heard): (_, Option<BoxStream<'static, ()>>)| async move {
            let mut heard = match heard {
                Some(heard) => heard,
                None => loop {
                    match subscribe(&store, pool).await {
                        Ok(heard) => break heard,
                        Err(error) => {
                            tracing::debug!(%error, "announcements are not heard at the moment");
                            tokio::time::sleep(POLL).await;
                        }
                    }
                },
            };
            let next = heard.next().await;
            Some(((), (store, next.map(|()| heard))))
        },
    ))
}

async fn subscribe(store: &candlemill_store::Store, pool: Pool) -> Result<BoxStream<'static, ()>, StoreError> {
    let channel = store.queue(pool).wake_channel().to_owned();
    Ok(Box::pin(store.bus().subscribe(&channel).await?.map(drop)))
}

/// Moves due tasks on, until the shop drains.
async fn promote(shop: Workshop, pool: Pool) {
    let mut ticks = tokio::time::interval(PROMOTE);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let shutdown: CancellationToken = shop.draining.clone();
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = shutdown.cancelled() => return,
        }
        if let Err(error) = shop.store.queue(pool).promote(shop.store.clock().now_ms()).await {
            tracing::debug!(%error, "due tasks are not promoted at the moment");
        }
    }
}
