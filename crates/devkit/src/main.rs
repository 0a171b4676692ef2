//! `candlemill-dev`: what `./dev` does once its tools are found and the programs are built.

mod run;

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
}

#[tokio::main]
async fn main() -> ExitCode {
    let Command::Run(run) = Arguments::parse().command;
    match Box::pin(run.execute()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Where this fails, standard error is closed.
            drop(writeln!(std::io::stderr(), "\ncandlemill: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
