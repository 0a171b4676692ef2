//! The HTTP API: who calls, what the tier allows, jobs in, progress and candles out. It never contacts an exchange.

pub mod admin;
mod answer;
pub mod app;
pub mod auth;
mod bounds;
pub mod caller;
mod config;
mod cors;
mod dashboard;
pub mod dead_letters;
pub mod error;
pub mod health;
pub mod input;
mod json_line;
pub mod market_data;
pub mod metrics;
pub mod metrics_page;
pub mod openapi;
pub mod problems;
mod rate_headers;
mod remainder;
mod routes;
pub mod schedules;
pub mod seasonality;
pub mod session;
pub mod state;
pub mod task;
pub mod trace;
pub mod webhooks;

pub use app::app;
pub use config::{ApiConfig, DashboardAddr, VARIABLES};
pub use cors::origins as cors_origins;
pub use schedules::Refresher;
pub use state::AppState;
