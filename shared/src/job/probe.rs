//! A job that does nothing.

use super::definition::Job;
use super::pool::Pool;
use crate::retry::RetryPolicy;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::ToSchema;

/// Does nothing: shows that tasks come through, and how fast.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Probe {
    /// Tells one probe from another.
    pub number: u64,
}

/// What a probe did: nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Probed {}

impl Job for Probe {
    const KIND: &'static str = "probe";
    const VERSION: u32 = 1;
    const POOL: Pool = Pool::Maintenance;
    const TIMEOUT: Duration = Duration::from_secs(10);
    const RETRY: RetryPolicy = RetryPolicy::SHORT;
    const UNIT: &'static str = "probes";

    type Result = Probed;
    type RequestView = Self;
    type ResultView = Probed;

    fn request(&self) -> Self {
        self.clone()
    }
}
