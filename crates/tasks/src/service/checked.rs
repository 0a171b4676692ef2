//! What can be said of a request without any store.

use crate::accept::SubmitError;
use crate::grant::Grant;
use candlemill_shared::job::{self, Admission, Envelope, EnvelopeError, JobKind, Listings};
use candlemill_shared::range::rfc3339;
use candlemill_shared::request::{MAX_AHEAD_MS, MAX_IDEMPOTENCY_KEY, TaskRequest};
use candlemill_shared::telemetry::TraceId;
use candlemill_shared::tier::TierTable;
use candlemill_shared::webhook::{Webhook, WebhookConfig};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// A request that breaks no rule.
#[derive(Debug, Clone)]
pub(super) struct Checked {
    pub(super) kind: &'static JobKind,
    pub(super) job: Envelope,
    /// Equal for equal requests of one owner.
    pub(super) fingerprint: String,
    /// UTC ms; `None`: at once.
    pub(super) due: Option<i64>,
    /// SHA-256 of owner and key.
    pub(super) idempotency: Option<String>,
    pub(super) webhook: Option<Webhook>,
    pub(super) trace: TraceId,
}

/// Checks `request` as of `now_ms`, UTC.
pub(super) fn check(
    grant: &Grant,
    request: &TaskRequest,
    listings: &Listings,
    tiers: &TierTable,
    webhooks: &WebhookConfig,
    now_ms: i64,
) -> Result<Checked, SubmitError> {
    let invalid = |field: &'static str, why: String| SubmitError::Invalid { field, why };
    let job = request.job();
    let Some(kind) = job::kind(&job.kind) else {
        let known: Vec<_> = job::KINDS.iter().map(|kind| kind.name).collect();
        return Err(invalid("kind", format!("{:?} is no kind of job; one of {}", job.kind, known.join(", "))));
    };
    let due = due(request.run_at, now_ms).map_err(|why| invalid("run_at", why))?;
    storable(&job.payload).map_err(|why| invalid("payload", why))?;
    let read = kind.validate(&job, due.unwrap_or(now_ms)).map_err(|error| match error {
        EnvelopeError::NewerVersion { .. } => invalid("version", error.to_string()),
        EnvelopeError::Undecodable { source, .. } => invalid("payload", source.to_string()),
        EnvelopeError::UnreadablePlan { source, .. } => invalid("payload", source.to_string()),
        EnvelopeError::UnknownKind(_) => invalid("kind", error.to_string()),
    })?;
    read.map_err(|why| invalid("payload", why))?;
    let webhook = webhook(request.webhook.as_deref(), webhooks)?;
    let idempotency = request.idempotency_key.as_deref().map(|key| idempotency_hash(grant.owner(), key)).transpose();
    let trace = match &request.trace_id {
        None => TraceId::random(),
        Some(id) => TraceId::parse(id).ok_or_else(|| invalid("trace_id", "must be 32 hex digits, not all 0".into()))?,
    };
    let admission = Admission { tiers, tier: grant.tier(), listings, now_ms: due.unwrap_or(now_ms) };
    kind.admit(&job, &admission, None).map_err(SubmitError::Tier)?;
    let asked = kind.fingerprint(&job, grant.owner()).map_err(|error| invalid("payload", error.to_string()))?;
    Ok(Checked {
        kind,
        fingerprint: fingerprint(asked, request.run_at, webhook.as_ref()),
        job,
        due,
        idempotency: idempotency.map_err(|why| invalid("idempotency_key", why))?,
        webhook,
        trace,
    })
}

/// Whether a record can hold `value`. One that it cannot would take all others down that are stored with it.
pub(super) fn storable(value: &Value) -> Result<(), String> {
    match value {
        Value::Number(number) if number.as_u64().is_some_and(|number| i64::try_from(number).is_err()) => {
            Err(format!("{number} is larger than a record holds ({})", i64::MAX))
        }
        Value::Array(items) => items.iter().try_for_each(storable),
        Value::Object(members) => members.iter().try_for_each(|(name, value)| {
            if name.contains('\0') {
                return Err(format!("the name {name:?} has a NUL character, which no record holds"));
            }
            storable(value)
        }),
        _ => Ok(()),
    }
}

