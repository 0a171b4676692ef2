/** Grids of the exchange's intervals: how many buckets a range holds. */
import type { Interval } from '../api/client';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Length of a bucket, and where the grid stands; months have neither. */
const GRIDS: Record<Exclude<Interval, '1M'>, readonly [size: number, anchor: number]> = {
  '1s': [1000, 0],
  '1m': [MINUTE, 0],
  '3m': [3 * MINUTE, 0],
  '5m': [5 * MINUTE, 0],
  '15m': [15 * MINUTE, 0],
  '30m': [30 * MINUTE, 0],
  '1h': [HOUR, 0],
  '2h': [2 * HOUR, 0],
  '4h': [4 * HOUR, 0],
  '6h': [6 * HOUR, 0],
  '8h': [8 * HOUR, 0],
  '12h': [12 * HOUR, 0],
  '1d': [DAY, 0],
  '3d': [3 * DAY, 17_395 * DAY],
  // Weeks begin on Mondays; the first one of UTC was 1970-01-05.
  '1w': [7 * DAY, 4 * DAY],
};

const months = (at: number): number => {
  const date = new Date(at);
  const begun = date.getUTCFullYear() * 12 + date.getUTCMonth();
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth()) === at ? begun : begun + 1;
};

/** Number of the first bucket that opens at `at` or after it. */
function indexAtOrAfter(interval: Interval, at: number): number {
  if (interval === '1M') return months(at);
  const [size, anchor] = GRIDS[interval];
  return Math.ceil((at - anchor) / size);
}

/** Buckets that open within `start..end`, UTC ms. */
export function bucketsWithin(interval: Interval, start: number, end: number): number {
  return Math.max(0, indexAtOrAfter(interval, end) - indexAtOrAfter(interval, start));
}

/** Open time of the bucket that lies `steps` buckets after the first one at or after `at`. */
export function advance(interval: Interval, at: number, steps: number): number {
  if (interval === '1M') {
    const month = months(at) + steps;
    return Date.UTC(Math.floor(month / 12), month % 12);
  }
  const [size, anchor] = GRIDS[interval];
  return (indexAtOrAfter(interval, at) + steps) * size + anchor;
}

/** About how long a bucket is, ms. */
export function roughSize(interval: Interval): number {
  return interval === '1M' ? 30 * DAY : GRIDS[interval][0];
}
