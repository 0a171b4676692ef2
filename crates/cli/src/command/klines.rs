//! `candlemill klines BTCUSDT 1m --start 2020-01-01 --end 2020-01-04 --format csv -o candles.csv`

use anyhow::{Context as _, Result};
use candlemill_cli::wire::Moment;
use candlemill_cli::{Api, candles};
use candlemill_shared::{Interval, Symbol};
use clap::{Args, ValueEnum};
use std::ffi::OsString;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Writes stored candles, oldest first.
#[derive(Debug, Args)]
pub(crate) struct Klines {
    /// Symbol, as in BTCUSDT.
    symbol: Symbol,
    /// Length of the candles.
    interval: Interval,
    /// First open time: a date, RFC 3339 or milliseconds; the newest candles when left out.
    #[arg(long)]
    start: Option<String>,
    /// First open time that is no longer wanted; now when left out.
    #[arg(long)]
    end: Option<String>,
    /// Most candles.
    #[arg(long)]
    limit: Option<u64>,
    /// Form of the output; when left out, that of the file's name, or csv.
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// File to write; standard output when left out. It appears only when it is whole.
    #[arg(long, short)]
    output: Option<PathBuf>,
}

/// Forms of candles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Csv,
    Json,
    Arrow,
}

impl Klines {
    pub(crate) async fn run(self, api: &Api) -> Result<ExitCode> {
        let form = self.format.or_else(|| self.output.as_deref().and_then(named)).unwrap_or(Format::Csv);
        let format = match form {
            Format::Csv => "csv",
            Format::Json => "json",
            Format::Arrow => "arrow",
        };
        let mut query = vec![
            ("symbol", self.symbol.to_string()),
            ("interval", self.interval.to_string()),
            ("format", format.to_owned()),
        ];
        query.extend(self.start.as_deref().map(|start| ("start", Moment::from(start).to_string())));
        query.extend(self.end.as_deref().map(|end| ("end", Moment::from(end).to_string())));
        query.extend(self.limit.map(|limit| ("limit", limit.to_string())));
        let Some(output) = self.output else {
            let written = write(api, query, form, self.limit, &mut std::io::stdout().lock()).await;
            // The reader of the output has read enough.
            let enough = written.as_ref().is_err_and(|error| {
                error.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
            });
            return if enough { Ok(ExitCode::SUCCESS) } else { written.map(|()| ExitCode::SUCCESS) };
        };
        let unfinished = unfinished(&output);
        let mut file = File::create(&unfinished).with_context(|| format!("creating {}", unfinished.display()))?;
        if let Err(error) = write(api, query, form, self.limit, &mut file).await {
            // What remains of it is of no use; that it cannot be removed is not the error to show.
            drop(std::fs::remove_file(&unfinished));
            return Err(error);
        }
        std::fs::rename(&unfinished, &output).with_context(|| format!("naming {}", output.display()))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Writes the answer. JSON comes a page at a time, unless one page is asked for.
async fn write(
    api: &Api,
    query: Vec<(&str, String)>,
    format: Format,
    limit: Option<u64>,
    sink: &mut impl Write,
) -> Result<()> {
    let mut writer = BufWriter::new(sink);
    // Without a start it is the newest page that is asked for.
    let has_start = query.iter().any(|(name, _)| *name == "start");
    if format == Format::Json && limit.is_none() && has_start {
        candles::write_json(api, query, candles::LARGEST_PAGE, &mut writer).await?;
    } else {
        candles::write(api, &query, &mut writer).await?;
    }
    writer.flush().context("writing the candles")
}

/// The form that a file's name ends with.
fn named(output: &Path) -> Option<Format> {
    let ending = output.extension()?.to_str()?;
    Format::from_str(ending, true).ok()
}

/// Name of the file while it is written.
fn unfinished(output: &Path) -> PathBuf {
    let mut name = OsString::from(output);
    name.push(".part");
    name.into()
}
