use super::*;

#[test]
fn patterns_are_stored_as_they_were_written() {
    let pattern: CronPattern = serde_json::from_str("\" 30 2 * * mon-FRI \"").unwrap();
    assert_eq!(serde_json::to_string(&pattern).unwrap(), "\"30 2 * * mon-FRI\"");
    assert_eq!(pattern, "30 2 * * mon-FRI".parse().unwrap());
    assert_ne!(pattern, "30 2 * * MON-FRI".parse().unwrap());
    assert!(serde_json::from_str::<CronPattern>("\"x\"").is_err());
}

#[test]
fn patterns_are_told_in_words() {
    for (pattern, words) in [
        ("30 2 * * *", "At 02:30"),
        ("@daily", "At 00:00"),
        ("*/30 * * * *", "Every 30 minutes"),
        ("* * * * *", "Every minute"),
        ("0 9 * * MON", "At 09:00, on Monday"),
        ("0 0 L * ?", "At 00:00, on the last day of the month"),
        ("0 0 LW * *", "At 00:00, on the last day of the month from Monday to Friday"),
        ("0 0 15w * *", "At 00:00, on the weekday nearest day 15"),
        ("0 0 * * +FRIL", "At 00:00, on the last Friday of the month"),
        ("0 0 29 2 +mon", "At 00:00, on day 29 (if it is also Monday), in February"),
        ("0,30 2,14 * * mon#2", "At minute 0 and 30, of hour 2 and 14, on the 2nd Monday of the month"),
    ] {
        assert_eq!(pattern.parse::<CronPattern>().unwrap().words(), words, "{pattern}");
    }
}

fn refused(pattern: &str, why: &str) {
    let told = pattern.parse::<CronPattern>().expect_err(pattern);
    assert!(told.contains(why), "{pattern}: {told}");
}

#[test]
fn refusals_name_the_field_and_what_it_may_hold() {
    for (pattern, why) in [
        ("", "the pattern has 0 fields; 5 are needed"),
        ("* * * *", "the pattern has 4 fields"),
        ("0 0 0 1 1 0 2030", "the pattern has 7 fields"),
        ("61 * * * *", "minute \"61\": number out of bounds; allowed are 0-59 with * , - /"),
        ("60 * * * * *", "second \"60\": number out of bounds"),
        ("* 24 * * *", "hour \"24\": number out of bounds; allowed are 0-23"),
        ("0 0 0 * *", "day of the month \"0\": number out of bounds; allowed are 1-31"),
        ("0 0 * FOO *", "month \"FOO\": \"FOO\" is no number and no name; allowed are 1-12 or JAN-DEC"),
        ("0 0 * * 8", "weekday \"8\": number out of bounds; allowed are 0-7 or SUN-SAT"),
        ("MON * * * *", "minute \"MON\": \"MON\" is no number and no name"),
        ("0 0 * MON *", "month \"MON\""),
        ("0 0 * * 1MON", "weekday \"1MON\""),
        ("0/5 * * * *", "minute \"0/5\": invalid step syntax"),
        ("*/0 * * * *", "minute \"*/0\": step cannot be zero"),
        ("*/90 * * * *", "a step of 90 is longer than the field"),
        ("5-1 * * * *", "minute \"5-1\": range out of bounds"),
        ("0 0 * * SAT-MON", "weekday \"SAT-MON\": range out of bounds"),
        ("1,,2 * * * *", "an entry of the list is empty"),
        ("*,5 * * * *", "minute \"*,5\": invalid number"),
        ("? * * * *", "minute \"?\": '?' has no meaning here"),
        ("0 0 * * 1+2", "'+' has no meaning here"),
        ("ſun * * * *", "'ſ' has no meaning here"),
        ("0 0 L-3 * *", "day of the month \"L-3\""),
        ("0 0 W * *", "\"W\" is no number and no name"),
        ("0 0 L,LW * *", "L and LW can't stand together"),
        ("0 0 * * L", "\"L\" is no number and no name"),
        ("0 0 * * MON#6", "weekday \"MON#6\": nth specifier out of bounds"),
        ("0 0 30 2 *", "no date fits the pattern"),
        ("0 0 31 4,6,9,11 *", "no date fits the pattern"),
        ("@reboot", "@reboot is no time"),
        ("@every 5m", "is no known name of a pattern; known are @hourly"),
        (&"1,".repeat(200), "the pattern has 400 characters; at most 256"),
    ] {
        refused(pattern, why);
    }
    refused("61 24 * * *", "minute \"61\"");
    refused("61 24 * * *", "hour \"24\"");
}

#[test]
fn a_pattern_without_a_next_time_has_none() {
    let pattern: CronPattern = "0 0 29 2 *".parse().unwrap();
    let next = |after| pattern.next_after(after, &ZoneName::default());
    assert_eq!(next(i64::MIN), Some(68_169_600_000));
    assert_eq!(next(LATEST_MS), None);
    assert_eq!(next(i64::MAX), None);
}

#[test]
fn milliseconds_count() {
    let pattern: CronPattern = "* * * * *".parse().unwrap();
    for (after, next) in [(-1, 0), (0, 60_000), (59_999, 60_000), (60_000, 120_000), (60_001, 120_000)] {
        assert_eq!(pattern.next_after(after, &ZoneName::default()), Some(next), "{after}");
    }
}
