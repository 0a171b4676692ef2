/** What a task is about, and what may be done with it. */
import { INTERVALS, type Interval, type Task, type TaskState } from '../api/client';
import { bucket, plural } from '../format';

export const STATES: readonly TaskState[] = ['queued', 'running', 'retrying', 'succeeded', 'failed', 'cancelled', 'dead'];
export const UNFINISHED: ReadonlySet<TaskState> = new Set<TaskState>(['queued', 'running', 'retrying']);

export const KINDS: Readonly<Record<string, string>> = {
  fetch_history: 'backfill',
  fetch_batch: 'batch',
  seasonality_study: 'study',
};

export interface Subject {
  symbol?: string;
  interval?: Interval;
  start?: string;
  end?: string;
  /** In a few words. */
  words: string;
}

const text = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined);

/** What a request is about. It is read with care: kinds of later versions look otherwise. */
export function subjectOf(kind: string, request: unknown): Subject {
  const given = (typeof request === 'object' && request !== null ? request : {}) as Record<string, unknown>;
  const symbol = text(given['symbol']);
  const interval = INTERVALS.find((one) => one === given['interval']);
  const start = text(given['start']);
  const end = text(given['end']);
  if (symbol !== undefined && interval !== undefined) {
    const verify = given['mode'] === 'verify' ? 'verify ' : '';
    const subject: Subject = { symbol, interval, words: `${verify}${symbol} ${interval}` };
    if (start !== undefined) subject.start = start;
    if (end !== undefined) subject.end = end;
    return subject;
  }
  if (typeof given['fetches'] === 'number') {
    const first = Array.isArray(given['first_symbols']) ? given['first_symbols'].map(String) : [];
    const more = given['fetches'] > first.length ? '…' : '';
    return { words: `${plural(given['fetches'], 'fetch', 'fetches')}: ${first.slice(0, 4).join(', ')}${more}` };
  }
  return { words: KINDS[kind] ?? kind.replaceAll('_', ' ') };
}

export function rangeWords(subject: Subject): string {
  if (subject.start === undefined && subject.end === undefined) return '';
  const start = subject.start === undefined ? 'the beginning' : subject.start === 'listing' ? 'listing' : bucket(subject.start);
  return `${start} to ${subject.end === undefined ? 'now' : bucket(subject.end)}`;
}

export const canCancel = (task: Pick<Task, 'state' | 'cancel_requested'>): boolean =>
  UNFINISHED.has(task.state) && !task.cancel_requested;
export const canReplay = (task: Pick<Task, 'state' | 'discarded'>): boolean =>
  (task.state === 'dead' || task.state === 'failed') && !task.discarded;
export const canDiscard = (task: Pick<Task, 'state' | 'discarded'>): boolean => task.state === 'dead' && !task.discarded;
export const canRunAgain = (task: Pick<Task, 'state' | 'kind'>): boolean =>
  !UNFINISHED.has(task.state) && (task.kind === 'fetch_history' || task.kind === 'seasonality_study');
