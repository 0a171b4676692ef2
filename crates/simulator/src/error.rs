//! Why a simulator does not start.

use crate::market::MarketError;
use crate::supabase::keys::KeyError;
use crate::supabase::token_spec::MintError;
use std::net::SocketAddr;

/// Why a simulator does not start.
#[derive(Debug, thiserror::Error)]
pub enum SimulatorError {
    /// The address is taken or not this machine's.
    #[error("cannot listen on {addr}")]
    Bind {
        /// The address.
        addr: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The candles cannot be opened.
    #[error("the market cannot be opened")]
    Market(#[from] MarketError),
    /// The signing keys cannot be made.
    #[error("the signing keys cannot be made")]
    Keys(#[from] KeyError),
    /// The project's legacy keys cannot be made.
    #[error("the project's keys cannot be made")]
    Project(#[from] MintError),
}
