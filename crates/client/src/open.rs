//! Calls that take no token.

use crate::api::{Api, beginning, parse};
use crate::error::ApiError;
use candlemill_shared::forms::Readiness;

impl Api {
    /// Whether the process lives: `GET /healthz`. The answer is `ok`.
    ///
    /// # Errors
    /// No answer.
    pub async fn health(&self) -> Result<String, ApiError> {
        self.open_text("/healthz").await
    }

    /// Whether requests can be served, and by which stores: `GET /readyz`. That they cannot is an answer, not an error.
    ///
    /// ```no_run
    /// # async fn example(api: candlemill_client::Api) -> Result<(), Box<dyn std::error::Error>> {
    /// let readiness = api.readiness().await?;
    /// if !readiness.ready {
    ///     println!("Redis: {:?}", readiness.dependencies.redis.problem);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// No answer, or another one.
    pub async fn readiness(&self) -> Result<Readiness, ApiError> {
        let answer = self.open_request("/readyz").send().await.map_err(|source| self.unsent(source))?;
        let status = answer.status().as_u16();
        let text = answer.text().await.map_err(|source| self.unsent(source))?;
        if status == 200 || status == 503 {
            return parse(&text);
        }
        Err(ApiError::Foreign { status, text: beginning(&text) })
    }

    /// The API's metrics, OpenMetrics text: `GET /metrics`.
    ///
    /// # Errors
    /// No answer.
    pub async fn metrics(&self) -> Result<String, ApiError> {
        self.open_text("/metrics").await
    }

    /// A page, HTML, that explains every problem's code: `GET /problems`.
    ///
    /// # Errors
    /// No answer.
    pub async fn problems(&self) -> Result<String, ApiError> {
        self.open_text("/problems").await
    }

    async fn open_text(&self, path: &str) -> Result<String, ApiError> {
        let answer = self.answer(self.open_request(path)).await?;
        answer.text().await.map_err(|source| self.unsent(source))
    }
}
