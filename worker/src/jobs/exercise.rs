//! Runs an exercise.

use super::Run;
use crate::cpu::{CpuCancelled, CpuWork};
use crate::job_context::JobContext;
use crate::outcome::{Outcome, Stop};
use crate::progress_reporter::ProgressReporter;
use candlemill_shared::children::Children;
use candlemill_shared::job::{Exercise, Exercised, Job};
use candlemill_shared::task::TaskError;
use serde_json::json;
use std::time::{Duration, Instant};

impl Run for Exercise {
    async fn run(self, context: JobContext) -> Outcome<Exercised> {
        let mut result = Exercised { total: self.units, ..context.result() };
        if self.parts > 0 {
            return whole(&self, &context, result);
        }
        if self.fails && context.record.dead_letter.replays == 0 {
            let error = TaskError::new("exercise_failed", "it fails until it is replayed");
            return Outcome::Retry { error, so_far: result, after: None };
        }
        match count(&self, &context, &mut result).await {
            Ok(()) => Outcome::Done(result),
            Err(stop) => stop.outcome(result, context.draining.is_cancelled()),
        }
    }
}

/// Leaves all to parts; their sums are the result's when they have ended.
fn whole(job: &Exercise, context: &JobContext, result: Exercised) -> Outcome<Exercised> {
    let Some(counts) = context.record.children.as_ref().and_then(|children| children.ended) else {
        let each = job.units / u64::from(job.parts);
        let children = Children {
            total: job.parts,
            generation: context.record.dead_letter.replays,
            parts: json!(vec![each; job.parts as usize]),
            ..Children::default()
        };
        return Outcome::Parts(children, result);
    };
    if counts.succeeded == job.parts {
        Outcome::Done(result)
    } else {
        Outcome::Fail(TaskError::new("exercise_incomplete", "some parts did not succeed"), result)
    }
}

/// Goes on from the checkpoint.
async fn count(job: &Exercise, context: &JobContext, result: &mut Exercised) -> Result<(), Stop> {
    let mut reporter = ProgressReporter::new(context, Exercise::figures(result));
    reporter.begin(Exercise::figures(result)).await?;
    while result.done < job.units {
        context.may_go_on()?;
        let busy = Duration::from_millis(job.busy_ms);
        context.compute(move |work| keep_busy(work, busy)).await?;
        result.done += 1;
        result.sum += result.done;
        context.checkpoint(result).await?;
        reporter.show(Exercise::figures(result), Some("add")).await?;
    }
    Ok(())
}

fn keep_busy(work: &CpuWork, busy: Duration) -> Result<(), CpuCancelled> {
    let started = Instant::now();
    while started.elapsed() < busy {
        work.may_go_on()?;
        std::hint::spin_loop();
    }
    Ok(())
}