/// What makes two requests with the same job the same: the time counts as it was asked for, so that a repetition is the same
/// request also after it has passed; and each sender of a webhook waits to be told.
fn fingerprint(asked: String, run_at: Option<i64>, webhook: Option<&Webhook>) -> String {
    let with = |request: String, more: String| hex::encode(Sha256::digest(format!("{request}\n{more}")));
    let asked = match run_at {
        Some(at) => with(asked, format!("run_at {at}")),
        None => asked,
    };
    match webhook {
        Some(webhook) => with(asked, format!("webhook {}", webhook.url)),
        None => asked,
    }
}

/// The time, unless it has passed already.
fn due(run_at: Option<i64>, now_ms: i64) -> Result<Option<i64>, String> {
    match run_at {
        Some(at) if at < 0 => Err("must be a time in UTC ms".to_owned()),
        Some(at) if at - now_ms > MAX_AHEAD_MS => {
            Err(format!("lies more than 30 days ahead; now is {}", rfc3339(now_ms)))
        }
        asked => Ok(asked.filter(|at| *at > now_ms)),
    }
}

/// The webhook, checked as far as the text of its URL tells.
fn webhook(url: Option<&str>, config: &WebhookConfig) -> Result<Option<Webhook>, SubmitError> {
    let Some(url) = url else { return Ok(None) };
    if config.secret.is_none() {
        return Err(SubmitError::WebhooksDisabled);
    }
    let target = config.targets.read(url).map_err(|refusal| SubmitError::WebhookRefused(refusal.to_string()))?;
    Ok(Some(Webhook::new(target.as_str().to_owned())))
}

/// An idempotency key for what has the identity `id` elsewhere: that text itself, where it can be one.
#[must_use]
pub fn idempotency_key_of(id: &str) -> String {
    let fits = (1..=MAX_IDEMPOTENCY_KEY).contains(&id.len()) && id.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    if fits { id.to_owned() } else { format!("sha256:{}", hex::encode(Sha256::digest(id))) }
}

