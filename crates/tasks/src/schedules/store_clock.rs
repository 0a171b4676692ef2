//! MongoDB's clock, by which it is judged what is due.

use candlemill_db::StoreError;
use candlemill_shared::Clock;
use mongodb::Database;
use mongodb::bson::doc;
use std::sync::Arc;

/// The time of the store: one for all schedulers, whatever the clocks of their machines say.
#[derive(Debug, Clone)]
pub struct StoreClock {
    source: Source,
}

#[derive(Debug, Clone)]
enum Source {
    Store(Database),
    /// Time that a test moves.
    Given(Arc<dyn Clock>),
}

impl StoreClock {
    pub(crate) fn of(database: &Database) -> Self {
        Self { source: Source::Store(database.clone()) }
    }

    /// The time that `clock` tells: for tests, which cannot move the store's.
    #[must_use]
    pub fn given(clock: Arc<dyn Clock>) -> Self {
        Self { source: Source::Given(clock) }
    }

    /// Now, UTC ms.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn now_ms(&self) -> Result<i64, StoreError> {
        match &self.source {
            Source::Store(database) => {
                let asked = database.run_command(doc! { "hello": 1 }).await;
                let answer = asked.map_err(StoreError::mongo("asking for the store's time"))?;
                let time = answer.get_datetime("localTime");
                time.map(|time| time.timestamp_millis()).map_err(|error| StoreError::corrupt("the store's time", error))
            }
            Source::Given(clock) => Ok(clock.now_ms()),
        }
    }
}
