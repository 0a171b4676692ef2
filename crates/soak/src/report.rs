//! What came of the runs.

use crate::fault::Fault;
use crate::violation::Violation;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// What came of one run.
#[derive(Debug, Clone, Serialize)]
pub struct RunReport {
    /// Seed of the series.
    pub seed: u64,
    /// Number of the run.
    pub run: u64,
    /// What went wrong.
    pub fault: Fault,
    /// Whether a task ran at that moment.
    pub met_running: bool,
    /// Accepted tasks.
    pub tasks: usize,
    /// From the fault's end to the end of the last task, ms; absent when all had ended before.
    pub recovery_ms: Option<u64>,
    /// Length of the whole run, ms.
    pub took_ms: u64,
    /// What did not hold.
    pub violations: Vec<Violation>,
}

/// What came of all runs.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Summary {
    runs: Vec<RunReport>,
}

impl Summary {
    /// Adds a run.
    pub fn add(&mut self, run: RunReport) {
        self.runs.push(run);
    }

    /// Promises that did not hold, in all runs.
    #[must_use]
    pub fn violations(&self) -> usize {
        self.runs.iter().map(|run| run.violations.len()).sum()
    }

    /// The runs, in the order in which they ended.
    #[must_use]
    pub fn runs(&self) -> &[RunReport] {
        &self.runs
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut kinds: BTreeMap<Fault, Vec<&RunReport>> = BTreeMap::new();
        for run in &self.runs {
            kinds.entry(run.fault).or_default().push(run);
        }
        writeln!(
            f,
            "{:<30} {:>5} {:>8} {:>6} {:>28} {:>10}",
            "fault", "runs", "running", "tasks", "recovery p50 p99 max (ms)", "violations"
        )?;
        for (fault, runs) in &kinds {
            line(f, fault.as_str(), runs)?;
        }
        line(f, "all", &self.runs.iter().collect::<Vec<_>>())
    }
}

fn line(f: &mut fmt::Formatter<'_>, name: &str, runs: &[&RunReport]) -> fmt::Result {
    let met = runs.iter().filter(|run| run.met_running).count();
    let tasks: usize = runs.iter().map(|run| run.tasks).sum();
    let violations: usize = runs.iter().map(|run| run.violations.len()).sum();
    let mut recoveries: Vec<u64> = runs.iter().filter_map(|run| run.recovery_ms).collect();
    recoveries.sort_unstable();
    let at = |percent: usize| {
        let index = (recoveries.len() * percent).div_ceil(100).clamp(1, recoveries.len().max(1)) - 1;
        recoveries.get(index).map_or_else(|| "-".to_owned(), u64::to_string)
    };
    let recovery = format!("{} {} {}", at(50), at(99), at(100));
    writeln!(f, "{name:<30} {:>5} {met:>8} {tasks:>6} {recovery:>28} {violations:>10}", runs.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_counts_by_kind() {
        let mut summary = Summary::default();
        for (run, recovery_ms) in [(1, Some(10)), (2, None), (3, Some(30))] {
            summary.add(RunReport {
                seed: 1,
                run,
                fault: Fault::WorkerKilled,
                met_running: run != 2,
                tasks: 4,
                recovery_ms,
                took_ms: 1,
                violations: Vec::new(),
            });
        }
        let table = summary.to_string();
        let line = table.lines().find(|line| line.starts_with("worker: kill -9")).unwrap();
        let columns: Vec<&str> = line["worker: kill -9".len()..].split_whitespace().collect();
        assert_eq!(columns, ["3", "2", "12", "10", "30", "30", "0"]);
    }
}
