//! The tier, from wherever it stands.

use candlemill_shared::tier::Tier;
use serde_json::Value;

/// Reads a tier's name. Absent is free; an unknown name is free too, and logged: a typing error in the table of
/// subscriptions must lock nobody out, nor let anybody up.
pub(super) fn read(found: Option<&Value>) -> Tier {
    match found {
        None | Some(Value::Null) => Tier::default(),
        Some(Value::String(name)) => name.parse().unwrap_or_else(|_| {
            tracing::warn!("a user has a tier that does not exist; taken as free");
            Tier::default()
        }),
        Some(_) => {
            tracing::warn!("a user's tier is no text; taken as free");
            Tier::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn tiers() {
        for (found, expected) in [
            (None, Tier::Free),
            (Some(json!("pro")), Tier::Pro),
            (Some(json!("enterprise")), Tier::Enterprise),
            (Some(json!("PRO")), Tier::Free),
            (Some(json!(3)), Tier::Free),
            (Some(json!(null)), Tier::Free),
        ] {
            assert_eq!(read(found.as_ref()), expected, "{found:?}");
        }
    }
}
