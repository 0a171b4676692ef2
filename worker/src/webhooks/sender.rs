//! One try: signs a message, sends it, looks at the head of the answer.

use super::resolver::Resolver;
use candlemill_shared::webhook::{MasterSecret, Refusal, Target, TargetPolicy, Webhook};
use chrono::DateTime;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use std::error::Error;
use std::fmt;
use std::time::Duration;

/// Longest time of a try, from the name's lookup to the head of the answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// Longest cause that is kept, characters.
const LONGEST_CAUSE: usize = 200;

/// What a receiver made of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reply {
    /// It answered with this status, and wants to be left alone for a while.
    Answered {
        /// HTTP status.
        status: u16,
        /// `Retry-After`.
        pause: Option<Duration>,
    },
    /// It did not answer.
    Silent(String),
    /// It may not be called.
    Forbidden(String),
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered { status: status @ 300..=399, .. } => {
                write!(f, "the receiver answered {status}; redirects are not followed")
            }
            Self::Answered { status, .. } => write!(f, "the receiver answered {status}"),
            Self::Silent(why) => f.write_str(why),
            Self::Forbidden(why) => write!(f, "the URL {why}"),
        }
    }
}

/// Sends messages.
#[derive(Debug)]
pub(super) struct Sender {
    client: Client,
    secret: MasterSecret,
    targets: TargetPolicy,
}

impl Sender {
    pub(super) fn new(secret: MasterSecret, targets: TargetPolicy) -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            .timeout(PATIENCE)
            // An idle connection would outlive the check of its address.
            .pool_max_idle_per_host(0)
            // A proxy would connect to addresses that nobody here has seen.
            .no_proxy()
            .redirect(Policy::none())
            .https_only(!targets.http)
            .dns_resolver(Resolver(targets))
            .user_agent(concat!("candlemill/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { client, secret, targets })
    }

    fn target(&self, webhook: &Webhook) -> Result<Target, Refusal> {
        self.targets.read(&webhook.url)
    }

    /// The receiver's host, for logs: the rest of the URL may be a secret.
    pub(super) fn host_of(&self, webhook: &Webhook) -> String {
        self.target(webhook).map_or_else(|_| "refused".to_owned(), |target| target.host().to_owned())
    }

    /// Sends `body` to `owner`'s webhook once, as the message `id`.
    pub(super) async fn send(&self, owner: &str, webhook: &Webhook, id: &str, body: String, now_ms: i64) -> Reply {
        // Addresses in the URL itself do not go through the resolver; and the deployment may allow less than it did.
        let target = match self.target(webhook) {
            Ok(target) => target,
            Err(refusal) => return Reply::Forbidden(refusal.to_string()),
        };
        let timestamp = now_ms.div_euclid(1_000);
        let signature = self.secret.of_owner(owner).sign(id, timestamp, body.as_bytes());
        let request = self
            .client
            .post(target.as_str())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signature)
            .body(body);
        // The body of the answer is not read: it is nobody's business, and may have no end.
        match request.send().await {
            Ok(response) => Reply::Answered { status: response.status().as_u16(), pause: pause(&response, now_ms) },
            Err(error) => silence(&error),
        }
    }
}

fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(error.source(), |cause| (*cause).source())
}

fn silence(error: &reqwest::Error) -> Reply {
    if let Some(refusal) = causes(error).find_map(|cause| cause.downcast_ref::<Refusal>()) {
        return Reply::Forbidden(refusal.to_string());
    }
    let cause = causes(error).last().map_or_else(|| error.to_string(), ToString::to_string);
    let cause: String = cause.chars().take(LONGEST_CAUSE).collect();
    Reply::Silent(if error.is_timeout() {
        format!("the receiver did not answer within {} s", PATIENCE.as_secs())
    } else if error.is_connect() {
        format!("no connection to the receiver: {cause}")
    } else {
        format!("the connection to the receiver broke off: {cause}")
    })
}

fn pause(response: &Response, now_ms: i64) -> Option<Duration> {
    response.headers().get(RETRY_AFTER)?.to_str().ok().and_then(|text| pause_of(text, now_ms))
}

/// `Retry-After`: seconds, or a date.
fn pause_of(text: &str, now_ms: i64) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = DateTime::parse_from_rfc2822(text.trim()).ok()?;
    u64::try_from(date.timestamp_millis() - now_ms).ok().map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<u64>) {
        // 2023-11-14T22:13:20Z
        assert_eq!(pause_of(text, 1_700_000_000_000), expected.map(Duration::from_secs), "{text}");
    }

    #[test]
    fn pauses_are_seconds_or_dates() {
        check("0", Some(0));
        check(" 120 ", Some(120));
        check("Tue, 14 Nov 2023 22:14:20 GMT", Some(60));
        check("Tue, 14 Nov 2023 22:12:20 GMT", None);
        check("-1", None);
        check("soon", None);
    }

    #[tokio::test]
    async fn a_public_name_with_a_private_address_is_not_called() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://localhost:{}/", listener.local_addr().unwrap().port());
        let secret = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".parse().unwrap();
        let mut sender = Sender::new(secret, TargetPolicy { private: false, http: true }).unwrap();
        // The name passes, as one would that its owner has lead here.
        sender.targets.private = true;
        let reply = sender.send("u", &Webhook::new(url), "m_0", "{}".to_owned(), 0).await;
        assert!(matches!(&reply, Reply::Forbidden(why) if why.contains("no public address")), "{reply:?}");
        let connected = tokio::time::timeout(Duration::from_millis(100), listener.accept()).await;
        assert!(connected.is_err(), "nobody connects: {connected:?}");
    }
}
