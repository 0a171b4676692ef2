//! A job for tests of what holds for every kind: it keeps a processor busy, counts, and fails as it is told.

use super::definition::{Job, Part, PartResult};
use super::pool::Pool;
use crate::figures::Figures;
use crate::retry::RetryPolicy;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::Duration;
use utoipa::ToSchema;

/// Adds the numbers up to `units`, one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Exercise {
    /// Tells one from another.
    pub name: String,
    /// Numbers that are added.
    pub units: u64,
    /// Time that a processor is busy with each, ms.
    #[serde(default)]
    pub busy_ms: u64,
    /// Tasks that it is left to; 0: it does all by itself.
    #[serde(default)]
    pub parts: u32,
    /// Whether attempts fail until it is replayed.
    #[serde(default)]
    pub fails: bool,
}

/// What an exercise did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Exercised {
    /// Numbers that were added.
    pub done: u64,
    /// Numbers in all.
    pub total: u64,
    /// Their sum.
    pub sum: u64,
    /// From the first attempt's start to the end, ms.
    pub took_ms: u64,
}

impl Job for Exercise {
    const KIND: &'static str = "exercise";
    const VERSION: u32 = 1;
    const POOL: Pool = Pool::Seasonality;
    const TIMEOUT: Duration = Duration::from_secs(60);
    const RETRY: RetryPolicy = RetryPolicy {
        max_attempts: 3,
        max_broken_off: 2,
        max_lost: 4,
        first_delay: Duration::from_millis(100),
        max_delay: Duration::from_millis(200),
    };
    const UNIT: &'static str = "numbers";
    const RATED: &'static [&'static str] = &["sum"];
    const PART_MEMBERS: &'static [&'static str] = &["done", "total", "sum"];

    type Result = Exercised;
    type RequestView = Self;
    type ResultView = Exercised;

    fn request(&self) -> Self {
        self.clone()
    }

    fn figures(result: &Exercised) -> Figures {
        Figures { done: result.done, total: result.total, details: [("sum".to_owned(), result.sum)].into() }
    }

    /// `plan` lists how many numbers each part adds.
    fn parts(&self, plan: &Value, _: i64) -> Result<Vec<Part>, serde_json::Error> {
        let plan = Vec::<u64>::deserialize(plan)?;
        let part = |(number, units): (usize, u64)| {
            let name = format!("{}/{number}", self.name);
            Part::of(&Self { name, units, parts: 0, ..self.clone() }, units)
        };
        plan.into_iter().enumerate().map(part).collect()
    }

    fn add_parts(result: &mut Exercised, parts: &[PartResult]) {
        for part in parts.iter().filter_map(|part| Exercised::deserialize(part.result.as_ref()?).ok()) {
            result.done += part.done;
            result.sum += part.sum;
        }
    }

    fn keep_figures(result: &mut Exercised, shown: &Figures) {
        result.total = shown.total;
    }

    fn note_duration(result: &mut Exercised, took_ms: u64) {
        result.took_ms = took_ms;
    }
}
