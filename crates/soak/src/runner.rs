//! A runner: one stack after the other, each for some dozens of runs.

use crate::plan::{Plan, SLOTS};
use crate::reference::Reference;
use crate::report::RunReport;
use crate::run;
use crate::series::{Plans, Settings};
use crate::test_stack::TestStack;
use crate::verify;
use crate::violation::Promise;
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
    let mut test_stack: Option<TestStack> = None;
    let mut stacks = 0;
    let mut next = plans.take();
    while let Some(plan) = next {
        let mut used = match test_stack.take() {
            Some(test_stack) => test_stack,
            None => start(settings, number, &mut stacks, plan.run).await.context("starting a stack")?,
        };
        used.runs += 1;
        let mut report = run::run(&mut used, &plan, &reference, settings).await;
        next = plans.take();
        let goes_on = |next: &Plan| used.runs < RUNS_PER_STACK && next.run - used.first_run < SLOTS;
        if report.violations.is_empty() && next.as_ref().is_some_and(goes_on) {
            test_stack = Some(used);
        } else {
            // What a run has found of its own part would only be found once more.
            if !report.violations.iter().any(|violation| violation.promise == Promise::Ledger) {
                verify::whole_ledger(&used, &mut report.violations).await;
            }
            let folder = end(used).await;
            if report.violations.is_empty() && !settings.keep {
                forget(&folder);
            }
        }
        if reports.send(report).await.is_err() {
            break;
        }
    }
    if let Some(test_stack) = test_stack {
        let folder = end(test_stack).await;
        if !settings.keep {
            forget(&folder);
        }
    }
    Ok(())
}

/// Starts the runner's next stack. Another process may take a port between the look and the start: then others are tried, in a
/// new folder.
async fn start(settings: &Settings, number: usize, stacks: &mut u32, run: u64) -> Result<TestStack> {
    let mut tries = 0;
    loop {
        let folder = settings.folder.join(format!("stack-{number}-{stacks}"));
        (*stacks, tries) = (*stacks + 1, tries + 1);
        match TestStack::start(settings, folder, run).await {
            Err(_) if tries < STARTS => {}
            started => return started,
        }
    }
}

/// Stops the stack; a program that has ended by itself was reported already.
async fn end(test_stack: TestStack) -> PathBuf {
    let TestStack { stack, folder, .. } = test_stack;
    drop(stack.stop().await);
    folder
}

fn forget(folder: &Path) {
    drop(std::fs::remove_dir_all(folder));
}
