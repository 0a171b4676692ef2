use super::*;
use crate::schedule::When;
use proptest::prelude::*;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Some years after 1970, so that nothing is clamped.
const BASE: i64 = 20_000 * DAY;

fn every(seconds: u64, jitter_seconds: u32, delay_seconds: u32) -> Timing {
    let when = When::Every { every_seconds: seconds, anchor: BASE };
    Timing { jitter_seconds, delay_seconds, ..when.into() }
}

/// What is expected, in minutes after [`BASE`]: missed as first, last, count and whether there may be more; fires; until; next due.
type Expected<'a> = (Option<(i64, i64, u64, bool)>, &'a [i64], i64, Option<i64>);

fn check(name: &str, timing: &Timing, misfire: Misfire, until: i64, now_ms: i64, expected: Expected<'_>) {
    let plan = plan(timing, misfire, "schedule", BASE + until * MINUTE, BASE + now_ms);
    let minutes = |at: i64| (at - BASE) / MINUTE;
    let missed = plan.missed.map(|missed| (minutes(missed.first), minutes(missed.last), missed.count, missed.at_least));
    let fires: Vec<_> = plan.fires.iter().map(|due| minutes(*due)).collect();
    let found = (missed, fires.as_slice(), minutes(plan.fired_until), plan.next_due.map(minutes));
    assert_eq!(found, expected, "{name}");
    assert_eq!(plan.next_fire_at, plan.next_due.map(|due| timing.fire_at("schedule", due)), "{name}");
}

#[test]
fn rules() {
    use Misfire::{All, Once, Skip};
    let hourly = every(3_600, 0, 10);
    let all = [Skip, Once, All];
    for misfire in all {
        check("nothing yet", &hourly, misfire, 0, HOUR + 9_999, (None, &[], 0, Some(60)));
        check("on time", &hourly, misfire, 0, HOUR + 10_000, (None, &[60], 60, Some(120)));
        check("just on time", &hourly, misfire, 0, HOUR + 70_000, (None, &[60], 60, Some(120)));
        check("once only", &hourly, misfire, 60, HOUR + 70_000, (None, &[], 60, Some(120)));
        check("a clock that fell back", &hourly, misfire, 600, HOUR, (None, &[], 600, Some(660)));
    }
    let late = 3 * HOUR + 70_001;
    check("late", &hourly, Skip, 0, late, (Some((60, 180, 3, false)), &[], 180, Some(240)));
    check("late", &hourly, Once, 0, late, (Some((60, 120, 2, false)), &[180], 180, Some(240)));
    check("late", &hourly, All, 0, late, (None, &[60, 120, 180], 180, Some(240)));
    let on_time = 3 * HOUR + 10_000;
    check("late and on time", &hourly, Skip, 0, on_time, (Some((60, 120, 2, false)), &[180], 180, Some(240)));
    check("late and on time", &hourly, Once, 0, on_time, (Some((60, 120, 2, false)), &[180], 180, Some(240)));
    check("late and on time", &hourly, All, 0, on_time, (None, &[60, 120, 180], 180, Some(240)));

    let edge = DAY + HOUR + 10_000;
    let fires: Vec<_> = (1..=25).map(|hour| hour * 60).collect();
    check("as old as the window", &hourly, All, 0, edge, (None, &fires, 1_500, Some(1_560)));
    check("older", &hourly, All, 0, edge + 1, (Some((60, 60, 1, false)), &fires[1..], 1_500, Some(1_560)));
    let minutely = every(60, 0, 0);
    let fires: Vec<_> = (1_339..=1_440).collect();
    let expected = (Some((1, 1_338, 1_338, false)), &fires[..], 1_440, Some(1_441));
    check("no more than are made up for", &minutely, All, 0, DAY, expected);

    let monthly = every(30 * 86_400, 0, 0);
    let (month, year) = (30 * 1_440, 360 * DAY + 2 * DAY);
    let missed = Some((month, 12 * month, 12, false));
    check("a year away", &monthly, Once, 0, year, (missed, &[], 12 * month, Some(13 * month)));
    let now = 30 * DAY + MINUTE + 1;
    let missed = Some((1, 30 * 1_440, 1_000 + 1_439, true));
    check("a month away", &minutely, Skip, 0, now, (missed, &[30 * 1_440 + 1], 30 * 1_440 + 1, Some(30 * 1_440 + 2)));

    let ended = Timing { end_at: Some(BASE + 2 * HOUR), ..every(3_600, 0, 0) };
    check("ended", &ended, Once, 0, DAY, (None, &[60], 60, None));
    check("ended long ago", &ended, Once, 0, 40 * DAY, (Some((60, 60, 1, false)), &[], 60, None));
    check("nothing after the end", &ended, Once, 60, DAY, (None, &[], 60, None));
}

