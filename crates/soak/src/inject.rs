//! Carries a fault out, from its beginning to its end.

mod exchange;
mod processes;
mod queue;

use crate::fault::Fault;
use crate::pause::Pause;
use crate::plan::Plan;
use crate::test_stack::TestStack;
use crate::watch::Watcher;
use anyhow::Result;
use candlemill_devkit::FaultProxy;
use std::time::Duration;
use tokio::time::sleep;

/// Does what `plan` says to the stack; returns when the fault is over and every process runs again.
pub(crate) async fn inject(
    test_stack: &mut TestStack,
    plan: &Plan,
    tasks: &[String],
    lease: Duration,
) -> Result<Pause> {
    match plan.fault {
        Fault::WorkerKilled
        | Fault::WorkersKilled
        | Fault::WorkerStopped
        | Fault::WorkerFrozen
        | Fault::LeaderKilled
        | Fault::ApiKilled
        | Fault::RedisKilled
        | Fault::RedisFrozen
        | Fault::MongoKilled
        | Fault::MongoFrozen => processes::inject(test_stack, plan, lease).await?,
        Fault::RedisCut | Fault::RedisDelayed | Fault::RedisHalfOpen => {
            disturb(&test_stack.stack.links().redis, plan).await;
        }
        Fault::MongoCut | Fault::MongoDelayed | Fault::MongoHalfOpen => {
            disturb(&test_stack.stack.links().mongo, plan).await;
        }
        Fault::SlowInserts => processes::killed_amid_slow_writes(test_stack, plan).await?,
        Fault::ExchangeCut | Fault::ExchangeDelayed | Fault::ExchangeHalfOpen => {
            disturb(&test_stack.stack.links().exchange, plan).await;
        }
        Fault::ScriptsFlushed | Fault::RedisFlushed | Fault::RedisFull | Fault::TwoLeaders | Fault::DoubleDelivery => {
            queue::inject(test_stack, plan, tasks).await?;
        }
        Fault::ExchangeThrottles
        | Fault::ExchangeBans
        | Fault::ExchangeWrong
        | Fault::ExchangeAbsent
        | Fault::ClockJumps => {
            return exchange::inject(test_stack, plan).await;
        }
    }
    Ok(Pause::default())
}

async fn disturb(link: &FaultProxy, plan: &Plan) {
    match plan.fault {
        Fault::RedisDelayed | Fault::MongoDelayed | Fault::ExchangeDelayed => {
            link.delay(Duration::from_millis(20 + plan.dice % 400));
        }
        Fault::RedisHalfOpen | Fault::MongoHalfOpen | Fault::ExchangeHalfOpen => link.half_open(),
        _ => link.cut().await,
    }
    sleep(plan.lasts).await;
    link.restore().await;
}

/// Whether any of the tasks ran when the fault came.
pub(crate) fn meets_running(watchers: &[Watcher]) -> bool {
    watchers.iter().any(Watcher::runs)
}
