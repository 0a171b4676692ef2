import { useLocation, useRoute } from 'preact-iso';
import { useEffect, useRef, useState } from 'preact/hooks';
import { api, must, type Interval, type Progress, type Task } from '../api/client';
import { clip, compact, count, duration, utc, words } from '../format';
import { link, onChange, type Change, nudge } from '../live/events';
import { now } from '../live/now';
import { useResource, type Resource } from '../live/resource';
import { cancelOne, discardOne, replayOne, runAgain } from '../model/actions';
import { readCoverage } from '../model/coverage';
import { Estimate } from '../model/eta';
import { rangeBar } from '../model/range_bar';
import { canCancel, canDiscard, canReplay, canRunAgain, KINDS, rangeWords, subjectOf, UNFINISHED } from '../model/task';
import { Confirm } from '../ui/dialog';
import { Ago, Bar, Copy, Empty, Fact, Facts, Failure, Json, Loading, Page, Panel, State } from '../ui/parts';
import { RangeBarView } from '../ui/range_bar';
import { act } from '../ui/toast';

const readTask = (id: string): Promise<Task> => must(api.GET('/api/task/{id}', { params: { path: { id } } }));
const readProgress = (id: string): Promise<Progress> => must(api.GET('/api/task/{id}/progress', { params: { path: { id } } }));

export function TaskPage() {
  const { params } = useRoute();
  const id = (params['id'] ?? '').toUpperCase();
  const task = useResource(`task ${id}`, () => readTask(id));
  const progress = useProgress(id, task);
  if (task.data === undefined) {
    return (
      <Page title="Task">
        {task.error === undefined ? (
          <Loading rows={5} />
        ) : task.error.status === 404 || task.error.status === 400 ? (
          <Empty title="There is no such task of yours.">
            <p>{task.error.message}</p>
            <a href="/tasks">All tasks</a>
          </Empty>
        ) : (
          <Failure error={task.error} onRetry={task.reload} />
        )}
      </Page>
    );
  }
  return <Known task={task.data} progress={progress} reload={task.reload} />;
}

/** The newest snapshot: heard, or asked for every second or two while the task is under way. */
function useProgress(id: string, task: Resource<Task>): Progress | undefined {
  const [newest, setNewest] = useState<Progress>();
  const state = useRef<{ id: string; ended: boolean }>({ id, ended: false });
  if (state.current.id !== id) state.current = { id, ended: false };
  const under = task.data === undefined ? undefined : UNFINISHED.has(task.data.state);

  const take = (snapshot: Progress) => {
    setNewest((old) => (old?.task_id === snapshot.task_id && old.updated_at > snapshot.updated_at ? old : snapshot));
    if (!UNFINISHED.has(snapshot.state) && !state.current.ended) {
      state.current.ended = true;
      task.reload();
    }
  };
  const ask = () => {
    readProgress(id).then(take, () => undefined);
  };
  useEffect(() => {
    if (under === undefined) return;
    state.current.ended = !under;
    ask();
    if (!under) return;
    const timer = setInterval(() => {
      if (!document.hidden) ask();
      // The stream tells of changes; this is for what it may have missed.
    }, link.value === 'live' ? 5_000 : 1_500);
    return () => clearInterval(timer);
  }, [id, under, link.value]);
  useEffect(
    () =>
      onChange((changes) => {
        const mine = changes.findLast((one: Change) => one.task_id === id);
        if (mine === undefined) return;
        if (mine.rate !== undefined && mine.total !== undefined) take(mine as unknown as Progress);
        else ask();
        // Replayed from elsewhere: the record says so.
        if (state.current.ended && UNFINISHED.has(mine.state)) task.reload();
      }),
    [id],
  );
  return newest?.task_id === id ? newest : undefined;
}

