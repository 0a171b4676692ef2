//! One chunk of the ledger: its document read, and what is wrong with it.

use candlemill_shared::range::subtract;
use candlemill_shared::{Interval, TimeRange};
use mongodb::bson::{Bson, Document};

/// Reasons that settle an absence: such gaps lie inside of the verified ranges.
const SETTLED: [&str; 3] = ["outage", "before_listing", "halted"];
/// Reasons after which the exchange is asked again: such gaps lie outside.
const OPEN: [&str; 2] = ["unpublished", "fetch_failed"];

/// Something wrong with a chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) range: TimeRange,
    pub(super) what: String,
}

/// What a chunk's document holds, in its order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Chunk {
    pub(super) verified: Vec<TimeRange>,
    pub(super) gaps: Vec<Gap>,
}

/// Absent buckets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Gap {
    pub(super) range: TimeRange,
    buckets: i64,
    reason: String,
}

impl Chunk {
    /// Reads a document, or says what about it cannot be read.
    pub(super) fn read(document: &Document) -> Result<Self, String> {
        if !matches!(document.get("rev"), Some(Bson::Int64(_))) {
            return Err(format!("rev is {:?}, not a 64-bit number", document.get("rev")));
        }
        let list = |name: &str| {
            let list = document.get_array(name).map_err(|error| format!("{name} is no list: {error}"))?;
            Ok::<_, String>(list.iter())
        };
        let verified = list("verified")?.map(|pair| {
            let pair = pair.as_array().filter(|pair| pair.len() == 2);
            let pair = pair.and_then(|pair| Some(TimeRange::new(number(&pair[0])?, number(&pair[1])?)));
            pair.ok_or_else(|| "a verified range is no pair of two times".to_owned())
        });
        let gaps = list("gaps")?.map(|gap| {
            let field = |name| gap.as_document().and_then(|gap| number(gap.get(name)?));
            let reason = gap.as_document().and_then(|gap| gap.get_str("reason").ok());
            match (field("start"), field("end"), field("buckets"), reason) {
                (Some(start), Some(end), Some(buckets), Some(reason)) => {
                    Ok(Gap { range: TimeRange::new(start, end), buckets, reason: reason.to_owned() })
                }
                _ => Err(format!("a gap lacks start, end, buckets or reason: {gap}")),
            }
        });
        Ok(Self { verified: verified.collect::<Result<_, _>>()?, gaps: gaps.collect::<Result<_, _>>()? })
    }

    /// All that is wrong. The chunk's times are `bounds`; `opens` are the open times of all candles that are stored for
    /// the whole buckets of `within`, ascending.
    pub(super) fn findings(
        &self,
        interval: Interval,
        bounds: TimeRange,
        within: TimeRange,
        opens: &[i64],
    ) -> Vec<Finding> {
        let mut findings = Findings(Vec::new());
        self.order(interval, bounds, &mut findings);
        self.contents(interval, within, opens, &mut findings);
        findings.0
    }

    /// Rule 1.
    fn order(&self, interval: Interval, bounds: TimeRange, findings: &mut Findings) {
        let ranges = self.verified.iter().map(|range| ("the verified range", *range));
        for (name, range) in ranges.chain(self.gaps.iter().map(|gap| ("the gap", gap.range))) {
            if range.is_empty() {
                findings.add(range, format!("{name} is empty"));
            }
            if interval.align(range) != range {
                findings.add(range, format!("{name} is off the grid of {interval}"));
            }
            if range.intersect(bounds) != range {
                findings.add(range, format!("{name} reaches out of its chunk, {bounds}"));
            }
        }
        for pair in self.verified.windows(2) {
            if pair[1].start <= pair[0].end {
                findings.add(pair[1], format!("the verified range is not apart from the one before, {}", pair[0]));
            }
        }
        for pair in self.gaps.windows(2) {
            if pair[1].range.start < pair[0].range.end {
                findings.add(pair[1].range, format!("the gap overlaps the one before, {}", pair[0].range));
            }
        }
        for Gap { range, buckets, reason } in &self.gaps {
            let counted = interval.count(*range);
            if u64::try_from(*buckets) != Ok(counted) {
                findings.add(*range, format!("the gap says {buckets} buckets and has {counted}"));
            }
            let inside: i64 = self.verified.iter().map(|verified| verified.intersect(*range).length()).sum();
            if SETTLED.contains(&reason.as_str()) {
                if inside < range.length() {
                    findings.add(*range, format!("the gap is settled ({reason}) and not verified"));
                }
            } else if OPEN.contains(&reason.as_str()) {
                if inside > 0 {
                    findings.add(*range, format!("the gap is not settled ({reason}) and verified"));
                }
            } else {
                findings.add(*range, format!("the gap has an unknown reason, {reason:?}"));
            }
        }
    }

