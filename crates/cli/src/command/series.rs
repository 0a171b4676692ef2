//! `candlemill series`

use super::task_words::short;
use crate::context::Context;
use crate::output::table;
use anyhow::Result;
use candlemill_cli::report::{count, seconds};
use candlemill_client::forms::{PageLimit, SeriesFilter, SeriesList, SeriesView};
use candlemill_shared::{Interval, Symbol};
use clap::Args;
use futures::TryStreamExt as _;

/// Lists the stored series.
#[derive(Debug, Args)]
pub(crate) struct Series {
    /// Only of this symbol.
    #[arg(long)]
    symbol: Option<Symbol>,
    /// Only of this interval.
    #[arg(long)]
    interval: Option<Interval>,
}

impl Series {
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        let filter = SeriesFilter {
            symbol: self.symbol.map(Into::into),
            interval: self.interval.map(Into::into),
            cursor: None,
            limit: Some(PageLimit::nearest(u32::MAX).into()),
        };
        let api = context.api().await?;
        let list = SeriesList { series: api.every_series(filter).try_collect().await?, next_cursor: None };
        context.answer(&list, || words(&list.series))
    }
}

#[expect(clippy::cast_precision_loss, reason = "seconds lie far below 2^52")]
fn words(series: &[SeriesView]) -> String {
    if series.is_empty() {
        return "nothing is stored".to_owned();
    }
    let row = |one: &SeriesView| {
        let time = |at: Option<_>| at.map_or_else(|| "-".to_owned(), short);
        let lag = one.lag_seconds.map_or_else(|| "-".to_owned(), |lag| seconds(lag as f64));
        let (candles, gaps) = (count(one.count), count(one.gaps));
        vec![one.symbol.to_string(), one.interval.to_string(), time(one.first), time(one.last), candles, gaps, lag]
    };
    let heading = ["SYMBOL", "INTERVAL", "FIRST", "LAST", "CANDLES", "GAPS", "LAG"].map(str::to_owned).to_vec();
    table(&[heading].into_iter().chain(series.iter().map(row)).collect::<Vec<_>>())
}
