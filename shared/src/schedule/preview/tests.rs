use crate::Timestamp;
use crate::schedule::{Timing, When};

/// The times after `from`; those moved by daylight saving have an exclamation mark.
fn check(pattern: &str, zone: &str, from: &str, expected: &[&str]) {
    let timing = Timing::from(When::Cron { cron: pattern.parse().unwrap(), time_zone: zone.parse().unwrap() });
    let from: Timestamp = from.parse().unwrap();
    let mark = |moved| if moved { "!" } else { "" };
    let shown = timing.preview(from.ms(), expected.len());
    for fire in &shown {
        assert_eq!(fire.local.parse::<Timestamp>().unwrap().ms(), fire.due_at, "{pattern} {zone}");
    }
    let shown: Vec<_> = shown.into_iter().map(|fire| fire.local + mark(fire.moved_by_daylight_saving)).collect();
    assert_eq!(shown, expected, "{pattern} {zone} {from}");
}

#[test]
fn fixed_times_that_are_skipped_come_right_after_the_gap() {
    let (new_york, berlin) = ("America/New_York", "Europe/Berlin");
    let from = "2026-03-07T12:00:00-05:00";
    check("30 2 * * *", new_york, from, &["2026-03-08T03:00:00-04:00!", "2026-03-09T02:30:00-04:00"]);
    check("15 30 2 * * *", new_york, from, &["2026-03-08T03:00:00-04:00!", "2026-03-09T02:30:15-04:00"]);
    let from = "2026-03-29T00:00:00+01:00";
    check("30 2 * * *", berlin, from, &["2026-03-29T03:00:00+02:00!", "2026-03-30T02:30:00+02:00"]);
    check("0,30 2,3 * * *", berlin, from, &["2026-03-29T03:00:00+02:00!", "2026-03-29T03:30:00+02:00"]);
    check("0 3 * * *", berlin, from, &["2026-03-29T03:00:00+02:00", "2026-03-30T03:00:00+02:00"]);
    let from = "2026-10-03T12:00:00+10:30";
    check("15 2 * * *", "Australia/Lord_Howe", from, &["2026-10-04T02:30:00+11:00!", "2026-10-05T02:15:00+11:00"]);
    // The gap ends with the day: the Saturday's fire comes on Sunday.
    let from = "2026-03-28T12:00:00-02:00";
    check("30 23 * * SAT", "America/Nuuk", from, &["2026-03-29T00:00:00-01:00!", "2026-04-04T23:30:00-01:00"]);
    // A whole day that never was.
    let from = "2011-12-29T12:00:00-10:00";
    check("0 9 * * *", "Pacific/Apia", from, &["2011-12-31T00:00:00+14:00!", "2011-12-31T09:00:00+14:00"]);
}

#[test]
fn fixed_times_that_come_twice_are_due_the_first_time() {
    let (new_york, berlin) = ("America/New_York", "Europe/Berlin");
    let from = "2026-10-31T12:00:00-04:00";
    check("30 1 * * *", new_york, from, &["2026-11-01T01:30:00-04:00!", "2026-11-02T01:30:00-05:00"]);
    let from = "2026-10-25T00:00:00+02:00";
    check("30 2 * * *", berlin, from, &["2026-10-25T02:30:00+02:00!", "2026-10-26T02:30:00+01:00"]);
    // From within both passes of the hour.
    check("45 2 * * *", berlin, "2026-10-25T02:15:00+02:00", &["2026-10-25T02:45:00+02:00!"]);
    check("45 2 * * *", berlin, "2026-10-25T02:15:00+01:00", &["2026-10-26T02:45:00+01:00"]);
    let from = "2026-04-04T12:00:00+11:00";
    check("45 1 * * *", "Australia/Lord_Howe", from, &["2026-04-05T01:45:00+11:00!", "2026-04-06T01:45:00+10:30"]);
}

#[test]
fn wildcards_follow_the_wall_clock() {
    let (new_york, berlin, lord_howe) = ("America/New_York", "Europe/Berlin", "Australia/Lord_Howe");
    let from = "2026-03-08T01:00:00-05:00";
    check("*/30 * * * *", new_york, from, &["2026-03-08T01:30:00-05:00", "2026-03-08T03:00:00-04:00"]);
    check("*/30 2 * * *", new_york, from, &["2026-03-09T02:00:00-04:00", "2026-03-09T02:30:00-04:00"]);
    let twice = ["2026-11-01T01:30:00-04:00!", "2026-11-01T01:00:00-05:00!", "2026-11-01T01:30:00-05:00!"];
    check("*/30 * * * *", new_york, "2026-11-01T01:00:00-04:00", &twice);
    let twice = ["2026-10-25T02:00:00+02:00!", "2026-10-25T02:00:00+01:00!", "2026-10-25T03:00:00+01:00"];
    check("@hourly", berlin, "2026-10-25T01:00:00+02:00", &twice);
    let from = "2026-10-04T00:30:00+10:30";
    check("0 * * * *", lord_howe, from, &["2026-10-04T01:00:00+10:30", "2026-10-04T03:00:00+11:00"]);
    let twice = ["2026-04-05T01:45:00+11:00!", "2026-04-05T01:30:00+10:30!", "2026-04-05T01:45:00+10:30!"];
    check("*/15 1 * * *", lord_howe, "2026-04-05T01:30:00+11:00", &twice);
}

#[test]
fn days_of_month_and_week_are_either_or_unless_a_plus_joins_them() {
    let zone = "UTC";
    let from = "2026-06-01T12:00:00Z";
    check(
        "0 0 13 * FRI",
        zone,
        from,
        &["2026-06-05T00:00:00+00:00", "2026-06-12T00:00:00+00:00", "2026-06-13T00:00:00+00:00"],
    );
    check("0 0 13 * +FRI", zone, from, &["2026-11-13T00:00:00+00:00", "2027-08-13T00:00:00+00:00"]);
    check(
        "0 0 */2 * MON",
        zone,
        from,
        &[
            "2026-06-03T00:00:00+00:00",
            "2026-06-05T00:00:00+00:00",
            "2026-06-07T00:00:00+00:00",
            "2026-06-08T00:00:00+00:00",
        ],
    );
    check("0 0 */2 * +MON", zone, from, &["2026-06-15T00:00:00+00:00", "2026-06-29T00:00:00+00:00"]);
}

#[test]
fn a_preview_ends_where_the_schedule_does() {
    let every = When::Every { every_seconds: 900, anchor: 0 };
    let timing = Timing { end_at: Some(2_700_000), ..every.into() };
    let shown: Vec<_> = timing.preview(0, usize::MAX).into_iter().map(|fire| fire.local).collect();
    assert_eq!(shown, ["1970-01-01T00:15:00+00:00", "1970-01-01T00:30:00+00:00"]);
}