/// An idempotency key as records keep it.
pub(super) fn idempotency_hash(owner: &str, key: &str) -> Result<String, String> {
    let visible = key.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    if key.is_empty() || key.len() > MAX_IDEMPOTENCY_KEY || !visible {
        return Err(format!("must be 1 to {MAX_IDEMPOTENCY_KEY} visible ASCII characters"));
    }
    Ok(hex::encode(Sha256::digest(format!("{owner}\n{key}"))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use candlemill_shared::env::Env;
    use candlemill_shared::tier::Tier;
    use serde_json::json;

    const NOW: i64 = 1_700_000_000_000;
    const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    fn checked(tier: Tier, secret: &str, request: Value) -> Result<Checked, SubmitError> {
        let config = WebhookConfig::from_env(&Env::of([("WEBHOOK_SECRET", secret)])).unwrap();
        let request = serde_json::from_value(request).unwrap();
        let grant = Grant::of_token("u", tier, NOW);
        check(&grant, &request, &Listings::default(), &TierTable::default(), &config, NOW)
    }

    fn fetch(candles: i64) -> Value {
        let start = NOW - candles * 60_000;
        json!({"kind": "fetch_history", "payload": {"symbol": "BTCUSDT", "interval": "1m", "start": {"at": start}, "end": null}})
    }

    fn with(name: &str, value: Value) -> Value {
        let mut request = fetch(9);
        request[name] = value;
        request
    }

    #[test]
    fn what_is_wrong_is_told_by_its_field() {
        let field = |request: Value| match checked(Tier::Pro, SECRET, request) {
            Ok(_) => "",
            Err(SubmitError::Invalid { field, .. }) => field,
            Err(other) => panic!("{other}"),
        };
        assert_eq!(field(fetch(9)), "");
        assert_eq!(field(with("kind", json!("dance"))), "kind");
        assert_eq!(field(with("version", json!(9))), "version");
        assert_eq!(field(with("payload", json!({"symbol": "no symbol!"}))), "payload");
        assert_eq!(field(with("run_at", json!(NOW + MAX_AHEAD_MS))), "");
        assert_eq!(field(with("run_at", json!(NOW + MAX_AHEAD_MS + 1))), "run_at");
        assert_eq!(field(with("run_at", json!(-1))), "run_at");
        assert_eq!(field(with("idempotency_key", json!(""))), "idempotency_key");
        assert_eq!(field(with("idempotency_key", json!("é"))), "idempotency_key");
        assert_eq!(field(with("idempotency_key", json!("k".repeat(256)))), "idempotency_key");
        assert_eq!(field(with("trace_id", json!("0".repeat(32)))), "trace_id");
        // What can be read and makes no sense, or no record could hold.
        let fetch_of = |start: i64, end: i64| {
            let payload = json!({"symbol": "BTCUSDT", "interval": "1m", "start": {"at": start}, "end": end});
            json!({"kind": "fetch_history", "payload": payload})
        };
        assert_eq!(field(fetch_of(NOW - 60_000, NOW)), "");
        assert_eq!(field(fetch_of(NOW, NOW)), "payload");
        assert_eq!(field(fetch_of(NOW, NOW - 60_000)), "payload");
        assert_eq!(field(fetch_of(-5_000_000_000_000_000_000, 5_000_000_000_000_000_000)), "payload");
        assert_eq!(field(json!({"kind": "fetch_batch", "payload": {"fetches": []}})), "payload");
        assert_eq!(field(json!({"kind": "probe", "payload": {"number": u64::MAX}})), "payload");
        let mut odd = fetch(9);
        odd["payload"]["more"] = json!([{"deep": u64::MAX}]);
        assert_eq!(field(odd.clone()), "payload");
        odd["payload"]["more"] = json!({"a\0b": 1});
        assert_eq!(field(odd), "payload");
    }

    #[test]
    fn tiers_bound_every_way_in() {
        assert!(matches!(checked(Tier::Free, "", fetch(90_000)), Err(SubmitError::Tier(_))));
        assert!(checked(Tier::Pro, "", fetch(90_000)).is_ok());
    }

    #[test]
    fn urls_are_checked_before_anything_is_written() {
        let url = |secret: &str, url: &str| checked(Tier::Pro, secret, with("webhook", json!(url)));
        assert_eq!(url(SECRET, "https://Example.com/a").unwrap().webhook.unwrap().url, "https://example.com/a");
        assert!(matches!(url(SECRET, "https://10.0.0.1/"), Err(SubmitError::WebhookRefused(_))));
        assert!(matches!(url(SECRET, "http://example.com/"), Err(SubmitError::WebhookRefused(_))));
        assert!(matches!(url("", "https://example.com/"), Err(SubmitError::WebhooksDisabled)));
    }

    #[test]
    fn another_time_or_webhook_is_another_request_and_a_repetition_is_not() {
        let print = |request: Value| checked(Tier::Pro, SECRET, request).unwrap().fingerprint;
        let at = |at: i64| print(with("run_at", json!(at)));
        let to = |url: &str| print(with("webhook", json!(url)));
        assert_eq!(print(fetch(9)), print(fetch(9)));
        assert_ne!(at(NOW + 1), at(NOW + 2));
        assert_eq!(at(NOW + 1), at(NOW + 1));
        assert_eq!(to("https://a.com/"), to("https://a.com/"));
        assert_ne!(to("https://a.com/"), to("https://b.com/"));
        // Equal to those of version 0.1, whose tasks are under way beside this one's.
        assert_eq!(fingerprint("f".into(), None, None), "f");
        let time = hex::encode(Sha256::digest("f\nrun_at 5"));
        assert_eq!(fingerprint("f".into(), Some(5), None), time);
        let both = hex::encode(Sha256::digest(format!("{time}\nwebhook https://a.com/")));
        assert_eq!(fingerprint("f".into(), Some(5), Some(&Webhook::new("https://a.com/".to_owned()))), both);
    }

    #[test]
    fn every_identity_can_be_a_key() {
        assert_eq!(idempotency_key_of("01JC5Y7V9N8B3M2K1H0G9F8E7D"), "01JC5Y7V9N8B3M2K1H0G9F8E7D");
        for odd in ["", "füllung-1", &"x".repeat(256), "a\tb"] {
            assert!(idempotency_hash("u", &idempotency_key_of(odd)).is_ok(), "{odd}");
        }
    }

    #[test]
    fn what_has_passed_already_is_due_at_once() {
        assert_eq!(due(Some(NOW), NOW), Ok(None));
        assert_eq!(due(Some(NOW + 1), NOW), Ok(Some(NOW + 1)));
        assert_eq!(due(None, NOW), Ok(None));
    }
}
