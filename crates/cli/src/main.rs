//! `candlemill`: submits and follows jobs, reads candles.

mod command;

use clap::Parser;
use command::Command;
use std::process::ExitCode;

/// Client of the Candlemill API.
#[derive(Debug, Parser)]
#[command(name = "candlemill", version, about)]
struct Arguments {
    /// Address of the API.
    #[arg(long, env = "CANDLEMILL_API_URL", default_value = "http://127.0.0.1:8080", global = true)]
    api: String,
    /// Access token of a Supabase user.
    #[arg(long, env = "CANDLEMILL_TOKEN", default_value = "", hide_env_values = true, global = true)]
    token: String,
    #[command(subcommand)]
    command: Command,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Arguments { api, token, command } = Arguments::parse();
    match command.run(&candlemill_cli::Api::new(&api, &token)).await {
        Ok(code) => code,
        Err(error) => {
            command::complain(&error);
            ExitCode::FAILURE
        }
    }
}
