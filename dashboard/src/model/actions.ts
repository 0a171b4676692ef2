/** What can be done with tasks, one or many, and what is said of it. */
import { api, must, type Task } from '../api/client';
import { ApiError, told } from '../api/problem';
import { plural } from '../format';
import { nudge } from '../live/events';
import { say } from '../ui/toast';

const AT_ONCE = 4;
/** Ids that one call replays at most. */
const REPLAY_CALL = 100;

export const cancelOne = (id: string): Promise<Task> => must(api.DELETE('/api/task/{id}', { params: { path: { id } } }));
export const replayOne = (id: string): Promise<Task> => must(api.POST('/api/dead-letters/{id}/replay', { params: { path: { id } } }));
export const discardOne = (id: string, reason: string) =>
  must(api.POST('/api/dead-letters/{id}/discard', { params: { path: { id } }, body: { reason } }));

interface Outcome {
  done: number;
  refused: { id: string; why: string }[];
}

async function each(ids: readonly string[], work: (id: string) => Promise<unknown>, onStep?: (done: number) => void): Promise<Outcome> {
  const outcome: Outcome = { done: 0, refused: [] };
  const queue = [...ids];
  const worker = async () => {
    for (let id = queue.shift(); id !== undefined; id = queue.shift()) {
      try {
        await work(id);
        outcome.done++;
      } catch (error) {
        if (error instanceof ApiError && error.retryAfter !== undefined && error.retryAfter <= 60) {
          // Too many at once: the rest waits as long as it is told to.
          queue.push(id);
          await new Promise((done) => setTimeout(done, (error.retryAfter ?? 1) * 1000));
          continue;
        }
        outcome.refused.push({ id, why: told(error) });
      }
      onStep?.(outcome.done + outcome.refused.length);
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, ids.length) }, worker));
  return outcome;
}

function report(outcome: Outcome, verb: string): void {
  const { done, refused } = outcome;
  const first = refused[0];
  const text = `${plural(done, 'task')} ${verb}`;
  if (first === undefined) say(`${text}.`);
  else say(`${text}, ${refused.length} refused. ${first.why}`, 'failed');
  nudge();
}

export async function cancelMany(ids: readonly string[], onStep?: (done: number) => void): Promise<void> {
  report(await each(ids, cancelOne, onStep), 'told to stop');
}

export async function discardMany(ids: readonly string[], reason: string, onStep?: (done: number) => void): Promise<void> {
  report(await each(ids, (id) => discardOne(id, reason), onStep), 'discarded');
}

export async function replayMany(ids: readonly string[]): Promise<void> {
  const outcome: Outcome = { done: 0, refused: [] };
  for (let from = 0; from < ids.length; from += REPLAY_CALL) {
    try {
      const answer = await must(api.POST('/api/dead-letters/replay', { body: { task_ids: ids.slice(from, from + REPLAY_CALL) } }));
      outcome.done += answer.replayed;
      outcome.refused.push(...answer.refused.map((one) => ({ id: one.task_id, why: one.detail })));
    } catch (error) {
      outcome.refused.push({ id: ids[from] ?? '', why: told(error) });
      break;
    }
  }
  report(outcome, 'replayed');
}

/** Replays all dead ones that died of `code`, however many there are. */
export async function replayGroup(code: string | undefined): Promise<void> {
  const outcome: Outcome = { done: 0, refused: [] };
  let cursor: string | null | undefined;
  do {
    try {
      const answer = await must(
        api.POST('/api/dead-letters/replay', {
          body: { all: true, ...(code === undefined ? {} : { code }), ...(cursor ? { cursor } : {}) },
        }),
      );
      outcome.done += answer.replayed;
      outcome.refused.push(...answer.refused.map((one) => ({ id: one.task_id, why: one.detail })));
      cursor = answer.more ? answer.next_cursor : undefined;
    } catch (error) {
      outcome.refused.push({ id: '', why: told(error) });
      cursor = undefined;
    }
  } while (cursor);
  report(outcome, 'replayed');
}

/** Submits again what a task did. */
export async function runAgain(task: Task): Promise<string> {
  const given = task.request as Record<string, unknown>;
  const drop = ['exchange', 'mode', 'end', 'start', 'symbol', 'interval'];
  const base = {
    symbol: String(given['symbol']),
    interval: given['interval'],
    ...(given['start'] ? { start: given['start'] } : {}),
    ...(given['end'] ? { end: given['end'] } : {}),
  };
  const rest = Object.fromEntries(Object.entries(given).filter(([name, value]) => !drop.includes(name) && value !== null));
  if (task.kind === 'seasonality_study') {
    return (await must(api.POST('/api/seasonality', { body: { ...base, ...rest } as never }))).task_id;
  }
  const path = given['mode'] === 'verify' ? '/api/market-data/verify' : '/api/market-data/fetch';
  return (await must(api.POST(path, { body: base as never }))).task_id;
}
