//! The tier, from wherever it stands.

use super::told_once::ToldOnce;
use candlemill_shared::tier::Tier;
use prometheus_client::metrics::counter::Counter;
use serde_json::Value;
use std::collections::BTreeMap;

/// Most members of a path.
const MAX_MEMBERS: usize = 8;
/// Longest name of a member or of a tier, in characters.
const MAX_NAME: usize = 64;
/// Unknown names that are told of, each once.
const MAX_TOLD: usize = 64;

/// Where in a document the tier stands: names of members, the outermost first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TierPath(Vec<String>);

impl TierPath {
    /// Reads a path as in `app_metadata.plan`.
    ///
    /// # Errors
    /// What was expected. What users write themselves is no place for a tier.
    pub fn read(text: &str) -> Result<Self, String> {
        let members: Vec<String> = text.split('.').map(str::to_owned).collect();
        let fits =
            |name: &String| (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic());
        if members.len() > MAX_MEMBERS || !members.iter().all(fits) {
            return Err(format!(
                "{text:?} is no path of 1 to {MAX_MEMBERS} names of 1 to {MAX_NAME} visible ASCII characters, joined by full stops"
            ));
        }
        if members.first().is_some_and(|first| matches!(first.as_str(), "user_metadata" | "raw_user_meta_data")) {
            return Err(format!("{text:?} is written by users themselves, who could choose their tier"));
        }
        if members == ["app_metadata"] {
            return Err("names no member of app_metadata; app_metadata.plan is expected, or another one".to_owned());
        }
        Ok(Self(members))
    }

    /// The outermost name.
    #[must_use]
    pub fn first(&self) -> &str {
        self.0.first().map_or("", String::as_str)
    }

    /// What stands there: `of` gives the outermost member.
    pub(super) fn find<'a>(&self, of: impl FnOnce(&str) -> Option<&'a Value>) -> Option<&'a Value> {
        let (first, rest) = self.0.split_first()?;
        rest.iter().try_fold(of(first)?, |value, name| value.get(name))
    }
}

/// The project's own names of tiers, in small letters, beside ours.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TierNames(BTreeMap<String, Tier>);

impl TierNames {
    /// Reads pairs as in `gold=pro, business=enterprise`.
    ///
    /// # Errors
    /// The pair that is wrong, and why.
    pub fn read(text: &str) -> Result<Self, String> {
        let mut names = BTreeMap::new();
        for pair in text.split(',').map(str::trim).filter(|_| !text.trim().is_empty()) {
            let (name, tier) = pair.split_once('=').ok_or_else(|| format!("{pair:?} is no pair as in gold=pro"))?;
            let name = name.trim().to_lowercase();
            if name.is_empty() || name.chars().count() > MAX_NAME {
                return Err(format!("{pair:?} names no tier of 1 to {MAX_NAME} characters"));
            }
            let tier = tier.trim().to_lowercase().parse().map_err(|why| format!("{pair:?}: {why}"))?;
            if names.insert(name, tier).is_some() {
                return Err(format!("{pair:?} gives a name a second meaning"));
            }
        }
        Ok(Self(names))
    }

    /// The tier of this name, in letters of any case; `None`: unknown.
    fn tier(&self, name: &str) -> Option<Tier> {
        let name = name.trim().to_lowercase();
        self.0.get(&name).copied().or_else(|| name.parse().ok())
    }
}

/// Reads tiers. Absent is free; an unknown name is free too, counted, and logged once: a typing error in the table of
/// subscriptions must lock nobody out, nor let anybody up, nor go unseen.
#[derive(Debug)]
pub(super) struct TierReader {
    names: TierNames,
    unknown: Counter,
    told: ToldOnce,
}

impl TierReader {
    pub(super) fn new(names: TierNames, unknown: Counter) -> Self {
        Self { names, unknown, told: ToldOnce::new(MAX_TOLD, MAX_NAME) }
    }

    pub(super) fn read(&self, found: Option<&Value>) -> Tier {
        let name = match found {
            None | Some(Value::Null) => return Tier::default(),
            Some(Value::String(name)) => name.clone(),
            // No name at all; as short as names are.
            Some(other) => other.to_string(),
        };
        self.names.tier(&name).unwrap_or_else(|| {
            self.unknown.inc();
            if let Some(shown) = self.told.first_time(&name) {
                tracing::warn!(
                    tier = shown,
                    "users of this tier are taken as free: no tier has that name; TIER_NAMES can give it one"
                );
            }
            Tier::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn tiers() {
        let reader = TierReader::new(TierNames::read("Gold=pro, team plan=enterprise").unwrap(), Counter::default());
        for (found, expected) in [
            (None, Tier::Free),
            (Some(json!("pro")), Tier::Pro),
            (Some(json!("enterprise")), Tier::Enterprise),
            (Some(json!("PRO")), Tier::Pro),
            (Some(json!("gold")), Tier::Pro),
            (Some(json!("Team Plan")), Tier::Enterprise),
            (Some(json!("silver")), Tier::Free),
            (Some(json!(3)), Tier::Free),
            (Some(json!(null)), Tier::Free),
        ] {
            assert_eq!(reader.read(found.as_ref()), expected, "{found:?}");
        }
        assert_eq!(reader.unknown.get(), 2);
        for number in 0..1_000 {
            reader.read(Some(&json!(format!("tier {number}"))));
        }
        assert_eq!((reader.unknown.get(), reader.told.first_time("another")), (1_002, None));
    }

    #[test]
    fn paths() {
        let claims = json!({"app_metadata": {"billing": {"plan": "gold"}}, "plan": "pro"});
        let find = |path: &str| TierPath::read(path).unwrap().find(|name| claims.get(name)).cloned();
        assert_eq!(find("app_metadata.billing.plan"), Some(json!("gold")));
        assert_eq!(find("plan"), Some(json!("pro")));
        assert_eq!(find("app_metadata.plan"), None);
        assert_eq!(find("plan.deeper"), None);
        assert!(TierPath::read("user_metadata.plan").is_err());
    }
}
