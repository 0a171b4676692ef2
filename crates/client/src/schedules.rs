//! Schedules: creating, changing and watching them.

use crate::api::{Api, segment};
use crate::error::ApiError;
use crate::pages::{Page, pages};
use candlemill_shared::forms::{
    Accepted, FireFilter, FireList, ScheduleChange, ScheduleFilter, ScheduleList, SchedulePreview, ScheduleView,
};
use futures::Stream;
use reqwest::Method;
use std::fmt::Display;

impl Api {
    /// Creates a schedule: `POST /api/schedules`. `name`, `when` and `template` must be there.
    ///
    /// # Errors
    /// The API's refusal, or no answer.
    pub async fn create_schedule(&self, schedule: &ScheduleChange) -> Result<ScheduleView, ApiError> {
        self.read(self.request(Method::POST, "/api/schedules").json(schedule)).await
    }

    /// What a schedule would do: `POST /api/schedules/preview`. Nothing is stored.
    ///
    /// # Errors
    /// The API's refusal, or no answer.
    pub async fn preview_schedule(&self, schedule: &ScheduleChange) -> Result<SchedulePreview, ApiError> {
        self.read(self.request(Method::POST, "/api/schedules/preview").json(schedule)).await
    }

    /// A page of the caller's schedules: `GET /api/schedules`.
    ///
    /// # Errors
    /// The API's refusal, or no answer.
    pub async fn schedules(&self, filter: &ScheduleFilter) -> Result<ScheduleList, ApiError> {
        self.read(self.request(Method::GET, "/api/schedules").query(filter)).await
    }

    /// Every schedule of `filter`, page by page; its `limit` is the length of a page.
    pub fn every_schedule(&self, filter: ScheduleFilter) -> impl Stream<Item = Result<ScheduleView, ApiError>> + '_ {
        pages(filter, async |mut filter| {
            let ScheduleList { schedules, next_cursor } = self.schedules(&filter).await?;
            let next = next_cursor.map(|cursor| {
                filter.cursor = Some(cursor.into());
                filter
            });
            Ok(Page { items: schedules, next })
        })
    }

    /// A schedule: `GET /api/schedules/{id}`.
    ///
    /// # Errors
    /// The API's refusal (`schedule_not_found`: none of the caller's), or no answer.
    pub async fn schedule<I: Display + Send>(&self, id: I) -> Result<ScheduleView, ApiError> {
        self.read(self.request(Method::GET, &path(&id))).await
    }

    /// Changes a schedule, pauses or resumes it: `PATCH /api/schedules/{id}`. Members that are `None` stay as they are.
    ///
    /// # Errors
    /// The API's refusal (`schedule_changed`: somebody else did at the same moment), or no answer.
    pub async fn change_schedule<I: Display + Send>(
        &self,
        id: I,
        change: &ScheduleChange,
    ) -> Result<ScheduleView, ApiError> {
        self.read(self.request(Method::PATCH, &path(&id)).json(change)).await
    }

    /// Deletes a schedule: `DELETE /api/schedules/{id}`. Its tasks go on.
    ///
    /// # Errors
    /// The API's refusal (`schedule_not_found`: none of the caller's), or no answer.
    pub async fn delete_schedule<I: Display + Send>(&self, id: I) -> Result<(), ApiError> {
        self.answer(self.request(Method::DELETE, &path(&id))).await.map(drop)
    }

    /// Fires a schedule now: `POST /api/schedules/{id}/run`.
    ///
    /// # Errors
    /// The API's refusal (`nothing_to_run`: it would ask for nothing), or no answer.
    pub async fn run_schedule<I: Display + Send>(
        &self,
        id: I,
        idempotency_key: Option<&str>,
    ) -> Result<Accepted, ApiError> {
        let call = self.request(Method::POST, &format!("{}/run", path(&id)));
        self.read(match idempotency_key {
            Some(key) => call.header("Idempotency-Key", key),
            None => call,
        })
        .await
    }

    /// A page of a schedule's fires, the newest first: `GET /api/schedules/{id}/fires`.
    ///
    /// # Errors
    /// The API's refusal (`schedule_not_found`: none of the caller's), or no answer.
    pub async fn fires<I: Display + Send>(&self, id: I, filter: &FireFilter) -> Result<FireList, ApiError> {
        self.read(self.request(Method::GET, &format!("{}/fires", path(&id))).query(filter)).await
    }

    /// A page of everybody's schedules: `GET /api/admin/schedules`, with the operators' token.
    ///
    /// # Errors
    /// The API's refusal, or no answer.
    pub async fn all_schedules(&self, filter: &ScheduleFilter) -> Result<ScheduleList, ApiError> {
        self.read(self.request(Method::GET, "/api/admin/schedules").query(filter)).await
    }

    /// Pauses anybody's schedule: `POST /api/admin/schedules/{id}/pause`, with the operators' token.
    ///
    /// # Errors
    /// The API's refusal, or no answer.
    pub async fn pause_schedule<I: Display + Send>(&self, id: I) -> Result<ScheduleView, ApiError> {
        self.read(self.request(Method::POST, &format!("{}/pause", operators_path(&id)))).await
    }

    /// Resumes anybody's schedule: `POST /api/admin/schedules/{id}/resume`, with the operators' token.
    ///
    /// # Errors
    /// The API's refusal, or no answer.
    pub async fn resume_schedule<I: Display + Send>(&self, id: I) -> Result<ScheduleView, ApiError> {
        self.read(self.request(Method::POST, &format!("{}/resume", operators_path(&id)))).await
    }

    /// Deletes anybody's schedule: `DELETE /api/admin/schedules/{id}`, with the operators' token.
    ///
    /// # Errors
    /// The API's refusal, or no answer.
    pub async fn delete_any_schedule<I: Display + Send>(&self, id: I) -> Result<(), ApiError> {
        self.answer(self.request(Method::DELETE, &operators_path(&id))).await.map(drop)
    }
}

fn path(id: &impl Display) -> String {
    format!("/api/schedules/{}", segment(id))
}

fn operators_path(id: &impl Display) -> String {
    format!("/api/admin/schedules/{}", segment(id))
}
