//! Signing keys and their rotation: standby, current, previous, revoked.

use super::identity::random_uuid;
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The asymmetric algorithms of Supabase's signing keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyAlgorithm {
    /// ECDSA on P-256, the default.
    #[serde(rename = "ES256")]
    Es256,
    /// RSA, 2048 bits. Making such a key takes a noticeable fraction of a second.
    #[serde(rename = "RS256")]
    Rs256,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl KeyAlgorithm {
    pub(super) const fn jwt(self) -> Algorithm {
        match self {
            Self::Es256 => Algorithm::ES256,
            Self::Rs256 => Algorithm::RS256,
            Self::EdDsa => Algorithm::EdDSA,
        }
    }
}

/// Where a key stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    /// Published, not yet used.
    Standby,
    /// Signs new tokens.
    Current,
    /// Signed earlier tokens, which are still trusted.
    Previous,
    /// Gone: unpublished, its tokens are refused.
    Revoked,
}

/// A key as a test sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyView {
    /// Key id, as in JWKS and token headers.
    pub kid: String,
    /// Its algorithm.
    pub algorithm: KeyAlgorithm,
    /// Where it stands.
    pub state: KeyState,
}

/// Why a key or token cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The cryptographic library refused.
    #[error("a signing key cannot be made")]
    Generation(#[source] aws_lc_rs::error::Unspecified),
    /// The made key is not in the expected form.
    #[error("a signing key cannot be used")]
    Form(#[source] jsonwebtoken::errors::Error),
}

/// A key pair.
#[derive(Debug)]
pub(super) struct SigningKey {
    pub(super) kid: String,
    pub(super) algorithm: KeyAlgorithm,
    pub(super) private: EncodingKey,
    pub(super) public: DecodingKey,
    /// As JWKS shows it.
    jwk: Value,
}

impl SigningKey {
    pub(super) fn generate(algorithm: KeyAlgorithm) -> Result<Self, KeyError> {
        let private = private_key(algorithm).map_err(KeyError::Generation)?;
        let jwk = Jwk::from_encoding_key(&private, algorithm.jwt()).map_err(KeyError::Form)?;
        let public = DecodingKey::from_jwk(&jwk).map_err(KeyError::Form)?;
        let kid = random_uuid();
        let mut shown = serde_json::to_value(&jwk).unwrap_or_default();
        shown["kid"] = kid.clone().into();
        shown["use"] = "sig".into();
        shown["key_ops"] = json!(["verify"]);
        Ok(Self { kid, algorithm, private, public, jwk: shown })
    }
}

fn private_key(algorithm: KeyAlgorithm) -> Result<EncodingKey, aws_lc_rs::error::Unspecified> {
    let random = SystemRandom::new();
    Ok(match algorithm {
        KeyAlgorithm::Es256 => {
            let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)?;
            EncodingKey::from_ec_der(document.as_ref())
        }
        KeyAlgorithm::EdDsa => EncodingKey::from_ed_der(Ed25519KeyPair::generate_pkcs8v1(&random)?.as_ref()),
        KeyAlgorithm::Rs256 => {
            let document = RsaKeyPair::generate(KeySize::Rsa2048)?.as_der()?;
            // The signer wants the RSAPrivateKey (RFC 8017) that PKCS#8 wraps. For 2048 bits every length takes two bytes, so the
            // wrapping is always SEQUENCE, version, algorithm and the head of the OCTET STRING: 26 bytes.
            EncodingKey::from_rsa_der(&document.as_ref()[26..])
        }
    })
}

/// The project's keys.
#[derive(Debug)]
pub(crate) struct KeyRing(Mutex<Ring>);

#[derive(Debug)]
struct Ring {
    keys: Vec<(Arc<SigningKey>, KeyState)>,
    /// New tokens are signed with the legacy secret.
    legacy: bool,
}

