//! The webhook that a request asks for.

use super::switched_off;
use crate::error::Problem;
use axum::http::StatusCode;
use candlemill_shared::webhook::{Webhook, WebhookConfig};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

/// Who is told when the task has ended.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookRequest {
    /// Where a signed POST goes: an `https` URL of a public host, at most 2,048 bytes, without user name and fragment.
    #[schema(example = "https://example.com/hooks/candles")]
    pub url: String,
}

/// What was asked for, checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Wanted(Option<Webhook>);

impl Wanted {
    /// Checks the URL as far as its text tells.
    ///
    /// # Errors
    /// `webhooks_disabled`, or `webhook_refused` with what was wrong.
    pub(crate) fn read(request: Option<&WebhookRequest>, config: &WebhookConfig) -> Result<Self, Problem> {
        let Some(request) = request else { return Ok(Self::default()) };
        if config.secret.is_none() {
            return Err(switched_off());
        }
        match config.targets.read(&request.url) {
            Ok(target) => Ok(Self(Some(Webhook::new(target.as_str().to_owned())))),
            Err(refusal) => Err(Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "webhook_refused",
                "The webhook's URL may not be called",
            )
            .detail(format!("The URL of the webhook {refusal}."))
            .field("webhook.url", refusal.to_string())),
        }
    }

    /// Makes requests with different webhooks different ones: each of their senders waits to be told.
    pub(crate) fn fingerprint(&self, request: String) -> String {
        match &self.0 {
            Some(webhook) => hex::encode(Sha256::digest(format!("{request}\nwebhook {}", webhook.url))),
            None => request,
        }
    }

    /// For the task's record.
    pub(crate) fn webhook(self) -> Option<Webhook> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candlemill_shared::env::Env;

    const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    fn check(secret: &str, url: &str, expected: Result<&str, &str>) {
        let config = WebhookConfig::from_env(&Env::of([("WEBHOOK_SECRET", secret)])).unwrap();
        let request = WebhookRequest { url: url.to_owned() };
        let wanted = Wanted::read(Some(&request), &config);
        let got = wanted.map(|wanted| wanted.webhook().unwrap().url).map_err(|problem| problem.code());
        assert_eq!(got.as_deref().map_err(|code| *code), expected, "{url}");
    }

    #[test]
    fn urls_are_checked_before_anything_is_written() {
        check(SECRET, "https://Example.com/a", Ok("https://example.com/a"));
        check(SECRET, "https://10.0.0.1/", Err("webhook_refused"));
        check(SECRET, "http://example.com/", Err("webhook_refused"));
        check("", "https://example.com/", Err("webhooks_disabled"));
    }

    #[test]
    fn another_webhook_is_another_request() {
        let of = |url: Option<&str>| Wanted(url.map(|url| Webhook::new(url.to_owned()))).fingerprint("f".to_owned());
        assert_eq!(of(None), "f");
        assert_eq!(of(Some("https://a/")), of(Some("https://a/")));
        assert_ne!(of(Some("https://a/")), of(Some("https://b/")));
    }
}
