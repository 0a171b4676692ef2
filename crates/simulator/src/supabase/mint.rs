//! Tokens, right ones and wrong ones.

use super::accounts::SignIn;
use super::error::AuthError;
use super::keys::SigningKey;
use super::signature::{legacy_signature, sign_text};
use super::token_spec::{MintError, SignWith, TokenSpec};
use crate::state::SimulatorState;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use candlemill_shared::Clock;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use serde_json::{Map, Value, json};

/// Lifetime of a token, seconds.
pub(super) const LIFETIME: i64 = 3_600;
/// Audience of a user's token.
pub(super) const AUDIENCE: &str = "authenticated";

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