    /// Rules 2 and 3.
    fn contents(&self, interval: Interval, within: TimeRange, opens: &[i64], findings: &mut Findings) {
        let mut buckets: Vec<i64> = opens.iter().map(|open| interval.bucket_start(*open)).collect();
        buckets.dedup();
        let part = |range: TimeRange| {
            let from = buckets.partition_point(|bucket| *bucket < range.start);
            let to = buckets.partition_point(|bucket| *bucket < range.end);
            buckets.get(from..to).unwrap_or_default()
        };
        for verified in &self.verified {
            let gaps: Vec<TimeRange> =
                self.gaps.iter().map(|gap| gap.range).filter(|gap| !gap.intersect(*verified).is_empty()).collect();
            for range in subtract(verified.intersect(within), &gaps) {
                let there = part(range);
                if there.len() as u64 == interval.count(range) {
                    continue;
                }
                let mut next = interval.bucket_at_or_after(range.start);
                for bucket in there.iter().copied().chain([range.end]) {
                    let missing = TimeRange::new(next, bucket);
                    if !missing.is_empty() {
                        let told = format!("{} verified buckets with neither candle nor gap", interval.count(missing));
                        findings.add(missing, told);
                    }
                    next = interval.next_bucket(bucket);
                }
            }
        }
        for gap in &self.gaps {
            let there = part(gap.range.intersect(within));
            if let (Some(first), Some(last)) = (there.first(), there.last()) {
                let range = TimeRange::new(*first, interval.next_bucket(*last));
                let told = format!("{} buckets with a candle in the gap {} ({})", there.len(), gap.range, gap.reason);
                findings.add(range, told);
            }
        }
    }
}

struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, range: TimeRange, what: String) {
        self.0.push(Finding { range, what });
    }
}

