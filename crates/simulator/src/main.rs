//! `candlemill-simulator`: the exchange and Supabase of the offline demo, configured by the environment.

use candlemill_shared::env::Env;
use candlemill_shared::telemetry;
use candlemill_simulator::{Simulator, SimulatorConfig};
use std::error::Error;
use std::io::Write;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Env::from_process()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Not a log line: the log may be what cannot be configured.
            drop(writeln!(std::io::stderr(), "candlemill-simulator: {}", with_causes(error.as_ref())));
            ExitCode::FAILURE
        }
    }
}

async fn run(env: &Env) -> Result<(), Box<dyn Error>> {
    let config = SimulatorConfig::from_env(env)?;
    telemetry::start(env)?;
    let mut terminate = signal(SignalKind::terminate())?;
    let simulator = Simulator::start(config).await?;
    // Scripts that ask for port 0 read the address here.
    let mut out = std::io::stdout();
    writeln!(out, "listening on http://{}", simulator.addr())?;
    out.flush()?;
    tracing::info!(url = simulator.url(), "the simulator serves");
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminate.recv() => {}
    }
    tracing::info!("the simulator stops");
    simulator.stop().await;
    Ok(())
}

fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
