//! `candlemill batch BTCUSDT ETHUSDT 1d --start 2020-01-01 --follow`

use super::following::{Followed, follow_all};
use super::wanted::Wanted;
use crate::context::Context;
use anyhow::Result;
use candlemill_client::forms::BatchRequest;
use clap::Args;

/// Submits one task that fetches the same range of many symbols.
#[derive(Debug, Args)]
pub(crate) struct Batch {
    #[command(flatten)]
    wanted: Wanted,
    /// Makes a repeated submission the same task.
    #[arg(long)]
    idempotency_key: Option<String>,
    /// URL that is told of the end by a signed POST.
    #[arg(long)]
    webhook: Option<String>,
    /// Follows the task with a progress bar until its end.
    #[arg(long, short)]
    follow: bool,
}

impl Batch {
    pub(crate) async fn run(self, context: &Context) -> Result<u8> {
        let (symbols, interval) = self.wanted.series()?;
        let label = if symbols.len() == 1 {
            format!("1 symbol {interval}")
        } else {
            format!("{} symbols {interval}", symbols.len())
        };
        let mut request = BatchRequest::of_symbols(symbols, interval, self.wanted.start);
        request.end = self.wanted.end.map(Into::into);
        if let Some(url) = self.webhook {
            request = request.webhook(url);
        }
        let api = context.api().await?;
        let accepted = api.fetch_batch(&request, self.idempotency_key.as_deref()).await?;
        context.submitted(&accepted, None)?;
        if !self.follow {
            return Ok(0);
        }
        follow_all(context, api, vec![Followed { id: accepted.task_id.to_string(), label }]).await
    }
}
