//! What operators see of a queue and do to it. Called seldom, so the scripts are made ready at each call.

use super::entry::STEP;
use super::pool_queue::{Queue, prepare};
use candlemill_db::StoreError;
use redis::Script;

/// Owners that a look for the oldest task goes through at most: Redis serves nobody else meanwhile.
const OWNERS: usize = 1_000;

impl Queue {
    /// When the oldest task that waits was submitted, UTC ms; of each owner only the next in line is looked at, and of
    /// more than 1,000 owners those whose turn comes first. `None`: none waits.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn oldest_waiting(&self) -> Result<Option<i64>, StoreError> {
        let script = with_common(include_str!("oldest.lua"));
        let mut call = prepare(&script, &self.keys);
        let mut connection = self.connection.clone();
        let oldest: String = call
            .arg(OWNERS)
            .arg(STEP)
            .invoke_async(&mut connection)
            .await
            .map_err(StoreError::redis("looking for the oldest task"))?;
        Ok(oldest.parse().ok())
    }

    /// Marks the queue as paused or open, by a word of the time `changed_at`, unless a later one was heard.
    pub(crate) async fn mark_paused(&self, paused: bool, changed_at: i64) -> Result<(), StoreError> {
        let script = with_common(include_str!("mark.lua"));
        let mut call = prepare(&script, &self.keys);
        let mut connection = self.connection.clone();
        call.arg(changed_at)
            .arg(u8::from(paused))
            .invoke_async(&mut connection)
            .await
            .map_err(StoreError::redis("marking a queue as paused"))
    }
}

fn with_common(text: &str) -> Script {
    Script::new(&format!("{}\n{text}", include_str!("common.lua")))
}
