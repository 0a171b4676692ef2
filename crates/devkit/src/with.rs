//! `candlemill-dev with -- <command>`: a command against the whole product, on data that is thrown away.

use anyhow::{Context as _, Result};
use candlemill_devkit::Stack;
use clap::Args;
use std::process::ExitCode;
use tokio::process::Command;

/// Of a product that listens to this machine alone, for as long as the command runs.
const ADMIN_TOKEN: &str = "an-admin-token-of-a-throw-away-stack";
const WEBHOOK_SECRET: &str = "whsec_Y2FuZGxlbWlsbCBkZW1vLCBubyByZWFsIHNlY3JldCE=";

/// Starts everything on data that is thrown away, runs a command against it, and ends with the command's exit code.
///
/// The command finds `CANDLEMILL_API_URL`, `CANDLEMILL_TOKEN` (of a user of the enterprise tier) and `CANDLEMILL_ADMIN_TOKEN` in its
/// environment.
#[derive(Debug, Args)]
pub(crate) struct With {
    /// The command and its arguments.
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

impl With {
    pub(crate) async fn execute(self) -> Result<ExitCode> {
        let builder = Stack::builder().without_ledger_check();
        let stack =
            builder.api_env("ADMIN_TOKEN", ADMIN_TOKEN).api_env("WEBHOOK_SECRET", WEBHOOK_SECRET).start().await?;
        let api = stack.client("enterprise").await?;
        let (program, arguments) = self.command.split_first().context("a command is missing")?;
        let status = Command::new(program)
            .args(arguments)
            .env("CANDLEMILL_API_URL", api.base())
            .env("CANDLEMILL_TOKEN", api.token())
            .env("CANDLEMILL_ADMIN_TOKEN", ADMIN_TOKEN)
            .status()
            .await
            .with_context(|| format!("starting {program}"))?;
        stack.stop().await.context("stopping everything")?;
        // A command that was killed has no code.
        Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
    }
}