function Known({ task, progress, reload }: { task: Task; progress: Progress | undefined; reload: () => void }) {
  const subject = subjectOf(task.kind, task.request);
  const { route } = useLocation();
  const [asking, setAsking] = useState<'cancel' | 'discard'>();
  const newer = progress !== undefined && progress.updated_at > task.updated_at;
  const state = newer ? progress.state : task.state;
  const live = { ...task, state };
  const after = () => {
    reload();
    nudge();
  };
  return (
    <Page
      title={subject.words}
      actions={
        <>
          {canCancel(live) && (
            <button type="button" onClick={() => setAsking('cancel')}>
              Cancel
            </button>
          )}
          {canReplay(live) && (
            <button type="button" class="primary" onClick={() => void act(() => replayOne(task.task_id), () => 'Replayed: it is queued again.', 'Not replayed').then(after)}>
              Replay
            </button>
          )}
          {canDiscard(live) && (
            <button type="button" onClick={() => setAsking('discard')}>
              Discard
            </button>
          )}
          {canRunAgain(live) && (
            <button
              type="button"
              onClick={() =>
                void act(() => runAgain(task), () => 'Submitted as a new task.', 'Not submitted').then((id) => {
                  nudge();
                  if (id) route(`/tasks/${id}`);
                })
              }
            >
              Run again
            </button>
          )}
        </>
      }
    >
      <p class="sub">
        <State state={state} /> <span>{KINDS[task.kind] ?? words(task.kind)}</span> <span class="soft">{rangeWords(subject)}</span>
        {task.cancel_requested && UNFINISHED.has(state) && <span class="warn-text">told to stop</span>}
        {task.discarded && <span class="warn-text">discarded: {clip(task.discarded.reason)}</span>}
      </p>
      {task.error && (
        <div class={state === 'succeeded' ? 'failure mild' : 'failure'}>
          <p>
            <strong>{task.error.code}</strong>
          </p>
          <p class="wrap">{clip(task.error.message, 2000)}</p>
        </div>
      )}
      <Live task={live} progress={progress} />
      {subject.symbol && subject.interval && task.kind === 'fetch_history' && (
        <Range task={live} symbol={subject.symbol} interval={subject.interval} progress={progress} />
      )}
      {task.kind === 'seasonality_study' && state === 'succeeded' && (
        <p>
          <a href={`/studies/${task.task_id}`}>What the study found</a>
        </p>
      )}
      {task.children && <Children task={live} />}
      <div class="columns">
        <Timeline task={task} />
        <Result task={task} />
      </div>
      <Attempts task={task} />
      <Panel title="Request" actions={<Copy text={JSON.stringify(task.request)} label="the request" />}>
        <Json value={task.request} label="Request" />
      </Panel>
      {asking === 'cancel' && (
        <Confirm
          title="Cancel this task?"
          action="Cancel it"
          danger
          onClose={() => setAsking(undefined)}
          onConfirm={() =>
            act(() => cancelOne(task.task_id), (after) => (after.state === 'cancelled' ? 'Cancelled.' : 'It runs, and is told to stop.'), 'Not cancelled').then(after)
          }
        >
          <p>It does not go on. What it has stored stays{task.children ? ', and what it consists of is cancelled too' : ''}.</p>
        </Confirm>
      )}
      {asking === 'discard' && <Discard id={task.task_id} onClose={() => setAsking(undefined)} onDone={after} />}
    </Page>
  );
}

export function Discard({ id, onClose, onDone }: { id: string; onClose: () => void; onDone: () => void }) {
  const [reason, setReason] = useState('');
  return (
    <Confirm
      title="Discard this task?"
      action="Discard"
      danger
      disabled={reason.trim() === ''}
      onClose={onClose}
      onConfirm={() => act(() => discardOne(id, reason.trim()), () => 'Discarded.', 'Not discarded').then(onDone)}
    >
      <p>It cannot be replayed any more. This cannot be undone.</p>
      <label class="field">
        Reason
        <input value={reason} maxLength={500} required onInput={(event) => setReason(event.currentTarget.value)} />
      </label>
    </Confirm>
  );
}

