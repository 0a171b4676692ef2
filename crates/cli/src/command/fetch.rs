//! `candlemill fetch BTCUSDT ETHUSDT 1m --start 2020-01-01 --follow`, and `verify` with the same arguments.

use super::following::{Followed, follow_all};
use super::wanted::Wanted;
use crate::context::Context;
use crate::exit::{FAILED, words};
use crate::output::note;
use anyhow::Result;
use candlemill_client::forms::FetchRequest;
use clap::Args;

/// Submits backfills of candles, one for each symbol.
#[derive(Debug, Args)]
pub(crate) struct Fetch {
    #[command(flatten)]
    submission: Submission,
}

/// Has stored candles compared with the exchange's: restated ones are recorded, holes filled.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    #[command(flatten)]
    submission: Submission,
}

/// Which candles, and what happens after the submission.
#[derive(Debug, Args)]
struct Submission {
    #[command(flatten)]
    wanted: Wanted,
    /// Makes a repeated submission the same task; of several symbols each has this and its name as its key.
    #[arg(long)]
    idempotency_key: Option<String>,
    /// URL that is told of the end by a signed POST.
    #[arg(long)]
    webhook: Option<String>,
    /// Follows the tasks with a progress bar each until their end.
    #[arg(long, short)]
    follow: bool,
}

impl Fetch {
    pub(crate) async fn run(self, context: &Context) -> Result<u8> {
        self.submission.run(context, false).await
    }
}

impl Verify {
    pub(crate) async fn run(self, context: &Context) -> Result<u8> {
        self.submission.run(context, true).await
    }
}

impl Submission {
    /// Submits all; what is refused keeps nothing else from being submitted.
    async fn run(self, context: &Context, verify: bool) -> Result<u8> {
        let (symbols, interval) = self.wanted.series()?;
        let api = context.api().await?;
        let several = symbols.len() > 1;
        let mut accepted = Vec::new();
        let mut code = 0;
        for symbol in symbols {
            let label = format!("{symbol} {interval}");
            let key = self.idempotency_key.as_ref();
            let key = key.map(|key| if several { format!("{key}-{symbol}") } else { key.clone() });
            let request = FetchRequest::new(symbol, interval, self.wanted.start);
            let request = FetchRequest {
                end: self.wanted.end.map(Into::into),
                ..match &self.webhook {
                    Some(url) => request.webhook(url),
                    None => request,
                }
            };
            let submitted = if verify {
                api.verify(&request, key.as_deref()).await
            } else {
                api.fetch(&request, key.as_deref()).await
            };
            match submitted {
                Ok(task) => {
                    context.submitted(&task, several.then_some(label.as_str()))?;
                    accepted.push(Followed { id: task.task_id.to_string(), label });
                }
                Err(refused) if several && !refused.is_unreachable() => {
                    note(&format!("{label}: {}", words(&refused.into())));
                    code = FAILED;
                }
                Err(refused) => return Err(refused.into()),
            }
        }
        Ok(if self.follow { follow_all(context, api, accepted).await?.max(code) } else { code })
    }
}
