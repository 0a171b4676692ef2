//! Faults of processes: killed, stopped, frozen.

use super::redis;
use crate::fault::Fault;
use crate::plan::Plan;
use crate::yard::Yard;
use anyhow::{Context as _, Result};
use candlemill_devkit::Service;
use std::time::Duration;
use tokio::time::sleep;

/// The worker wakes up so long after its leases have run out, at least.
const PAST_LEASE: Duration = Duration::from_millis(300);

pub(super) async fn inject(yard: &mut Yard, plan: &Plan, lease: Duration) -> Result<()> {
    let (target, wait) = (plan.target, plan.restart_after);
    match plan.fault {
        Fault::WorkerStopped => {
            let worker = worker(yard, target)?;
            worker.stop().await?;
            sleep(wait).await;
            worker.restart().await
        }
        Fault::WorkerFrozen => {
            let worker = worker(yard, target)?;
            worker.child().freeze()?;
            sleep(lease + PAST_LEASE + plan.lasts).await;
            worker.child().thaw()
        }
        Fault::WorkersKilled => {
            for worker in &mut yard.stack.workers {
                worker.kill9().await?;
            }
            sleep(wait).await;
            for worker in &mut yard.stack.workers {
                worker.restart().await?;
            }
            Ok(())
        }
        Fault::LeaderKilled => {
            let mut connection = yard.redis.clone();
            let leader: Option<String> =
                ::redis::cmd("GET").arg(crate::verify::SWEEPER_LEASE).query_async(&mut connection).await?;
            let ids = yard.worker_ids()?;
            let leading = ids.iter().position(|id| id.is_some() && *id == leader).unwrap_or(target);
            killed(worker(yard, leading)?, wait).await
        }
        Fault::ApiKilled => {
            let stack = &mut yard.stack;
            let other = stack.more_apis.first_mut().context("a second API process")?;
            match (plan.twist, target) {
                (true, _) => {
                    stack.api.kill9().await?;
                    killed(other, wait).await?;
                    stack.api.restart().await
                }
                (false, 0) => killed(&mut stack.api, wait).await,
                (false, _) => killed(other, wait).await,
            }
        }
        Fault::RedisKilled => {
            if plan.twist {
                // The file is as small as after hours, not as after seconds: its rewrite is cut off by the kill.
                redis(yard, &["BGREWRITEAOF"]).await?;
            }
            yard.stack.redis().kill9().await?;
            sleep(wait).await;
            yard.stack.redis().restart().await
        }
        Fault::RedisFrozen => {
            yard.stack.redis().child().freeze()?;
            sleep(plan.lasts).await;
            yard.stack.redis().child().thaw()
        }
        Fault::MongoKilled => {
            yard.stack.mongo().kill9().await?;
            sleep(wait).await;
            yard.stack.mongo().restart().await
        }
        Fault::MongoFrozen => {
            yard.stack.mongo().child().freeze()?;
            sleep(plan.lasts).await;
            yard.stack.mongo().child().thaw()
        }
        // Of the faults of processes only this one is left.
        _ => killed(worker(yard, target)?, wait).await,
    }
}

fn worker(yard: &mut Yard, index: usize) -> Result<&mut Service> {
    yard.stack.workers.get_mut(index).with_context(|| format!("there is no worker {index}"))
}

async fn killed(service: &mut Service, wait: Duration) -> Result<()> {
    service.kill9().await?;
    sleep(wait).await;
    service.restart().await
}
