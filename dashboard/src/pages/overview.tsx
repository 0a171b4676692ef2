import { useState } from 'preact/hooks';
import { api, must, type Schemas, type Task, type TaskState } from '../api/client';
import type { ScheduleList } from '../api/schedules';
import { call } from '../api/client';
import { ApiError } from '../api/problem';
import { count, duration, figure, utc } from '../format';
import { now } from '../live/now';
import { useResource } from '../live/resource';
import { recent, type Recent, type Spread } from '../model/counts';
import { STATES, subjectOf, UNFINISHED } from '../model/task';
import { Ago, Empty, Loading, Page, Panel, Shown, State } from '../ui/parts';
import { NewBackfill } from '../ui/new_backfill';

const SPANS = [
  { name: '1 h', ms: 3_600_000, bars: 30 },
  { name: '24 h', ms: 86_400_000, bars: 48 },
  { name: '7 d', ms: 604_800_000, bars: 42 },
] as const;

/** Pages of the newest tasks that the figures are of. */
const PAGES = 3;

async function newest(): Promise<{ tasks: Task[]; more: boolean }> {
  const tasks: Task[] = [];
  let cursor: string | null | undefined;
  for (let page = 0; page < PAGES; page++) {
    const query = { limit: 200, ...(cursor ? { cursor } : {}) } as never;
    const answer = await must(api.GET('/api/tasks', { params: { query } }));
    tasks.push(...answer.tasks);
    cursor = answer.next_cursor;
    if (!cursor) return { tasks, more: false };
  }
  return { tasks, more: true };
}

export function Overview() {
  const [adding, setAdding] = useState(false);
  const [span, setSpan] = useState<(typeof SPANS)[number]>(SPANS[1]);
  const tasks = useResource('overview', newest, { onTasks: true, every: 30_000 });
  return (
    <Page
      title="Overview"
      actions={
        <button type="button" class="primary" onClick={() => setAdding(true)}>
          New backfill
        </button>
      }
    >
      <Shown of={tasks} rows={3}>
        {({ tasks: all, more }) => (
          <>
            <Counts tasks={all} more={more} />
            {all.length === 0 ? (
              <Empty title="Nothing was submitted yet.">
                A backfill fetches candles of one symbol, and keeps a ledger of what is complete.{' '}
                <button type="button" class="link" onClick={() => setAdding(true)}>
                  Submit the first one
                </button>
              </Empty>
            ) : (
              <Activity tasks={all} more={more} span={span} onSpan={setSpan} />
            )}
            <div class="columns">
              <Now tasks={all} />
              <Failed tasks={all} />
            </div>
          </>
        )}
      </Shown>
      <div class="columns">
        <Health />
        <NextFires />
      </div>
      {adding && <NewBackfill onClose={() => setAdding(false)} />}
    </Page>
  );
}

function Counts({ tasks, more }: { tasks: readonly Task[]; more: boolean }) {
  const by = new Map<TaskState, number>();
  for (const task of tasks) by.set(task.state, (by.get(task.state) ?? 0) + 1);
  return (
    <>
      <ul class="tiles">
        {STATES.map((state) => (
          <li key={state}>
            <a class="tile" href={state === 'dead' ? '/dead-letters' : `/tasks?state=${state}`}>
              <span class="tile-figure">{count(by.get(state) ?? 0)}</span>
              <State state={state} />
            </a>
          </li>
        ))}
      </ul>
      {more && <p class="soft small">Of the newest {count(tasks.length)} tasks.</p>}
    </>
  );
}

interface ActivityProps {
  tasks: readonly Task[];
  more: boolean;
  span: (typeof SPANS)[number];
  onSpan: (span: (typeof SPANS)[number]) => void;
}

function Activity({ tasks, more, span, onSpan }: ActivityProps) {
  // Once a minute is enough for bars; every second would be a waste.
  const minute = Math.floor(now.value / 60_000) * 60_000 + 60_000;
  const figures = recent(tasks, minute, span.ms, span.bars);
  const oldest = tasks.at(-1)?.created_at;
  const partly = more && oldest !== undefined && Date.parse(oldest) > minute - span.ms;
  const minutes = span.ms / 60_000;
  return (
    <Panel
      title="Activity"
      actions={
        <div class="tabs" role="group" aria-label="Time span">
          {SPANS.map((one) => (
            <button key={one.name} type="button" aria-pressed={one === span} onClick={() => onSpan(one)}>
              {one.name}
            </button>
          ))}
        </div>
      }
    >
      <Bars figures={figures} span={span.name} />
      <div class="figures">
        <Figure name="ended" value={count(figures.tasks)} />
        <Figure name="per minute" value={figures.tasks > 0 && figures.tasks / minutes < 0.01 ? '< 0.01' : figure(figures.tasks / minutes)} />
        <Figure name="failed or dead" value={count(figures.failed)} bad={figures.failed > 0} />
        <Spreads name="waited" of={figures.wait} />
        <Spreads name="ran" of={figures.run} />
      </div>
      {partly && <p class="soft small">Of the newest {count(tasks.length)} tasks, which reach back to {utc(oldest)} UTC.</p>}
    </Panel>
  );
}

function Figure({ name, value, bad = false }: { name: string; value: string; bad?: boolean }) {
  return (
    <div class={bad ? 'figure bad' : 'figure'}>
      <span class="figure-value">{value}</span>
      <span class="soft small">{name}</span>
    </div>
  );
}

