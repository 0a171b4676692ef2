//! Following a task over event streams that end, break, and are opened again.

use crate::api::{Api, parse};
use crate::error::ApiError;
use crate::events::Event;
use candlemill_shared::forms::ProgressView;
use std::fmt::Display;
use std::time::Duration;

/// Wait before an event stream that ended is opened again.
const RECONNECT: Duration = Duration::from_millis(300);
/// Streams in a row that brought no event, after which following gives up.
const MAX_BREAKS: u32 = 100;

impl Api {
    /// Follows a task by its server-sent events until its end state; every snapshot goes to `seen`. A stream that breaks
    /// is resumed after the last event.
    ///
    /// ```no_run
    /// # async fn example(api: candlemill_client::Api, id: candlemill_shared::task::TaskId) -> Result<(), Box<dyn std::error::Error>> {
    /// let end = api.follow(id, |progress| println!("{:.1} %", progress.percent)).await?;
    /// println!("{}", end.state);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The API's refusal, or a stream that cannot be kept up.
    pub async fn follow<Id: Display>(
        &self,
        id: Id,
        mut seen: impl FnMut(&ProgressView),
    ) -> Result<ProgressView, ApiError> {
        let id = id.to_string();
        let mut last_event: Option<String> = None;
        let mut breaks = 0;
        while breaks < MAX_BREAKS {
            breaks += 1;
            match self.events(&id, last_event.as_deref()).await {
                Ok(mut events) => {
                    while let Some(event) = events.next().await {
                        let Event { id, data, .. } = event;
                        let progress: ProgressView = parse(&data)?;
                        last_event = id.or(last_event);
                        breaks = 0;
                        seen(&progress);
                        if progress.state.is_end() {
                            return Ok(progress);
                        }
                    }
                }
                Err(error) if error.is_passing() => {}
                Err(refusal) => return Err(refusal),
            }
            tokio::time::sleep(RECONNECT).await;
            // The last event may have been lost with the stream.
            if let Ok(progress) = self.progress(&id).await
                && progress.state.is_end()
            {
                seen(&progress);
                return Ok(progress);
            }
        }
        Err(ApiError::StreamBroken { task: id, breaks })
    }
}
