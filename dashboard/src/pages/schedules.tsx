import { useState } from 'preact/hooks';
import { call, INTERVALS } from '../api/client';
import { ApiError, told } from '../api/problem';
import type { Preview, Schedule, ScheduleList, When } from '../api/schedules';
import { count, utc } from '../format';
import { useResource } from '../live/resource';
import { Dialog } from '../ui/dialog';
import { Ago, Empty, Field, Page, Shown, State } from '../ui/parts';
import { fieldError, FormError } from '../ui/series_fields';
import { act, say } from '../ui/toast';

async function readAll(): Promise<Schedule[] | undefined> {
  const all: Schedule[] = [];
  let cursor: string | null | undefined;
  try {
    do {
      const answer: ScheduleList = await call('GET', `/api/schedules${cursor ? `?cursor=${encodeURIComponent(cursor)}` : ''}`);
      all.push(...answer.schedules);
      cursor = answer.next_cursor;
    } while (cursor && all.length < 1000);
  } catch (error) {
    if (error instanceof ApiError && error.isUnknownCall) return undefined;
    throw error;
  }
  return all;
}

/** What a schedule does, in a few words. */
export function templateWords(template: Record<string, unknown>): string {
  const kind = String(template['kind'] ?? 'task');
  const symbols = template['symbols'];
  const what = Array.isArray(symbols)
    ? `${symbols.slice(0, 3).join(', ')}${symbols.length > 3 ? ` and ${symbols.length - 3} more` : ''}`
    : (template['symbol'] ?? (template['quote_asset'] ? `all of ${String(template['quote_asset'])}` : ''));
  return [kind, String(what), String(template['interval'] ?? '')].filter(Boolean).join(' ');
}

export const setPaused = (id: string, paused: boolean) => call<Schedule>('PATCH', `/api/schedules/${encodeURIComponent(id)}`, { paused });
export const runNow = (id: string) => call<{ task_id: string }>('POST', `/api/schedules/${encodeURIComponent(id)}/run`);

export function Schedules() {
  const schedules = useResource('schedules', readAll, { every: 20_000, onTasks: true });
  const [adding, setAdding] = useState(false);
  const there = schedules.data !== undefined;
  return (
    <Page
      title="Schedules"
      actions={
        there && (
          <button type="button" class="primary" onClick={() => setAdding(true)}>
            New schedule
          </button>
        )
      }
    >
      {!schedules.loading && schedules.error === undefined && schedules.data === undefined ? (
        <Empty title="This deployment has no schedules.">Its API is of a version without them.</Empty>
      ) : (
        <Shown of={schedules}>
          {(all) =>
            all === undefined || all.length === 0 ? (
              <Empty title="Nothing is scheduled.">
                A schedule submits a backfill, a verification or a study again and again, by a cron expression or a period.{' '}
                <button type="button" class="link" onClick={() => setAdding(true)}>
                  Make the first one
                </button>
              </Empty>
            ) : (
              <ul class="cards">
                {all.map((one) => (
                  <Card key={one.schedule_id} schedule={one} reload={schedules.reload} />
                ))}
              </ul>
            )
          }
        </Shown>
      )}
      {adding && (
        <NewSchedule
          onClose={() => setAdding(false)}
          onDone={() => {
            setAdding(false);
            schedules.reload();
          }}
        />
      )}
    </Page>
  );
}

function Card({ schedule, reload }: { schedule: Schedule; reload: () => void }) {
  const next = schedule.next_fires[0];
  return (
    <li class="panel">
      <header class="panel-head">
        <h2>
          <a href={`/schedules/${schedule.schedule_id}`}>
            <bdi>{schedule.name}</bdi>
          </a>{' '}
          <State state={schedule.state} />
        </h2>
        <ScheduleActions schedule={schedule} reload={reload} />
      </header>
      <p>
        {schedule.words} <span class="soft">· {templateWords(schedule.template)}</span>
      </p>
      <p class="soft small">
        {next && schedule.state === 'active' ? (
          <>
            Next <Ago at={next.due_at} /> ({next.local ?? utc(next.due_at)})
          </>
        ) : (
          'Nothing is due'
        )}
        {schedule.last_fire && (
          <>
            {' '}
            · last {schedule.last_fire.state.replaceAll('_', ' ')} <Ago at={schedule.last_fire.due_at} />
          </>
        )}
        {schedule.failed_in_a_row > 0 && <span class="warn-text"> · failed {count(schedule.failed_in_a_row)} times in a row</span>}
      </p>
    </li>
  );
}

export function ScheduleActions({ schedule, reload }: { schedule: Schedule; reload: () => void }) {
  const paused = schedule.state !== 'active';
  if (schedule.state === 'ended') return null;
  return (
    <div class="actions">
      <button
        type="button"
        onClick={() =>
          void act(() => runNow(schedule.schedule_id), () => `${schedule.name}: submitted now.`, 'Not submitted').then(reload)
        }
      >
        Run now
      </button>
      <button
        type="button"
        onClick={() =>
          void act(
            () => setPaused(schedule.schedule_id, !paused),
            () => `${schedule.name}: ${paused ? 'goes on.' : 'paused.'}`,
            'Nothing changed',
          ).then(reload)
        }
      >
        {paused ? 'Resume' : 'Pause'}
      </button>
    </div>
  );
}

interface Form {
  name: string;
  by: 'cron' | 'every';
  cron: string;
  zone: string;
  every: string;
  kind: 'fetch' | 'batch' | 'study' | 'verify';
  symbols: string;
  interval: string;
  range: 'last' | 'just_closed' | 'since_last_success';
  last: string;
  since: string;
  misfire: string;
  overlap: string;
}

