/**
 * How long a task still takes, between two snapshots of it.
 *
 * 1. The service's own estimate counts down from the moment of its snapshot.
 * 2. Where it gives none, the pace between the snapshots that this page saw does, smoothed, after two of them.
 * 3. A new attempt, or fewer done than before, begins anew.
 * 4. An estimate that nothing has confirmed for three times its length (at least 30 s) is none: the truth is that nobody knows.
 */
import type { Progress } from '../api/client';

export type Snapshot = Pick<Progress, 'attempt' | 'state' | 'updated_at'> & {
  done?: number;
  total?: number;
  eta_seconds?: number | null;
};

/** Weight of the newest pace. */
const SMOOTHING = 0.3;
const STALE_SECONDS = 30;

export class Estimate {
  #last: Snapshot | undefined;
  /** Units per second. */
  #pace: number | undefined;

  /** Takes a snapshot in. Older ones and repetitions change nothing. */
  see(snapshot: Snapshot): void {
    const last = this.#last;
    const at = Date.parse(snapshot.updated_at);
    if (last !== undefined && at < Date.parse(last.updated_at)) return;
    const [done, before] = [snapshot.done ?? 0, last?.done ?? 0];
    if (last === undefined || snapshot.attempt !== last.attempt || done < before) {
      this.#pace = undefined;
    } else {
      const seconds = (at - Date.parse(last.updated_at)) / 1000;
      if (seconds > 0) {
        const pace = (done - before) / seconds;
        this.#pace = this.#pace === undefined ? pace : SMOOTHING * pace + (1 - SMOOTHING) * this.#pace;
      }
    }
    this.#last = snapshot;
  }

  /** Seconds left at `now` (UTC ms); undefined while unknown. */
  at(now: number): number | undefined {
    const last = this.#last;
    if (last === undefined || last.state !== 'running') return undefined;
    const since = Math.max(0, (now - Date.parse(last.updated_at)) / 1000);
    const estimate = last.eta_seconds ?? this.#own(last);
    if (estimate === undefined || !Number.isFinite(estimate)) return undefined;
    if (since > Math.max(3 * estimate, STALE_SECONDS)) return undefined;
    // Never 0 before the end: what is late is about to be done.
    return Math.max(estimate - since, 1);
  }

  #own(last: Snapshot): number | undefined {
    const [done, total] = [last.done ?? 0, last.total ?? 0];
    if (this.#pace === undefined || this.#pace <= 0 || total <= done) return undefined;
    return (total - done) / this.#pace;
  }
}
