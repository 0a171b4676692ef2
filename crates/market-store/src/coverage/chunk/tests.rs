//! Whatever is observed, reopened and adopted in whatever order, the rules of a chunk hold.

use super::*;
use candlemill_shared::coverage::GapReason::{self, BeforeListing, FetchFailed, Halted, Outage, Unpublished};
use proptest::prelude::*;
use std::collections::BTreeSet;

const M: i64 = 60_000;
const HOUR: i64 = 3_600_000;

fn minutes(start: i64, end: i64) -> TimeRange {
    TimeRange::new(start * M, end * M)
}

fn gap(start: i64, end: i64, reason: GapReason) -> Gap {
    Gap::new(Interval::Minute1, minutes(start, end), reason)
}

fn look(start: i64, end: i64, gaps: Vec<Gap>) -> Observation {
    Observation { range: minutes(start, end), gaps }
}

/// Verified ranges, and gaps; in minutes.
type Told = (Vec<(i64, i64)>, Vec<(i64, i64, GapReason)>);

fn told(chunk: &Chunk) -> Told {
    let minute = |range: &TimeRange| (range.start / M, range.end / M);
    let verified = chunk.verified.iter().map(minute).collect();
    (verified, chunk.gaps.iter().map(|gap| (gap.range.start / M, gap.range.end / M, gap.reason)).collect())
}

fn after(looks: &[Observation]) -> Chunk {
    let mut chunk = Chunk::default();
    for (at, look) in looks.iter().enumerate() {
        chunk.observe(Interval::Minute1, look, i64::try_from(at).unwrap());
    }
    chunk
}

fn check(name: &str, looks: &[Observation], verified: &[(i64, i64)], gaps: &[(i64, i64, GapReason)]) {
    assert_eq!(told(&after(looks)), (verified.to_vec(), gaps.to_vec()), "{name}");
}

#[test]
fn looks_at_one_outage_from_different_starts_add_up() {
    let outage = || gap(10, 20, Outage);
    check("one", &[look(0, 30, vec![outage()])], &[(0, 30)], &[(10, 20, Outage)]);
    let later = look(12, 30, vec![gap(12, 20, Outage)]);
    let earlier = look(0, 15, vec![gap(10, 15, Outage)]);
    check(
        "two",
        &[earlier.clone(), later.clone()],
        &[(0, 30)],
        &[(10, 12, Outage), (12, 15, Outage), (15, 20, Outage)],
    );
    check(
        "the other way round",
        &[later, earlier],
        &[(0, 30)],
        &[(10, 12, Outage), (12, 15, Outage), (15, 20, Outage)],
    );
}

#[test]
fn candles_from_the_middle_of_a_gap_leave_it() {
    let unpublished = look(0, 10, vec![gap(0, 10, Unpublished)]);
    check("unpublished", std::slice::from_ref(&unpublished), &[], &[(0, 10, Unpublished)]);
    check("five came", &[unpublished, look(5, 10, Vec::new())], &[(5, 10)], &[(0, 5, Unpublished)]);
}

#[test]
fn an_absence_never_replaces_a_presence() {
    let stored = look(0, 10, Vec::new());
    check("outage", &[stored.clone(), look(0, 10, vec![gap(2, 4, Outage)])], &[(0, 10)], &[]);
    check("bad row", &[stored.clone(), look(0, 10, vec![gap(2, 4, FetchFailed)])], &[(0, 10)], &[]);
    check("beyond it", &[stored, look(5, 15, vec![gap(5, 15, Halted)])], &[(0, 15)], &[(10, 15, Halted)]);
    let settled = look(0, 10, vec![gap(0, 10, BeforeListing)]);
    check(
        "a newer absence may be less final",
        &[settled, look(0, 10, vec![gap(0, 10, Unpublished)])],
        &[],
        &[(0, 10, Unpublished)],
    );
}

#[test]
fn an_absence_is_confirmed_by_a_later_look_and_keeps_its_first_time() {
    let mut chunk = Chunk::default();
    let seen = look(0, 10, vec![gap(4, 6, Outage)]);
    let times = |chunk: &Chunk| {
        chunk.gaps.iter().map(|gap| (gap.seen_at, gap.confirmed_at, gap.is_confirmed())).collect::<Vec<_>>()
    };
    chunk.observe(Interval::Minute1, &seen, 1_000);
    assert_eq!((times(&chunk), chunk.recheck_at()), (vec![(Some(1_000), Some(1_000), false)], Some(1_000 + HOUR)));
    chunk.observe(Interval::Minute1, &seen, 1_000 + HOUR);
    assert_eq!(
        (times(&chunk), chunk.recheck_at()),
        (vec![(Some(1_000), Some(1_000 + HOUR), true)], Some(1_000 + 24 * HOUR))
    );
    chunk.observe(Interval::Minute1, &look(0, 10, vec![gap(4, 7, Outage)]), 1_000 + 24 * HOUR);
    assert_eq!(chunk.gaps.len(), 1, "bucket 6 is stored: {:?}", chunk.gaps);
    chunk.observe(Interval::Minute1, &seen, 1_000 + 30 * 24 * HOUR);
    assert_eq!(chunk.recheck_at(), None);
}

