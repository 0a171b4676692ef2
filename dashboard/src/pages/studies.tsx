import { useLocation } from 'preact-iso';
import { useState } from 'preact/hooks';
import { api, must } from '../api/client';
import { ApiError, told } from '../api/problem';
import { bucket, count, words } from '../format';
import { nudge } from '../live/events';
import { useResource } from '../live/resource';
import { Dialog } from '../ui/dialog';
import { Ago, Empty, Field, Page, Shown } from '../ui/parts';
import { asRequest, EMPTY_SERIES, fieldError, FormError, SeriesFields, type SeriesForm } from '../ui/series_fields';
import { say } from '../ui/toast';

export function Studies() {
  const [running, setRunning] = useState(false);
  const studies = useResource('studies', () => must(api.GET('/api/seasonality', { params: { query: { limit: 200 } as never } })), {
    onTasks: true,
  });
  return (
    <Page
      title="Studies"
      actions={
        <button type="button" class="primary" onClick={() => setRunning(true)}>
          Run a study
        </button>
      }
    >
      <Shown of={studies}>
        {(list) =>
          list.studies.length === 0 ? (
            <Empty title="No study was run yet.">
              A study looks for calendar effects and tries two trading rules over stored candles, and says which of it is more than chance.{' '}
              <button type="button" class="link" onClick={() => setRunning(true)}>
                Run one
              </button>
            </Empty>
          ) : (
            <div class="table-box" tabIndex={0} role="region" aria-label="Studies">
              <table>
                <thead>
                  <tr>
                    <th scope="col">Series</th>
                    <th scope="col">Range</th>
                    <th scope="col">Studied</th>
                    <th scope="col" class="right">Candles</th>
                    <th scope="col" class="right">Stable effects</th>
                    <th scope="col">Made</th>
                  </tr>
                </thead>
                <tbody>
                  {list.studies.map((one) => (
                    <tr key={one.study_id}>
                      <td>
                        <a href={`/studies/${one.study_id}`}>
                          <bdi>
                            {one.symbol} {one.interval}
                          </bdi>
                        </a>
                      </td>
                      <td>
                        {bucket(one.range.start)} to {bucket(one.range.end)}
                      </td>
                      <td class="soft">{one.studies.map(words).join(', ')}</td>
                      <td class="right">{count(one.candles)}</td>
                      <td class="right">{one.stable > 0 ? <b>{count(one.stable)}</b> : '0'}</td>
                      <td class="soft">
                        <Ago at={one.created_at} />
                      </td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          )
        }
      </Shown>
      {running && <RunStudy onClose={() => setRunning(false)} />}
    </Page>
  );
}

const KINDS = [
  ['calendar', 'Calendar effects'],
  ['sma_crossover', 'Crossing averages'],
  ['mean_reversion', 'Mean reversion'],
] as const;

export function RunStudy({ initial = {}, onClose }: { initial?: Partial<SeriesForm>; onClose: () => void }) {
  const { route } = useLocation();
  const [form, setForm] = useState<SeriesForm>({ ...EMPTY_SERIES, ...initial });
  const [zone, setZone] = useState('UTC');
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set(KINDS.map(([kind]) => kind)));
  const [error, setError] = useState<ApiError>();
  const [busy, setBusy] = useState(false);
  const submit = async () => {
    setBusy(true);
    setError(undefined);
    try {
      const studies = KINDS.filter(([kind]) => chosen.has(kind)).map(([study]) => ({ study }));
      const body = { ...asRequest(form), time_zone: zone.trim() || 'UTC', studies };
      const accepted = await must(api.POST('/api/seasonality', { body: body as never }));
      say(accepted.created ? 'The study is submitted.' : 'This study is under way already.');
      nudge();
      onClose();
      route(`/tasks/${accepted.task_id}`);
    } catch (caught) {
      setError(caught instanceof ApiError ? caught : new ApiError(0, 'page_error', told(caught)));
      setBusy(false);
    }
  };
  return (
    <Dialog title="Run a study" onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void submit();
        }}
      >
        <SeriesFields value={form} onChange={setForm} error={error} startOptional />
        <Field label="Time zone of the calendar" error={fieldError(error, 'time_zone')}>
          {(attributes) => (
            <input {...attributes} value={zone} spellcheck={false} placeholder="Europe/Berlin" onInput={(event) => setZone(event.currentTarget.value)} />
          )}
        </Field>
        <fieldset class="choices">
          <legend>What is studied</legend>
          {KINDS.map(([kind, name]) => (
            <label key={kind} class="check">
              <input
                type="checkbox"
                checked={chosen.has(kind)}
                onChange={() => {
                  const next = new Set(chosen);
                  if (!next.delete(kind)) next.add(kind);
                  setChosen(next);
                }}
              />
              {name}
            </label>
          ))}
        </fieldset>
        <FormError error={error} />
        <footer class="dialog-foot">
          <button type="button" onClick={onClose}>
            Close
          </button>
          <button type="submit" class="primary" disabled={busy || chosen.size === 0}>
            {busy ? 'Submitting…' : 'Run it'}
          </button>
        </footer>
      </form>
    </Dialog>
  );
}
