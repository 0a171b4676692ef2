//! Tokens, right ones and wrong ones.

use super::accounts::SignIn;
use super::error::AuthError;
use super::keys::{KeyAlgorithm, KeyError, SigningKey};
use crate::state::SimulatorState;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use candlemill_shared::Clock;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// Lifetime of a token, seconds.
pub(super) const LIFETIME: i64 = 3_600;
/// Audience of a user's token.
pub(super) const AUDIENCE: &str = "authenticated";

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

/// Mints what `spec` says, in a session of its own.
pub(crate) fn mint(state: &SimulatorState, spec: &TokenSpec) -> Result<String, MintError> {
    let email = spec.email.as_deref().unwrap_or("pro@candlemill.test");
    let sign_in = state.accounts.open_session(email).ok_or_else(|| MintError::UnknownUser(email.to_owned()))?;
    let mut claims = claims(state, &sign_in, spec.expires_in.unwrap_or(LIFETIME));
    replace(&mut claims, &spec.claims);
    sign(state, &spec.sign_with, &claims, &spec.header)
}

/// The ordinary token of a session.
pub(super) fn issue(state: &SimulatorState, sign_in: &SignIn) -> Result<String, MintError> {
    sign(state, &SignWith::Current, &claims(state, sign_in, LIFETIME), &Map::new())
}

fn claims(state: &SimulatorState, sign_in: &SignIn, expires_in: i64) -> Map<String, Value> {
    let now = state.auth_clock.now_ms() / 1_000;
    let user = &sign_in.user;
    let claims = json!({
        "iss": state.issuer(),
        "sub": user.id,
        "aud": AUDIENCE,
        "exp": now + expires_in,
        "iat": if expires_in > 0 { now } else { now + expires_in - LIFETIME },
        "email": user.email,
        "phone": "",
        "app_metadata": user.app_metadata,
        "user_metadata": user.user_metadata,
        "role": "authenticated",
        "aal": "aal1",
        "amr": [{ "method": "password", "timestamp": now }],
        "session_id": sign_in.session_id,
        "is_anonymous": false,
    });
    if let Value::Object(claims) = claims { claims } else { Map::new() }
}

fn replace(fields: &mut Map<String, Value>, changes: &Map<String, Value>) {
    for (name, value) in changes {
        if value.is_null() {
            fields.remove(name);
        } else {
            fields.insert(name.clone(), value.clone());
        }
    }
}

fn sign(
    state: &SimulatorState,
    with: &SignWith,
    claims: &Map<String, Value>,
    header_changes: &Map<String, Value>,
) -> Result<String, MintError> {
    let pair = match with {
        SignWith::Current => state.keys.current(),
        SignWith::Algorithm(algorithm) => Some(state.keys.newest(*algorithm).ok_or(MintError::UnknownKey)?),
        SignWith::Kid(kid) => Some(state.keys.any(kid).ok_or(MintError::UnknownKey)?.0),
        SignWith::Foreign(algorithm) => Some(SigningKey::generate(*algorithm)?.into()),
        SignWith::LegacySecret | SignWith::Secret(_) | SignWith::Unsigned => None,
    };
    let mut header = Map::new();
    let alg = match (&pair, with) {
        (Some(pair), _) => serde_json::to_value(pair.algorithm).unwrap_or_default(),
        (None, SignWith::Unsigned) => "none".into(),
        (None, _) => "HS256".into(),
    };
    header.insert("alg".to_owned(), alg);
    if let Some(pair) = &pair {
        header.insert("kid".to_owned(), pair.kid.clone().into());
    }
    header.insert("typ".to_owned(), "JWT".into());
    replace(&mut header, header_changes);
    let text = |fields: &Map<String, Value>| URL_SAFE_NO_PAD.encode(Value::from(fields.clone()).to_string());
    let message = format!("{}.{}", text(&header), text(claims));
    let signature = match (&pair, with) {
        (Some(pair), _) => sign_text(&message, &pair.private, pair.algorithm.jwt())?,
        (None, SignWith::Unsigned) => String::new(),
        (None, SignWith::Secret(secret)) => {
            sign_text(&message, &EncodingKey::from_secret(secret.as_bytes()), Algorithm::HS256)?
        }
        (None, _) => legacy_signature(&state.project.jwt_secret, &message)?,
    };
    Ok(format!("{message}.{signature}"))
}

fn legacy_signature(secret: &str, message: &str) -> Result<String, MintError> {
    sign_text(message, &EncodingKey::from_secret(secret.as_bytes()), Algorithm::HS256)
}

fn sign_text(message: &str, key: &EncodingKey, algorithm: Algorithm) -> Result<String, MintError> {
    jsonwebtoken::crypto::sign(message.as_bytes(), key, algorithm).map_err(MintError::Signature)
}

/// A legacy API key: a token with a role, without a subject and an audience.
pub(crate) fn legacy_api_key(secret: &str, role: &str) -> Result<String, MintError> {
    let claims =
        json!({ "iss": "supabase", "ref": "simulator", "role": role, "iat": 1_767_225_600, "exp": 2_082_758_400 });
    let header = json!({ "alg": "HS256", "typ": "JWT" });
    let message = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
    Ok(format!("{message}.{}", legacy_signature(secret, &message)?))
}

/// Rule 1, first part, and rule 2: the claims of a token whose signature and expiry hold.
pub(super) fn verify(state: &SimulatorState, token: &str) -> Result<Map<String, Value>, AuthError> {
    let refuse = |why: &str| AuthError::bad_jwt(format!("invalid JWT: unable to parse or verify signature, {why}"));
    let malformed = || refuse("token is malformed");
    let (message, signature) = token.rsplit_once('.').ok_or_else(malformed)?;
    let (_, claims) = message.split_once('.').ok_or_else(malformed)?;
    let header = jsonwebtoken::decode_header(token).map_err(|_| refuse("token is unverifiable: unknown algorithm"))?;
    let signed = match (header.alg, &header.kid) {
        (Algorithm::HS256, _) => {
            let secret = DecodingKey::from_secret(state.project.jwt_secret.as_bytes());
            jsonwebtoken::crypto::verify(signature, message.as_bytes(), &secret, Algorithm::HS256)
        }
        (algorithm, Some(kid)) => {
            let key = state.keys.trusted(kid, algorithm).ok_or_else(|| {
                refuse(&format!("token is unverifiable: unrecognized JWT kid {kid} for algorithm {algorithm:?}"))
            })?;
            jsonwebtoken::crypto::verify(signature, message.as_bytes(), &key.public, algorithm)
        }
        (_, None) => return Err(refuse("token is unverifiable: no kid")),
    };
    if !signed.unwrap_or(false) {
        return Err(refuse("token signature is invalid"));
    }
    let claims = URL_SAFE_NO_PAD.decode(claims).ok().and_then(|text| serde_json::from_slice(&text).ok());
    let claims: Map<String, Value> = claims.ok_or_else(malformed)?;
    // Auth allows no skew.
    let expires = claims.get("exp").and_then(Value::as_f64);
    if expires.is_some_and(|expires| expires * 1_000.0 <= state.auth_clock.now_ms() as f64) {
        return Err(refuse("token has invalid claims: token is expired"));
    }
    Ok(claims)
}
