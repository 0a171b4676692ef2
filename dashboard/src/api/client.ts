/** The API, typed by its own document. Every call goes through `send`, which knows the token and renews it once. */
import createClient from 'openapi-fetch';
import { known, operatorToken, refresh, session } from '../session';
import { ApiError } from './problem';
import type { components, paths } from './schema';

export type Schemas = components['schemas'];
export type Task = Schemas['TaskView'];
export type TaskState = Schemas['TaskState'];
export type Progress = Schemas['ProgressView'];
export type DeadLetter = Schemas['DeadLetterView'];
export type Interval = Schemas['Interval'];
export type Gap = Schemas['GapView'];
export type Study = Schemas['StudyView'];

export const INTERVALS: readonly Interval[] = [
  '1s', '1m', '3m', '5m', '15m', '30m', '1h', '2h', '4h', '6h', '8h', '12h', '1d', '3d', '1w', '1M',
];

function tokenFor(path: string): string | undefined {
  return path.startsWith('/api/admin/') ? operatorToken.value : session.value?.token;
}

/** A request with the token that its path needs; an expired one is renewed, once. */
export async function send(request: Request): Promise<Response> {
  const path = new URL(request.url).pathname;
  const again = request.clone();
  const token = tokenFor(path);
  const first = await attempt(request, token);
  if (first.status !== 401 || path.startsWith('/api/admin/')) return first;
  if (known.value === 'signed-in' && (await refresh(token))) return attempt(again, tokenFor(path));
  return first;
}

async function attempt(request: Request, token: string | undefined): Promise<Response> {
  if (token !== undefined) request.headers.set('Authorization', `Bearer ${token}`);
  try {
    return await fetch(request);
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw ApiError.away();
  }
}

export const api = createClient<paths>({ baseUrl: location.origin, fetch: send });

/** The data of a call, or its problem as an error. */
export async function must<T>(call: Promise<{ data?: T; error?: unknown; response: Response }>): Promise<T> {
  const { data, error, response } = await call;
  if (!response.ok) throw ApiError.of(response, error);
  return data as T;
}

/** A call that the document of this version does not have (yet). */
export async function call<T>(method: string, path: string, body?: unknown): Promise<T> {
  const init: RequestInit = { method };
  if (body !== undefined) {
    init.body = JSON.stringify(body);
    init.headers = { 'Content-Type': 'application/json' };
  }
  const response = await send(new Request(new URL(path, location.origin), init));
  const answer: unknown = response.status === 204 ? undefined : await response.json().catch(() => undefined);
  if (!response.ok) throw ApiError.of(response, answer);
  return answer as T;
}

/** A picture or a file that needs the token: fetched, then shown or saved from memory. */
export async function blob(path: string): Promise<Blob> {
  const response = await send(new Request(new URL(path, location.origin)));
  if (!response.ok) throw ApiError.of(response, await response.json().catch(() => undefined));
  return response.blob();
}

/** Saves what a call answers as a file. */
export async function download(path: string, name: string): Promise<void> {
  const address = URL.createObjectURL(await blob(path));
  const link = document.createElement('a');
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
