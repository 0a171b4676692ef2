/**
 * The range bar: what of a range is stored, under way, missing, or absent at the exchange, and why.
 *
 * 1. Verified ranges less the gaps are stored: every bucket there has a candle.
 * 2. A gap is absent, with its reason, whether it lies inside of a verified range (settled) or outside (asked for again).
 * 3. What a running task has done beyond that is under way: the ledger records a stretch after its candles.
 * 4. All the rest is missing.
 */
import type { Gap, Interval, Schemas } from '../api/client';
import { advance, bucketsWithin } from './interval';

export type Part = 'stored' | 'running' | 'missing' | 'absent';

export interface Segment {
  part: Part;
  /** UTC ms. */
  start: number;
  end: number;
  buckets: number;
  reason?: Gap['reason'];
}

export interface RangeBar {
  start: number;
  end: number;
  segments: Segment[];
  totals: Record<Part, number>;
  reasons: Partial<Record<Gap['reason'], number>>;
}

interface Span {
  start: number;
  end: number;
}

export interface Coverage {
  verified: readonly Pick<Schemas['VerifiedRange'], 'start' | 'end'>[];
  gaps: readonly Pick<Gap, 'start' | 'end' | 'reason'>[];
}

const ms = (time: string): number => Date.parse(time);

/** `share` is the part of the range that a running task says it has done, 0 to 1; undefined when nothing runs. */
export function rangeBar(interval: Interval, range: Span, coverage: Coverage, share?: number): RangeBar {
  const { start, end } = range;
  const inside = (from: string, to: string): Span => ({ start: Math.max(ms(from), start), end: Math.min(ms(to), end) });
  const verified = joined(coverage.verified.map((one) => inside(one.start, one.end)).filter(holds));
  const gaps = coverage.gaps
    .map((gap) => ({ ...inside(gap.start, gap.end), reason: gap.reason }))
    .filter(holds)
    .sort((a, b) => a.start - b.start);
  const segments: Segment[] = [];
  const add = (part: Part, from: number, to: number, reason?: Gap['reason']) => {
    const buckets = bucketsWithin(interval, from, to);
    if (buckets === 0) return;
    const last = segments.at(-1);
    if (last !== undefined && last.part === part && last.reason === reason && last.end >= from) {
      last.end = to;
      last.buckets += buckets;
      return;
    }
    segments.push(reason === undefined ? { part, start: from, end: to, buckets } : { part, start: from, end: to, buckets, reason });
  };
  // Between two gaps there is what is verified, and what is not.
  const between = (from: number, to: number) => {
    let at = from;
    for (const one of verified) {
      if (one.end <= at || one.start >= to) continue;
      if (one.start > at) add('missing', at, one.start);
      const upTo = Math.min(one.end, to);
      add('stored', Math.max(one.start, at), upTo);
      at = upTo;
    }
    if (at < to) add('missing', at, to);
  };
  let at = start;
  for (const gap of gaps) {
    const from = Math.max(gap.start, at);
    if (from > at) between(at, from);
    if (gap.end > from) add('absent', from, gap.end, gap.reason);
    at = Math.max(at, gap.end);
  }
  if (at < end) between(at, end);

  const bar: RangeBar = { start, end, segments, totals: { stored: 0, running: 0, missing: 0, absent: 0 }, reasons: {} };
  if (share !== undefined) underWay(interval, bar, share);
  for (const segment of bar.segments) {
    bar.totals[segment.part] += segment.buckets;
    if (segment.reason !== undefined) bar.reasons[segment.reason] = (bar.reasons[segment.reason] ?? 0) + segment.buckets;
  }
  return bar;
}

/** Rule 3: so many of the first missing buckets that all that is not missing is `share` of the whole. */
function underWay(interval: Interval, bar: RangeBar, share: number): void {
  const all = bar.segments.reduce((sum, segment) => sum + segment.buckets, 0);
  const known = bar.segments.reduce((sum, segment) => sum + (segment.part === 'missing' ? 0 : segment.buckets), 0);
  let left = Math.round(Math.min(Math.max(share, 0), 1) * all) - known;
  // Something is always under way in a task that runs and is not at its end.
  if (left <= 0 && known < all) left = 1;
  const segments: Segment[] = [];
  for (const segment of bar.segments) {
    if (segment.part !== 'missing' || left <= 0) {
      segments.push(segment);
    } else if (segment.buckets <= left) {
      left -= segment.buckets;
      segments.push({ ...segment, part: 'running' });
    } else {
      const cut = advance(interval, segment.start, left);
      segments.push({ ...segment, part: 'running', end: cut, buckets: left });
      segments.push({ ...segment, start: cut, buckets: segment.buckets - left });
      left = 0;
    }
  }
  bar.segments = segments;
}

const holds = (span: Span): boolean => span.end > span.start;

function joined(spans: Span[]): Span[] {
  const sorted = spans.toSorted((a, b) => a.start - b.start);
  const all: Span[] = [];
  for (const span of sorted) {
    const last = all.at(-1);
    if (last !== undefined && span.start <= last.end) last.end = Math.max(last.end, span.end);
    else all.push({ ...span });
  }
  return all;
}

/** What the bar shows, as words: it is no picture for those who cannot see it. */
export function inWords(bar: RangeBar, figure: (n: number) => string): string {
  const { stored, running, missing, absent } = bar.totals;
  const all = stored + running + missing + absent;
  const parts = [`${figure(stored)} of ${figure(all)} buckets stored`];
  if (running > 0) parts.push(`${figure(running)} under way`);
  if (missing > 0) parts.push(`${figure(missing)} missing`);
  const reasons = Object.entries(bar.reasons).map(([reason, n]) => `${figure(n)} absent (${reason.replaceAll('_', ' ')})`);
  return [...parts, ...reasons].join(', ');
}
