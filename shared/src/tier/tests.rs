//! What tiers allow.

use super::*;

fn check(tier: Tier, interval: &str, candles: u64, expected: Result<(), (&str, Option<Tier>)>) {
    let got = TierTable::default().admit_fetch(tier, interval.parse().unwrap(), candles);
    assert_eq!(got.map_err(|refusal| (refusal.limit, refusal.lifted_by)), expected, "{tier} {interval} {candles}");
}

#[test]
fn admission() {
    check(Tier::Free, "1m", 50_000, Ok(()));
    check(Tier::Free, "1m", 50_001, Err(("longest_range_candles", Some(Tier::Pro))));
    check(Tier::Free, "1s", 1, Err(("intervals", Some(Tier::Enterprise))));
    check(Tier::Pro, "1m", 525_600, Ok(()));
    check(Tier::Enterprise, "1s", 2_000_000_000, Err(("longest_range_candles", None)));
}

#[test]
fn batches() {
    let table = TierTable::default();
    for (tier, fetches, expected) in [
        (Tier::Free, 10, Ok(())),
        (Tier::Free, 11, Err(Some(Tier::Pro))),
        (Tier::Pro, 501, Err(Some(Tier::Enterprise))),
        (Tier::Enterprise, 5_001, Err(None)),
    ] {
        let got = table.admit_batch(tier, fetches).map_err(|refusal| refusal.lifted_by);
        assert_eq!(got, expected, "{tier} {fetches}");
    }
}

#[test]
fn the_table_round_trips_and_refuses_unknown_limits() {
    let mut json = serde_json::to_value(TierTable::default()).unwrap();
    assert_eq!(serde_json::from_value::<TierTable>(json.clone()).unwrap(), TierTable::default());
    json["free"]["speed"] = 1.into();
    assert!(serde_json::from_value::<TierTable>(json).unwrap_err().to_string().contains("speed"));
}
