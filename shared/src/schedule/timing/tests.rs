use super::*;
use proptest::prelude::*;
use serde_json::json;

fn cron(pattern: &str, zone: &str) -> Timing {
    When::Cron { cron: pattern.parse().unwrap(), time_zone: zone.parse().unwrap() }.into()
}

fn every(every_seconds: u64) -> Timing {
    When::Every { every_seconds, anchor: 0 }.into()
}

#[test]
fn what_is_stored_is_read_again() {
    let stored = json!({"when": {"every_seconds": 60}});
    let read: Timing = serde_json::from_value(stored).unwrap();
    assert_eq!(read, every(60));
    let whole = Timing { start_at: Some(1), end_at: Some(2), jitter_seconds: 3, ..cron("@daily", "Europe/Berlin") };
    let stored = serde_json::to_value(&whole).unwrap();
    let expected = json!({
        "when": {"cron": "@daily", "time_zone": "Europe/Berlin"},
        "start_at": 1, "end_at": 2, "jitter_seconds": 3, "delay_seconds": 10,
    });
    assert_eq!(stored, expected);
    assert_eq!(serde_json::from_value::<Timing>(stored).unwrap(), whole);
}

#[test]
fn start_is_inside_and_end_is_not() {
    let timing = Timing { start_at: Some(60_000), end_at: Some(180_000), ..every(60) };
    for (after, next) in [(-1, Some(60_000)), (60_000, Some(120_000)), (120_000, None)] {
        assert_eq!(timing.next_after(after), next, "{after}");
    }
}

#[test]
fn the_shortest_gap_is_found() {
    // 2026-01-01.
    let from = 1_767_225_600_000;
    for (timing, gap) in [
        (every(900), Some(900)),
        (cron("* * * * * *", "UTC"), Some(1)),
        (cron("0,59 0,23 * * *", "UTC"), Some(60)),
        (cron("0 0 1 1 *", "UTC"), Some(365 * 86_400)),
        (cron("0 3,2,1 * * *", "UTC"), Some(3_600)),
        (cron("0 3 * * *", "UTC"), Some(86_400)),
        // The night without the hour from 2 to 3.
        (cron("0 3 * * *", "Europe/Berlin"), Some(23 * 3_600)),
        (cron("30 2,3 * * *", "Europe/Berlin"), Some(1_800)),
        (Timing { end_at: Some(from + 900_001), ..every(900) }, None),
        (Timing { end_at: Some(from + 1_800_001), ..every(900) }, Some(900)),
    ] {
        assert_eq!(timing.shortest_gap_seconds(from), gap, "{timing:?}");
    }
}

#[test]
fn faults_name_every_wrong_field() {
    let fields = |timing: &Timing| timing.faults(1_000_000).into_iter().map(|(field, _)| field).collect::<Vec<_>>();
    let whole = every(60);
    assert!(fields(&whole).is_empty());
    let wrong = Timing {
        when: When::Every { every_seconds: 0, anchor: -1 },
        start_at: Some(i64::MAX),
        end_at: Some(500_000),
        jitter_seconds: 3_601,
        delay_seconds: 86_401,
    };
    let all = ["every_seconds", "anchor", "start_at", "end_at", "end_at", "jitter_seconds", "delay_seconds"];
    assert_eq!(fields(&wrong), all);
    assert_eq!(fields(&Timing { end_at: Some(1_000_001), ..every(MAX) }), ["when"]);
    assert_eq!(fields(&Timing { start_at: Some(2), end_at: Some(2), ..every(1) }), ["end_at", "end_at"]);
}

const MAX: u64 = crate::schedule::MAX_EVERY_SECONDS;

/// Computed elsewhere: replicas of different versions must draw the same.
#[test]
fn jitter_is_what_it_always_was() {
    let timing = Timing { jitter_seconds: 300, delay_seconds: 0, ..every(60) };
    for (schedule, due, ms) in [
        ("01J00000000000000000000000", 1_767_225_600_000, 154_963),
        ("01J00000000000000000000000", 1_767_225_660_000, 59_022),
        ("nightly", 0, 168_125),
    ] {
        assert_eq!(timing.fire_at(schedule, due) - due, ms, "{schedule} {due}");
    }
}

proptest! {
    #[test]
    fn a_fire_comes_after_its_delay_within_its_jitter(due in 0..LATEST_MS, jitter in 0u32..=3_600, delay in 0u32..=86_400) {
        let timing = Timing { jitter_seconds: jitter, delay_seconds: delay, ..every(60) };
        let lag = timing.fire_at("schedule", due) - due - i64::from(delay) * 1_000;
        prop_assert!(lag >= 0 && lag < (i64::from(jitter) * 1_000).max(1), "{}", lag);
    }
}
