//! `candlemill klines BTCUSDT 1m --start 2020-01-01 --end 2020-01-04 -o candles.parquet`

use super::{candles, parquet};
use crate::context::Context;
use crate::output::say_json;
use anyhow::{Context as _, Result};
use candlemill_client::forms::{CandleFormat, CandleLimit, KlinesQuery};
use candlemill_client::{Api, klines_query, parse_time};
use candlemill_shared::{Interval, Symbol, Timestamp};
use clap::{Args, ValueEnum};
use serde_json::json;
use std::ffi::OsString;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// Most candles of one page of JSON.
const LARGEST_PAGE: u32 = 100_000;

/// Writes stored candles, oldest first.
#[derive(Debug, Args)]
pub(crate) struct Klines {
    /// Symbol, as in BTCUSDT.
    symbol: Symbol,
    /// Length of the candles.
    interval: Interval,
    /// First open time: a date, RFC 3339 or milliseconds; the newest candles when left out.
    #[arg(long, value_parser = parse_time)]
    start: Option<Timestamp>,
    /// First open time that is no longer wanted; now when left out.
    #[arg(long, value_parser = parse_time)]
    end: Option<Timestamp>,
    /// Most candles, 1 to 100000; without a start 1000 when left out.
    #[arg(long)]
    limit: Option<CandleLimit>,
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
    Parquet,
}

impl Klines {
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        let by_name = self.output.as_deref().and_then(named);
        let usual = if context.json() { Format::Json } else { Format::Csv };
        let format = self.format.or(by_name).unwrap_or(usual);
        let query = KlinesQuery {
            start: self.start.map(Into::into),
            end: self.end.map(Into::into),
            limit: self.limit.map(Into::into),
            format: Some(asked(format).into()),
            ..klines_query(self.symbol, self.interval)
        };
        let api = context.api().await?;
        let Some(output) = self.output else {
            return write(&api, query, format, &mut std::io::stdout()).await;
        };
        let unfinished = unfinished(&output);
        let mut file = File::create(&unfinished).with_context(|| format!("creating {}", unfinished.display()))?;
        if let Err(error) = write(&api, query, format, &mut file).await {
            // What remains of it is of no use; that it cannot be removed is not the error to show.
            drop(std::fs::remove_file(&unfinished));
            return Err(error);
        }
        std::fs::rename(&unfinished, &output).with_context(|| format!("naming {}", output.display()))?;
        if context.json() { say_json(&json!({ "file": output, "bytes": file.metadata()?.len() })) } else { Ok(()) }
    }
}

/// The form that the API is asked for.
const fn asked(format: Format) -> CandleFormat {
    match format {
        Format::Csv => CandleFormat::Csv,
        Format::Json => CandleFormat::Json,
        Format::Arrow | Format::Parquet => CandleFormat::Arrow,
    }
}

/// Writes the candles. JSON comes a page at a time, unless one page is asked for.
async fn write(api: &Api, query: KlinesQuery, format: Format, sink: &mut (impl Write + Send)) -> Result<()> {
    let mut writer = BufWriter::new(sink);
    match format {
        Format::Parquet => parquet::write(api, &query, &mut writer).await?,
        // Without a start it is the newest page that is asked for.
        Format::Json if query.limit.is_none() && query.start.is_some() => {
            candles::write_json(api, query, LARGEST_PAGE, &mut writer).await?;
        }
        _ => candles::write(api, &query, &mut writer).await?,
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
