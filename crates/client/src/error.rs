//! Why a call has no result.

use candlemill_shared::forms::ProblemDocument;

/// Why a call has no result.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The API refused, and says why.
    #[error("{0}")]
    Problem(Box<ProblemDocument>),
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
    /// The request cannot be made of what was given: the address is none, or the token has characters that no header may have.
    #[error("{base:?} and the token make no request; http://host:port and an access token are expected")]
    Unsendable {
        /// The address.
        base: String,
        /// What was wrong.
        #[source]
        source: reqwest::Error,
    },
    /// No answer came, or it broke off.
    #[error("the API at {base} does not answer")]
    Unreachable {
        /// Its address.
        base: String,
        /// What the connection said.
        #[source]
        source: reqwest::Error,
    },
    /// The event stream broke again and again.
    #[error("the event stream of task {task} broke {breaks} times in a row")]
    StreamBroken {
        /// Which task.
        task: String,
        /// How often.
        breaks: u32,
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
            Self::Problem(problem) => Some(problem.code.as_str()).filter(|code| !code.is_empty()),
            _ => None,
        }
    }

    /// Whether nothing, or nothing whole, was answered: the same call may be answered in a moment.
    #[must_use]
    pub const fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::StreamBroken { .. })
    }

    /// Whether the same call may be answered otherwise in a moment: no answer, 408, 429, or 5xx.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        self.status().map_or(self.is_unreachable(), |status| status >= 500 || status == 429 || status == 408)
    }
}
