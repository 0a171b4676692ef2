//! Submitting work. With an idempotency key a repetition within 24 hours is the same task, so that a submission whose answer was
//! lost can be sent again.

use crate::api::Api;
use crate::error::ApiError;
use candlemill_shared::forms::{Accepted, BatchRequest, FetchRequest, TaskView};

impl Api {
    /// Submits a backfill: `POST /api/market-data/fetch`.
    ///
    /// ```no_run
    /// # async fn example(api: candlemill_client::Api) -> Result<(), Box<dyn std::error::Error>> {
    /// let request = candlemill_client::fetch_request("BTCUSDT", "1d", "listing", None)?;
    /// let accepted = api.fetch(&request, Some("btc-days")).await?;
    /// assert!(accepted.created);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The API's refusal, or no answer.
    pub async fn fetch(&self, request: &FetchRequest, idempotency_key: Option<&str>) -> Result<Accepted, ApiError> {
        self.submit("/api/market-data/fetch", request, idempotency_key).await
    }

    /// Submits many backfills as one task: `POST /api/market-data/fetch/batch`.
    ///
    /// ```no_run
    /// use candlemill_client::forms::BatchRequest;
    /// use candlemill_client::parse_start;
    ///
    /// # async fn example(api: candlemill_client::Api) -> Result<(), Box<dyn std::error::Error>> {
    /// let symbols = vec!["BTCUSDT".parse()?, "ETHUSDT".parse()?];
    /// let request = BatchRequest::of_symbols(symbols, "1h".parse()?, parse_start("2020-01-01")?);
    /// let accepted = api.fetch_batch(&request, None).await?;
    /// println!("{}", accepted.task_id);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The API's refusal, or no answer.
    pub async fn fetch_batch(
        &self,
        request: &BatchRequest,
        idempotency_key: Option<&str>,
    ) -> Result<Accepted, ApiError> {
        self.submit("/api/market-data/fetch/batch", request, idempotency_key).await
    }

    /// Has stored candles compared with the exchange's: `POST /api/market-data/verify`.
    ///
    /// # Errors
    /// The API's refusal, or no answer.
    pub async fn verify(&self, request: &FetchRequest, idempotency_key: Option<&str>) -> Result<Accepted, ApiError> {
        self.submit("/api/market-data/verify", request, idempotency_key).await
    }

    /// Submits `request`, follows it to its end and reads the record: succeeded or not, see its state.
    ///
    /// # Errors
    /// The API's refusal, or no answer.
    pub async fn fetch_and_wait(&self, request: &FetchRequest) -> Result<TaskView, ApiError> {
        let accepted = self.fetch(request, None).await?;
        self.follow(accepted.task_id, |_| {}).await?;
        self.task(accepted.task_id).await
    }
}
