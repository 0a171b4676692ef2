import { describe, expect, test } from 'vitest';
import { inWords, rangeBar, type Coverage } from '../../src/model/range_bar';

const HOUR = 3_600_000;
const at = (hour: number) => new Date(hour * HOUR).toISOString();
const span = (start: number, end: number) => ({ start: at(start), end: at(end) });

function check(coverage: Coverage, share: number | undefined, expected: string) {
  const bar = rangeBar('1h', { start: 0, end: 24 * HOUR }, coverage, share);
  const drawn = bar.segments.map((s) => `${s.part}${s.reason ? `(${s.reason})` : ''} ${s.start / HOUR}-${s.end / HOUR}:${s.buckets}`);
  expect(drawn.join(' ')).toBe(expected);
  const all = Object.values(bar.totals).reduce((a, b) => a + b, 0);
  expect(all, 'every bucket is one thing').toBe(24);
  expect(bar.segments.reduce((sum, s) => sum + s.buckets, 0)).toBe(24);
  return bar;
}

describe('range bar', () => {
  test('nothing stored', () => void check({ verified: [], gaps: [] }, undefined, 'missing 0-24:24'));
  test('all stored', () => void check({ verified: [span(-5, 90)], gaps: [] }, undefined, 'stored 0-24:24'));
  test('a settled gap cuts what is verified', () =>
    void check(
      { verified: [span(0, 24)], gaps: [{ ...span(4, 6), reason: 'outage' }] },
      undefined,
      'stored 0-4:4 absent(outage) 4-6:2 stored 6-24:18',
    ));
  test('a gap that is asked for again lies outside', () =>
    void check(
      { verified: [span(2, 10)], gaps: [{ ...span(20, 24), reason: 'unpublished' }, { ...span(0, 2), reason: 'before_listing' }] },
      undefined,
      'absent(before_listing) 0-2:2 stored 2-10:8 missing 10-20:10 absent(unpublished) 20-24:4',
    ));
  test('ranges that touch or overlap are one', () =>
    void check({ verified: [span(6, 9), span(0, 3), span(3, 6), span(2, 5)], gaps: [] }, undefined, 'stored 0-9:9 missing 9-24:15'));
  test('what a task has done beyond the ledger is under way', () =>
    void check({ verified: [span(0, 6)], gaps: [] }, 0.5, 'stored 0-6:6 running 6-12:6 missing 12-24:12'));
  test('it is spread over the first missing stretches', () =>
    void check(
      { verified: [span(2, 4), span(8, 10)], gaps: [] },
      0.5,
      'running 0-2:2 stored 2-4:2 running 4-8:4 stored 8-10:2 running 10-12:2 missing 12-24:12',
    ));
  test('a task that runs always has something under way', () =>
    void check({ verified: [span(0, 12)], gaps: [] }, 0.1, 'stored 0-12:12 running 12-13:1 missing 13-24:11'));
  test('a task at its end has nothing under way', () => void check({ verified: [span(0, 24)], gaps: [] }, 1, 'stored 0-24:24'));
  test('gaps that overlap are counted once', () =>
    void check(
      { verified: [], gaps: [{ ...span(0, 10), reason: 'outage' }, { ...span(5, 12), reason: 'halted' }] },
      undefined,
      'absent(outage) 0-10:10 absent(halted) 10-12:2 missing 12-24:12',
    ));
  test('in words', () => {
    const bar = check(
      { verified: [span(0, 20)], gaps: [{ ...span(4, 6), reason: 'before_listing' }] },
      undefined,
      'stored 0-4:4 absent(before_listing) 4-6:2 stored 6-20:14 missing 20-24:4',
    );
    expect(inWords(bar, String)).toBe('18 of 24 buckets stored, 4 missing, 2 absent (before listing)');
  });
  test('months and weeks have grids of their own', () => {
    const year = { start: Date.UTC(2020, 0), end: Date.UTC(2021, 0) };
    const months = rangeBar('1M', year, { verified: [{ start: '2020-01-01T00:00:00Z', end: '2020-03-01T00:00:00Z' }], gaps: [] }, 0.5);
    expect(months.totals).toEqual({ stored: 2, running: 4, missing: 6, absent: 0 });
    expect(new Date(months.segments[1]!.end).toISOString()).toBe('2020-07-01T00:00:00.000Z');
    expect(rangeBar('1w', year, { verified: [], gaps: [] }).totals.missing).toBe(52);
    expect(rangeBar('3d', year, { verified: [], gaps: [] }).totals.missing).toBe(122);
  });
});
