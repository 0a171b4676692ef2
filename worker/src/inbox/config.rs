//! The inbox's settings.

use candlemill_shared::env::{Env, EnvError, Variable, wrong};
use candlemill_shared::tier::Tier;

pub(crate) static APALIS_INBOX: Variable = Variable {
    name: "APALIS_INBOX",
    default: "",
    help: "queue of apalis-redis from which tasks are taken, 1 to 64 of A-Z a-z 0-9 : _ -, neither cm nor cm:...; empty: none",
};
pub(crate) static APALIS_INBOX_OWNER: Variable = Variable {
    name: "APALIS_INBOX_OWNER",
    default: "",
    help: "user id (sub) that the tasks of the inbox belong to, 1 to 128 visible ASCII characters; needed with APALIS_INBOX",
};
pub(crate) static APALIS_INBOX_TIER: Variable = Variable {
    name: "APALIS_INBOX_TIER",
    default: "free",
    help: "tier by which tasks of the inbox are admitted: free, pro or enterprise",
};

/// Where tasks come in by apalis, and whose they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxConfig {
    /// Queue of apalis-redis.
    pub queue: String,
    /// User id that its tasks belong to.
    pub owner: String,
    /// Tier by which they are admitted.
    pub tier: Tier,
}

impl InboxConfig {
    /// Reads the configuration; `None`: there is no inbox.
    ///
    /// # Errors
    /// When a variable is wrong.
    pub fn from_env(env: &Env) -> Result<Option<Self>, EnvError> {
        let tier = env.text_or_default(&APALIS_INBOX_TIER);
        let tier: Tier = tier.parse().map_err(|problem: String| wrong(&APALIS_INBOX_TIER, problem))?;
        let Some(queue) = env.text(&APALIS_INBOX) else { return Ok(None) };
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b":_-".contains(&byte);
        if queue.len() > 64 || !queue.bytes().all(fits) {
            return Err(wrong(
                &APALIS_INBOX,
                format!("{queue:?} is no queue: 1 to 64 of A-Z a-z 0-9 : _ - are expected"),
            ));
        }
        if queue == "cm" || queue.starts_with("cm:") {
            return Err(wrong(
                &APALIS_INBOX,
                format!("{queue:?} is no queue: keys that begin with cm: are Candlemill's own"),
            ));
        }
        let owner = env.required(&APALIS_INBOX_OWNER)?;
        if owner.len() > 128 || !owner.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(wrong(&APALIS_INBOX_OWNER, "is no user id: 1 to 128 visible ASCII characters are expected"));
        }
        Ok(Some(Self { queue: queue.to_owned(), owner, tier }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(queue: &str, owner: &str, tier: &str, expected: Result<Option<(&str, &str, Tier)>, &str>) {
        let env = Env::of([("APALIS_INBOX", queue), ("APALIS_INBOX_OWNER", owner), ("APALIS_INBOX_TIER", tier)]);
        let expected = expected.map(|config| {
            config.map(|(queue, owner, tier)| InboxConfig { queue: queue.to_owned(), owner: owner.to_owned(), tier })
        });
        assert_eq!(InboxConfig::from_env(&env).map_err(|error| error.variable), expected, "{queue} {owner} {tier}");
    }

    #[test]
    fn an_inbox_has_a_queue_and_an_owner() {
        check("", "", "", Ok(None));
        check("", "u", "pro", Ok(None));
        check("candles:in_1-a", "u", "", Ok(Some(("candles:in_1-a", "u", Tier::Free))));
        check(&"q".repeat(64), "auth0|1", "pro", Ok(Some((&"q".repeat(64), "auth0|1", Tier::Pro))));
        check(&"q".repeat(65), "u", "", Err("APALIS_INBOX"));
        for odd in ["a b", "a{b}", "cm", "cm:queue", "ä"] {
            check(odd, "u", "", Err("APALIS_INBOX"));
        }
        check("in", "", "", Err("APALIS_INBOX_OWNER"));
        check("in", "a b", "", Err("APALIS_INBOX_OWNER"));
        check("", "", "gold", Err("APALIS_INBOX_TIER"));
    }
}
