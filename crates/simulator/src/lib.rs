//! Binance spot and Supabase Auth on real sockets, for tests and the offline demo. Never for production.
//!
//! One [`Simulator`] is one server on one port: the exchange under `/api/v3/`, Supabase under `/auth/v1/` and `/rest/v1/`,
//! and the control plane under `/_simulator/`. [`Control`] is the same control plane as Rust methods. Every simulator
//! counts its own calls and weights, has its own clocks, faults, users and signing keys; nothing is global.
//!
//! Rules of the exchange that hold here, all from its public documentation unless marked (O), seen in client code:
//!
//! 1. A call is charged its weight on arrival, whatever its answer will be, in fixed one-minute windows.
//! 2. Above the limit the answer is 429 with `Retry-After` to the end of the window; going on leads to 418, and bans grow on
//!    repeats (doubled here, at most three days).
//! 3. Bounds filter on the open time, both ends inclusive (O); a bound above 1e14 is in microseconds.
//! 4. Without `startTime` the latest rows up to `endTime` are served, with it the oldest from it; always ascending.
//! 5. The candle that holds the exchange's now is served as the last row, with values that still change (O).
//! 6. A missing candle is a missing row: `limit` counts the rows that exist.
//!
//! Order of one call: log, charge (rule 1), refuse (rule 2), judge by the scripted faults, answer, delay, send.

mod binance;
mod calls;
mod clock;
mod commands;
mod config;
mod content;
mod control;
mod error;
mod faults;
mod market;
mod server;
mod simulator;
mod state;
mod supabase;

pub use binance::weights::{Ban, MinuteWeight, WeightRules};
pub use calls::{Call, Counters, PathCount};
pub use clock::{ClockSetting, SimulatorClock};
pub use config::{GeneratedMarket, SimulatorConfig, VARIABLES};
pub use content::WrongContent;
pub use control::{Control, ControlError, StateView};
pub use error::SimulatorError;
pub use faults::{Fault, FaultReport, FaultRule};
pub use market::{MarketError, Outage, Restatement, Visibility};
pub use simulator::Simulator;
pub use supabase::accounts::{UserChange, UserView};
pub use supabase::keys::{KeyAlgorithm, KeyError, KeyState, KeyView};
pub use supabase::token_spec::{MintError, SignWith, TokenSpec};