#[test]
fn what_earlier_versions_knew_is_adopted_and_asked_again() {
    let mut chunk = after(&[look(20, 30, vec![gap(25, 27, Outage)])]);
    chunk.audited_at = 5;
    chunk.adopt(
        Interval::Minute1,
        &[minutes(0, 24), minutes(40, 50)],
        &[
            gap(5, 10, Outage),
            gap(7, 9, BeforeListing),
            gap(22, 26, Outage),
            gap(30, 32, Unpublished),
            gap(60, 61, Outage),
        ],
    );
    let expected = vec![(5, 10, Outage), (25, 27, Outage), (30, 32, Unpublished)];
    assert_eq!(told(&chunk), (vec![(0, 30), (40, 50)], expected));
    assert_eq!((chunk.audited_at, chunk.recheck_at()), (0, Some(0)));
}

#[derive(Debug, Clone)]
enum Step {
    /// A look at a range; the minutes of it that the exchange lacks; how final that is.
    Look(i64, i64, BTreeSet<i64>, GapReason),
    Reopen(i64, i64),
    Adopt(i64, i64, i64, i64),
}

fn step() -> impl Strategy<Value = Step> {
    let reason = prop::sample::select(vec![Outage, BeforeListing, Halted, Unpublished, FetchFailed]);
    prop_oneof![
        4 => (0i64..60, 1i64..30, prop::collection::btree_set(0i64..90, 0..12), reason)
            .prop_map(|(start, length, absent, reason)| Step::Look(start, start + length, absent, reason)),
        1 => (0i64..60, 1i64..10).prop_map(|(start, length)| Step::Reopen(start, start + length)),
        1 => (0i64..60, 1i64..30, 0i64..60, 1i64..10).prop_map(|(a, b, c, d)| Step::Adopt(a, a + b, c, c + d)),
    ]
}

proptest! {
    #[test]
    fn the_rules_hold_whatever_happens(steps in prop::collection::vec(step(), 0..12)) {
        let mut chunk = Chunk::default();
        // Minutes that somebody stored.
        let mut stored: BTreeSet<i64> = BTreeSet::new();
        for (at, step) in steps.into_iter().enumerate() {
            let at = i64::try_from(at).unwrap() * HOUR;
            match step {
                Step::Look(start, end, absent, reason) => {
                    let lacking: Vec<i64> = (start..end).filter(|minute| absent.contains(minute)).collect();
                    stored.extend((start..end).filter(|minute| !absent.contains(minute)));
                    let gaps = lacking.iter().map(|minute| gap(*minute, minute + 1, reason)).collect();
                    chunk.observe(Interval::Minute1, &look(start, end, gaps), at);
                    for minute in start..end {
                        let known = chunk.present(minutes(minute, minute + 1));
                        let gaps = chunk.gaps.iter().filter(|gap| gap.range.contains(minute * M)).count();
                        prop_assert_eq!(known.len() + gaps, 1, "minute {} has a candle or a reason", minute);
                    }
                }
                Step::Reopen(start, end) => {
                    chunk.reopen(Interval::Minute1, &[minutes(start, end)]);
                    prop_assert!(chunk.present(minutes(start, end)).is_empty());
                }
                Step::Adopt(start, end, from, to) => {
                    let before: Vec<TimeRange> = chunk.verified.clone();
                    chunk.adopt(Interval::Minute1, &[minutes(start, end)], &[gap(from, to, Outage)]);
                    prop_assert!(before.iter().all(|range| subtract(*range, &chunk.verified).is_empty()));
                    // What was adopted may be wrong: the audit is for that.
                    stored.extend(start..end);
                }
            }
            prop_assert!(chunk.verified.windows(2).all(|pair| pair[0].end < pair[1].start));
            prop_assert!(chunk.gaps.windows(2).all(|pair| pair[0].range.end <= pair[1].range.start));
            for gap in &chunk.gaps {
                let outside = subtract(gap.range, &chunk.verified);
                prop_assert!(if gap.reason.is_settled() { outside.is_empty() } else { outside == [gap.range] }, "{:?}", gap);
                prop_assert_eq!(gap.buckets, Interval::Minute1.count(gap.range));
            }
            for minute in 0..100 {
                let present = !chunk.present(minutes(minute, minute + 1)).is_empty();
                prop_assert!(!present || stored.contains(&minute), "minute {} was never stored", minute);
            }
        }
    }
}