impl KeyRing {
    /// Makes one key per algorithm: the first is current, the others stand by. Without any, the legacy secret signs.
    pub(crate) fn new(algorithms: &[KeyAlgorithm]) -> Result<Self, KeyError> {
        let mut keys = Vec::new();
        for algorithm in algorithms {
            let state = if keys.is_empty() { KeyState::Current } else { KeyState::Standby };
            keys.push((Arc::new(SigningKey::generate(*algorithm)?), state));
        }
        Ok(Self(Mutex::new(Ring { legacy: keys.is_empty(), keys })))
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The key that signs new tokens; `None`: the legacy secret does.
    pub(super) fn current(&self) -> Option<Arc<SigningKey>> {
        let ring = self.ring();
        let current = ring.keys.iter().find(|(_, state)| *state == KeyState::Current);
        if ring.legacy { None } else { current.map(|(key, _)| Arc::clone(key)) }
    }

    /// A published key (rule 2).
    pub(super) fn trusted(&self, kid: &str, algorithm: Algorithm) -> Option<Arc<SigningKey>> {
        self.any(kid)
            .filter(|(key, state)| *state != KeyState::Revoked && key.algorithm.jwt() == algorithm)
            .map(|(key, _)| key)
    }

    /// A key in whatever state.
    pub(super) fn any(&self, kid: &str) -> Option<(Arc<SigningKey>, KeyState)> {
        self.ring().keys.iter().find(|(key, _)| key.kid == kid).cloned()
    }

    /// The newest published key of an algorithm.
    pub(super) fn newest(&self, algorithm: KeyAlgorithm) -> Option<Arc<SigningKey>> {
        let ring = self.ring();
        let mut keys = ring.keys.iter().rev();
        keys.find(|(key, state)| key.algorithm == algorithm && *state != KeyState::Revoked)
            .map(|(key, _)| Arc::clone(key))
    }

    /// Rule 3: what JWKS shows.
    pub(super) fn published(&self) -> Vec<Value> {
        let ring = self.ring();
        ring.keys.iter().filter(|(_, state)| *state != KeyState::Revoked).map(|(key, _)| key.jwk.clone()).collect()
    }

    pub(crate) fn views(&self) -> Vec<KeyView> {
        let ring = self.ring();
        let view = |(key, state): &(Arc<SigningKey>, KeyState)| KeyView {
            kid: key.kid.clone(),
            algorithm: key.algorithm,
            state: *state,
        };
        ring.keys.iter().map(view).collect()
    }

    /// Makes and publishes a key that does not sign yet; its id.
    pub(crate) fn add_standby(&self, algorithm: KeyAlgorithm) -> Result<String, KeyError> {
        let key = SigningKey::generate(algorithm)?;
        let kid = key.kid.clone();
        self.ring().keys.push((Arc::new(key), KeyState::Standby));
        Ok(kid)
    }

    /// The oldest standby key becomes current and the current one previous; the new current key's id. Without a standby key
    /// nothing changes.
    pub(crate) fn rotate(&self) -> Option<String> {
        let mut ring = self.ring();
        let next = ring.keys.iter().position(|(_, state)| *state == KeyState::Standby)?;
        for (_, state) in &mut ring.keys {
            if *state == KeyState::Current {
                *state = KeyState::Previous;
            }
        }
        ring.keys[next].1 = KeyState::Current;
        ring.legacy = false;
        Some(ring.keys[next].0.kid.clone())
    }

    /// Revokes a key; whether it exists. Revoking the current one leaves the legacy secret to sign.
    pub(crate) fn revoke(&self, kid: &str) -> bool {
        let mut ring = self.ring();
        let Some((_, state)) = ring.keys.iter_mut().find(|(key, _)| key.kid == kid) else { return false };
        let was_current = std::mem::replace(state, KeyState::Revoked) == KeyState::Current;
        ring.legacy |= was_current;
        true
    }

    /// Signs new tokens with the legacy secret, or with the current key again.
    pub(crate) fn set_legacy(&self, legacy: bool) {
        self.ring().legacy = legacy;
    }
}
