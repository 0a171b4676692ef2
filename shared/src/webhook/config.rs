//! How a deployment handles webhooks: API and worker read the same.

use super::{MasterSecret, TargetPolicy};
use crate::env::{Env, EnvError, Variable, wrong};

static WEBHOOK_SECRET: Variable = Variable {
    name: "WEBHOOK_SECRET",
    default: "",
    help: "secret of the deployment for webhooks, whsec_ and the Base64 of 24 to 64 random bytes; without it there are none",
};
static WEBHOOK_ATTEMPTS: Variable = Variable {
    name: "WEBHOOK_ATTEMPTS",
    default: "8",
    help: "tries of one webhook before it is given up, 1 to 20; 8 of them take 1 to 3 hours",
};
static WEBHOOK_ALLOW_HTTP: Variable = Variable {
    name: "WEBHOOK_ALLOW_HTTP",
    default: "false",
    help: "true: webhooks may go to http:// URLs, unencrypted",
};
static WEBHOOK_ALLOW_PRIVATE: Variable = Variable {
    name: "WEBHOOK_ALLOW_PRIVATE",
    default: "false",
    help: "true: webhooks may go to private addresses and to this machine; never where users are strangers",
};

/// How a deployment handles webhooks. Its debug form shows no secret.
#[derive(Debug, Clone)]
pub struct WebhookConfig {
    /// `None`: there are no webhooks.
    pub secret: Option<MasterSecret>,
    /// Where they may go.
    pub targets: TargetPolicy,
    /// Tries before one is given up.
    pub attempts: u32,
}

impl WebhookConfig {
    /// Reads the configuration.
    ///
    /// # Errors
    /// When a variable is wrong.
    pub fn from_env(env: &Env) -> Result<Self, EnvError> {
        let secret = env.text(&WEBHOOK_SECRET).map(str::parse).transpose();
        Ok(Self {
            secret: secret.map_err(|error: super::InvalidSecret| wrong(&WEBHOOK_SECRET, error.to_string()))?,
            targets: TargetPolicy { private: env.flag(&WEBHOOK_ALLOW_PRIVATE)?, http: env.flag(&WEBHOOK_ALLOW_HTTP)? },
            attempts: env.number(&WEBHOOK_ATTEMPTS, 1, 20)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables() {
        let none = WebhookConfig::from_env(&Env::default()).unwrap();
        assert_eq!((none.secret, none.targets, none.attempts), (None, TargetPolicy::default(), 8));
        let error = WebhookConfig::from_env(&Env::of([("WEBHOOK_SECRET", "letmein")])).unwrap_err();
        assert_eq!(error.variable, "WEBHOOK_SECRET");
        assert!(!error.to_string().contains("letmein"), "{error}");
        let error = WebhookConfig::from_env(&Env::of([("WEBHOOK_ALLOW_PRIVATE", "yes")])).unwrap_err();
        assert_eq!(error.variable, "WEBHOOK_ALLOW_PRIVATE");
    }
}
