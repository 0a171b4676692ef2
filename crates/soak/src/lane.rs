//! One stack after the other, each for some dozens of runs.

use crate::plan::SLOTS;
use crate::reference::Reference;
use crate::report::RunReport;
use crate::run;
use crate::series::{Plans, Settings};
use crate::yard::Yard;
use anyhow::{Context as _, Result};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Runs of one stack: then it begins anew with empty servers.
const RUNS_PER_STACK: u64 = 60;
/// Tries to start a stack before the series breaks off.
const STARTS: u32 = 3;

/// Takes plans until there are no more.
pub(crate) async fn run(
    number: usize,
    plans: Arc<Plans>,
    reference: Arc<Reference>,
    reports: mpsc::Sender<RunReport>,
) -> Result<()> {
    let settings = plans.settings();
    let mut yard: Option<(Yard, bool)> = None;
    let mut stacks = 0;
    while let Some(plan) = plans.take() {
        let worn = |yard: &Yard| yard.runs >= RUNS_PER_STACK || plan.run - yard.first_run >= SLOTS;
        if yard.as_ref().is_some_and(|(yard, violated)| *violated || worn(yard))
            && let Some((yard, violated)) = yard.take()
        {
            let folder = end(yard).await;
            if !violated && !settings.keep {
                forget(&folder);
            }
        }
        let (yard, violated) = match &mut yard {
            Some(yard) => yard,
            empty => {
                let started = start(settings, number, &mut stacks, plan.run).await.context("starting a stack")?;
                empty.insert((started, false))
            }
        };
        yard.runs += 1;
        let report = run::run(yard, &plan, &reference, settings).await;
        *violated |= !report.violations.is_empty();
        if reports.send(report).await.is_err() {
            break;
        }
    }
    if let Some((yard, violated)) = yard {
        let folder = end(yard).await;
        if !violated && !settings.keep {
            forget(&folder);
        }
    }
    Ok(())
}

/// Starts the lane's next stack. Another process may take a port between the look and the start: then others are tried, in a
/// new folder.
async fn start(settings: &Settings, number: usize, stacks: &mut u32, run: u64) -> Result<Yard> {
    let mut tries = 0;
    loop {
        let folder = settings.folder.join(format!("stack-{number}-{stacks}"));
        (*stacks, tries) = (*stacks + 1, tries + 1);
        match Yard::start(settings, folder, run).await {
            Err(_) if tries < STARTS => {}
            started => return started,
        }
    }
}

/// Stops the stack; a program that has ended by itself was reported already.
async fn end(yard: Yard) -> PathBuf {
    let Yard { stack, folder, .. } = yard;
    drop(stack.stop().await);
    folder
}

fn forget(folder: &Path) {
    drop(std::fs::remove_dir_all(folder));
}
