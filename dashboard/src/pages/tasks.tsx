import { useLocation } from 'preact-iso';
import { useCallback, useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { api, INTERVALS, must, type Task } from '../api/client';
import { ApiError, told } from '../api/problem';
import { count, duration, plural } from '../format';
import { onChange, type Change } from '../live/events';
import { cancelMany, discardMany, replayMany } from '../model/actions';
import { canCancel, canDiscard, canReplay, KINDS, rangeWords, STATES, subjectOf, UNFINISHED } from '../model/task';
import { Confirm } from '../ui/dialog';
import { NewBackfill } from '../ui/new_backfill';
import { Ago, Bar, Empty, Failure, Loading, Page, State } from '../ui/parts';
import { useNarrow, VirtualRows } from '../ui/virtual';

const FILTERS = ['state', 'kind', 'symbol', 'interval', 'q', 'code', 'since', 'until'] as const;
type Filters = Partial<Record<(typeof FILTERS)[number], string>>;
/** Tasks of one read; a search that the API cannot make looks through so many reads by itself. */
const PAGE = 200;
const SEARCHED_READS = 10;
const ULID = /^[0-9A-HJKMNP-TV-Z]{26}$/i;

interface Loaded {
  tasks: Task[];
  cursor: string | null;
}

async function read(filters: Filters, cursor: string | null | undefined): Promise<Loaded> {
  const query: Record<string, unknown> = { limit: PAGE };
  for (const name of ['state', 'kind', 'symbol', 'interval'] as const) if (filters[name]) query[name] = filters[name];
  if (cursor) query['cursor'] = cursor;
  const answer = await must(api.GET('/api/tasks', { params: { query: query as never } }));
  return { tasks: answer.tasks, cursor: answer.next_cursor ?? null };
}

/** What the page filters by itself. */
function matches(task: Task, filters: Filters): boolean {
  const { q, code, since, until } = filters;
  if (code && !(task.error?.code ?? '').startsWith(code)) return false;
  if (since && task.created_at < since) return false;
  if (until && task.created_at >= `${until}T24`) return false;
  if (!q) return true;
  const wanted = q.trim().toUpperCase();
  const subject = subjectOf(task.kind, task.request);
  return task.task_id.startsWith(wanted) || (subject.symbol ?? subject.words).toUpperCase().startsWith(wanted);
}

/** The list, as it grows by scrolling and changes by itself. */
function useTasks(filters: Filters) {
  const key = JSON.stringify(['state', 'kind', 'symbol', 'interval'].map((name) => filters[name as 'state'] ?? ''));
  const [state, setState] = useState<{ key: string; tasks: Task[]; cursor: string | null; error?: ApiError; loading: boolean; reads: number }>({
    key,
    tasks: [],
    cursor: null,
    loading: true,
    reads: 0,
  });
  const turn = useRef(0);
  const busy = useRef(false);
  const fail = (error: unknown) => (error instanceof ApiError ? error : new ApiError(0, 'page_error', told(error)));

  /** The first page anew; what was read of the older ones stays. */
  const refresh = useCallback(async () => {
    const mine = ++turn.current;
    try {
      const page = await read(filters, undefined);
      if (mine !== turn.current) return;
      setState((old) => {
        if (old.key !== key || old.tasks.length <= page.tasks.length) return { key, ...page, loading: false, reads: 1 };
        const oldest = page.tasks.at(-1)?.task_id ?? '';
        const rest = old.tasks.filter((task) => task.task_id < oldest);
        return { key, tasks: [...page.tasks, ...rest], cursor: old.cursor, loading: false, reads: old.reads };
      });
    } catch (error) {
      if (mine === turn.current) {
        setState((old) => ({ ...(old.key === key ? old : { tasks: [], cursor: null, reads: 0 }), key, error: fail(error), loading: false }));
      }
    }
  }, [key]);

  const more = useCallback(async () => {
    if (busy.current || state.key !== key || !state.cursor) return;
    busy.current = true;
    const { cursor } = state;
    try {
      const page = await read(filters, cursor);
      setState((old) => {
        if (old.key !== key || old.cursor !== cursor) return old;
        const known = new Set(old.tasks.map((task) => task.task_id));
        return { ...old, tasks: [...old.tasks, ...page.tasks.filter((task) => !known.has(task.task_id))], cursor: page.cursor, reads: old.reads + 1 };
      });
    } catch (error) {
      setState((old) => ({ ...old, error: fail(error) }));
    } finally {
      busy.current = false;
    }
  }, [key, state.cursor]);

  useEffect(() => {
    setState((old) => (old.key === key ? old : { key, tasks: [], cursor: null, loading: true, reads: 0 }));
    void refresh();
  }, [refresh]);

  // Rows that are there change at once; what is new, or no longer fits the filter, is read.
  const progress = useRef(new Map<string, Change>());
  const [, redraw] = useState(0);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const stop = onChange((changes) => {
      for (const change of changes) progress.current.set(change.task_id, change);
      redraw((n) => n + 1);
      timer ??= setTimeout(() => {
        timer = undefined;
        if (!document.hidden) void refresh();
      }, 1_000);
    });
    const look = () => {
      if (!document.hidden) void refresh();
    };
    const every = setInterval(look, 30_000);
    document.addEventListener('visibilitychange', look);
    return () => {
      stop();
      clearTimeout(timer);
      clearInterval(every);
      document.removeEventListener('visibilitychange', look);
    };
  }, [refresh]);

  return { ...state, fresh: state.key === key, refresh, more, progress: progress.current };
}

