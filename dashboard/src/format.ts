/** Figures and times as the page shows them. */

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });

export function count(value: number | null | undefined): string {
  return value === null || value === undefined || !Number.isFinite(value) ? '–' : whole.format(value);
}

export function compact(value: number): string {
  return Math.abs(value) < 10_000 ? whole.format(value) : short.format(value);
}

export function figure(value: number | null | undefined, digits = 2): string {
  return value === null || value === undefined || !Number.isFinite(value) ? '–' : value.toFixed(digits);
}

export function percent(value: number | null | undefined, digits = 1): string {
  return value === null || value === undefined || !Number.isFinite(value) ? '–' : `${(value * 100).toFixed(digits)} %`;
}

/** A p-value: small ones as a bound, none as exactly 0. */
export function pValue(value: number | null | undefined): string {
  if (value === null || value === undefined) return '–';
  return value < 0.0001 ? '< 0.0001' : value.toFixed(4);
}

/** `4 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`. */
export function duration(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return '–';
  const s = Math.max(0, seconds);
  if (s < 1) return `${Math.round(s * 1000)} ms`;
  if (s < 10) return `${s.toFixed(1)} s`;
  const r = Math.round(s);
  const pair = (a: number, big: string, b: number, small: string) => (b === 0 ? `${a} ${big}` : `${a} ${big} ${b} ${small}`);
  if (r < 60) return `${r} s`;
  if (r < 3600) return pair(Math.floor(r / 60), 'min', r % 60, 's');
  if (r < 86_400) return pair(Math.floor(r / 3600), 'h', Math.floor((r % 3600) / 60), 'min');
  return pair(Math.floor(r / 86_400), 'd', Math.floor((r % 86_400) / 3600), 'h');
}

/** `2020-01-04 12:30:05`, UTC, without the parts that are zero at midnight. */
export function utc(at: string | number | null | undefined, withSeconds = true): string {
  if (at === null || at === undefined || at === '') return '–';
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return String(at);
  const text = date.toISOString();
  const day = text.slice(0, 10);
  const time = text.slice(11, withSeconds ? 19 : 16);
  return `${day} ${time}`;
}

/** A bucket's time: the day alone where it is midnight. */
export function bucket(at: string | number): string {
  const text = utc(at, false);
  return text.endsWith(' 00:00') ? text.slice(0, 10) : text;
}

/** `12 s ago`, `in 3 min`. */
export function ago(at: string | number | null | undefined, now: number): string {
  if (at === null || at === undefined) return '–';
  const seconds = (now - new Date(at).getTime()) / 1000;
  if (!Number.isFinite(seconds)) return '–';
  const size = Math.abs(seconds);
  const text =
    size < 1.5 ? 'a moment'
    : size < 60 ? `${Math.round(size)} s`
    : size < 3600 ? `${Math.round(size / 60)} min`
    : size < 172_800 ? `${Math.round(size / 3600)} h`
    : `${Math.round(size / 86_400)} d`;
  if (size < 1.5) return 'now';
  return seconds >= 0 ? `${text} ago` : `in ${text}`;
}

export function plural(n: number, one: string, many = `${one}s`): string {
  return `${count(n)} ${n === 1 ? one : many}`;
}

/** `absolute_return` as words. */
export function words(name: string): string {
  return name.replaceAll('_', ' ');
}

/** At most so many characters of a text that anybody may have written. */
export function clip(text: string, most = 300): string {
  return text.length > most ? `${text.slice(0, most)}…` : text;
}
