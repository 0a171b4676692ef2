/** Small things that every page uses. */
import type { ComponentChildren } from 'preact';
import { useEffect, useId, useState } from 'preact/hooks';
import type { TaskState } from '../api/client';
import type { ApiError } from '../api/problem';
import { ago, utc } from '../format';
import { now } from '../live/now';
import type { Resource } from '../live/resource';

export function Page({ title, actions, children }: { title: string; actions?: ComponentChildren; children: ComponentChildren }) {
  useEffect(() => {
    document.title = `${title} · Candlemill`;
  }, [title]);
  return (
    <>
      <header class="page-head">
        <h1>{title}</h1>
        {actions && <div class="actions">{actions}</div>}
      </header>
      {children}
    </>
  );
}

export function State({ state }: { state: TaskState | string }) {
  return <span class={`state ${state}`}>{state.replaceAll('_', ' ')}</span>;
}

/** A time as its distance; the whole of it when pointed at. */
export function Ago({ at }: { at: string | number | null | undefined }) {
  if (at === null || at === undefined) return <span class="soft">–</span>;
  return (
    <time dateTime={new Date(at).toISOString()} title={`${utc(at)} UTC`}>
      {ago(at, now.value)}
    </time>
  );
}

export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children && <div class="soft">{children}</div>}
    </div>
  );
}

export function Failure({ error, onRetry }: { error: ApiError; onRetry?: () => void }) {
  return (
    <div class="failure" role="alert">
      <p>
        <strong>{error.problem?.title ?? (error.status === 0 ? 'No connection' : 'This did not work')}</strong>
      </p>
      <p>{error.message}</p>
      {error.problem?.trace_id && <p class="soft small">Trace {error.problem.trace_id}</p>}
      {onRetry && (
        <button type="button" onClick={onRetry}>
          Try again
        </button>
      )}
    </div>
  );
}

export function Loading({ rows = 4 }: { rows?: number }) {
  return (
    <div class="loading" role="status" aria-label="Loading">
      {Array.from({ length: rows }, (_, i) => (
        <div key={i} class="ghost" />
      ))}
    </div>
  );
}

/** What a resource is at the moment: loading, failed, there, or there but no longer fresh. */
export function Shown<T>({ of, rows, children }: { of: Resource<T>; rows?: number; children: (data: T) => ComponentChildren }) {
  if (of.data === undefined) {
    if (of.error !== undefined) return <Failure error={of.error} onRetry={of.reload} />;
    return <Loading {...(rows === undefined ? {} : { rows })} />;
  }
  return (
    <>
      {of.error !== undefined && (
        <p class="stale" role="alert">
          As of {of.readAt === undefined ? 'earlier' : utc(of.readAt)} UTC. {of.error.message}
        </p>
      )}
      {children(of.data)}
    </>
  );
}

export function Bar({ percent, state, label }: { percent: number; state: string; label: string }) {
  return (
    <div class={`bar ${state}`} role="progressbar" aria-valuemin={0} aria-valuemax={100} aria-valuenow={percent} aria-label={label}>
      <div class="bar-fill" style={{ width: `${Math.min(100, Math.max(0, percent))}%` }} />
    </div>
  );
}

interface FieldProps {
  label: string;
  hint?: ComponentChildren;
  error?: string | undefined;
  children: (attributes: { id: string; 'aria-describedby'?: string }) => ComponentChildren;
}

export function Field({ label, hint, error, children }: FieldProps) {
  const id = useId();
  const note = `${id}-note`;
  const described = hint || error ? { id, 'aria-describedby': note } : { id };
  return (
    <div class={error ? 'field wrong' : 'field'}>
      <label for={id}>{label}</label>
      {children(described)}
      {(hint || error) && (
        <p id={note} class="field-note">
          {error ?? hint}
        </p>
      )}
    </div>
  );
}

export function Facts({ children, dense = false }: { children: ComponentChildren; dense?: boolean }) {
  return <dl class={dense ? 'facts dense' : 'facts'}>{children}</dl>;
}

export function Fact({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    <div class="fact">
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

/** JSON as text: whatever anybody wrote into it, it is shown and never run. */
export function Json({ value, label }: { value: unknown; label: string }) {
  return (
    <pre class="json" tabIndex={0} role="region" aria-label={label}>
      {JSON.stringify(value, undefined, 2)}
    </pre>
  );
}

export function Copy({ text, label }: { text: string; label: string }) {
  const [done, setDone] = useState(false);
  return (
    <button
      type="button"
      class="quiet small"
      aria-label={`Copy ${label}`}
      onClick={() => {
        void navigator.clipboard.writeText(text).then(() => {
          setDone(true);
          setTimeout(() => setDone(false), 1500);
        });
      }}
    >
      {done ? 'Copied' : 'Copy'}
    </button>
  );
}

export function Panel({ title, actions, children }: { title: string; actions?: ComponentChildren; children: ComponentChildren }) {
  return (
    <section class="panel">
      <header class="panel-head">
        <h2>{title}</h2>
        {actions && <div class="actions">{actions}</div>}
      </header>
      {children}
    </section>
  );
}