type Asking = { what: 'cancel' | 'replay' | 'discard'; ids: string[]; of: number };

export function Tasks() {
  const { query, route, path } = useLocation();
  const filters: Filters = {};
  for (const name of FILTERS) if (query[name]) filters[name] = query[name];
  const list = useTasks(filters);
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [asking, setAsking] = useState<Asking>();
  const [adding, setAdding] = useState(false);
  const narrow = useNarrow();

  const change = (name: (typeof FILTERS)[number], value: string) => {
    const next = new URLSearchParams();
    for (const one of FILTERS) {
      const text = one === name ? value : filters[one];
      if (text) next.set(one, text);
    }
    const text = next.toString();
    route(text ? `${path}?${text}` : path, true);
  };

  const own = Boolean(filters.q || filters.code || filters.since || filters.until);
  const shown = useMemo(
    () => (own ? list.tasks.filter((task) => matches(task, filters)) : list.tasks),
    [list.tasks, JSON.stringify(filters)],
  );
  // A search of the page's own goes on reading until there is enough to see.
  useEffect(() => {
    if (own && list.cursor && shown.length < 50 && list.reads < SEARCHED_READS) void list.more();
  }, [own, list.cursor, shown.length, list.reads]);

  const chosenTasks = useMemo(() => list.tasks.filter((task) => chosen.has(task.task_id)), [list.tasks, chosen]);
  const ask = (what: Asking['what']) => {
    const may = { cancel: canCancel, replay: canReplay, discard: canDiscard }[what];
    setAsking({ what, ids: chosenTasks.filter(may).map((task) => task.task_id), of: chosenTasks.length });
  };
  const toggle = (id: string) => {
    const next = new Set(chosen);
    if (!next.delete(id)) next.add(id);
    setChosen(next);
  };
  const all = shown.length > 0 && shown.every((task) => chosen.has(task.task_id));

  return (
    <Page
      title="Tasks"
      actions={
        <button type="button" class="primary" onClick={() => setAdding(true)}>
          New backfill
        </button>
      }
    >
      <form class="filters" role="search" onSubmit={(event) => event.preventDefault()}>
        <input
          type="search"
          data-search
          class="filter-q"
          aria-label="Beginning of an id or a symbol"
          placeholder="Id or symbol ( / )"
          value={filters.q ?? ''}
          onInput={(event) => change('q', event.currentTarget.value)}
          onKeyDown={(event) => {
            const text = event.currentTarget.value.trim();
            if (event.key === 'Enter' && ULID.test(text)) route(`/tasks/${text.toUpperCase()}`);
          }}
        />
        <Choice label="State" value={filters.state} options={STATES.map((one) => [one, one])} onChange={(v) => change('state', v)} />
        <Choice label="Kind" value={filters.kind} options={Object.entries(KINDS)} onChange={(v) => change('kind', v)} />
        <input
          aria-label="Symbol"
          placeholder="Symbol"
          class="filter-small"
          spellcheck={false}
          value={filters.symbol ?? ''}
          onChange={(event) => change('symbol', event.currentTarget.value.trim().toUpperCase())}
        />
        <Choice label="Interval" value={filters.interval} options={INTERVALS.map((one) => [one, one])} onChange={(v) => change('interval', v)} />
        <details class="more" open={Boolean(filters.code || filters.since || filters.until)}>
          <summary>More</summary>
          <div class="more-fields">
            <label>
              Error code
              <input spellcheck={false} value={filters.code ?? ''} onChange={(event) => change('code', event.currentTarget.value.trim())} />
            </label>
            <label>
              Submitted since
              <input type="date" value={filters.since ?? ''} onChange={(event) => change('since', event.currentTarget.value)} />
            </label>
            <label>
              until
              <input type="date" value={filters.until ?? ''} onChange={(event) => change('until', event.currentTarget.value)} />
            </label>
          </div>
        </details>
        {Object.keys(filters).length > 0 && (
          <button type="button" class="quiet" onClick={() => route(path, true)}>
            Clear
          </button>
        )}
      </form>

      {chosen.size > 0 && (
        <div class="selection" role="region" aria-label="Selection">
          <strong>{plural(chosenTasks.length, 'task')} selected</strong>
          <button type="button" onClick={() => ask('cancel')} disabled={!chosenTasks.some(canCancel)}>
            Cancel
          </button>
          <button type="button" onClick={() => ask('replay')} disabled={!chosenTasks.some(canReplay)}>
            Replay
          </button>
          <button type="button" onClick={() => ask('discard')} disabled={!chosenTasks.some(canDiscard)}>
            Discard
          </button>
          <button type="button" class="quiet" onClick={() => setChosen(new Set())}>
            Clear
          </button>
        </div>
      )}

      {list.error && list.tasks.length === 0 ? (
        <Failure error={list.error} onRetry={() => void list.refresh()} />
      ) : !list.fresh || (list.loading && list.tasks.length === 0) ? (
        <Loading rows={8} />
      ) : shown.length === 0 && !(own && list.cursor && list.reads < SEARCHED_READS) ? (
        <Empty title={Object.keys(filters).length > 0 ? 'No task fits these filters.' : 'Nothing was submitted yet.'}>
          {Object.keys(filters).length > 0 ? (
            <button type="button" class="link" onClick={() => route(path, true)}>
              Clear the filters
            </button>
          ) : (
            <button type="button" class="link" onClick={() => setAdding(true)}>
              Submit a backfill
            </button>
          )}
        </Empty>
      ) : (
        <>
          {list.error && (
            <p class="stale" role="alert">
              What is shown may be old. {list.error.message}
            </p>
          )}
          <VirtualRows
            rows={shown}
            rowHeight={narrow ? 62 : 34}
            label="Tasks"
            keyOf={(task) => task.task_id}
            onEnd={() => void list.more()}
            onKey={moveFocus}
            head={
              <div role="row" class="row-head" aria-rowindex={1}>
                <span role="columnheader" class="c-check">
                  <input
                    type="checkbox"
                    aria-label="Select all that are shown"
                    checked={all}
                    onChange={() => setChosen(all ? new Set() : new Set(shown.map((task) => task.task_id)))}
                  />
                </span>
                <span role="columnheader" class="c-state">State</span>
                <span role="columnheader" class="c-what">Task</span>
                <span role="columnheader" class="c-range">Range</span>
                <span role="columnheader" class="c-bar">Progress</span>
                <span role="columnheader" class="c-time">Took</span>
                <span role="columnheader" class="c-when">Submitted</span>
              </div>
            }
            row={(task) => (
              <Row task={task} change={list.progress.get(task.task_id)} chosen={chosen.has(task.task_id)} onToggle={() => toggle(task.task_id)} />
            )}
            foot={
              <p class="soft small rows-foot">
                {own
                  ? `${count(shown.length)} of the newest ${count(list.tasks.length)} tasks${list.cursor ? '; scroll to look further' : ''}`
                  : `${count(list.tasks.length)} ${list.cursor ? 'newest tasks; scroll for more' : 'tasks, all of them'}`}
              </p>
            }
          />
        </>
      )}
      {asking && <Ask asking={asking} onClose={() => setAsking(undefined)} onDone={() => setChosen(new Set())} />}
      {adding && <NewBackfill onClose={() => setAdding(false)} />}
    </Page>
  );
}

