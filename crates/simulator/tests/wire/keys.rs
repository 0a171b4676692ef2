//! JWKS, verification by it, and rotation.

use crate::harness::Fixture;
use candlemill_simulator::{KeyAlgorithm, KeyState, SignWith, SimulatorConfig, TokenSpec};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::Value;

const ALL: [KeyAlgorithm; 3] = [KeyAlgorithm::Es256, KeyAlgorithm::Rs256, KeyAlgorithm::EdDsa];

async fn fixture(key_algorithms: &[KeyAlgorithm]) -> Fixture {
    Fixture::start(SimulatorConfig { key_algorithms: key_algorithms.to_vec(), ..SimulatorConfig::default() }).await
}

async fn jwks(fixture: &Fixture) -> JwkSet {
    let reply = fixture.get("/auth/v1/.well-known/jwks.json").await;
    assert_eq!((reply.status, reply.header("cache-control")), (200, "public, max-age=600"));
    serde_json::from_str(&reply.text).unwrap()
}

/// Verifies as a client does: key by `kid`, its algorithm, issuer, audience, expiry.
fn verify(fixture: &Fixture, keys: &JwkSet, token: &str) -> Result<Value, String> {
    let header = jsonwebtoken::decode_header(token).map_err(|error| error.to_string())?;
    let kid = header.kid.ok_or("no kid")?;
    let key = keys.find(&kid).ok_or("unknown kid")?;
    let mut validation = Validation::new(header.alg);
    validation.set_issuer(&[fixture.simulator.issuer()]);
    validation.set_audience(&["authenticated"]);
    validation.leeway = 0;
    let key = DecodingKey::from_jwk(key).map_err(|error| error.to_string())?;
    jsonwebtoken::decode(token, &key, &validation).map(|data| data.claims).map_err(|error| error.to_string())
}

#[tokio::test]
async fn tokens_verify_by_the_published_keys() {
    let fixture = fixture(&ALL).await;
    let reply = fixture.get("/auth/v1/.well-known/jwks.json").await.json();
    for (index, fields) in [["crv", "x", "y"], ["alg", "n", "e"], ["crv", "x", "alg"]].into_iter().enumerate() {
        let key = reply["keys"][index].as_object().unwrap();
        for field in ["kty", "alg", "use", "kid", "key_ops"].iter().chain(&fields) {
            assert!(key.contains_key(*field), "{field}: {key:?}");
        }
        for private in ["d", "p", "q", "k"] {
            assert!(!key.contains_key(private), "{private}: {key:?}");
        }
    }
    let keys = jwks(&fixture).await;
    for (algorithm, expected) in ALL.into_iter().zip([Algorithm::ES256, Algorithm::RS256, Algorithm::EdDSA]) {
        let token = fixture.control.mint(&TokenSpec::default().sign_with(SignWith::Algorithm(algorithm))).unwrap();
        assert_eq!(jsonwebtoken::decode_header(&token).unwrap().alg, expected);
        assert_eq!(verify(&fixture, &keys, &token).unwrap()["email"], "pro@candlemill.test");
        assert_eq!(fixture.user(&token).await.0, 200, "{algorithm:?}");
        let foreign = TokenSpec::default().sign_with(SignWith::Foreign(algorithm));
        let kid = jsonwebtoken::decode_header(&token).unwrap().kid.unwrap();
        let forged = fixture.control.mint(&foreign.clone().header("kid", kid)).unwrap();
        assert_eq!(verify(&fixture, &keys, &forged).unwrap_err(), "InvalidSignature");
        let foreign = fixture.control.mint(&foreign).unwrap();
        assert_eq!(verify(&fixture, &keys, &foreign).unwrap_err(), "unknown kid");
    }
    let expired = fixture.control.mint(&TokenSpec::default().expires_in(-1)).unwrap();
    assert_eq!(verify(&fixture, &keys, &expired).unwrap_err(), "ExpiredSignature");
}

#[tokio::test]
async fn rotation() {
    let fixture = fixture(&[KeyAlgorithm::Es256]).await;
    let mint = || fixture.control.mint(&TokenSpec::default()).unwrap();
    let kid = |token: &str| jsonwebtoken::decode_header(token).unwrap().kid.unwrap();
    let first = fixture.control.keys()[0].kid.clone();
    let old = mint();
    assert_eq!(kid(&old), first);
    assert!(fixture.control.rotate_keys().is_err(), "there is no standby key");

    let second = fixture.control.add_standby_key(KeyAlgorithm::EdDsa).unwrap();
    assert_eq!(jwks(&fixture).await.keys.len(), 2, "published before it signs");
    assert_eq!(kid(&mint()), first);

    assert_eq!(fixture.control.rotate_keys().unwrap(), second);
    let new = mint();
    assert_eq!(kid(&new), second);
    let keys = jwks(&fixture).await;
    assert!(verify(&fixture, &keys, &old).is_ok() && verify(&fixture, &keys, &new).is_ok());
    assert_eq!((fixture.user(&old).await.0, fixture.user(&new).await.0), (200, 200));

    fixture.control.revoke_key(&first).unwrap();
    let states: Vec<_> = fixture.control.keys().into_iter().map(|key| key.state).collect();
    assert_eq!(states, [KeyState::Revoked, KeyState::Current]);
    assert_eq!(verify(&fixture, &jwks(&fixture).await, &old).unwrap_err(), "unknown kid");
    assert_eq!((fixture.user(&old).await.0, fixture.user(&new).await.0), (403, 200));
    let revoked = fixture.control.mint(&TokenSpec::default().sign_with(SignWith::Kid(first))).unwrap();
    assert_eq!(fixture.user(&revoked).await, (403, "bad_jwt".to_owned()));
    assert!(fixture.control.revoke_key("none").is_err());
}

#[tokio::test]
async fn a_legacy_project_publishes_no_key() {
    let fixture = fixture(&[]).await;
    assert_eq!(fixture.get("/auth/v1/.well-known/jwks.json").await.text, r#"{"keys":[]}"#);
    let token = fixture.control.mint(&TokenSpec::default()).unwrap();
    let header = jsonwebtoken::decode_header(&token).unwrap();
    assert_eq!((header.alg, header.kid), (Algorithm::HS256, None));
    let mut validation = Validation::new(Algorithm::HS256);
    validation.set_audience(&["authenticated"]);
    let secret = DecodingKey::from_secret(fixture.simulator.jwt_secret().as_bytes());
    assert!(jsonwebtoken::decode::<Value>(&token, &secret, &validation).is_ok());
    assert_eq!(fixture.user(&token).await.0, 200);
    fixture.control.add_standby_key(KeyAlgorithm::Es256).unwrap();
    fixture.control.rotate_keys().unwrap();
    let new = fixture.control.mint(&TokenSpec::default()).unwrap();
    assert_eq!(jsonwebtoken::decode_header(&new).unwrap().alg, Algorithm::ES256);
    assert_eq!(fixture.user(&token).await.0, 200, "legacy tokens stay trusted");
    fixture.control.use_legacy_secret(true);
    let legacy = fixture.control.mint(&TokenSpec::default()).unwrap();
    assert_eq!(jsonwebtoken::decode_header(&legacy).unwrap().alg, Algorithm::HS256);
}
