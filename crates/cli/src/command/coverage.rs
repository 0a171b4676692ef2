//! `candlemill coverage BTCUSDT 1m`

use super::output::say_json;
use anyhow::Result;
use candlemill_cli::Api;
use candlemill_shared::{Interval, Symbol};
use clap::Args;
use std::process::ExitCode;

/// Shows the verified ranges and every absent bucket with its reason, as JSON.
#[derive(Debug, Args)]
pub(crate) struct Coverage {
    /// Symbol, as in BTCUSDT.
    symbol: Symbol,
    /// Length of the candles.
    interval: Interval,
}

impl Coverage {
    pub(crate) async fn run(self, api: &Api) -> Result<ExitCode> {
        let query = [("symbol", self.symbol.to_string()), ("interval", self.interval.to_string())];
        say_json(&api.get("/api/market-data/coverage", &query).await?)?;
        Ok(ExitCode::SUCCESS)
    }
}
