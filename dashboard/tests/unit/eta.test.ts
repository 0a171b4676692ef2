import { describe, expect, test } from 'vitest';
import { Estimate, type Snapshot } from '../../src/model/eta';

const T0 = Date.parse('2026-01-01T00:00:00Z');
function snapshot(seconds: number, done: number, more: Partial<Snapshot> = {}): Snapshot {
  return { state: 'running', attempt: 1, total: 100, done, updated_at: new Date(T0 + seconds * 1000).toISOString(), ...more };
}

function check(seen: Snapshot[], atSecond: number, expected: number | undefined) {
  const estimate = new Estimate();
  for (const one of seen) estimate.see(one);
  const left = estimate.at(T0 + atSecond * 1000);
  if (expected === undefined) expect(left).toBeUndefined();
  else expect(left).toBeCloseTo(expected, 6);
}

describe('time left', () => {
  test('unknown before anything is known', () => check([], 0, undefined));
  test('unknown after one snapshot without an estimate', () => check([snapshot(0, 10)], 1, undefined));
  test('the service says', () => check([snapshot(0, 10, { eta_seconds: 60 })], 0, 60));
  test('and it counts down', () => check([snapshot(0, 10, { eta_seconds: 60 })], 20, 40));
  test('but never to the end', () => check([snapshot(0, 10, { eta_seconds: 5 })], 20, 1));
  test('an estimate of long ago is none', () => check([snapshot(0, 10, { eta_seconds: 5 })], 31, undefined));
  test('a long one holds for longer', () => check([snapshot(0, 10, { eta_seconds: 600 })], 500, 100));
  test('overnight nobody knows', () => check([snapshot(0, 10, { eta_seconds: 600 })], 8 * 3600, undefined));
  test('the own pace, of two snapshots', () => check([snapshot(0, 10), snapshot(10, 20)], 10, 80));
  test('it is smoothed', () => check([snapshot(0, 0), snapshot(10, 10), snapshot(20, 40)], 20, 60 / (0.3 * 3 + 0.7)));
  test('a stall is no division by 0', () => check([snapshot(0, 10), snapshot(10, 10)], 10, undefined));
  test('a new attempt begins anew', () => check([snapshot(0, 10), snapshot(10, 20), snapshot(20, 20, { attempt: 2 })], 20, undefined));
  test('fewer done than before as well', () => check([snapshot(0, 10), snapshot(10, 20), snapshot(20, 5)], 20, undefined));
  test('older snapshots change nothing', () => check([snapshot(10, 20, { eta_seconds: 30 }), snapshot(0, 10, { eta_seconds: 90 })], 10, 30));
  test('nothing is left of what has ended', () => check([snapshot(0, 10, { eta_seconds: 60, state: 'succeeded' })], 0, undefined));
  test('nor of what waits', () => check([snapshot(0, 10, { eta_seconds: 60, state: 'retrying' })], 0, undefined));
});
