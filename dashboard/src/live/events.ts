/**
 * What happens to the user's tasks, as it happens.
 *
 * One stream a browser: the tab that holds a lock of the browser listens, and passes on what it hears to the others. When it is
 * closed, the next one takes its place. A stream that breaks is opened again, after a moment that grows; where there is none, or no
 * place on one, the newest tasks are asked for every two seconds.
 */
import { effect, signal } from '@preact/signals';
import { createParser } from 'eventsource-parser';
import type { Task, TaskState } from '../api/client';
import { send } from '../api/client';
import { session } from '../session';

/** A snapshot of a task; of one that was only listed, the first members alone. */
export interface Change {
  task_id: string;
  state: TaskState;
  percent: number;
  updated_at: string;
  attempt: number;
  rate?: number;
  done?: number;
  total?: number;
}

type Listener = (changes: readonly Change[]) => void;

export type Link = 'connecting' | 'live' | 'polling' | 'away';
export const link = signal<Link>('connecting');
/** UTC ms of the last sign of life. */
export const heardAt = signal<number>(0);

const listeners = new Set<Listener>();

/** Calls `listener` with what changed; the answer ends that. */
export function onChange(listener: Listener): () => void {
  listeners.add(listener);
  return () => void listeners.delete(listener);
}

const POLL_MS = 2_000;
const LONGEST_WAIT = 15_000;
/** A stream that says nothing for so long is dead: it has a comment every 15 s. */
const SILENCE = 40_000;

/** What tabs tell each other. `anew`: read what you show again; `asks`: a new tab wants to know how things are. */
type Told = { user: string; changes: readonly Change[]; link: Link; anew?: boolean } | { user: string; asks: true };
let listening = false;
const channel = 'BroadcastChannel' in globalThis ? new BroadcastChannel('candlemill-events') : undefined;
channel?.addEventListener('message', (event: MessageEvent<Told>) => {
  const said = event.data;
  if (said.user !== session.value?.userId) return;
  if ('asks' in said) {
    if (listening) tell(said.user, [], link.value);
  } else {
    hear(said.changes, said.link, said.anew ?? false);
  }
});

function hear(changes: readonly Change[], state: Link, anew: boolean): void {
  link.value = state;
  if (state !== 'away') heardAt.value = Date.now();
  if (changes.length > 0 || anew) for (const listener of listeners) listener(changes);
}

function tell(user: string, changes: readonly Change[], state: Link, anew = false): void {
  hear(changes, state, anew);
  channel?.postMessage({ user, changes, link: state, anew } satisfies Told);
}

/** Also for what this tab did itself, so that no page waits for the service to say it. */
export function nudge(): void {
  for (const listener of listeners) listener([]);
}

effect(() => {
  const user = session.value?.userId;
  if (user === undefined) return;
  const ending = new AbortController();
  const name = `candlemill-events ${user}`;
  channel?.postMessage({ user, asks: true } satisfies Told);
  if ('locks' in navigator) {
    navigator.locks.request(name, { signal: ending.signal }, () => follow(user, ending.signal)).catch(() => undefined);
  } else {
    void follow(user, ending.signal);
  }
  return () => ending.abort();
});

const wait = (ms: number, ending: AbortSignal) =>
  new Promise<void>((done) => {
    const timer = setTimeout(done, ms);
    ending.addEventListener('abort', () => (clearTimeout(timer), done()), { once: true });
  });

async function follow(user: string, ending: AbortSignal): Promise<void> {
  listening = true;
  ending.addEventListener('abort', () => (listening = false), { once: true });
  let pause = 1_000;
  let lastId: string | undefined;
  let seen = new Map<string, string>();
  while (!ending.aborted) {
    let outcome: 'ended' | 'none' | 'away';
    try {
      const heard = await stream(user, lastId, ending);
      lastId = heard.lastId ?? lastId;
      outcome = heard.outcome;
    } catch {
      outcome = 'away';
    }
    if (ending.aborted) return;
    if (outcome === 'ended') {
      pause = 1_000;
      continue;
    }
    if (outcome === 'none') {
      seen = await poll(user, seen);
      await wait(POLL_MS, ending);
      continue;
    }
    tell(user, [], 'away');
    await wait(pause * (0.75 + Math.random() / 2), ending);
    pause = Math.min(pause * 2, LONGEST_WAIT);
  }
}

/** Whether this deployment has a stream at all; asked again after a while. */
let noStreamUntil = 0;

async function stream(
  user: string,
  lastId: string | undefined,
  ending: AbortSignal,
): Promise<{ outcome: 'ended' | 'none' | 'away'; lastId?: string | undefined }> {
  if (Date.now() < noStreamUntil) return { outcome: 'none' };
  const broken = new AbortController();
  const stop = () => broken.abort();
  ending.addEventListener('abort', stop, { once: true });
  let silence = setTimeout(stop, SILENCE);
  try {
    const headers: Record<string, string> = { Accept: 'text/event-stream' };
    if (lastId !== undefined) headers['Last-Event-ID'] = lastId;
    const response = await send(new Request(new URL('/api/events', location.origin), { headers, signal: broken.signal }));
    if (response.status === 404 || response.status === 503) {
      noStreamUntil = Date.now() + (response.status === 404 ? 600_000 : 10_000);
      return { outcome: 'none' };
    }
    if (!response.ok || response.body === null) return { outcome: 'away' };
    // Something may have changed while nobody listened.
    tell(user, [], 'live', true);
    let id = lastId;
    const parser = createParser({
      onEvent: (event) => {
        id = event.id ?? id;
        const data = JSON.parse(event.data) as { changes?: Change[] };
        tell(user, data.changes ?? [], 'live');
      },
      onComment: () => tell(user, [], 'live'),
    });
    const decoder = new TextDecoder();
    const reader = response.body.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return { outcome: 'ended', lastId: id };
      clearTimeout(silence);
      silence = setTimeout(stop, SILENCE);
      parser.feed(decoder.decode(value, { stream: true }));
    }
  } finally {
    clearTimeout(silence);
    ending.removeEventListener('abort', stop);
    broken.abort();
  }
}

/** The newest tasks, of which those that are other than before are changes. */
async function poll(user: string, seen: Map<string, string>): Promise<Map<string, string>> {
  if (document.hidden && seen.size > 0) return seen;
  try {
    const response = await send(new Request(new URL('/api/tasks?limit=50', location.origin)));
    if (!response.ok) throw new Error(String(response.status));
    const { tasks } = (await response.json()) as { tasks: Task[] };
    const next = new Map(tasks.map((task) => [task.task_id, `${task.state} ${task.updated_at}`]));
    const changed = tasks.filter((task) => seen.get(task.task_id) !== next.get(task.task_id));
    const changes = seen.size === 0 ? [] : changed.map(asChange);
    tell(user, changes, 'polling');
    return next;
  } catch {
    tell(user, [], 'away');
    return seen;
  }
}

function asChange(task: Task): Change {
  const { task_id, state, updated_at, attempt } = task;
  return { task_id, state, updated_at, attempt, percent: state === 'succeeded' ? 100 : 0 };
}
