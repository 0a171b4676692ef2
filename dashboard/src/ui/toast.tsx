import { signal } from '@preact/signals';
import { told } from '../api/problem';

interface Toast {
  id: number;
  text: string;
  kind: 'done' | 'failed';
  href?: string | undefined;
}

const toasts = signal<readonly Toast[]>([]);
let next = 1;

/** Says what an action did. */
export function say(text: string, kind: Toast['kind'] = 'done', href?: string): void {
  const toast = { id: next++, text, kind, href };
  toasts.value = [...toasts.value.slice(-3), toast];
  setTimeout(() => dismiss(toast.id), kind === 'failed' ? 12_000 : 6_000);
}

function dismiss(id: number): void {
  toasts.value = toasts.value.filter((toast) => toast.id !== id);
}

/** Does something and says how it went. Whether it succeeded. */
export async function act<T>(work: () => Promise<T>, done: (result: T) => string, failed: string): Promise<T | undefined> {
  try {
    const result = await work();
    say(done(result));
    return result;
  } catch (error) {
    say(`${failed}: ${told(error)}`, 'failed');
    return undefined;
  }
}

export function Toasts() {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {toasts.value.map((toast) => (
        <div key={toast.id} class={`toast ${toast.kind}`}>
          <span class="toast-text">{toast.text}</span>
          {toast.href && <a href={toast.href}>Open</a>}
          <button type="button" class="icon" aria-label="Dismiss" onClick={() => dismiss(toast.id)}>
            ×
          </button>
        </div>
      ))}
    </div>
  );
}
