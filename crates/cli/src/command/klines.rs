//! `candlemill klines BTCUSDT 1m --start 2020-01-01 --end 2020-01-04 --format csv -o candles.csv`

use anyhow::{Context as _, Result};
use candlemill_cli::Api;
use candlemill_cli::wire::Moment;
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
    /// First open time: a date, RFC 3339 or milliseconds.
    #[arg(long)]
    start: String,
    /// First open time that is no longer wanted; now when left out.
    #[arg(long)]
    end: Option<String>,
    /// Most candles.
    #[arg(long)]
    limit: Option<u64>,
    /// Form of the output.
    #[arg(long, value_enum, default_value_t = Format::Csv)]
    format: Format,
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
        let format = match self.format {
            Format::Csv => "csv",
            Format::Json => "json",
            Format::Arrow => "arrow",
        };
        let mut query = vec![
            ("symbol", self.symbol.to_string()),
            ("interval", self.interval.to_string()),
            ("format", format.to_owned()),
            ("start", Moment::from(self.start.as_str()).to_string()),
        ];
        query.extend(self.end.as_deref().map(|end| ("end", Moment::from(end).to_string())));
        query.extend(self.limit.map(|limit| ("limit", limit.to_string())));
        let mut answer = api.stream("/api/market-data/klines", &query).await?;
        let unfinished = self.output.as_deref().map(unfinished);
        let mut sink: Box<dyn Write> = match &unfinished {
            Some(file) => Box::new(File::create(file).with_context(|| format!("creating {}", file.display()))?),
            None => Box::new(std::io::stdout()),
        };
        let mut writer = BufWriter::new(&mut sink);
        while let Some(chunk) = answer.chunk().await.context("reading the candles (the output is not whole)")? {
            writer.write_all(&chunk).context("writing the candles")?;
        }
        writer.flush().context("writing the candles")?;
        if let (Some(from), Some(to)) = (unfinished, self.output) {
            std::fs::rename(&from, &to).with_context(|| format!("naming {}", to.display()))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Name of the file while it is written.
fn unfinished(output: &Path) -> PathBuf {
    let mut name = OsString::from(output);
    name.push(".part");
    name.into()
}
