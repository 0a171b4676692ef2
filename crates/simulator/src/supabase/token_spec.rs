//! What a token to mint is to be like, right or wrong.

use super::keys::{KeyAlgorithm, KeyError};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// With what a minted token is signed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SignWith {
    /// As a sign-in does.
    #[default]
    Current,
    /// The newest published key of an algorithm.
    Algorithm(KeyAlgorithm),
    /// This key, whatever its state.
    Kid(String),
    /// A key that the project never had, under a `kid` of its own.
    Foreign(KeyAlgorithm),
    /// The legacy secret (HS256).
    LegacySecret,
    /// Another shared secret (HS256).
    Secret(String),
    /// `alg: none` and an empty signature.
    Unsigned,
}

/// A token to mint. The default is what a sign-in of `pro@candlemill.test` gives.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TokenSpec {
    /// Whose; the pro demo user when absent.
    pub email: Option<String>,
    /// Seconds until it expires, negative for an expired one; 3,600 when absent.
    pub expires_in: Option<i64>,
    /// Claims that replace the ordinary ones; `null` removes one.
    pub claims: Map<String, Value>,
    /// Header fields that replace the ordinary ones; `null` removes one. The signature stays that of `sign_with`.
    pub header: Map<String, Value>,
    /// With what it is signed.
    pub sign_with: SignWith,
}

impl TokenSpec {
    /// An ordinary token of this user.
    #[must_use]
    pub fn of(email: &str) -> Self {
        Self { email: Some(email.to_owned()), ..Self::default() }
    }

    /// Expires in so many seconds from now.
    #[must_use]
    pub fn expires_in(self, seconds: i64) -> Self {
        Self { expires_in: Some(seconds), ..self }
    }

    /// Sets a claim; `null` removes it.
    #[must_use]
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(name.to_owned(), value.into());
        self
    }

    /// Sets a header field; `null` removes it.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header.insert(name.to_owned(), value.into());
        self
    }

    /// Signs with something else.
    #[must_use]
    pub fn sign_with(self, sign_with: SignWith) -> Self {
        Self { sign_with, ..self }
    }
}

/// Why a token cannot be minted.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    /// The user does not exist.
    #[error("there is no user {0}")]
    UnknownUser(String),
    /// The key does not exist.
    #[error("there is no such signing key")]
    UnknownKey,
    /// A key cannot be made.
    #[error("no key to sign with")]
    Key(#[from] KeyError),
    /// The library refused to sign.
    #[error("the token cannot be signed")]
    Signature(#[source] jsonwebtoken::errors::Error),
}
