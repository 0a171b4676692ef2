use super::*;
use serde_json::json;

#[test]
fn both_forms_are_read_and_written() {
    for (given, written) in [
        (
            json!({"cron": "@daily", "time_zone": "europe/berlin"}),
            json!({"cron": "@daily", "time_zone": "Europe/Berlin"}),
        ),
        (json!({"cron": "0 0 * * *"}), json!({"cron": "0 0 * * *", "time_zone": "UTC"})),
        (json!({"every_seconds": 900, "anchor": 5}), json!({"every_seconds": 900, "anchor": 5})),
        (json!({"every_seconds": 900}), json!({"every_seconds": 900, "anchor": 0})),
    ] {
        let read: When = serde_json::from_value(given).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), written);
    }
    for (given, why) in [
        (json!({}), "either cron with time_zone"),
        (json!({"cron": "@daily", "every_seconds": 900}), "either cron with time_zone"),
        (json!({"every_seconds": 900, "time_zone": "UTC"}), "either cron with time_zone"),
        (json!({"cron": "61 * * * *"}), "minute \"61\""),
        (json!({"cron": "@daily", "time_zone": "Berlin"}), "no time zone"),
        (json!({"every": 900}), "unknown field"),
        (json!({"every_seconds": -1}), "invalid value"),
    ] {
        let told = serde_json::from_value::<When>(given.clone()).unwrap_err().to_string();
        assert!(told.contains(why), "{given}: {told}");
    }
}

#[test]
fn spans_are_told_in_their_largest_unit() {
    for (every_seconds, words) in [
        (1, "every second from 1970-01-01T00:00:00Z"),
        (90, "every 90 seconds from 1970-01-01T00:00:00Z"),
        (900, "every 15 minutes from 1970-01-01T00:00:00Z"),
        (3_600, "every hour from 1970-01-01T00:00:00Z"),
        (172_800, "every 2 days from 1970-01-01T00:00:00Z"),
    ] {
        assert_eq!(When::Every { every_seconds, anchor: 0 }.words(), words);
    }
    let cron = When::Cron { cron: "30 2 * * *".parse().unwrap(), time_zone: "Europe/Berlin".parse().unwrap() };
    assert_eq!(cron.words(), "At 02:30, Europe/Berlin");
}

#[test]
fn every_counts_from_its_anchor() {
    let every = When::Every { every_seconds: 10, anchor: 25_000 };
    for (after, next) in [
        (i64::MIN, Some(25_000)),
        (24_999, Some(25_000)),
        (25_000, Some(35_000)),
        (34_999, Some(35_000)),
        (LATEST_MS, None),
        (i64::MAX, None),
    ] {
        assert_eq!(every.next_after(after), next, "{after}");
    }
    assert_eq!(When::Every { every_seconds: u64::MAX, anchor: 0 }.next_after(0), None);
}