/** Arrow keys, j and k move between the rows' links. */
function moveFocus(event: KeyboardEvent): void {
  const step = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1 }[event.key];
  const target = event.target as HTMLElement;
  if (step === undefined || target.closest('select')) return;
  const box = event.currentTarget as HTMLElement;
  const links = [...box.querySelectorAll<HTMLElement>('.row a')].filter((one) => one.closest('.row') !== null);
  const here = links.findIndex((one) => one.closest('.row') === target.closest('.row'));
  const next = links[here + step];
  if (next) {
    event.preventDefault();
    next.focus();
  }
}

function Row({ task, change, chosen, onToggle }: { task: Task; change: Change | undefined; chosen: boolean; onToggle: () => void }) {
  const subject = subjectOf(task.kind, task.request);
  const newer = change !== undefined && change.updated_at > task.updated_at;
  const state = newer ? change.state : task.state;
  const percent = state === 'succeeded' ? 100 : (change?.percent ?? 0);
  const took = task.started_at && task.ended_at ? (Date.parse(task.ended_at) - Date.parse(task.started_at)) / 1000 : undefined;
  return (
    <>
      <span role="cell" class="c-check">
        <input type="checkbox" aria-label={`Select ${subject.words}`} checked={chosen} onChange={onToggle} />
      </span>
      <span role="cell" class="c-state">
        <State state={state} />
      </span>
      <span role="cell" class="c-what">
        <a href={`/tasks/${task.task_id}`}>
          <bdi>{subject.words}</bdi>
        </a>
        <span class="soft small kind">{KINDS[task.kind] ?? task.kind}</span>
      </span>
      <span role="cell" class="c-range soft">
        {task.error && !newer ? <span class="error-code">{task.error.code}</span> : rangeWords(subject)}
      </span>
      <span role="cell" class="c-bar">
        {UNFINISHED.has(state) && <Bar percent={percent} state={state} label={`Progress of ${subject.words}`} />}
      </span>
      <span role="cell" class="c-time">{took === undefined ? '' : duration(took)}</span>
      <span role="cell" class="c-when soft">
        <Ago at={task.created_at} />
      </span>
    </>
  );
}

