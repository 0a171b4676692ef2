//! `candlemill-dev`: what `./dev` does once its tools are found and the programs are built.

mod run;
mod with;

use clap::{Parser, Subcommand};
use std::io::Write as _;
use std::process::ExitCode;

/// Runs the product on this machine. Use it by `./dev`, which finds and builds what it needs.
#[derive(Debug, Parser)]
#[command(name = "candlemill-dev", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Starts everything, runs a backfill of real candles and keeps serving until Ctrl-C.
    Run(run::Run),
    /// Starts everything on data that is thrown away, runs a command against it, and ends with the command's exit code.
    With(with::With),
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Run(run) => Box::pin(run.execute()).await.map(|()| ExitCode::SUCCESS),
        Command::With(with) => Box::pin(with.execute()).await,
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            // Where this fails, standard error is closed.
            drop(writeln!(std::io::stderr(), "\ncandlemill: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
