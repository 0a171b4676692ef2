import { effect, signal } from '@preact/signals';

type Theme = 'light' | 'dark';
const KEY = 'candlemill-theme';
const prefers = matchMedia('(prefers-color-scheme: dark)');

function stored(): Theme | undefined {
  try {
    const text = localStorage.getItem(KEY);
    return text === 'light' || text === 'dark' ? text : undefined;
  } catch {
    return undefined;
  }
}

let chosen = stored();
export const theme = signal<Theme>(chosen ?? (prefers.matches ? 'dark' : 'light'));

prefers.addEventListener('change', () => {
  if (chosen === undefined) theme.value = prefers.matches ? 'dark' : 'light';
});

export function chooseTheme(next: Theme): void {
  chosen = next;
  theme.value = next;
  try {
    localStorage.setItem(KEY, next);
  } catch {
    // Not remembered, then.
  }
}

effect(() => {
  document.documentElement.dataset['theme'] = theme.value;
});
