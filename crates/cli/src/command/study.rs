//! `candlemill study BTCUSDT 1h --start 2018-01-01 --end 2026-04-01 --follow`, `study list`, `study show`, `study charts`, `study delete`

use super::following::{Followed, follow_all};
use super::task_words::short;
use crate::context::Context;
use crate::exit::Usage;
use crate::output::{note, say, table};
use anyhow::{Context as _, Result};
use candlemill_cli::report::count;
use candlemill_cli::study_words;
use candlemill_client::forms::{
    FetchStart, PageLimit, StudyFilter, StudyList, StudyRequest, StudySummary, StudyTable, TableFormat,
};
use candlemill_client::{parse_start, parse_time};
use candlemill_shared::study::{CalendarStudy, MeanReversion, SmaCrossover, Study as StudyKind};
use candlemill_shared::{Interval, Symbol, Timestamp, ZoneName};
use clap::{Args, Subcommand, ValueEnum};
use futures::TryStreamExt as _;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

/// Studies the seasonality of a series; lists, shows and deletes studies.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Study {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    submission: Option<Submission>,
}

/// What to do with stored studies.
#[derive(Debug, Subcommand)]
enum Command {
    /// Lists your studies, the newest first.
    List(List),
    /// Shows what a study found.
    Show(Show),
    /// Writes the charts of a study into a folder.
    Charts(Charts),
    /// Writes a table of a study.
    Table(Table),
    /// Deletes a study.
    Delete(Delete),
}

/// What to study.
#[derive(Debug, Args)]
struct Submission {
    /// The symbol, as in BTCUSDT.
    symbol: Symbol,
    /// Length of the candles, as in 1h.
    interval: Interval,
    /// First open time: a date, RFC 3339, milliseconds, or "listing".
    #[arg(long, value_parser = parse_start)]
    start: Option<FetchStart>,
    /// First open time that is no longer wanted; now when left out.
    #[arg(long, value_parser = parse_time)]
    end: Option<Timestamp>,
    /// Whose hours, days and months, as in Europe/Berlin; UTC when left out.
    #[arg(long)]
    time_zone: Option<ZoneName>,
    /// Studies, with their default parameters; all three when left out.
    #[arg(long, value_enum, value_delimiter = ',')]
    studies: Vec<Name>,
    /// Draws of the bootstrap; 0: no intervals.
    #[arg(long)]
    draws: Option<u32>,
    /// Seed of the draws.
    #[arg(long)]
    seed: Option<u64>,
    /// Makes a repeated submission the same task.
    #[arg(long)]
    idempotency_key: Option<String>,
    /// URL that is told of the end by a signed POST.
    #[arg(long)]
    webhook: Option<String>,
    /// Follows the task with a progress bar until its end, then shows what was found.
    #[arg(long, short)]
    follow: bool,
}

/// The studies that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Name {
    /// Calendar effects.
    Calendar,
    /// Crossings of two moving averages.
    #[value(name = "sma_crossover")]
    SmaCrossover,
    /// Returns of a z-score to its mean.
    #[value(name = "mean_reversion")]
    MeanReversion,
}

impl Name {
    fn study(self) -> StudyKind {
        match self {
            Self::Calendar => StudyKind::Calendar(CalendarStudy::default()),
            Self::SmaCrossover => StudyKind::SmaCrossover(SmaCrossover::default()),
            Self::MeanReversion => StudyKind::MeanReversion(MeanReversion::default()),
        }
    }
}

/// Lists your studies, the newest first.
#[derive(Debug, Args)]
struct List {
    /// Only of this symbol.
    #[arg(long)]
    symbol: Option<Symbol>,
    /// Only of this interval.
    #[arg(long)]
    interval: Option<Interval>,
}

/// Shows what a study found.
#[derive(Debug, Args)]
struct Show {
    /// The id of the study's task.
    id: String,
}

/// Writes the charts of a study into a folder.
#[derive(Debug, Args)]
struct Charts {
    /// The id of the study's task.
    id: String,
    /// The folder; it is made where there is none.
    #[arg(long, short, default_value = ".")]
    output: PathBuf,
}

/// Writes a table of a study.
#[derive(Debug, Args)]
struct Table {
    /// The id of the study's task.
    id: String,
    /// Its name: buckets, `sma_crossover_trades`, …
    table: StudyTable,
    /// The file, `.csv` or `.arrow`; CSV on standard output when left out.
    #[arg(long, short)]
    output: Option<PathBuf>,
}

/// Deletes a study.
#[derive(Debug, Args)]
struct Delete {
    /// The id of the study's task.
    id: String,
}