interface ChoiceProps {
  label: string;
  value: string | undefined;
  options: readonly (readonly [string, string])[];
  onChange: (value: string) => void;
}

function Choice({ label, value, options, onChange }: ChoiceProps) {
  return (
    <select aria-label={label} value={value ?? ''} onChange={(event) => onChange(event.currentTarget.value)}>
      <option value="">{label}: any</option>
      {options.map(([key, name]) => (
        <option key={key} value={key}>
          {name}
        </option>
      ))}
    </select>
  );
}

function Ask({ asking, onClose, onDone }: { asking: Asking; onClose: () => void; onDone: () => void }) {
  const { what, ids, of } = asking;
  const [reason, setReason] = useState('');
  const [done, setDone] = useState(0);
  const not = of - ids.length;
  const text = {
    cancel: 'What they have stored stays. A task that was cancelled does not go on; it can be run again.',
    replay: 'They go on from where they stopped, under the limits of your tier.',
    discard: 'A discarded task cannot be replayed any more. This cannot be undone.',
  }[what];
  const verb = { cancel: 'Cancel', replay: 'Replay', discard: 'Discard' }[what];
  return (
    <Confirm
      title={`${verb} ${plural(ids.length, 'task')}?`}
      action={done > 0 ? `${done} of ${ids.length}` : `${verb} ${count(ids.length)}`}
      danger={what !== 'replay'}
      disabled={ids.length === 0 || (what === 'discard' && reason.trim() === '')}
      onClose={onClose}
      onConfirm={async () => {
        if (what === 'cancel') await cancelMany(ids, setDone);
        else if (what === 'replay') await replayMany(ids);
        else await discardMany(ids, reason.trim(), setDone);
        onDone();
      }}
    >
      <p>{text}</p>
      {not > 0 && <p class="soft">{plural(not, 'selected task is', 'selected tasks are')} in another state and stay as they are.</p>}
      {what === 'discard' && (
        <label class="field">
          Reason
          <input value={reason} maxLength={500} required onInput={(event) => setReason(event.currentTarget.value)} />
        </label>
      )}
    </Confirm>
  );
}
