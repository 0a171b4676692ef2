//! Clients of every API process, and calls that outlive a fault.

use anyhow::{Result, bail};
use candlemill_client::{Api, ApiError};
use candlemill_devkit::Stack;
use std::future::Future;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// Longest wait for one answer. The API itself answers within 10 s whatever is away.
const ANSWER: Duration = Duration::from_secs(12);
/// Wait between two tries.
const AGAIN: Duration = Duration::from_millis(100);

/// One user's clients, one for every API process.
#[derive(Debug, Clone)]
pub(crate) struct Clients {
    apis: Vec<Api>,
}

impl Clients {
    pub(crate) async fn sign_in(stack: &Stack, user: &str) -> Result<Self> {
        let token = stack.token(user).await?;
        let addresses = [&stack.api].into_iter().chain(&stack.more_apis).map(|api| api.url());
        Ok(Self { apis: addresses.map(|url| Api::new(url, &token)).collect() })
    }

    /// The client whose turn it is.
    pub(crate) fn turn(&self, number: usize) -> &Api {
        &self.apis[number % self.apis.len()]
    }

    /// Repeats `call`, at another process each time, until it is answered with something that repeating does not change.
    pub(crate) async fn persistently<T, F>(
        &self,
        first: usize,
        max_wait: Duration,
        mut call: impl FnMut(Api) -> F,
    ) -> Result<Result<T, ApiError>>
    where
        F: Future<Output = Result<T, ApiError>>,
    {
        let deadline = Instant::now() + max_wait;
        let mut last = String::new();
        for turn in first.. {
            match timeout(ANSWER, call(self.turn(turn).clone())).await {
                Ok(Err(error)) if error.is_passing() => last = chain(&error),
                Ok(answer) => return Ok(answer),
                Err(_) => last = format!("no answer within {ANSWER:?}"),
            }
            if Instant::now() > deadline {
                break;
            }
            sleep(AGAIN).await;
        }
        bail!("refused for {max_wait:?}, last: {last}")
    }
}

/// An error and its causes on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |message, cause| format!("{message}: {cause}"))
}
