//! Signatures, and the legacy keys that need nothing else.

use super::token_spec::MintError;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::json;

/// Signs with a shared secret, as projects did before they had keys.
pub(super) fn legacy_signature(secret: &str, message: &str) -> Result<String, MintError> {
    sign_text(message, &EncodingKey::from_secret(secret.as_bytes()), Algorithm::HS256)
}

/// Signs the header and the claims of a token.
pub(super) fn sign_text(message: &str, key: &EncodingKey, algorithm: Algorithm) -> Result<String, MintError> {
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
