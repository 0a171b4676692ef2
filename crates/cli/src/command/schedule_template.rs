//! What a schedule submits, as options.

use crate::exit::Usage;
use anyhow::Result;
use candlemill_client::parse_time;
use candlemill_shared::schedule::{BatchTemplate, FireRange, SeriesTemplate, Since, Span, StudyTemplate, Template};
use candlemill_shared::{Exchange, Interval, Symbol, Timestamp, ZoneName};
use clap::{Args, ValueEnum};

/// What each fire submits.
#[derive(Debug, Args)]
pub(crate) struct TemplateWords {
    /// What is submitted.
    #[arg(long, value_enum, default_value = "fetch")]
    kind: Kind,
    /// The symbol, as in BTCUSDT; several, separated by commas, make a batch.
    #[arg(long, value_delimiter = ',', required_unless_present = "quote_asset")]
    symbol: Vec<Symbol>,
    /// All symbols that trade against this asset when it fires, as in USDT.
    #[arg(long, conflicts_with = "symbol")]
    quote_asset: Option<String>,
    /// Length of the candles, as in 1h.
    #[arg(long)]
    interval: Interval,
    /// So long before the due time, as in 2d; without it, and without --since: the interval just closed.
    #[arg(long, conflicts_with = "since")]
    last: Option<Span>,
    /// All since the last success; the first fire begins at this time, or with the interval just closed at "now".
    #[arg(long)]
    since: Option<String>,
}

/// Kinds of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Fetch candles.
    Fetch,
    /// Compare stored candles with the exchange's.
    Verify,
    /// Study the series.
    Study,
}

impl TemplateWords {
    pub(crate) fn read(self) -> Result<Template> {
        let range = match (self.last, self.since.as_deref()) {
            (Some(span), _) => FireRange::Last(span),
            (None, Some("now")) => FireRange::SinceLastSuccess(Since { start: None }),
            (None, Some(text)) => {
                let start: Timestamp = parse_time(text).map_err(|error| Usage(format!("--since: {error}")))?;
                FireRange::SinceLastSuccess(Since { start: Some(start) })
            }
            (None, None) => FireRange::JustClosed(true),
        };
        let (exchange, interval) = (Exchange::default(), self.interval);
        let batch =
            |symbols, quote_asset| Template::Batch(BatchTemplate { exchange, symbols, quote_asset, interval, range });
        Ok(match (self.kind, self.quote_asset, <[Symbol; 1]>::try_from(self.symbol)) {
            (Kind::Fetch, Some(asset), _) => batch(None, Some(asset)),
            (Kind::Fetch, None, Err(symbols)) => batch(Some(symbols), None),
            (Kind::Fetch, None, Ok([symbol])) => Template::Fetch(SeriesTemplate { exchange, symbol, interval, range }),
            (Kind::Verify, None, Ok([symbol])) => {
                Template::Verify(SeriesTemplate { exchange, symbol, interval, range })
            }
            (Kind::Study, None, Ok([symbol])) => Template::Study(StudyTemplate {
                exchange,
                symbol,
                interval,
                range,
                time_zone: ZoneName::default(),
                studies: None,
                draws: None,
                seed: None,
            }),
            (Kind::Verify | Kind::Study, ..) => {
                return Err(Usage("a verification, or a study, has one symbol".to_owned()).into());
            }
        })
    }
}
