//! One worker of apalis over apalis-redis, from its start to its first error: none is worth saving, because the next one
//! starts within a second.

use super::handler::{Handler, Running, Verdict};
use super::message::Message;
use apalis::prelude::WorkerBuilderExt;
use apalis_core::backend::codec::Codec;
use apalis_core::backend::ext::BackendExt;
use apalis_core::error::WorkerError;
use apalis_core::task::task_id::TaskId;
use apalis_core::worker::builder::WorkerBuilder;
use apalis_core::worker::context::WorkerContext;
use apalis_core::worker::event::Event;
use apalis_core::worker::ext::event_listener::EventListenerExt;
use apalis_core::worker::ext::parallelize::ParallelizeExt;
use apalis_redis::{Config, RedisStorage};
use futures::future::BoxFuture;
use redis::aio::ConnectionManager;
use std::convert::Infallible;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio_util::task::AbortOnDropHandle;

/// Messages whose handlers run at once.
const AT_ONCE: usize = 64;
/// How often an idle worker looks for messages.
const POLL: Duration = Duration::from_millis(100);
/// Heartbeats, and how many of them are missed before other workers take over what one holds: after 6 s.
const HEARTBEAT: Duration = Duration::from_secs(2);
const MISSED_HEARTBEATS: usize = 3;

/// How apalis-redis is to treat the queue.
///
/// - One message is fetched at a time: the heartbeat is not sent while any are buffered.
/// - Messages are not locked: a lock that is late is an error that ends the worker, and only workers take from the waiting
///   list anyway.
/// - Results are kept: without them nothing would be acknowledged.
pub(super) fn settings(queue: &str) -> Config {
    Config::default()
        .queue(queue)
        .batch_size(1)
        .lock_tasks(false)
        .heartbeat_interval(HEARTBEAT)
        .missed_heartbeats(MISSED_HEARTBEATS)
}

/// Leaves the text as it is: what a codec cannot decode ends the worker, and the next one that takes it.
#[derive(Debug, Clone)]
struct Verbatim;

impl Codec<Vec<u8>> for Verbatim {
    type Error = Infallible;
    type Compact = Vec<u8>;

    fn encode(&self, text: &Vec<u8>) -> Result<Vec<u8>, Infallible> {
        Ok(text.clone())
    }

    fn decode(&self, text: &Vec<u8>) -> Result<Vec<u8>, Infallible> {
        Ok(text.clone())
    }
}

/// When a worker last gave a sign of life.
#[derive(Debug, Clone)]
pub(super) struct Beat(Arc<Mutex<Instant>>);

impl Beat {
    /// Of a worker that starts now.
    pub(super) fn now() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }

    fn note(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Time since the last sign of life.
    pub(super) fn age(&self) -> Duration {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }
}

/// A worker that is ready to run.
pub(super) struct Generation {
    pub(super) beat: Beat,
    pub(super) running: Running,
    pub(super) context: WorkerContext,
    /// Ends at the worker's first error.
    pub(super) work: BoxFuture<'static, Result<(), WorkerError>>,
}

impl Generation {
    /// A worker called `name`, which nobody ever was called before: apalis refuses names that it knows.
    pub(super) fn new<H, F>(name: &str, config: Config, connection: ConnectionManager, handler: Handler<H>) -> Self
    where
        H: Fn(Message) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Verdict> + Send + 'static,
    {
        let (beat, running, context) = (Beat::now(), handler.running.clone(), WorkerContext::new(name));
        let noted = beat.clone();
        let attend = move |text: Vec<u8>, id: TaskId| handler.clone().attend(Message { id: id.to_string(), text });
        let storage = RedisStorage::<Vec<u8>, _>::new(connection).with_config(config);
        let worker = WorkerBuilder::new(&context)
            .backend(storage.with_codec(Verbatim).poll_with_interval(POLL))
            .concurrency(AT_ONCE)
            .on_event(move |_, event| {
                if matches!(event, Event::HeartBeat) {
                    noted.note();
                }
            })
            // Handlers do not outlive their worker: what it held is given back, and would be handled twice at once.
            .parallelize(|handling| AbortOnDropHandle::new(tokio::spawn(handling)))
            .build(attend);
        Self { beat, running, context, work: Box::pin(worker.run()) }
    }
}