const START: Form = {
  name: '',
  by: 'cron',
  cron: '*/15 * * * *',
  zone: 'UTC',
  every: '15m',
  kind: 'fetch',
  symbols: 'BTCUSDT',
  interval: '15m',
  range: 'last',
  last: '2d',
  since: '2024-01-01',
  misfire: 'once',
  overlap: 'skip',
};

function bodyOf(form: Form): Record<string, unknown> {
  const when: When = form.by === 'cron' ? { cron: form.cron, time_zone: form.zone } : { every: form.every };
  const range =
    form.range === 'last' ? { last: form.last }
    : form.range === 'just_closed' ? { just_closed: true }
    : { since_last_success: { start: `${form.since}T00:00:00Z` } };
  const symbols = form.symbols.split(/[\s,]+/).filter(Boolean);
  const template = {
    kind: form.kind,
    ...(form.kind === 'batch' ? { symbols } : { symbol: symbols[0] ?? '' }),
    interval: form.interval,
    range,
  };
  return { name: form.name, when, template, misfire: form.misfire, overlap: form.overlap };
}

function NewSchedule({ onClose, onDone }: { onClose: () => void; onDone: () => void }) {
  const [form, setForm] = useState<Form>(START);
  const [preview, setPreview] = useState<Preview>();
  const [error, setError] = useState<ApiError>();
  const [busy, setBusy] = useState(false);
  const set = (change: Partial<Form>) => {
    setForm({ ...form, ...change });
    setPreview(undefined);
  };
  const attempt = async (work: () => Promise<void>) => {
    setBusy(true);
    setError(undefined);
    try {
      await work();
    } catch (caught) {
      setError(caught instanceof ApiError ? caught : new ApiError(0, 'page_error', told(caught)));
    }
    setBusy(false);
  };
  const look = () => attempt(async () => setPreview(await call<Preview>('POST', '/api/schedules/preview', bodyOf(form))));
  const save = () =>
    attempt(async () => {
      const made = await call<Schedule>('POST', '/api/schedules', bodyOf(form));
      say(`${made.name}: scheduled.`, 'done', `/schedules/${made.schedule_id}`);
      onDone();
    });
  const text = (name: keyof Form, label: string, ...fields: string[]) => (
    <Field label={label} error={fieldError(error, ...fields)}>
      {(attributes) => (
        <input {...attributes} value={form[name]} required spellcheck={false} onInput={(event) => set({ [name]: event.currentTarget.value })} />
      )}
    </Field>
  );
  const choice = (name: keyof Form, label: string, options: readonly (readonly [string, string])[], ...fields: string[]) => (
    <Field label={label} error={fieldError(error, ...fields)}>
      {(attributes) => (
        <select {...attributes} value={form[name]} onChange={(event) => set({ [name]: event.currentTarget.value } as Partial<Form>)}>
          {options.map(([value, shown]) => (
            <option key={value} value={value}>
              {shown}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
  return (
    <Dialog title="New schedule" onClose={onClose} wide>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void (preview ? save() : look());
        }}
      >
        <div class="fields">
          {text('name', 'Name', 'name')}
          {choice('by', 'When', [['cron', 'by a cron expression'], ['every', 'every so often']], 'when')}
          {form.by === 'cron' ? text('cron', 'Cron', 'when.cron') : text('every', 'Every', 'when.every')}
          {form.by === 'cron' && text('zone', 'Time zone', 'when.time_zone')}
          {choice('kind', 'What', [['fetch', 'fetch'], ['batch', 'fetch of many symbols'], ['study', 'study'], ['verify', 'verify']], 'template.kind')}
          {text('symbols', form.kind === 'batch' ? 'Symbols' : 'Symbol', 'template.symbol', 'template.symbols')}
          {choice('interval', 'Interval', INTERVALS.map((one) => [one, one] as const), 'template.interval')}
          {choice('range', 'Range', [['last', 'the last …'], ['just_closed', 'what has just closed'], ['since_last_success', 'since its last success']], 'template.range')}
          {form.range === 'last' && text('last', 'Last', 'template.range.last')}
          {form.range === 'since_last_success' && text('since', 'At first from', 'template.range.since_last_success.start')}
          {choice('misfire', 'When it was missed', [['once', 'run once'], ['skip', 'skip it'], ['all', 'run all of them']], 'misfire')}
          {choice('overlap', 'While the last one runs', [['skip', 'skip'], ['queue_one', 'queue one'], ['cancel_running', 'cancel that one'], ['allow', 'run beside it']], 'overlap')}
        </div>
        <FormError error={error} />
        {preview && (
          <div class="preview" role="status">
            <p>
              <strong>{preview.words}</strong>
            </p>
            <ol>
              {preview.next_fires.slice(0, 6).map((fire) => (
                <li key={fire.due_at}>
                  {fire.local ?? utc(fire.due_at)} <span class="soft">{utc(fire.due_at)} UTC</span>
                  {fire.moved_by_daylight_saving && <span class="warn-text"> moved by daylight saving</span>}
                </li>
              ))}
            </ol>
          </div>
        )}
        <footer class="dialog-foot">
          <button type="button" onClick={onClose}>
            Close
          </button>
          {preview && (
            <button type="button" onClick={() => void look()} disabled={busy}>
              Preview again
            </button>
          )}
          <button type="submit" class="primary" disabled={busy}>
            {preview ? 'Schedule it' : 'Preview'}
          </button>
        </footer>
      </form>
    </Dialog>
  );
}
