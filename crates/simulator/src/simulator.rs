//! A running simulator.

use crate::config::SimulatorConfig;
use crate::control::Control;
use crate::error::SimulatorError;
use crate::server;
use crate::state::SimulatorState;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

/// A server on its own port. Dropping it ends it and cuts its connections.
#[derive(Debug)]
pub struct Simulator {
    state: Arc<SimulatorState>,
    addr: SocketAddr,
    serving: JoinHandle<()>,
    stop: DropGuard,
}

impl Simulator {
    /// Binds the address and serves in the background of the current tokio runtime.
    ///
    /// # Errors
    /// When the address cannot be bound, the folder not read or a key not made.
    pub async fn start(config: SimulatorConfig) -> Result<Self, SimulatorError> {
        let wanted = config.addr;
        let bind = |source| SimulatorError::Bind { addr: wanted, source };
        let listener = TcpListener::bind(wanted).await.map_err(bind)?;
        let addr = listener.local_addr().map_err(bind)?;
        let url = config.public_url.clone().unwrap_or_else(|| format!("http://{addr}"));
        let state = Arc::new(SimulatorState::new(config, url)?);
        let stop = CancellationToken::new();
        let serving = tokio::spawn(server::serve(listener, Arc::clone(&state), stop.clone()));
        Ok(Self { state, addr, serving, stop: stop.drop_guard() })
    }

    /// Base URL for clients, without a slash at the end: `BINANCE_REST_URL` and `SUPABASE_URL` in one.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.state.url
    }

    /// The bound address.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Issuer of the tokens.
    #[must_use]
    pub fn issuer(&self) -> String {
        self.state.issuer()
    }

    /// The publishable key.
    #[must_use]
    pub fn publishable_key(&self) -> &str {
        &self.state.project.publishable_key
    }

    /// The secret key.
    #[must_use]
    pub fn secret_key(&self) -> &str {
        &self.state.project.secret_key
    }

    /// The legacy JWT secret.
    #[must_use]
    pub fn jwt_secret(&self) -> &str {
        &self.state.project.jwt_secret
    }

    /// The legacy key of the role `anon`, a JWT.
    #[must_use]
    pub fn anon_key(&self) -> &str {
        &self.state.project.anon_key
    }

    /// The legacy key of the role `service_role`, a JWT.
    #[must_use]
    pub fn service_role_key(&self) -> &str {
        &self.state.project.service_role_key
    }

    /// Scripts faults, reads counters, mints tokens. Works as long as any clone lives.
    #[must_use]
    pub fn control(&self) -> Control {
        Control::new(Arc::clone(&self.state))
    }

    /// Ends it and waits until the port is free again.
    pub async fn stop(self) {
        drop(self.stop);
        if let Err(error) = self.serving.await {
            tracing::error!(error = &error as &dyn std::error::Error, "the server ended in a panic");
        }
    }
}