/** The bar, the pace and the time left. */
function Live({ task, progress }: { task: Task; progress: Progress | undefined }) {
  const estimate = useRef<{ id: string; estimate: Estimate }>({ id: task.task_id, estimate: new Estimate() });
  if (estimate.current.id !== task.task_id) estimate.current = { id: task.task_id, estimate: new Estimate() };
  const shown = progress;
  if (shown) estimate.current.estimate.see(shown);
  const percent = task.state === 'succeeded' ? 100 : (shown?.percent ?? 0);
  const at = now.value;
  const left = estimate.current.estimate.at(at);
  const under = UNFINISHED.has(task.state);
  const begun = task.started_at ?? shown?.started_at;
  const took = begun ? ((task.ended_at ? Date.parse(task.ended_at) : at) - Date.parse(begun)) / 1000 : undefined;
  const quiet = under && shown ? (at - Date.parse(shown.updated_at)) / 1000 : 0;
  return (
    <section class="live" aria-label="Progress">
      <div class="live-bar">
        <Bar percent={percent} state={task.state} label="Progress" />
        <span class="live-percent">{percent.toFixed(percent === 100 ? 0 : 1)} %</span>
      </div>
      <div class="figures">
        <F name={shown?.unit || 'units'} value={shown ? shown.total ? `${count(shown.done)} of ${count(shown.total)}` : under ? 'not planned yet' : count(shown.done) : '–'} />
        <F
          name={task.kind.startsWith('fetch') ? 'candles per second' : 'per second'}
          value={shown && shown.rate > 0 ? compact(shown.rate) : '–'}
        />
        {under && <F name="left" value={task.state === 'running' ? (left === undefined ? 'unknown' : `about ${duration(left)}`) : 'waits'} />}
        <F name={task.ended_at ? 'took' : 'so far'} value={duration(took)} />
        <F name={shown?.stage ? words(shown.stage) : 'attempt'} value={shown?.stage ? `attempt ${task.attempt}` : count(Math.max(task.attempt, shown?.attempt ?? 0))} />
      </div>
      {task.state === 'queued' && (
        <p class="soft">{task.run_at && Date.parse(task.run_at) > at ? <>Waits for its time: {utc(task.run_at)} UTC.</> : 'Waits for a worker.'}</p>
      )}
      {task.state === 'retrying' && <p class="soft">Waits before its next attempt.</p>}
      {task.state === 'running' && quiet > 15 && <p class="soft">No news for {duration(quiet)}: it may wait for the exchange's budget.</p>}
      {shown?.error && under && (
        <p class="warn-text wrap">
          The last attempt failed: {clip(shown.error.message)}
        </p>
      )}
    </section>
  );
}

function F({ name, value }: { name: string; value: string }) {
  return (
    <div class="figure">
      <span class="figure-value">{value}</span>
      <span class="soft small">{name}</span>
    </div>
  );
}

/** The range bar: read again as the task goes on. */
function Range({ task, symbol, interval, progress }: { task: Task; symbol: string; interval: Interval; progress: Progress | undefined }) {
  const asked = (task.result as { asked?: { start: string; end: string } | null } | null | undefined)?.asked;
  const request = task.request as { start?: string; end?: string | null };
  const start = asked?.start ?? (request.start === 'listing' ? undefined : request.start);
  const end = asked?.end ?? request.end ?? undefined;
  const under = UNFINISHED.has(task.state);
  const coverage = useResource(`range ${task.task_id} ${task.state} ${start} ${end}`, () => readCoverage(symbol, interval, start, end), under ? { every: 2_000 } : {});
  if (coverage.data === undefined) {
    return <Panel title="Range">{coverage.error ? <p class="soft">{coverage.error.message}</p> : <Loading rows={1} />}</Panel>;
  }
  const { verified, gaps } = coverage.data;
  const from = Date.parse(start ?? verified[0]?.start ?? gaps[0]?.start ?? '');
  const until = end ? Date.parse(end) : now.value;
  if (!Number.isFinite(from)) {
    return (
      <Panel title="Range">
        <p class="soft">It begins at the first candle that the exchange has, which is not known yet.</p>
      </Panel>
    );
  }
  const share = task.state === 'running' ? (progress?.percent ?? 0) / 100 : undefined;
  const bar = rangeBar(interval, { start: from, end: until }, coverage.data, share);
  return (
    <Panel title="Range" actions={<a href={`/data/${encodeURIComponent(symbol)}/${interval}`}>Chart and gaps</a>}>
      <RangeBarView bar={bar} interval={interval} />
    </Panel>
  );
}

function Children({ task }: { task: Task }) {
  const total = task.children?.total ?? 0;
  const children = useResource(
    `children ${task.task_id} ${task.state}`,
    () => must(api.GET('/api/tasks', { params: { query: { parent: task.task_id, limit: 200 } as never } })),
    UNFINISHED.has(task.state) ? { every: 3_000 } : {},
  );
  const states = Object.entries(task.children?.states ?? {}).filter(([, n]) => Number(n) > 0);
  return (
    <Panel title={`Consists of ${count(total)}`}>
      <p class="legend">
        {states.map(([state, n]) => (
          <span key={state} class="key">
            <b>{count(Number(n))}</b> <State state={state} />
          </span>
        ))}
      </p>
      {children.data && (
        <ul class="lines scroll">
          {children.data.tasks.map((child) => (
            <li key={child.task_id}>
              <State state={child.state} />
              <a href={`/tasks/${child.task_id}`}>
                <bdi>{subjectOf(child.kind, child.request).words}</bdi>
              </a>
              <span class="soft small grow">{child.error?.code ?? rangeWords(subjectOf(child.kind, child.request))}</span>
            </li>
          ))}
        </ul>
      )}
      {total > 200 && <p class="soft small">The first 200 are listed.</p>}
    </Panel>
  );
}

function Timeline({ task }: { task: Task }) {
  const at: [string, string | null | undefined][] = [
    ['submitted', task.created_at],
    ['not before', task.run_at],
    ['started', task.started_at],
    ['replayed', task.replayed_at],
    ['ended', task.ended_at],
  ];
  return (
    <Panel title="Timeline">
      <Facts>
        {at
          .filter(([, time]) => time)
          .map(([name, time]) => (
            <Fact key={name} name={name}>
              {utc(time)} <span class="soft">UTC, <Ago at={time} /></span>
            </Fact>
          ))}
        <Fact name="id">
          <code>{task.task_id}</code> <Copy text={task.task_id} label="the id" />
        </Fact>
        <Fact name="trace">
          <code class="wrap">{task.trace_id}</code> <Copy text={task.trace_id} label="the trace id" />
        </Fact>
        {task.parent && (
          <Fact name="part of">
            <a href={`/tasks/${task.parent}`}>
              <code>{task.parent}</code>
            </a>
          </Fact>
        )}
        <Fact name="tier">{task.tier}</Fact>
        {task.replays > 0 && <Fact name="replays">{count(task.replays)}</Fact>}
        {task.webhook && (
          <Fact name="webhook">
            {task.webhook.state}, {count(task.webhook.attempts)} tried <span class="soft wrap">{clip(task.webhook.url, 120)}</span>
          </Fact>
        )}
      </Facts>
    </Panel>
  );
}

/** Members of a result that are figures, then the rest. */
function Result({ task }: { task: Task }) {
  if (task.result === null || task.result === undefined) {
    return (
      <Panel title="Result">
        <p class="soft">{UNFINISHED.has(task.state) ? 'There is none yet.' : 'It has none.'}</p>
      </Panel>
    );
  }
  const result = task.result as Record<string, unknown>;
  const figures = Object.entries(result).filter((one): one is [string, number] => typeof one[1] === 'number');
  return (
    <Panel title="Result" actions={<Copy text={JSON.stringify(result)} label="the result" />}>
      <Facts dense>
        {figures.map(([name, value]) => (
          <Fact key={name} name={name === 'duration_ms' ? 'duration' : words(name)}>
            {name === 'duration_ms' ? duration(value / 1000) : count(value)}
          </Fact>
        ))}
      </Facts>
      <details>
        <summary>All of it</summary>
        <Json value={result} label="Result" />
      </details>
    </Panel>
  );
}

function Attempts({ task }: { task: Task }) {
  if (task.attempts.length === 0) return null;
  return (
    <Panel title={`Attempts: ${count(task.attempt)}`}>
      <div class="table-box" tabIndex={0} role="region" aria-label="Attempts">
        <table>
          <thead>
            <tr>
              <th scope="col" class="right">Number</th>
              <th scope="col">Started</th>
              <th scope="col" class="right">Took</th>
              <th scope="col">Ended as</th>
            </tr>
          </thead>
          <tbody>
            {task.attempts.toReversed().map((one) => (
              <tr key={one.number}>
                <td class="right">{one.number}</td>
                <td>{utc(one.started_at)}</td>
                <td class="right">{one.ended_at ? duration((Date.parse(one.ended_at) - Date.parse(one.started_at)) / 1000) : ''}</td>
                <td class="wrap">
                  {one.error ? (
                    <>
                      <b>{one.error.code}</b> {clip(one.error.message, 500)}
                    </>
                  ) : one.ended_at ? (
                    'done'
                  ) : (
                    'runs'
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Panel>
  );
}

