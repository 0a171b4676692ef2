//! The calls of the API.

use crate::events::{Event, EventReader};
use crate::wire::{Accepted, BatchRequest, FetchRequest, Problem, ProgressView, TaskView};
use reqwest::header::RETRY_AFTER;
use reqwest::{Client, Method, RequestBuilder, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::time::Duration;

/// Longest time to connect and, on calls that are no stream, from the call to the whole answer.
const MAX_WAIT: Duration = Duration::from_secs(30);
/// Wait before an event stream that broke is opened again.
const RECONNECT: Duration = Duration::from_millis(300);
/// Breaks of the event stream in a row, without an event between them, after which following gives up.
const MOST_BREAKS: u32 = 100;

/// Why a call has no result.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The API refused, and says why.
    #[error("{0}")]
    Problem(Box<Problem>),
    /// The API answered something that is neither the promised answer nor a problem document.
    #[error("the API answered HTTP {status}: {text}")]
    Foreign {
        /// HTTP status.
        status: u16,
        /// Beginning of the body.
        text: String,
    },
    /// The answer does not have the promised form.
    #[error("the API's answer cannot be read: {text}")]
    Unreadable {
        /// Beginning of the body.
        text: String,
        /// What serde found.
        #[source]
        source: serde_json::Error,
    },
    /// No answer came.
    #[error("the API at {base} does not answer")]
    Unreachable {
        /// Its address.
        base: String,
        /// What the connection said.
        #[source]
        source: reqwest::Error,
    },
    /// The event stream broke again and again.
    #[error("the event stream of task {task} broke {MOST_BREAKS} times in a row")]
    StreamBroken {
        /// Which task.
        task: String,
    },
}

impl ApiError {
    /// HTTP status of the refusal; `None` where none came.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Problem(problem) => Some(problem.status),
            Self::Foreign { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// The stable code of the problem, where the API gave one.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Problem(problem) => problem.code.as_deref(),
            _ => None,
        }
    }
}

/// A client of the API with one user's token.
#[derive(Debug, Clone)]
pub struct Api {
    base: String,
    token: String,
    http: Client,
}

impl Api {
    /// A client of the API at `base` (`http://host:port`) that sends `token`.
    #[must_use]
    pub fn new(base: &str, token: &str) -> Self {
        let http = Client::builder().connect_timeout(MAX_WAIT).build().unwrap_or_default();
        Self { base: base.trim_end_matches('/').to_owned(), token: token.to_owned(), http }
    }

