//! Runs a seeded series of faults against the real programs and says what did not hold.

use anyhow::{Context as _, Result};
use candlemill_soak::{Fault, Settings, Summary, run_series};
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

#[derive(Debug, Parser)]
#[command(about)]
struct Arguments {
    /// Number of runs.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    runs: u64,
    /// Seed of everything that is drawn.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Number of the first run: `--from 17 --runs 1` repeats run 17.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Stacks that are disturbed at the same time, 1 to 16.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=16))]
    stacks: u8,
    /// Lease of the workers' tasks, in seconds, 1 to 60.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=60))]
    lease: u64,
    /// The last task of a run ends within this after the end of the fault, in seconds.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=90))]
    recovery: u64,
    /// Only these kinds of faults, as `worker_killed,redis_killed`.
    #[arg(long, value_delimiter = ',')]
    faults: Vec<String>,
    /// Where data and logs go; those of runs with violations stay. A folder of its own under the system's one for
    /// temporary files when absent.
    #[arg(long)]
    folder: Option<PathBuf>,
    /// Keeps data and logs of all runs, in `folder`.
    #[arg(long, requires = "folder")]
    keep: bool,
    /// File for the report of every run, one JSON object a line.
    #[arg(long)]
    report: Option<PathBuf>,
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the report is this program's output")]
async fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let faults = arguments.faults.iter().map(|name| name.parse::<Fault>()).collect::<Result<Vec<_>, _>>();
    let faults = faults.map_err(anyhow::Error::msg)?;
    let scratch = tempfile::Builder::new().prefix("candlemill-soak-").tempdir().context("making a folder")?;
    let folder = arguments.folder.clone().unwrap_or_else(|| scratch.path().to_owned());
    let settings = Settings {
        seed: arguments.seed,
        from: arguments.from,
        runs: arguments.runs,
        stacks: usize::from(arguments.stacks),
        lease: Duration::from_secs(arguments.lease),
        recovery: Duration::from_secs(arguments.recovery),
        faults,
        folder: folder.clone(),
        keep: arguments.keep,
        worker_env: Vec::new(),
    };
    let mut report = arguments.report.as_ref().map(std::fs::File::create).transpose().context("creating the report")?;
    let bar = ProgressBar::new(arguments.runs).with_style(ProgressStyle::with_template(
        "{bar:30} {pos}/{len} runs ({percent} %), {elapsed} of about {duration}  {msg}",
    )?);
    bar.enable_steady_tick(Duration::from_millis(500));
    let mut violations = 0;
    let summary: Summary = run_series(settings, |run| {
        use std::io::Write as _;
        if let Some(report) = &mut report
            && let Ok(line) = serde_json::to_string(run)
            && let Err(error) = writeln!(report, "{line}")
        {
            bar.println(format!("the report is not written: {error}"));
        }
        violations += run.violations.len();
        for violation in &run.violations {
            bar.println(format!("run {} ({}): {violation}", run.run, run.fault.as_str()));
        }
        bar.set_message(format!("{violations} violations"));
        bar.inc(1);
    })
    .await?;
    bar.finish_and_clear();
    println!("{summary}");
    if summary.violations() == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    if arguments.folder.is_none() {
        println!("data and logs: {}", scratch.keep().display());
    }
    println!("repeat one run: candlemill-soak --seed {} --from <run> --runs 1", arguments.seed);
    Ok(ExitCode::FAILURE)
}
