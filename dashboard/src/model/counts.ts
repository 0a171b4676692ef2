/** Figures over the newest tasks that have ended. */
import type { Task, TaskState } from '../api/client';

export interface Spread {
  p50: number;
  p95: number;
  p99: number;
}

/** Nearest-rank percentiles; none of no values. */
export function spread(values: readonly number[]): Spread | undefined {
  if (values.length === 0) return undefined;
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))] ?? 0;
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99) };
}

export interface Recent {
  /** Tasks that the figures are of. */
  tasks: number;
  wait: Spread | undefined;
  run: Spread | undefined;
  /** Ends by time, oldest first. */
  ended: { at: number; good: number; bad: number }[];
  succeeded: number;
  failed: number;
}

const BAD: ReadonlySet<TaskState> = new Set<TaskState>(['failed', 'dead']);

/** `span` ms before `now`, in so many bars. */
export function recent(tasks: readonly Task[], now: number, span: number, bars: number): Recent {
  const since = now - span;
  const waits: number[] = [];
  const runs: number[] = [];
  const ended = Array.from({ length: bars }, (_, i) => ({ at: since + (i * span) / bars, good: 0, bad: 0 }));
  const result: Recent = { tasks: 0, wait: undefined, run: undefined, ended, succeeded: 0, failed: 0 };
  for (const task of tasks) {
    const end = task.ended_at ? Date.parse(task.ended_at) : undefined;
    if (end === undefined || end < since || end > now + 60_000) continue;
    result.tasks++;
    const begin = task.started_at ? Date.parse(task.started_at) : undefined;
    if (begin !== undefined) {
      const due = Math.max(Date.parse(task.created_at), task.run_at ? Date.parse(task.run_at) : 0);
      waits.push(Math.max(0, begin - due) / 1000);
      runs.push(Math.max(0, end - begin) / 1000);
    }
    const bar = ended[Math.min(bars - 1, Math.floor(((end - since) / span) * bars))];
    const bad = BAD.has(task.state);
    if (bar) bar[bad ? 'bad' : 'good']++;
    if (bad) result.failed++;
    else if (task.state === 'succeeded') result.succeeded++;
  }
  result.wait = spread(waits);
  result.run = spread(runs);
  return result;
}