    /// The API's address.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The access token that is sent.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// A request to `path` with the token, for calls that have no method here.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base)).bearer_auth(&self.token)
    }

    /// `POST /api/market-data/fetch`.
    ///
    /// # Errors
    /// The API's refusal, or no answer.
    pub async fn fetch(&self, request: &FetchRequest, idempotency_key: Option<&str>) -> Result<Accepted, ApiError> {
        self.submit("/api/market-data/fetch", request, idempotency_key).await
    }

    /// `POST /api/market-data/verify`.
    ///
    /// # Errors
    /// The API's refusal, or no answer.
    pub async fn verify(&self, request: &FetchRequest, idempotency_key: Option<&str>) -> Result<Accepted, ApiError> {
        self.submit("/api/market-data/verify", request, idempotency_key).await
    }

    /// `POST /api/market-data/fetch/batch`.
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

    async fn submit(
        &self,
        path: &str,
        request: &impl Serialize,
        idempotency_key: Option<&str>,
    ) -> Result<Accepted, ApiError> {
        let mut call = self.request(Method::POST, path).json(request);
        if let Some(key) = idempotency_key {
            call = call.header("Idempotency-Key", key);
        }
        self.read(call).await
    }

    /// `GET /api/task/{id}/progress`.
    ///
    /// # Errors
    /// The API's refusal, or no answer.
    pub async fn progress(&self, task: &str) -> Result<ProgressView, ApiError> {
        self.read(self.request(Method::GET, &format!("/api/task/{task}/progress"))).await
    }

    /// `GET /api/task/{id}`.
    ///
    /// # Errors
    /// The API's refusal, or no answer.
    pub async fn task(&self, task: &str) -> Result<TaskView, ApiError> {
        self.read(self.request(Method::GET, &format!("/api/task/{task}"))).await
    }

    /// `DELETE /api/task/{id}`.
    ///
    /// # Errors
    /// The API's refusal, or no answer.
    pub async fn cancel(&self, task: &str) -> Result<Value, ApiError> {
        self.read(self.request(Method::DELETE, &format!("/api/task/{task}"))).await
    }

    /// `GET <path>?<query>` as JSON: tasks, coverage, klines of a short range.
    ///
    /// # Errors
    /// The API's refusal, or no answer.
    pub async fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, String)]) -> Result<T, ApiError> {
        self.read(self.request(Method::GET, path).query(query)).await
    }

    /// `POST <path>` with a JSON body, or without one.
    ///
    /// # Errors
    /// The API's refusal, or no answer.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: Option<&Value>) -> Result<T, ApiError> {
        let call = self.request(Method::POST, path);
        self.read(if let Some(body) = body { call.json(body) } else { call }).await
    }

    /// `GET <path>?<query>` as a stream, for answers of any length.
    ///
    /// # Errors
    /// The API's refusal, or no answer.
    pub async fn stream(&self, path: &str, query: &[(&str, String)]) -> Result<Response, ApiError> {
        self.answer(self.request(Method::GET, path).query(query)).await
    }

    /// Follows a task by its server-sent events until its end state; every snapshot goes to `seen`. A stream that breaks
    /// is resumed after the last event.
    ///
    /// # Errors
    /// The API's refusal, or a stream that cannot be kept up.
    pub async fn follow(&self, task: &str, mut seen: impl FnMut(&ProgressView)) -> Result<ProgressView, ApiError> {
        let mut last_event: Option<String> = None;
        for _ in 0..MOST_BREAKS {
            let mut call = self.request(Method::GET, &format!("/api/task/{task}/events"));
            call = call.header("Accept", "text/event-stream");
            if let Some(id) = &last_event {
                call = call.header("Last-Event-ID", id);
            }
            match self.answer(call).await {
                Ok(answer) => {
                    let mut events = EventReader::new(answer);
                    while let Some(event) = events.next().await {
                        let Event { id, data, .. } = event;
                        let progress: ProgressView = parse(&data)?;
                        last_event = id.or(last_event);
                        seen(&progress);
                        if progress.state.is_end() {
                            return Ok(progress);
                        }
                    }
                }
                Err(ApiError::Unreachable { .. }) => {}
                Err(refusal) if refusal.status().is_some_and(|status| status >= 500 || status == 429) => {}
                Err(refusal) => return Err(refusal),
            }
            tokio::time::sleep(RECONNECT).await;
            // The last event may have been lost with the stream.
            if let Ok(progress) = self.progress(task).await
                && progress.state.is_end()
            {
                seen(&progress);
                return Ok(progress);
            }
        }
        Err(ApiError::StreamBroken { task: task.to_owned() })
    }

    /// Submits `request`, follows it to its end and reads the record: succeeded or not, see its state.
    ///
    /// # Errors
    /// The API's refusal, or no answer.
    pub async fn fetch_and_wait(&self, request: &FetchRequest) -> Result<TaskView, ApiError> {
        let accepted = self.fetch(request, None).await?;
        self.follow(&accepted.task_id, |_| {}).await?;
        self.task(&accepted.task_id).await
    }

    async fn read<T: DeserializeOwned>(&self, call: RequestBuilder) -> Result<T, ApiError> {
        let answer = self.answer(call.timeout(MAX_WAIT)).await?;
        let text = answer.text().await.map_err(|source| self.unreachable(source))?;
        parse(if text.is_empty() { "null" } else { &text })
    }

    /// Sends; turns every answer that is not 2xx into an error.
    async fn answer(&self, call: RequestBuilder) -> Result<Response, ApiError> {
        let answer = call.send().await.map_err(|source| self.unreachable(source))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let wait = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let text = answer.text().await.unwrap_or_default();
        match serde_json::from_str::<Problem>(&text) {
            Ok(mut problem) if !problem.title.is_empty() => {
                problem.status = status.as_u16();
                if let Some(wait) = wait {
                    problem.detail = Some(format!("{} Try again in {wait} s.", problem.detail.unwrap_or_default()));
                }
                Err(ApiError::Problem(Box::new(problem)))
            }
            _ => Err(ApiError::Foreign { status: status.as_u16(), text: beginning(&text) }),
        }
    }

    fn unreachable(&self, source: reqwest::Error) -> ApiError {
        ApiError::Unreachable { base: self.base.clone(), source }
    }
}

fn parse<T: DeserializeOwned>(text: &str) -> Result<T, ApiError> {
    serde_json::from_str(text).map_err(|source| ApiError::Unreadable { text: beginning(text), source })
}

fn beginning(text: &str) -> String {
    text.chars().take(300).collect()
}
