//! A series of runs, on several stacks at once.

use crate::fault::Fault;
use crate::plan::Plan;
use crate::reference::Reference;
use crate::report::{RunReport, Summary};
use crate::runner;
use anyhow::Result;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// What is run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Seed of everything that is drawn.
    pub seed: u64,
    /// Number of the first run.
    pub from: u64,
    /// Number of runs.
    pub runs: u64,
    /// Stacks that are disturbed at the same time.
    pub stacks: usize,
    /// Lease of the workers' tasks.
    pub lease: Duration,
    /// The last task of a run ends within this after the end of the fault.
    pub recovery: Duration,
    /// Only these kinds; all when empty.
    pub faults: Vec<Fault>,
    /// Where data and logs go. Those of stacks without a violation are deleted, unless `keep`.
    pub folder: PathBuf,
    /// Whether all data and logs stay.
    pub keep: bool,
    /// Further variables of the workers.
    pub worker_env: Vec<(String, String)>,
}

/// Hands out the plans of a series.
#[derive(Debug)]
pub(crate) struct Plans {
    settings: Settings,
    next: AtomicU64,
}

impl Plans {
    pub(crate) const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The next run's plan; `None` after the last.
    pub(crate) fn take(&self) -> Option<Plan> {
        let Settings { seed, from, runs, faults, .. } = &self.settings;
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        if number >= *runs {
            return None;
        }
        let mut plan = Plan::draw(*seed, from + number);
        if !faults.is_empty() && !faults.contains(&plan.fault) {
            let index = usize::try_from(number % faults.len() as u64).unwrap_or(0);
            plan.fault = faults[index];
        }
        Some(plan)
    }
}

/// Carries out the series; `seen` hears of every run as it ends.
///
/// # Errors
/// When a stack cannot be started, or a run not be carried out for reasons of its own.
pub async fn run_series(settings: Settings, mut seen: impl FnMut(&RunReport)) -> Result<Summary> {
    let reference = Arc::new(Reference::start(settings.seed).await?);
    let stacks = settings.stacks.max(1);
    let plans = Arc::new(Plans { settings, next: AtomicU64::new(0) });
    let (reports, mut ended) = mpsc::channel(16);
    let mut runners = JoinSet::new();
    for number in 0..stacks {
        runners.spawn(runner::run(number, Arc::clone(&plans), Arc::clone(&reference), reports.clone()));
    }
    drop(reports);
    let mut summary = Summary::default();
    while let Some(report) = ended.recv().await {
        seen(&report);
        summary.add(report);
    }
    while let Some(runner) = runners.join_next().await {
        runner??;
    }
    Ok(summary)
}
