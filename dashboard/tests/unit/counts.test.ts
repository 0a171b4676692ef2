import { expect, test } from 'vitest';
import type { Task } from '../../src/api/client';
import { recent, spread } from '../../src/model/counts';

test('percentiles are values that occurred', () => {
  expect(spread([])).toBeUndefined();
  expect(spread([7])).toEqual({ p50: 7, p95: 7, p99: 7 });
  expect(spread(Array.from({ length: 100 }, (_, i) => 100 - i))).toEqual({ p50: 50, p95: 95, p99: 99 });
});

const NOW = Date.parse('2026-01-01T12:00:00Z');
const at = (minutesAgo: number) => new Date(NOW - minutesAgo * 60_000).toISOString();
const task = (minutesAgo: number | null, state: string, waited = 10, ran = 20): Task =>
  ({
    state,
    created_at: at((minutesAgo ?? 0) + (waited + ran) / 60),
    started_at: minutesAgo === null ? null : at(minutesAgo + ran / 60),
    ended_at: minutesAgo === null ? null : at(minutesAgo),
  }) as unknown as Task;

test('what ended within the span, by its bars', () => {
  const tasks = [task(1, 'succeeded'), task(1, 'failed'), task(59, 'dead', 30), task(61, 'succeeded'), task(null, 'running')];
  const figures = recent(tasks, NOW, 3_600_000, 6);
  expect([figures.tasks, figures.succeeded, figures.failed]).toEqual([3, 1, 2]);
  expect(figures.ended.map((bar) => [bar.good, bar.bad])).toEqual([[0, 1], [0, 0], [0, 0], [0, 0], [0, 0], [1, 1]]);
  expect(figures.wait).toEqual({ p50: 10, p95: 30, p99: 30 });
  expect(figures.run?.p50).toBe(20);
});

test('waiting for its own time is no waiting', () => {
  const late = { ...task(1, 'succeeded', 600), run_at: at(1 + 25 / 60) } as Task;
  expect(recent([late], NOW, 3_600_000, 6).wait?.p50).toBe(5);
});
