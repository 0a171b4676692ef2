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
    #[arg(long, env = "CANDLEMILL_API_URL", default_value = "http://127.0.0.1:8080", global = true, value_parser = address)]
    api: String,
    /// Access token of a Supabase user.
    #[arg(long, env = "CANDLEMILL_TOKEN", default_value = "", hide_env_values = true, global = true)]
    token: String,
    #[command(subcommand)]
    command: Command,
}

/// The address of an API, without a path.
fn address(text: &str) -> Result<String, String> {
    let url = reqwest::Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    url.map(|_| text.to_owned())
        .ok_or_else(|| "it is no address as in http://127.0.0.1:8080 (CANDLEMILL_API_URL, --api)".to_owned())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Arguments { api, token, command } = Arguments::parse();
    if token.is_empty() && !command.is_for_operators() {
        command::complain(&anyhow::anyhow!("there is no access token: set CANDLEMILL_TOKEN, or pass --token"));
        return ExitCode::from(2);
    }
    match command.run(&candlemill_cli::Api::new(&api, &token)).await {
        Ok(code) => code,
        Err(error) => {
            command::complain(&error);
            ExitCode::FAILURE
        }
    }
}