fn number(value: &Bson) -> Option<i64> {
    match value {
        Bson::Int64(number) => Some(*number),
        // What tests or an operator's shell wrote.
        Bson::Int32(number) => Some(i64::from(*number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mongodb::bson::{bson, doc};

    const MINUTE: i64 = 60_000;

    fn minutes(start: i64, end: i64) -> TimeRange {
        TimeRange::new(start * MINUTE, end * MINUTE)
    }

    /// Minutes that are verified, gaps, and minutes of candles; and a part of each finding, in their order.
    fn check(name: &str, verified: &[(i64, i64)], gaps: &[(i64, i64, &str)], candles: &[i64], expected: &[&str]) {
        let range = |(start, end): (i64, i64)| bson!([start * MINUTE, end * MINUTE]);
        let gap = |(start, end, reason): (i64, i64, &str)| bson!({ "start": start * MINUTE, "end": end * MINUTE, "buckets": end - start, "reason": reason, "seen_at": 1_i64 });
        let verified: Vec<Bson> = verified.iter().copied().map(range).collect();
        let gaps: Vec<Bson> = gaps.iter().copied().map(gap).collect();
        let chunk = Chunk::read(&doc! { "rev": 3_i64, "verified": verified, "gaps": gaps }).unwrap();
        let opens: Vec<i64> = candles.iter().map(|minute| minute * MINUTE).collect();
        told(name, &chunk.findings(Interval::Minute1, minutes(0, 100), minutes(0, 100), &opens), expected);
    }

    fn told(name: &str, findings: &[Finding], expected: &[&str]) {
        assert_eq!(findings.len(), expected.len(), "{name}: {findings:?}");
        for (finding, expected) in findings.iter().zip(expected) {
            assert!(finding.what.contains(expected), "{name}: {finding:?} should say {expected:?}");
        }
    }

    #[test]
    fn what_holds() {
        check("nothing", &[], &[], &[], &[]);
        check("candles alone", &[(0, 3)], &[], &[0, 1, 2], &[]);
        check("candles that are not verified yet", &[(0, 2)], &[], &[0, 1, 2, 7], &[]);
        check("candles and gaps", &[(0, 4), (6, 8)], &[(1, 3, "outage"), (6, 8, "halted")], &[0, 3], &[]);
        check("neighbouring gaps", &[(0, 4)], &[(0, 2, "before_listing"), (2, 4, "outage")], &[], &[]);
        check("open gaps beside", &[(0, 2)], &[(2, 3, "unpublished"), (5, 6, "fetch_failed")], &[0, 1], &[]);
    }

    #[test]
    fn disorder_is_found() {
        let all: Vec<i64> = (0..10).collect();
        check("touching", &[(0, 2), (2, 4)], &[], &all, &["not apart"]);
        check("overlapping", &[(0, 3), (2, 4)], &[], &all, &["not apart"]);
        check("descending", &[(4, 6), (0, 2)], &[], &all, &["not apart"]);
        check("empty", &[(0, 2), (5, 5)], &[], &all, &["is empty"]);
        check("upside down", &[(6, 5)], &[], &all, &["is empty"]);
        check("beyond the chunk", &[(98, 101)], &[], &[98, 99, 100], &["reaches out of its chunk"]);
        check("gaps overlap", &[(0, 9)], &[(0, 5, "outage"), (4, 9, "halted")], &[], &["overlaps the one before"]);
        check("gaps descend", &[(0, 4)], &[(2, 4, "outage"), (0, 2, "halted")], &[], &["overlaps the one before"]);
        check("settled outside", &[(0, 2)], &[(4, 5, "outage")], &[0, 1], &["(outage) and not verified"]);
        check("settled half outside", &[(0, 2)], &[(1, 3, "halted")], &[0], &["(halted) and not verified"]);
        check("open inside", &[(0, 3)], &[(2, 4, "fetch_failed")], &[0, 1], &["(fetch_failed) and verified"]);
        check("unknown reason", &[(0, 3)], &[(2, 3, "weather")], &[0, 1], &["unknown reason, \"weather\""]);
    }

    #[test]
    fn holes_are_found() {
        check("one bucket", &[(0, 4)], &[], &[0, 1, 3], &["1 verified buckets with neither"]);
        check("first and last", &[(0, 4)], &[], &[1, 2], &["1 verified", "1 verified"]);
        check("everything", &[(5, 25)], &[], &[], &["20 verified buckets"]);
        check("beside a gap", &[(0, 6)], &[(2, 4, "outage")], &[0, 1, 5], &["1 verified"]);
        check("in the second range", &[(0, 2), (4, 6)], &[], &[0, 1, 5], &["1 verified"]);
    }

    #[test]
    fn candles_in_gaps_are_found() {
        check("settled", &[(0, 5)], &[(1, 4, "outage")], &[0, 2, 4], &["1 buckets with a candle in the gap"]);
        check("open", &[(0, 1)], &[(1, 4, "unpublished")], &[0, 2, 3], &["2 buckets with a candle in the gap"]);
        let chunk = Chunk {
            verified: vec![minutes(0, 3)],
            gaps: vec![Gap { range: minutes(1, 2), buckets: 1, reason: "outage".to_owned() }],
        };
        // Off the grid it fills the bucket that it lies in; several share one.
        let findings = |opens: &[i64]| chunk.findings(Interval::Minute1, minutes(0, 100), minutes(0, 100), opens);
        told("off the grid", &findings(&[7, 2 * MINUTE + 1, 2 * MINUTE + 9]), &[]);
        told("off the grid in a gap", &findings(&[0, MINUTE + 5, 2 * MINUTE]), &["1 buckets with a candle"]);
    }

    #[test]
    fn wrong_counts_and_grids_are_found() {
        let chunk = Chunk {
            verified: vec![TimeRange::new(0, 90_000)],
            gaps: vec![Gap { range: minutes(0, 1), buckets: 2, reason: "outage".to_owned() }],
        };
        let findings = chunk.findings(Interval::Minute1, minutes(0, 100), minutes(0, 100), &[MINUTE]);
        told("odd", &findings, &["off the grid", "says 2 buckets and has 1"]);
    }

    #[test]
    fn only_what_is_asked_about_is_compared() {
        let chunk = Chunk { verified: vec![minutes(0, 10)], gaps: Vec::new() };
        let findings = chunk.findings(Interval::Minute1, minutes(0, 100), minutes(2, 4), &[2 * MINUTE, 3 * MINUTE]);
        told("within", &findings, &[]);
    }

    #[test]
    fn documents_of_another_form_are_named() {
        let bad = |document: Document, expected: &str| {
            let why = Chunk::read(&document).unwrap_err();
            assert!(why.contains(expected), "{why}");
        };
        bad(doc! { "verified": [], "gaps": [] }, "rev");
        bad(doc! { "rev": 1_i64, "gaps": [] }, "verified");
        bad(doc! { "rev": 1_i64, "verified": [[1_i64]], "gaps": [] }, "pair");
        bad(doc! { "rev": 1_i64, "verified": [], "gaps": [{ "start": 1_i64, "end": 2_i64 }] }, "a gap lacks");
    }
}