impl Study {
    pub(crate) async fn run(self, context: &Context) -> Result<u8> {
        let done = |result: Result<()>| result.map(|()| 0);
        match (self.command, self.submission) {
            (Some(Command::List(command)), _) => done(command.run(context).await),
            (Some(Command::Show(command)), _) => done(show(context, &command.id).await),
            (Some(Command::Charts(command)), _) => done(command.run(context).await),
            (Some(Command::Table(command)), _) => done(command.run(context).await),
            (Some(Command::Delete(command)), _) => done(command.run(context).await),
            (None, Some(submission)) => submission.run(context).await,
            (None, None) => Err(Usage("a symbol and an interval are expected, as in BTCUSDT 1h".to_owned()).into()),
        }
    }
}

impl Submission {
    async fn run(self, context: &Context) -> Result<u8> {
        let label = format!("{} {}", self.symbol, self.interval);
        let studies: Vec<_> = self.studies.iter().map(|name| name.study().into()).collect();
        let request = StudyRequest {
            start: self.start.map(Into::into),
            end: self.end.map(Into::into),
            time_zone: self.time_zone.map(Into::into),
            studies: (!studies.is_empty()).then(|| studies.into()),
            draws: self.draws.map(Into::into),
            seed: self.seed.map(Into::into),
            webhook: self.webhook.map(|url| candlemill_client::forms::WebhookRequest { url }.into()),
            ..StudyRequest::new(self.symbol, self.interval)
        };
        let api = context.api().await?;
        let accepted = api.study(&request, self.idempotency_key.as_deref()).await?;
        context.submitted(&accepted, None)?;
        if !self.follow {
            return Ok(0);
        }
        let id = accepted.task_id.to_string();
        let code = follow_all(context, api, vec![Followed { id: id.clone(), label }]).await?;
        if code == 0 {
            show(context, &id).await?;
        }
        Ok(code)
    }
}

async fn show(context: &Context, id: &str) -> Result<()> {
    let found = context.api().await?.show_study(id).await?;
    context.answer(&found, || study_words::found(&found))
}

impl List {
    async fn run(self, context: &Context) -> Result<()> {
        let filter = StudyFilter {
            symbol: self.symbol.map(Into::into),
            interval: self.interval.map(Into::into),
            cursor: None,
            limit: Some(PageLimit::nearest(u32::MAX).into()),
        };
        let api = context.api().await?;
        let list = StudyList { studies: api.every_study(filter).try_collect().await?, next_cursor: None };
        context.answer(&list, || list_words(&list.studies))
    }
}

fn list_words(studies: &[StudySummary]) -> String {
    if studies.is_empty() {
        return "no studies".to_owned();
    }
    let row = |one: &StudySummary| {
        let range = format!("{} … {}", short(one.range.start), short(one.range.end));
        let names = one.studies.join(",");
        let series = format!("{} {}", one.symbol, one.interval);
        vec![one.study_id.to_string(), series, range, count(one.candles), one.stable.to_string(), names]
    };
    let heading = ["STUDY", "SERIES", "RANGE", "CANDLES", "STABLE RETURNS", "STUDIES"].map(str::to_owned).to_vec();
    table(&[heading].into_iter().chain(studies.iter().map(row)).collect::<Vec<_>>())
}

impl Charts {
    async fn run(self, context: &Context) -> Result<()> {
        let api = context.api().await?;
        let found = api.show_study(self.id.as_str()).await?;
        fs::create_dir_all(&self.output).with_context(|| format!("making {}", self.output.display()))?;
        for name in &found.report.charts {
            let svg = api.study_chart(self.id.as_str(), name).await?;
            let path = self.output.join(format!("{name}.svg"));
            fs::write(&path, svg).with_context(|| format!("writing {}", path.display()))?;
            say(&path.display().to_string())?;
        }
        Ok(())
    }
}

impl Table {
    async fn run(self, context: &Context) -> Result<()> {
        let format = match self.output.as_ref().and_then(|path| path.extension()?.to_str()) {
            None | Some("csv") => TableFormat::Csv,
            Some("arrow") => TableFormat::Arrow,
            Some(other) => return Err(Usage(format!(".{other} is no form of a table: .csv or .arrow")).into()),
        };
        let mut rows = context.api().await?.study_table(self.id.as_str(), self.table, format).await?;
        let mut output: Box<dyn std::io::Write> = match &self.output {
            Some(path) => Box::new(fs::File::create(path).with_context(|| format!("writing {}", path.display()))?),
            None => Box::new(std::io::stdout()),
        };
        while let Some(chunk) = rows.chunk().await? {
            output.write_all(&chunk).context("writing the table")?;
        }
        Ok(())
    }
}

impl Delete {
    async fn run(self, context: &Context) -> Result<()> {
        context.api().await?.delete_study(self.id.as_str()).await?;
        note(&format!("study {} is deleted", self.id));
        Ok(())
    }
}
