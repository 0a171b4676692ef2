//! Calls that are refused.

use super::error::AuthError;
use crate::server::answer::Answer;
use crate::server::request::Request;

/// Why a call gets no ordinary answer: the gateway or Auth refused it.
pub(super) enum Refused {
    Gateway(Box<Answer>),
    Auth(AuthError),
}

impl Refused {
    /// As an answer to the call.
    pub(super) fn answer(self, request: &Request) -> Answer {
        match self {
            Self::Gateway(answer) => *answer,
            Self::Auth(error) => error.answer(request),
        }
    }
}

impl From<AuthError> for Refused {
    fn from(error: AuthError) -> Self {
        Self::Auth(error)
    }
}
