//! What a token says of itself, before anybody has vouched for it.

use super::error::AuthError;
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation};
use serde::Deserialize;
use serde_json::{Map, Value};

/// Longest token: Supabase's have about 1 KiB, custom claims included.
const LONGEST: usize = 8 * 1024;

/// The claims that decide. Others are passed over: a hook may add or drop any.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Claims {
    #[serde(default)]
    pub(super) sub: Option<String>,
    /// Seconds.
    #[serde(default)]
    pub(super) exp: Option<f64>,
    #[serde(default)]
    iss: Option<String>,
    #[serde(default)]
    aud: Option<Value>,
    #[serde(default)]
    nbf: Option<f64>,
    #[serde(default)]
    pub(super) role: Option<String>,
    #[serde(default)]
    pub(super) is_anonymous: Option<bool>,
    #[serde(default)]
    pub(super) app_metadata: Option<Value>,
    /// All others: the tier may stand in any.
    #[serde(flatten)]
    pub(super) others: Map<String, Value>,
}

/// The token of an `Authorization` header.
pub(super) fn bearer(authorization: Option<&str>) -> Result<&str, AuthError> {
    let header = authorization.ok_or(AuthError::Missing)?;
    let (scheme, token) = header.split_once(' ').ok_or(AuthError::Malformed)?;
    let token = token.trim();
    let letters = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
    let fits = scheme.eq_ignore_ascii_case("bearer")
        && token.len() <= LONGEST
        && token.bytes().all(letters)
        && token.split('.').filter(|part| !part.is_empty()).count() == 3;
    if fits { Ok(token) } else { Err(AuthError::Malformed) }
}

/// Header and claims, unverified.
pub(super) fn read(token: &str) -> Result<(Header, Claims), AuthError> {
    let unreadable = || AuthError::invalid("it is no readable JSON Web Token");
    let header = jsonwebtoken::decode_header(token)
        .map_err(|_| AuthError::invalid("its header or algorithm is not accepted"))?;
    let claims = jsonwebtoken::dangerous::insecure_decode::<Claims>(token).map_err(|_| unreadable())?.claims;
    Ok((header, claims))
}

impl Claims {
    /// UTC ms of `exp`.
    #[expect(clippy::cast_possible_truncation, reason = "saturates, and no token lives that long")]
    pub(super) fn expires_at_ms(&self) -> i64 {
        self.exp.map_or(0, |seconds| (seconds * 1_000.0) as i64)
    }

    /// The claim of this name, if it may hold a tier.
    pub(super) fn claim(&self, name: &str) -> Option<&Value> {
        if name == "app_metadata" { self.app_metadata.as_ref() } else { self.others.get(name) }
    }

    /// Whether `issuer` is who says to have issued it.
    pub(super) fn is_issued_by(&self, issuer: &str) -> bool {
        self.iss.as_deref() == Some(issuer)
    }

    /// Who says to have issued it: anything that the caller wrote.
    pub(super) fn issuer(&self) -> &str {
        self.iss.as_deref().unwrap_or("nobody")
    }

    /// Checks times, issuer, audience and subject.
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of today lie far below 2^52")]
    pub(super) fn check(&self, issuer: &str, audience: &str, now_ms: i64) -> Result<(), AuthError> {
        // The legacy anon and service_role keys are tokens without a subject: no user.
        let sub = self
            .sub
            .as_deref()
            .ok_or_else(|| AuthError::invalid("it belongs to no user (an API key is no access token)"))?;
        if self.exp.is_none() || self.expires_at_ms() <= now_ms {
            return Err(AuthError::Expired);
        }
        if self.nbf.is_some_and(|seconds| seconds * 1_000.0 > now_ms as f64 + 30_000.0) {
            return Err(AuthError::invalid("it is not valid yet"));
        }
        if !self.is_issued_by(issuer) {
            return Err(AuthError::invalid("it was issued by another project"));
        }
        let for_users = match &self.aud {
            Some(Value::String(one)) => one == audience,
            Some(Value::Array(several)) => several.iter().any(|one| one == audience),
            _ => false,
        };
        if !for_users {
            return Err(AuthError::invalid("it is meant for another audience"));
        }
        if !is_uuid(sub) {
            return Err(AuthError::invalid("its subject is no user id"));
        }
        Ok(())
    }
}

/// Checks the signature with `key`, by `algorithm` alone. The claims were checked before.
pub(super) fn verify(token: &str, key: &DecodingKey, algorithm: Algorithm) -> Result<(), AuthError> {
    let mut validation = Validation::new(algorithm);
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    jsonwebtoken::decode::<Value>(token, key, &validation)
        .map(drop)
        .map_err(|_| AuthError::invalid("its signature is not right"))
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check_bearer(header: Option<&str>, expected: Result<&str, AuthError>) {
        assert_eq!(bearer(header), expected, "{header:?}");
    }

    #[test]
    fn headers() {
        check_bearer(None, Err(AuthError::Missing));
        check_bearer(Some("Bearer a.b.c"), Ok("a.b.c"));
        check_bearer(Some("bearer a.b.c"), Ok("a.b.c"));
        for odd in [
            "",
            "Bearer",
            "Bearer ",
            "Basic a.b.c",
            "Bearer a.b",
            "Bearer a..c",
            "Bearer a.b.c.d",
            "Bearer a.b.c d",
            "Bearer ä.b.c",
        ] {
            check_bearer(Some(odd), Err(AuthError::Malformed));
        }
        check_bearer(Some(&format!("Bearer a.b.{}", "c".repeat(LONGEST))), Err(AuthError::Malformed));
    }

    fn check(name: &str, change: serde_json::Value, expected: Result<(), &str>) {
        let mut claims =
            json!({"sub": "6f1cd2f0-1111-4222-8333-444455556666", "exp": 2_000, "iss": "i", "aud": "authenticated"});
        claims.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let claims: Claims = serde_json::from_value(claims).unwrap();
        assert_eq!(claims.check("i", "authenticated", 1_999_999).map_err(|error| error.code()), expected, "{name}");
    }

    #[test]
    fn claims() {
        check("valid", json!({}), Ok(()));
        check("audience in a list", json!({"aud": ["x", "authenticated"]}), Ok(()));
        check("expired", json!({"exp": 1_999}), Err("expired_token"));
        check("no expiry", json!({"exp": null}), Err("expired_token"));
        check("no subject", json!({"sub": null}), Err("invalid_token"));
        check("subject is no id", json!({"sub": "admin"}), Err("invalid_token"));
        check("other issuer", json!({"iss": "j"}), Err("invalid_token"));
        check("other audience", json!({"aud": "anon"}), Err("invalid_token"));
        check("no audience", json!({"aud": null}), Err("invalid_token"));
        check("not yet", json!({"nbf": 2_100}), Err("invalid_token"));
    }
}
