//! `candlemill symbols --quote USDT`

use super::task_words::short;
use crate::context::Context;
use crate::output::table;
use anyhow::Result;
use candlemill_client::forms::{SymbolFilter, SymbolLimit, SymbolList, SymbolView};
use candlemill_shared::Symbol;
use clap::Args;
use futures::TryStreamExt as _;

/// Lists the symbols of the exchange.
#[derive(Debug, Args)]
pub(crate) struct Symbols {
    /// Only those that begin so.
    prefix: Option<Symbol>,
    /// Only those of this base asset.
    #[arg(long)]
    base: Option<Symbol>,
    /// Only those of this quote asset.
    #[arg(long)]
    quote: Option<Symbol>,
    /// Only in this status: TRADING, HALT, BREAK, …
    #[arg(long)]
    status: Option<String>,
}

impl Symbols {
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        let filter = SymbolFilter {
            prefix: self.prefix.map(Into::into),
            base: self.base.map(Into::into),
            quote: self.quote.map(Into::into),
            status: self.status,
            cursor: None,
            limit: Some(SymbolLimit::nearest(u32::MAX).into()),
        };
        let api = context.api().await?;
        // The first page says of which list they are.
        let mut list = api.symbols(&filter).await?;
        if let Some(cursor) = list.next_cursor.take() {
            let rest = SymbolFilter { cursor: Some(cursor.into()), ..filter };
            list.symbols.extend(api.every_symbol(rest).try_collect::<Vec<_>>().await?);
        }
        context.answer(&list, || words(&list))
    }
}

fn words(list: &SymbolList) -> String {
    if list.symbols.is_empty() {
        return if list.listed_at.is_some() { "no symbol fits" } else { "no worker has brought the list yet" }
            .to_owned();
    }
    let row = |one: &SymbolView| {
        let first = one.first_open.map_or_else(String::new, short);
        let (base, quote) = (one.base.clone().unwrap_or_default(), one.quote.clone().unwrap_or_default());
        vec![one.symbol.to_string(), base, quote, one.status.clone(), first]
    };
    let heading = ["SYMBOL", "BASE", "QUOTE", "STATUS", "FIRST CANDLE"].map(str::to_owned).to_vec();
    table(&[heading].into_iter().chain(list.symbols.iter().map(row)).collect::<Vec<_>>())
}
