import { useState } from 'preact/hooks';
import { api, must } from '../api/client';
import { ApiError, told } from '../api/problem';
import { nudge } from '../live/events';
import { Dialog } from './dialog';
import { asRequest, EMPTY_SERIES, FormError, SeriesFields, type SeriesForm } from './series_fields';
import { say } from './toast';

interface Props {
  initial?: Partial<SeriesForm>;
  onClose: () => void;
}

/** Has candles fetched, or compared with the exchange's. */
export function NewBackfill({ initial = {}, onClose }: Props) {
  const [form, setForm] = useState<SeriesForm>({ ...EMPTY_SERIES, ...initial });
  const [verify, setVerify] = useState(false);
  const [error, setError] = useState<ApiError>();
  const [busy, setBusy] = useState(false);

  const submit = async () => {
    setBusy(true);
    setError(undefined);
    try {
      const path = verify ? '/api/market-data/verify' : '/api/market-data/fetch';
      const accepted = await must(api.POST(path, { body: asRequest(form) as never }));
      const what = accepted.created ? 'Accepted' : 'This is under way already';
      say(`${what}: ${form.symbol.toUpperCase()} ${form.interval}`, 'done', `/tasks/${accepted.task_id}`);
      nudge();
      onClose();
    } catch (caught) {
      setError(caught instanceof ApiError ? caught : new ApiError(0, 'page_error', told(caught)));
      setBusy(false);
    }
  };

  return (
    <Dialog title="New backfill" onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void submit();
        }}
      >
        <SeriesFields value={form} onChange={setForm} error={error} />
        <label class="check">
          <input type="checkbox" checked={verify} onChange={(event) => setVerify(event.currentTarget.checked)} />
          Compare what is stored with the exchange as well
        </label>
        <FormError error={error} />
        <footer class="dialog-foot">
          <button type="button" onClick={onClose}>
            Close
          </button>
          <button type="submit" class="primary" disabled={busy}>
            {busy ? 'Submitting…' : 'Submit'}
          </button>
        </footer>
      </form>
    </Dialog>
  );
}
