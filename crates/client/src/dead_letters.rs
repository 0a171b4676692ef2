//! Tasks that were given up.

use crate::api::{Api, segment};
use crate::error::ApiError;
use crate::pages::{Page, pages};
use candlemill_shared::forms::{
    DeadLetterFilter, DeadLetterList, DeadLetterView, DiscardRequest, ReplayRequest, Replayed, TaskView,
};
use futures::Stream;
use reqwest::Method;
use std::fmt::Display;

impl Api {
    /// A page of the caller's dead letters: `GET /api/dead-letters`.
    ///
    /// # Errors
    /// The API's refusal, or no answer.
    pub async fn dead_letters(&self, filter: &DeadLetterFilter) -> Result<DeadLetterList, ApiError> {
        self.read(self.request(Method::GET, "/api/dead-letters").query(filter)).await
    }

    /// Every dead letter of `filter`, page by page; its `limit` is the length of a page.
    ///
    /// ```no_run
    /// use candlemill_client::forms::DeadLetterFilter;
    /// use futures::TryStreamExt as _;
    ///
    /// # async fn example(api: candlemill_client::Api) -> Result<(), Box<dyn std::error::Error>> {
    /// let dead: Vec<_> = api.every_dead_letter(DeadLetterFilter::default()).try_collect().await?;
    /// println!("{} dead letters", dead.len());
    /// # Ok(())
    /// # }
    /// ```
    pub fn every_dead_letter(
        &self,
        filter: DeadLetterFilter,
    ) -> impl Stream<Item = Result<DeadLetterView, ApiError>> + '_ {
        pages(filter, async |mut filter| {
            let DeadLetterList { dead_letters, next_cursor } = self.dead_letters(&filter).await?;
            let next = next_cursor.map(|cursor| {
                filter.cursor = Some(cursor.into());
                filter
            });
            Ok(Page { items: dead_letters, next })
        })
    }

    /// Has one dead or failed task tried again: `POST /api/dead-letters/{id}/replay`.
    ///
    /// # Errors
    /// The API's refusal, or no answer.
    pub async fn replay<Id: Display>(&self, id: Id) -> Result<TaskView, ApiError> {
        self.read(self.request(Method::POST, &format!("/api/dead-letters/{}/replay", segment(id)))).await
    }

    /// Has many tasks tried again, at most 100 a call: `POST /api/dead-letters/replay`.
    ///
    /// ```no_run
    /// use candlemill_client::forms::ReplayRequest;
    ///
    /// # async fn example(api: candlemill_client::Api) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut request = ReplayRequest::all(None);
    /// loop {
    ///     let done = api.replay_many(&request).await?;
    ///     println!("{} replayed, {} refused", done.replayed, done.refused.len());
    ///     let Some(cursor) = done.next_cursor else { break };
    ///     request = ReplayRequest::all(Some(cursor));
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The API's refusal, or no answer.
    pub async fn replay_many(&self, request: &ReplayRequest) -> Result<Replayed, ApiError> {
        self.read(self.request(Method::POST, "/api/dead-letters/replay").json(request)).await
    }

    /// Puts a dead task aside for good: `POST /api/dead-letters/{id}/discard`.
    ///
    /// # Errors
    /// The API's refusal, or no answer.
    pub async fn discard<Id: Display>(&self, id: Id, request: &DiscardRequest) -> Result<DeadLetterView, ApiError> {
        let path = format!("/api/dead-letters/{}/discard", segment(id));
        self.read(self.request(Method::POST, &path).json(request)).await
    }
}
