/** Fields that name a series and a range of it. */
import { useEffect, useState } from 'preact/hooks';
import { api, INTERVALS, must } from '../api/client';
import type { ApiError } from '../api/problem';
import { Field } from './parts';

export interface SeriesForm {
  symbol: string;
  interval: string;
  start: string;
  end: string;
  listing: boolean;
}

export const EMPTY_SERIES: SeriesForm = { symbol: '', interval: '1h', start: '', end: '', listing: false };

/** As the API takes it. */
export function asRequest(form: SeriesForm): Record<string, unknown> {
  const start = form.listing ? 'listing' : form.start ? `${form.start}T00:00:00Z` : undefined;
  return {
    symbol: form.symbol.trim(),
    interval: form.interval,
    ...(start ? { start } : {}),
    ...(form.end ? { end: `${form.end}T00:00:00Z` } : {}),
  };
}

/** What the API says of one field. */
export function fieldError(error: ApiError | undefined, ...names: string[]): string | undefined {
  return error?.problem?.errors?.find((one) => names.includes(one.field))?.message;
}

/** What is wrong, unless the fields say it already. */
export function FormError({ error }: { error: ApiError | undefined }) {
  if (error === undefined) return null;
  return (
    <p class="form-error" role="alert">
      {error.message}
    </p>
  );
}

interface Props {
  value: SeriesForm;
  onChange: (next: SeriesForm) => void;
  error: ApiError | undefined;
  startOptional?: boolean;
}

export function SeriesFields({ value, onChange, error, startOptional = false }: Props) {
  const set = (change: Partial<SeriesForm>) => onChange({ ...value, ...change });
  return (
    <div class="fields">
      <SymbolField value={value.symbol} onChange={(symbol) => set({ symbol })} error={fieldError(error, 'symbol')} />
      <Field label="Interval" error={fieldError(error, 'interval')}>
        {(attributes) => (
          <select {...attributes} value={value.interval} onChange={(event) => set({ interval: event.currentTarget.value })}>
            {INTERVALS.map((one) => (
              <option key={one} value={one}>
                {one}
              </option>
            ))}
          </select>
        )}
      </Field>
      <Field label="From (UTC)" hint={startOptional ? 'Empty: as the API chooses' : undefined} error={fieldError(error, 'start')}>
        {(attributes) => (
          <input
            {...attributes}
            type="date"
            value={value.start}
            disabled={value.listing}
            required={!startOptional && !value.listing}
            onInput={(event) => set({ start: event.currentTarget.value })}
          />
        )}
      </Field>
      <Field label="Until (UTC)" hint="Empty: now" error={fieldError(error, 'end')}>
        {(attributes) => (
          <input {...attributes} type="date" value={value.end} onInput={(event) => set({ end: event.currentTarget.value })} />
        )}
      </Field>
      <label class="check">
        <input type="checkbox" checked={value.listing} onChange={(event) => set({ listing: event.currentTarget.checked })} />
        From the first candle that the exchange has
      </label>
    </div>
  );
}

function SymbolField({ value, onChange, error }: { value: string; onChange: (symbol: string) => void; error: string | undefined }) {
  const [known, setKnown] = useState<readonly string[]>([]);
  useEffect(() => {
    if (value.trim() === '') return;
    const timer = setTimeout(() => {
      must(api.GET('/api/market-data/symbols', { params: { query: { prefix: value.trim(), limit: 12 } as never } }))
        .then((list) => setKnown(list.symbols.map((one) => one.symbol)))
        // Suggestions only: any name may be typed.
        .catch(() => setKnown([]));
    }, 250);
    return () => clearTimeout(timer);
  }, [value]);
  return (
    <Field label="Symbol" error={error}>
      {(attributes) => (
        <>
          <input
            {...attributes}
            list="known-symbols"
            value={value}
            required
            autocomplete="off"
            autocapitalize="characters"
            spellcheck={false}
            placeholder="BTCUSDT"
            onInput={(event) => onChange(event.currentTarget.value)}
          />
          <datalist id="known-symbols">
            {known.map((one) => (
              <option key={one} value={one} />
            ))}
          </datalist>
        </>
      )}
    </Field>
  );
}
