//! The apalis inbox: programs that use apalis already submit tasks without HTTP, as `RedisStorage<TaskRequest>` of
//! apalis-redis. A worker takes the messages with apalis-redis as it is and hands each to the engine's one way in, with the
//! apalis task id as idempotency key, so that "at least once" becomes exactly one task.
//!
//! A message waits (`{queue}:active`, or `{queue}:scheduled` before its time), is held by a worker
//! (`{queue}:inflight:{worker}`), is done, or is postponed. It leaves the inbox only when its task, or its dead letter, is
//! stored.
//!
//! What apalis-redis 1.0.0 needs around it:
//!
//! 1. It moves due messages in one step, which fails for good at 8,000 of them, and every push makes a due one. They are moved in
//!    steps of 1,000, before each worker starts and four times a second (`promote.lua`). Where 8,000 come in between, the
//!    worker ends, and the next one starts when they are moved.
//! 2. Any error of Redis ends the worker: a connection that is cut, an answer that is late, an acknowledgement of a
//!    message that others have taken over. The errors are not hidden from it, because after one it no longer knows what it
//!    holds. It is ended, what it held waits again, and another one with a new name and a new connection starts within a
//!    second (`consumer`). A worker that gives no heartbeat for 6 s while Redis answers is ended too, and one that holds a
//!    message which no handler of it has seen (`watch`).
//! 3. Messages that it cannot read end every worker that takes them. They are set right where a worker has ended (`sift`).
//!    What the text is does not matter to it: a codec that leaves it as it is stands in for its own, which would end the
//!    worker over a text that is no JSON.
//! 4. Its retries end after 25 tries, a wait that is asked for is ignored, and time-outs and panics are acknowledged as
//!    errors for good. So a message that is to be tried again is postponed by the inbox, with waits from 1 s to 5 minutes
//!    and without end, and acknowledged as aborted, which puts it into `{queue}:dead`; `resume.lua` takes it from there.
//! 5. It keeps what is finished for ever; its `vacuum()` removes what waits for a retry as well, and is never called. The
//!    inbox removes what has been done for a minute (`purge.lua`).
//! 6. Messages of a process that was killed wait again after 6 to 8 s, by the heartbeats of the workers that live. For
//!    that it compares the clocks of their machines, which must agree within some seconds.
//!
//! What cannot be made safe around it:
//!
//! - It needs one Redis primary of version 6.2 or later: its scripts use keys without hash tags.
//! - What Redis forgets is lost. With `appendfsync everysec` a Redis that is killed may forget pushes that it answered in
//!   the last two seconds; with `always` it does not.
//! - A producer whose push failed cannot know whether it was carried out. If it repeats the push it must give the message
//!   the same id.
//! - The engine remembers an idempotency key for a day. A message that was accepted, and whose acknowledgement was lost,
//!   must be taken again within that time.
//! - What a producer reads as a task's result is how the message was taken: the id of its task or dead letter.

mod config;
mod consumer;
mod counters;
mod generation;
mod handler;
mod keys;
mod message;
mod sift;
mod store;
mod submit;
#[cfg(test)]
mod tests;
mod watch;

pub use config::InboxConfig;
pub(crate) use config::{APALIS_INBOX, APALIS_INBOX_OWNER, APALIS_INBOX_TIER};
pub(crate) use counters::InboxCounters;

use candlemill_db::{Db, StoreError};
use candlemill_tasks::TaskService;
use consumer::Consumer;
use std::sync::Arc;
use submit::Submitter;
use tokio_util::sync::CancellationToken;

/// Takes tasks in until `closed`. What is under way then ends or is given back within some seconds.
///
/// # Errors
/// When the address of Redis cannot be read.
pub(crate) async fn run(
    config: InboxConfig,
    db: Db,
    service: TaskService,
    counters: InboxCounters,
    closed: CancellationToken,
) -> Result<(), StoreError> {
    let queue = config.queue.clone();
    tracing::info!(
        queue,
        owner = config.owner,
        tier = config.tier.as_str(),
        "the apalis inbox takes tasks from {queue}"
    );
    let clock = Arc::clone(db.clock());
    let submitter = Submitter { service, config: Arc::new(config), clock, counters: counters.clone() };
    let handle = move |message| submitter.clone().submit(message);
    Consumer::new(db, &queue, counters, handle)?.run(closed).await;
    Ok(())
}
