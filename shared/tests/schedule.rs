//! Cron patterns in many zones, against what another program computed: see `golden/schedule.py`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use candlemill_shared::Timestamp;
use candlemill_shared::schedule::{Timing, When};
use candlemill_shared::time_zone::DATABASE_VERSION;
use serde::Deserialize;
use sha2::{Digest, Sha256};

#[derive(Deserialize)]
struct Golden {
    by: By,
    zones: Vec<Zone>,
}

#[derive(Deserialize)]
struct By {
    tzdata: String,
}

/// Times are UTC seconds.
#[derive(Deserialize)]
struct Zone {
    zone: String,
    start: i64,
    end: i64,
    changes: Vec<i64>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    pattern: String,
    count: usize,
    sha256: String,
    #[serde(default)]
    around: Vec<String>,
}

const DAY: i64 = 86_400;

/// Patterns that are due more often than this in five years are walked in full in a few zones only: it takes seconds each. Around
/// changes of the clock they are compared in all zones.
const DENSE: usize = 100_000;
const IN_FULL: [&str; 2] = ["Australia/Lord_Howe", "America/Sao_Paulo"];

fn due(timing: &Timing, start: i64, end: i64) -> Vec<i64> {
    std::iter::successors(timing.next_after(start * 1_000), |due| timing.next_after(*due))
        .map(|due| due / 1_000)
        .take_while(|due| *due < end)
        .collect()
}

/// The instants that a line of `around` tells.
fn told(line: &str) -> Vec<i64> {
    let mut parts = line.split(' ').filter(|part| !part.is_empty());
    let Some(first) = parts.next() else { return Vec::new() };
    let mut instants = vec![first.parse::<Timestamp>().unwrap().ms() / 1_000];
    for part in parts {
        let (gap, count) = part.split_once('*').unwrap_or((part, "1"));
        for _ in 0..count.parse().unwrap() {
            instants.push(instants.last().unwrap() + gap.parse::<i64>().unwrap());
        }
    }
    instants
}

fn check(zone: &Zone, case: &Case) {
    let name = format!("{} in {}", case.pattern, zone.zone);
    let when = When::Cron { cron: case.pattern.parse().unwrap(), time_zone: zone.zone.parse().unwrap() };
    let timing = Timing::from(when);
    for (change, line) in zone.changes.iter().zip(&case.around) {
        assert_eq!(due(&timing, change - DAY, change + DAY), told(line), "{name}, around {change}");
    }
    if case.count > DENSE && !IN_FULL.contains(&zone.zone.as_str()) {
        return;
    }
    let found = due(&timing, zone.start, zone.end);
    assert_eq!(found.len(), case.count, "{name}");
    let text: Vec<_> = found.iter().map(i64::to_string).collect();
    assert_eq!(hex::encode(Sha256::digest(text.join("\n"))), case.sha256, "{name}");
}

#[test]
fn five_years_in_ten_zones() {
    let golden: Golden = serde_json::from_str(include_str!("golden/schedule.json")).unwrap();
    assert_eq!(golden.by.tzdata, DATABASE_VERSION);
    std::thread::scope(|scope| {
        for zone in &golden.zones {
            scope.spawn(|| zone.cases.iter().for_each(|case| check(zone, case)));
        }
    });
    let around: usize = golden.zones.iter().map(|zone| zone.changes.len()).sum();
    assert_eq!((golden.zones.len(), around), (10, 74));
}
