//! `candlemill`: submits and follows jobs, reads candles.

mod command;
mod context;
mod exit;
mod output;
mod sessions;
mod supabase;

use candlemill_shared::env::Env;
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _, Parser};
use command::Command;
use context::Context;
use exit::Usage;
use std::process::ExitCode;

/// Client of the Candlemill API.
#[derive(Debug, Parser)]
#[command(name = "candlemill", version, about, after_help = exit::HELP)]
struct Arguments {
    /// Address of the API.
    #[arg(long, env = "CANDLEMILL_API_URL", default_value = "http://127.0.0.1:8080", global = true)]
    api: String,
    /// Access token of a Supabase user; that of `candlemill login` when left out. Better set by the variable: other users of this
    /// machine see options.
    #[arg(long, env = "CANDLEMILL_TOKEN", default_value = "", hide_env_values = true, global = true)]
    token: String,
    /// Writes JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let matches = Arguments::command().get_matches();
    let arguments = Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let json = arguments.json;
    match run(arguments, &matches).await {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            let code = exit::code_of(&error);
            if code != 0 {
                output::note(&if json { exit::document(&error).to_string() } else { exit::words(&error) });
            }
            ExitCode::from(code)
        }
    }
}

async fn run(arguments: Arguments, matches: &ArgMatches) -> anyhow::Result<u8> {
    let Arguments { api, token, json, command } = arguments;
    let named = matches.value_source("api") == Some(ValueSource::CommandLine);
    check_address(&api, if named { "--api" } else { "CANDLEMILL_API_URL" })?;
    command.run(&Context::new(&api, named, &token, json, Env::from_process()), Arguments::command()).await
}

/// Refuses what is no address of an API; `given_by` names where it stands.
fn check_address(text: &str, given_by: &str) -> Result<(), Usage> {
    let url = reqwest::Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if url.is_some_and(|url| url.query().is_none() && url.fragment().is_none()) {
        return Ok(());
    }
    Err(Usage(format!("{given_by} is {text:?}; an address as in http://127.0.0.1:8080 is expected")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_hang_together() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn addresses() {
        for good in ["http://127.0.0.1:8080", "https://candles.example.com/", "https://example.com/candlemill"] {
            assert!(check_address(good, "--api").is_ok(), "{good}");
        }
        for bad in ["nonsense", "", "localhost:8080", "ftp://example.com", "http://", "http://a?b=c"] {
            let refused = check_address(bad, "CANDLEMILL_API_URL").unwrap_err().to_string();
            assert!(refused.contains("CANDLEMILL_API_URL") && refused.contains("http://127.0.0.1:8080"), "{refused}");
        }
    }
}
