//! Secrets that messages are signed with.

use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// How a secret begins in text.
const PREFIX: &str = "whsec_";
/// Bytes that a secret may have.
const BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// What sets this use of the secret apart from any other.
const PURPOSE: &str = "candlemill webhook secret of ";

/// The secret of the deployment, of which those of the owners are made. Never sent, shown or logged.
#[derive(Clone, PartialEq, Eq)]
pub struct MasterSecret(Arc<[u8]>);

/// The secret of one owner.
#[derive(Clone, PartialEq, Eq)]
pub struct OwnerSecret(Vec<u8>);

/// The text is no secret; it is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no secret: whsec_ and the Base64 of 24 to 64 random bytes is expected")]
pub struct InvalidSecret;

impl fmt::Debug for MasterSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterSecret")
    }
}

impl fmt::Debug for OwnerSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnerSecret")
    }
}

fn decode(text: &str) -> Result<Vec<u8>, InvalidSecret> {
    let bytes = text.strip_prefix(PREFIX).and_then(|encoded| STANDARD.decode(encoded).ok()).ok_or(InvalidSecret)?;
    if BYTES.contains(&bytes.len()) { Ok(bytes) } else { Err(InvalidSecret) }
}

impl FromStr for MasterSecret {
    type Err = InvalidSecret;

    fn from_str(text: &str) -> Result<Self, InvalidSecret> {
        decode(text).map(|bytes| Self(bytes.into()))
    }
}

impl FromStr for OwnerSecret {
    type Err = InvalidSecret;

    fn from_str(text: &str) -> Result<Self, InvalidSecret> {
        decode(text).map(Self)
    }
}

impl MasterSecret {
    /// Rule 5: the secret of `owner`, always the same one.
    #[must_use]
    pub fn of_owner(&self, owner: &str) -> OwnerSecret {
        let key = Key::new(HMAC_SHA256, &self.0);
        OwnerSecret(sign(&key, format!("{PURPOSE}{owner}").as_bytes()).as_ref().to_vec())
    }
}

impl OwnerSecret {
    /// The secret as text, for its owner alone.
    #[must_use]
    pub fn reveal(&self) -> String {
        format!("{PREFIX}{}", STANDARD.encode(&self.0))
    }

    /// Rule 2: the value of `webhook-signature`.
    #[must_use]
    pub fn sign(&self, id: &str, timestamp_s: i64, body: &[u8]) -> String {
        let key = Key::new(HMAC_SHA256, &self.0);
        let signed = [format!("{id}.{timestamp_s}.").as_bytes(), body].concat();
        format!("v1,{}", STANDARD.encode(sign(&key, &signed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_those_of_the_specification() {
        // The example that the specification's own libraries are tested with.
        let secret: OwnerSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().unwrap();
        let signature = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    fn check(text: &str, is_secret: bool) {
        assert_eq!(text.parse::<MasterSecret>().is_ok(), is_secret, "{text}");
    }

    #[test]
    fn secrets_have_a_form_and_a_length() {
        let of = |bytes: usize| format!("whsec_{}", STANDARD.encode(vec![7; bytes]));
        check(&of(24), true);
        check(&of(64), true);
        check(&of(23), false);
        check(&of(65), false);
        check("", false);
        check("whsec_", false);
        check(&of(24).replace("whsec_", ""), false);
        check("whsec_not base64 at all, whatever its length", false);
    }

    #[test]
    fn every_owner_has_another_secret_and_keeps_it() {
        let master: MasterSecret = format!("whsec_{}", STANDARD.encode([7; 32])).parse().unwrap();
        let of = |owner: &str| master.of_owner(owner).reveal();
        assert_eq!(of("a"), of("a"));
        assert_ne!(of("a"), of("b"));
        let again: OwnerSecret = of("a").parse().unwrap();
        assert_eq!(again, master.of_owner("a"), "what the owner is shown is what is signed with");
        assert_eq!(format!("{master:?} {again:?}"), "MasterSecret OwnerSecret");
    }
}