#[test]
fn each_second_of_days_is_bounded() {
    let pattern = When::Cron { cron: "* * * * * *".parse().unwrap(), time_zone: "Europe/Berlin".parse().unwrap() };
    let timing = Timing { jitter_seconds: 3_600, delay_seconds: 0, ..pattern.into() };
    let plan = plan(&timing, Misfire::All, "schedule", 0, BASE);
    let missed = plan.missed.unwrap();
    assert!(missed.at_least && missed.first == 1_000 && plan.fires.len() >= MAX_MADE_UP);
    assert!((80_000..91_001).contains(&missed.count), "{}", missed.count);
}

fn misfires() -> impl Strategy<Value = Misfire> {
    prop_oneof![Just(Misfire::Skip), Just(Misfire::Once), Just(Misfire::All)]
}

proptest! {
    #[test]
    fn every_due_instant_is_decided_once_and_in_order(
        misfire in misfires(),
        seconds in 30u64..20_000,
        jitter in 0u32..=3_600,
        delay in 0u32..=7_200,
        until in 0..2 * DAY,
        now in 0..4 * DAY,
    ) {
        let timing = every(seconds, jitter, delay);
        let (until, now) = (BASE + until, BASE + now);
        let plan = plan(&timing, misfire, "schedule", until, now);
        prop_assert!(plan.fired_until >= until);
        let decided = std::iter::successors(timing.next_after(until), |due| timing.next_after(*due))
            .take_while(|due| *due <= plan.fired_until)
            .collect::<Vec<_>>();
        prop_assert!(plan.fires.is_sorted());
        prop_assert!(plan.fires.iter().all(|due| decided.contains(due)));
        let missed = plan.missed.map_or(0, |missed| missed.count);
        let whole = usize::try_from(missed).unwrap() + plan.fires.len();
        prop_assert!(whole == decided.len() || plan.missed.is_some_and(|missed| missed.at_least) && whole < decided.len());
        prop_assert!(decided.iter().all(|due| timing.fire_at("schedule", *due) <= now));
        prop_assert_eq!(plan.next_due, timing.next_after(plan.fired_until));
        prop_assert!(plan.next_fire_at.is_some_and(|at| at > now));
        let again = super::plan(&timing, misfire, "schedule", plan.fired_until, now);
        prop_assert!(again.fires.is_empty() && again.missed.is_none());
    }

    /// Looking whenever the plan says so fires each due instant once, whatever jitter does to their order.
    #[test]
    fn who_looks_in_time_misses_nothing(misfire in misfires(), seconds in 30u64..20_000, jitter in 0u32..=3_600) {
        let timing = every(seconds, jitter, 0);
        let (mut until, mut now, mut fires) = (BASE, BASE, Vec::new());
        for _ in 0..20 {
            let plan = super::plan(&timing, misfire, "schedule", until, now);
            prop_assert_eq!(plan.missed, None);
            fires.extend(plan.fires);
            until = plan.fired_until;
            now = plan.next_fire_at.unwrap();
        }
        let all: Vec<_> = std::iter::successors(timing.next_after(BASE), |due| timing.next_after(*due)).take(fires.len()).collect();
        prop_assert_eq!(fires, all);
    }
}
