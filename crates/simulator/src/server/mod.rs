//! The sockets: accepting, speaking HTTP/1.1, and misbehaving when a script says so.

pub(crate) mod answer;
mod connection;
pub(crate) mod pipeline;
pub(crate) mod request;

use crate::state::SimulatorState;
use connection::{Connection, Cutter};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Wait after a failed accept (no file descriptors left), so that it is not retried in a spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// Serves until `stop`; ending it cuts every connection.
pub(crate) async fn serve(listener: TcpListener, state: Arc<SimulatorState>, stop: CancellationToken) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(connections.spawn(speak(stream, Arc::clone(&state)))),
                Err(error) => {
                    tracing::warn!(%error, "accepting a connection failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
}

async fn speak(stream: TcpStream, state: Arc<SimulatorState>) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "the connection closed at once");
        return;
    }
    let _open = state.calls.connection_opened();
    let cutter = Cutter::default();
    let connection = Connection::new(stream, cutter.clone());
    let service = service_fn(|request| pipeline::handle(Arc::clone(&state), cutter.clone(), request));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        // The date comes from the clock that the script set.
        .auto_date_header(false)
        .serve_connection(TokioIo::new(connection), service)
        .await;
    if let Err(error) = served {
        // Scripted resets and clients that go away end here too.
        tracing::debug!(%error, "a connection ended early");
    }
}
