//! Operators' calls. Their token is not a user's: see [`Api::with_token`].

use crate::api::{Api, segment};
use crate::error::ApiError;
use candlemill_shared::forms::{Accepted, FetchRequest, PauseRequest, QueueList, QueueView, TaskView, WorkerView};
use reqwest::Method;
use std::fmt::Display;

impl Api {
    /// Every queue and worker: `GET /api/admin/queues`.
    ///
    /// ```no_run
    /// # async fn example(api: candlemill_client::Api) -> Result<(), Box<dyn std::error::Error>> {
    /// for queue in api.with_token("the operators' token").queues().await?.queues {
    ///     println!("{}: {} wait", queue.pool.as_str(), queue.waiting);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The API's refusal, or no answer.
    pub async fn queues(&self) -> Result<QueueList, ApiError> {
        self.read(self.request(Method::GET, "/api/admin/queues")).await
    }

    /// Lets workers take no more tasks of a pool: `POST /api/admin/queues/{pool}/pause`.
    ///
    /// # Errors
    /// The API's refusal, or no answer.
    pub async fn pause_queue<Name: Display>(&self, pool: Name, request: &PauseRequest) -> Result<QueueView, ApiError> {
        let path = format!("/api/admin/queues/{}/pause", segment(pool));
        self.read(self.request(Method::POST, &path).json(request)).await
    }

    /// Lets workers take tasks of a pool again: `POST /api/admin/queues/{pool}/resume`.
    ///
    /// # Errors
    /// The API's refusal, or no answer.
    pub async fn resume_queue<Name: Display>(&self, pool: Name) -> Result<QueueView, ApiError> {
        self.read(self.request(Method::POST, &format!("/api/admin/queues/{}/resume", segment(pool)))).await
    }

    /// Lets a worker take no more tasks and hand back what it has: `POST /api/admin/workers/{id}/drain`.
    ///
    /// # Errors
    /// The API's refusal, or no answer.
    pub async fn drain_worker<Id: Display>(&self, id: Id) -> Result<WorkerView, ApiError> {
        self.read(self.request(Method::POST, &format!("/api/admin/workers/{}/drain", segment(id)))).await
    }

    /// Has stored candles compared, as a task of the operators: `POST /api/admin/market-data/verify`.
    ///
    /// # Errors
    /// The API's refusal, or no answer.
    pub async fn operators_verify(
        &self,
        request: &FetchRequest,
        idempotency_key: Option<&str>,
    ) -> Result<Accepted, ApiError> {
        self.submit("/api/admin/market-data/verify", request, idempotency_key).await
    }

    /// The record of a task of the operators: `GET /api/admin/task/{id}`.
    ///
    /// # Errors
    /// The API's refusal, or no answer.
    pub async fn operators_task<Id: Display>(&self, id: Id) -> Result<TaskView, ApiError> {
        self.read(self.request(Method::GET, &format!("/api/admin/task/{}", segment(id)))).await
    }
}