function Spreads({ name, of }: { name: string; of: Spread | undefined }) {
  return (
    <div class="figure">
      <span class="figure-value">{of ? duration(of.p50) : '–'}</span>
      <span class="soft small">
        {name}, half of them{of && `; p95 ${duration(of.p95)}, p99 ${duration(of.p99)}`}
      </span>
    </div>
  );
}

function Bars({ figures, span }: { figures: Recent; span: string }) {
  const most = Math.max(1, ...figures.ended.map((bar) => bar.good + bar.bad));
  const width = 600 / figures.ended.length;
  const label = `Tasks that ended over ${span}: ${count(figures.tasks)}, of which ${count(figures.failed)} failed. At most ${count(most)} in one bar.`;
  return (
    <svg class="bars" viewBox="0 0 600 72" preserveAspectRatio="none" role="img" aria-label={label}>
      {figures.ended.map((bar, i) => {
        const [good, bad] = [(bar.good / most) * 68, (bar.bad / most) * 68];
        return (
          <g key={bar.at}>
            <rect class="bar-base" x={i * width + 0.5} y={70.5} width={width - 1} height={1} />
            <rect class="bar-good" x={i * width + 0.5} y={70 - good} width={width - 1} height={good} />
            <rect class="bar-bad" x={i * width + 0.5} y={70 - good - bad} width={width - 1} height={bad} />
          </g>
        );
      })}
    </svg>
  );
}

function Now({ tasks }: { tasks: readonly Task[] }) {
  const under = tasks.filter((task) => UNFINISHED.has(task.state)).slice(0, 8);
  return (
    <Panel title="Under way" actions={<a href="/tasks">All tasks</a>}>
      {under.length === 0 ? <p class="soft">Nothing waits and nothing runs.</p> : <Lines tasks={under} time={(task) => task.created_at} />}
    </Panel>
  );
}

function Failed({ tasks }: { tasks: readonly Task[] }) {
  const failed = tasks.filter((task) => task.state === 'failed' || (task.state === 'dead' && !task.discarded)).slice(0, 8);
  return (
    <Panel title="Failed lately" actions={<a href="/dead-letters">Dead letters</a>}>
      {failed.length === 0 ? <p class="soft">Nothing failed.</p> : <Lines tasks={failed} time={(task) => task.ended_at} />}
    </Panel>
  );
}

function Lines({ tasks, time }: { tasks: readonly Task[]; time: (task: Task) => string | null | undefined }) {
  return (
    <ul class="lines">
      {tasks.map((task) => (
        <li key={task.task_id}>
          <State state={task.state} />
          <a href={`/tasks/${task.task_id}`}>
            <bdi>{subjectOf(task.kind, task.request).words}</bdi>
          </a>
          <span class="soft small grow">{task.error?.code}</span>
          <span class="soft small">
            <Ago at={time(task)} />
          </span>
        </li>
      ))}
    </ul>
  );
}

/** `/readyz` is 503 with the same document when something is away. */
async function readiness(): Promise<Schemas['Readiness']> {
  const response = await fetch('/readyz').catch(() => undefined);
  if (response === undefined) throw ApiError.away();
  return (await response.json()) as Schemas['Readiness'];
}

const NAMES = { redis: 'Redis', mongodb: 'MongoDB' } as const;

function Health() {
  const health = useResource('health', readiness, { every: 15_000 });
  return (
    <Panel title="Health">
      <Shown of={health} rows={2}>
        {(ready) => (
          <ul class="lines">
            {(['redis', 'mongodb'] as const).map((name) => {
              const one = ready.dependencies[name];
              return (
                <li key={name}>
                  <span class={one.ready ? 'dot good' : 'dot bad'} aria-hidden="true" />
                  <span>{NAMES[name]}</span>
                  <span class="soft small grow">{one.ready ? 'answers' : (one.problem ?? 'does not answer')}</span>
                  <span class="soft small">{one.milliseconds === null || one.milliseconds === undefined ? '' : `${one.milliseconds} ms`}</span>
                </li>
              );
            })}
            <li>
              <span class={ready.stopping ? 'dot warn' : 'dot good'} aria-hidden="true" />
              <span>API</span>
              <span class="soft small grow">{ready.stopping ? 'is stopping' : 'answers'}</span>
            </li>
          </ul>
        )}
      </Shown>
    </Panel>
  );
}

function NextFires() {
  const schedules = useResource('next-fires', () => call<ScheduleList>('GET', '/api/schedules'), { every: 60_000 });
  const unknown = schedules.error?.isUnknownCall;
  const next = (schedules.data?.schedules ?? [])
    .filter((one) => one.state === 'active')
    .flatMap((one) => one.next_fires.slice(0, 3).map((fire) => ({ ...fire, name: one.name, id: one.schedule_id })))
    .sort((a, b) => Date.parse(a.due_at) - Date.parse(b.due_at))
    .slice(0, 6);
  return (
    <Panel title="Next fires" actions={<a href="/schedules">Schedules</a>}>
      {schedules.data === undefined && schedules.error === undefined ? (
        <Loading rows={2} />
      ) : unknown ? (
        <p class="soft">This deployment has no schedules.</p>
      ) : schedules.error !== undefined && schedules.data === undefined ? (
        <p class="soft">{schedules.error.message}</p>
      ) : next.length === 0 ? (
        <p class="soft">Nothing is due.</p>
      ) : (
        <ul class="lines">
          {next.map((fire) => (
            <li key={`${fire.id}${fire.due_at}`}>
              <a href={`/schedules/${fire.id}`} class="grow">
                <bdi>{fire.name}</bdi>
              </a>
              <span class="soft small">
                <Ago at={fire.due_at} />
              </span>
            </li>
          ))}
        </ul>
      )}
    </Panel>
  );
}
