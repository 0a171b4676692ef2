//! Watching and cancelling what was submitted.

use crate::api::{Api, segment};
use crate::error::ApiError;
use crate::events::EventReader;
use crate::pages::{Page, pages};
use candlemill_shared::forms::{ProgressView, TaskFilter, TaskList, TaskView, WebhookSecret};
use futures::Stream;
use reqwest::Method;
use std::fmt::Display;

impl Api {
    /// A page of the caller's tasks, the newest first: `GET /api/tasks`.
    ///
    /// # Errors
    /// The API's refusal, or no answer.
    pub async fn tasks(&self, filter: &TaskFilter) -> Result<TaskList, ApiError> {
        self.read(self.request(Method::GET, "/api/tasks").query(filter)).await
    }

    /// Every task of `filter`, page by page, the newest first; its `limit` is the length of a page.
    ///
    /// ```no_run
    /// use candlemill_client::forms::TaskFilter;
    /// use futures::TryStreamExt as _;
    ///
    /// # async fn example(api: candlemill_client::Api) -> Result<(), Box<dyn std::error::Error>> {
    /// let filter = TaskFilter { symbol: Some("BTCUSDT".parse::<candlemill_shared::Symbol>()?.into()), ..TaskFilter::default() };
    /// let mut tasks = std::pin::pin!(api.every_task(filter));
    /// while let Some(task) = tasks.try_next().await? {
    ///     println!("{} {}", task.task_id, task.state);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn every_task(&self, filter: TaskFilter) -> impl Stream<Item = Result<TaskView, ApiError>> + '_ {
        pages(filter, async |mut filter| {
            let TaskList { tasks, next_cursor } = self.tasks(&filter).await?;
            let next = next_cursor.map(|cursor| {
                filter.cursor = Some(cursor);
                filter
            });
            Ok(Page { items: tasks, next })
        })
    }

    /// The record of a task: `GET /api/task/{id}`.
    ///
    /// # Errors
    /// The API's refusal, or no answer.
    pub async fn task<Id: Display>(&self, id: Id) -> Result<TaskView, ApiError> {
        self.read(self.request(Method::GET, &format!("/api/task/{}", segment(id)))).await
    }

    /// How far a task is: `GET /api/task/{id}/progress`.
    ///
    /// # Errors
    /// The API's refusal, or no answer.
    pub async fn progress<Id: Display>(&self, id: Id) -> Result<ProgressView, ApiError> {
        self.read(self.request(Method::GET, &format!("/api/task/{}/progress", segment(id)))).await
    }

    /// One event stream of a task, after the event `last_event_id`: `GET /api/task/{id}/events`. It may end before the task does;
    /// [`follow`](Self::follow) goes on until then.
    ///
    /// # Errors
    /// The API's refusal, or no answer.
    pub async fn events<Id: Display>(&self, id: Id, last_event_id: Option<&str>) -> Result<EventReader, ApiError> {
        let call = self.request(Method::GET, &format!("/api/task/{}/events", segment(id)));
        let mut call = call.header("Accept", "text/event-stream");
        if let Some(last) = last_event_id {
            call = call.header("Last-Event-ID", last);
        }
        self.answer(call).await.map(EventReader::new)
    }

    /// Cancels a task: `DELETE /api/task/{id}`. One that runs is still `running` in the answer, with `cancel_requested`.
    ///
    /// # Errors
    /// The API's refusal, or no answer.
    pub async fn cancel<Id: Display>(&self, id: Id) -> Result<TaskView, ApiError> {
        self.read(self.request(Method::DELETE, &format!("/api/task/{}", segment(id)))).await
    }

    /// What the caller's webhooks are signed with: `GET /api/webhooks/secret`.
    ///
    /// # Errors
    /// The API's refusal, or no answer.
    pub async fn webhook_secret(&self) -> Result<WebhookSecret, ApiError> {
        self.read(self.request(Method::GET, "/api/webhooks/secret")).await
    }
}
